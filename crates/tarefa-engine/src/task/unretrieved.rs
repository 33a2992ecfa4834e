//! Failures that nobody asked about: which of them are told, and that each is told once.
//!
//! - Whoever gets a task's result, or its failure, *retrieves* it ([`Task::mark_retrieved`]). To
//!   wait for its end, or to look whether it has come, does not.
//! - A failure that nobody retrieved is *told* by the process that started the task: at the
//!   latest [`TELL_AFTER`] its end, when its last handle goes, or when that process ends. The front
//!   knows how; it tells if [`Task::mark_told`] says that it is to.
//! - What the program did to the task itself, it is not told: see [`Task::is_failure`].
//!
//! ```text
//!  task                       supervisor                        starter
//!  ----                       ----------                        -------
//!  Failed, or dead     --->   buries it: untold, so its
//!                             starter's reminder is set
//!  (a thread fails:    --->   takes its reminder over)
//!                             the time has come:         --->   tells what mark_told() gives it
//! ```
//!
//! - Both marks are bits of the record's flags, each set by one atomic operation, so that of all
//!   threads and processes with a handle one tells. A teller that is killed after its mark tells
//!   nothing: it is the starter, and its standard error ended with it.
//! - A starter needs no clock and no thread of its own for the ten seconds: the supervisor keeps
//!   them ([`super::supervisor::untold`]). It has a word of the starter's slot changed, and wakes
//!   who sleeps on it; it signals a task; in its own process it calls the front.
//! - A reminder that is lost (the starter died) or comes for nothing does no harm: who is reminded
//!   looks at the marks.
//! - A starter that died before it told leaves that to the root.

use std::time::Duration;

use super::cause_of_death::Cause;
use super::record::{Task, flag};
use super::role;
use super::state::State;
use crate::atomic::Ordering;
use crate::os::clock::{Deadline, now_ns};
use crate::os::futex;
use crate::os::pidfd::Exit;
use crate::shm::member::slots;
use crate::shm::object::{self, refcount};
use crate::shm::{Member, Runtime};

/// A failure is told when it has been waiting to be asked about for so long.
pub const TELL_AFTER: Duration = Duration::from_secs(10);
/// Its starter is reminded of it so long before. Failures of one moment are told at one reminder.
const BEFORE: Duration = Duration::from_millis(500);

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
    /// itself: `kill()`, `terminate()`, `interrupt()`, Ctrl-C, an exit with code 0; nor what came of
    /// its starter's end, which is told instead.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        match self.state() {
            State::New | State::Starting | State::Running | State::Finished => false,
            State::Failed => true,
            // By its time limit; else by `interrupt()`, or by who typed Ctrl-C.
            State::Interrupted => self.over_time(),
            State::Killed => {
                let quiet = [Some(Exit::Code(0)), Some(Exit::Signal(libc::SIGINT))];
                let ours = matches!(Cause::of_task(self), Cause::Ended | Cause::WithStarter);
                !ours && !quiet.contains(&self.exit())
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

    /// Whether it has failed, and nobody has asked about that or told of it.
    #[must_use]
    pub fn is_untold(&self) -> bool {
        self.flags() & (flag::RETRIEVED | flag::TOLD) == 0 && self.is_failure()
    }

    /// When who is to tell of it is to be reminded.
    #[must_use]
    pub fn remind_at(&self) -> u64 {
        self.tell_at().unwrap_or_else(now_ns).saturating_sub(BEFORE.as_nanos() as u64)
    }

    /// Whether this process's handles are the last that refer to it, and there are no more than
    /// `handles` of them: no other process does, and no shared object.
    #[must_use]
    pub fn is_last_handle(&self, handles: u64) -> bool {
        let (me, off) = (self.me(), self.offset());
        if refcount::handles(me, off) > handles {
            return false;
        }
        let count = &object::header(me, off).references;
        loop {
            let seen = count.load(Ordering::Acquire);
            let last = seen <= 1 + self.references_of_its_process();
            if last || count.load(Ordering::Acquire) == seen {
                return last;
            }
        }
    }

    /// Until the supervisor has buried its process, that one refers to it, and its slot does.
    fn references_of_its_process(&self) -> u64 {
        let (me, off) = (self.me(), self.offset());
        let owner = self.it().owner.load(Ordering::Acquire) as u32;
        let Some(index) = slots::slot_of(owner) else { return 0 };
        let slot = slots::process_slot(me.arena(), index);
        let by_slot = slot.task.load(Ordering::Acquire) == off.0;
        let by_process = by_slot && refcount::is_held_by(me, index, off);
        u64::from(by_slot) + u64::from(by_process)
    }
}

/// Has the supervisor remind this process at `at`, in nanoseconds of the monotonic clock, of what
/// it has to tell.
pub fn remind_at(me: &Member, at: u64) {
    let word = &me.runtime().process_slot().remind_at;
    let earlier = |now: u64| (now == 0 || now > at).then_some(at.max(1));
    let set = word.fetch_update(Ordering::AcqRel, Ordering::Acquire, earlier);
    crash_point!("unretrieved.remind");
    if set.is_ok() {
        me.runtime().ring();
    }
}

/// How often this process was reminded. A handler of a signal may ask.
#[must_use]
pub fn reminders(runtime: &'static Runtime) -> u32 {
    runtime.process_slot().reminders.load(Ordering::Acquire)
}

/// Waits until this process has been reminded more often than `seen` says, or something else ends
/// the sleep.
pub fn wait_for_reminder(runtime: &'static Runtime, seen: u32) {
    futex::wait(&runtime.process_slot().reminders, seen, Deadline::NEVER);
}

/// Whether reminders reach this process without anybody's waiting for them: it is the root, or
/// runs a task, which is signalled.
#[must_use]
pub fn is_reminded(runtime: &'static Runtime) -> bool {
    runtime.is_root() || runtime.process_slot().role.load(Ordering::Relaxed) == role::TASK
}
