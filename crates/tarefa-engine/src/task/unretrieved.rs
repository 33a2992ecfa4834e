//! Failures that nobody asked about: which of them are told, and that each is told once.
//!
//! - Whoever gets a task's result, or its failure, *retrieves* it ([`Task::mark_retrieved`]). To
//!   wait for its end, or to look whether it has come, does not.
//! - A failure that nobody retrieved is *told* by the process that started the task: at the
//!   latest [`TELL_AFTER`] its end, when its handle goes, or when that process ends. The front
//!   knows how; it tells if [`Task::mark_told`] says that it is to.
//! - What the program did to the task itself, it is not told: see [`Task::is_failure`].
//!
//! Both marks are bits of the record's flags, each set by one atomic operation, so that of all
//! threads and processes with a handle one tells. A teller that is killed after its mark tells
//! nothing: it is the starter, and its standard error ended with it.

use std::time::Duration;

use super::record::{Task, flag};
use super::state::State;
use crate::atomic::Ordering;
use crate::os::pidfd::Exit;

/// A failure is told when it has been waiting to be asked about for so long.
pub const TELL_AFTER: Duration = Duration::from_secs(10);

impl Task<'_> {
    /// Somebody asks for its outcome and gets it: nobody is told of it any more.
    pub fn mark_retrieved(&self) {
        // A look first: many readers ask again and again.
        if !self.is_retrieved() {
            self.it().flags.fetch_or(flag::RETRIEVED, Ordering::AcqRel);
            crash_point!("unretrieved.retrieved");
        }
    }

    /// Whether somebody has asked for its outcome.
    #[must_use]
    pub fn is_retrieved(&self) -> bool {
        self.flags() & flag::RETRIEVED != 0
    }

    /// Whether the caller is to tell of it: it has failed, nobody has retrieved that, and nobody
    /// else tells. Says so to one caller only.
    #[must_use]
    pub fn mark_told(&self) -> bool {
        if !self.is_failure() {
            return false;
        }
        let flags = &self.it().flags;
        let mut seen = flags.load(Ordering::Acquire);
        loop {
            if seen & (flag::RETRIEVED | flag::TOLD) != 0 {
                return false;
            }
            let next = seen | flag::TOLD;
            let swap = flags.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Acquire);
            crash_point!("unretrieved.told");
            match swap {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
    }

    /// Somebody was told of its failure already, in a way of the front's, or is not to be: before
    /// its end, by the thread that runs it.
    pub fn mark_told_already(&self) {
        self.it().flags.fetch_or(flag::TOLD, Ordering::AcqRel);
        crash_point!("unretrieved.told_already");
    }

    /// Whether it has ended in a way that somebody must hear of. Not so what the program did
    /// itself: `kill()`, `terminate()`, `interrupt()`, an exit with code 0.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        match self.state() {
            State::New | State::Starting | State::Running | State::Finished => false,
            State::Failed => true,
            // By its time limit; else by `interrupt()`, or by who typed Ctrl-C.
            State::Interrupted => self.over_time(),
            State::Killed if self.killed_over_time() => true,
            State::Killed => {
                self.flags() & flag::KILLED_BY_US == 0 && self.exit() != Some(Exit::Code(0))
            }
        }
    }

    /// When it is to be told at the latest, on the monotonic clock in nanoseconds; `None` while
    /// it runs.
    #[must_use]
    pub fn tell_at(&self) -> Option<u64> {
        let ended = self.it().ended_ns.load(Ordering::Relaxed);
        (self.state().is_final() && ended != 0)
            .then(|| ended.saturating_add(TELL_AFTER.as_nanos() as u64))
    }
}
