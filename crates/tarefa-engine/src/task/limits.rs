//! Limits of a task: how long it may run, and how much private memory it may take.
//!
//! ```text
//!  starter            task                               supervisor (thread: timekeeper)
//!  -------            ----                               -------------------------------
//!  set_limits ---->   run_here: memory limit set,
//!                     Running, deadline in its slot,
//!                     ring -------------------------->   takes the deadline over
//!                                                        it passes, and the state is Running:
//!                     Interrupted, if it looks   <----   Running → Running + OVER_TIME, interrupt
//!                     ends by itself, or ...             GRACE later, and still Running:
//!                     ... is killed              <----   Running → ... + OVER_TIME_KILLED, SIGKILL
//! ```
//!
//! - Both marks are bits of the state word and set by a swap, only while it says `Running`. So a
//!   task that had ended is never said to have run too long, and the last word of one that was
//!   cut off says so.
//! - The supervisor marks a process only after it has seen, past the deadline, that it lives: its
//!   own earlier death is not blamed on the limit.
//! - A deadline belongs to the process slot: who dies takes it along, and the supervisor forgets
//!   it when it buries the process. Who the starter is, and which zygote forked it, plays no part.
//! - A thread cannot be killed alone: it is interrupted again after each further [`GRACE`].
//!
//! `tests/crash/table/` kills at each step; `tests/python/task/test_limits_of_tasks.py` and
//! `crates/tarefa/tests/task/limits.rs` hold both fronts to it.

use std::time::Duration;

use super::record::{OVER_TIME, OVER_TIME_KILLED, Task, flag};
use super::state::State;
use crate::atomic::Ordering;
use crate::os::rlimit;
use crate::units::Seconds;

/// How long a task whose time was up may go on after its interrupt, to clean up: then its
/// process is killed.
pub const GRACE: Duration = Duration::from_secs(2);

/// What is said of a task that was interrupted because its time limit had passed.
#[must_use]
pub fn over_time_words(limit: Duration) -> String {
    format!("ran longer than its time limit of {}", Seconds(limit))
}

/// What follows now that a task's time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUp {
    /// It has ended by itself: nothing.
    Ended,
    /// It is to be interrupted.
    Interrupt,
    /// It was interrupted before and went on.
    GoesOn,
}

impl Task<'_> {
    /// Sets how long it may run, and how many bytes of private memory it may take beyond what
    /// its process starts with: before it is started. `None` is no limit.
    pub fn set_limits(&self, time: Option<Duration>, memory: Option<u64>) {
        let ns = time.map_or(0, |t| u64::try_from(t.as_nanos()).unwrap_or(u64::MAX));
        self.it().time_limit_ns.store(ns, Ordering::Relaxed);
        crash_point!("limits.time");
        self.it().memory_limit.store(memory.unwrap_or(0), Ordering::Relaxed);
        crash_point!("limits.memory");
    }

    /// How long it may run.
    #[must_use]
    pub fn time_limit(&self) -> Option<Duration> {
        let ns = self.it().time_limit_ns.load(Ordering::Relaxed);
        (ns != 0).then(|| Duration::from_nanos(ns))
    }

    /// How many bytes of private memory it may take beyond what its process starts with.
    #[must_use]
    pub fn memory_limit(&self) -> Option<u64> {
        Some(self.it().memory_limit.load(Ordering::Relaxed)).filter(|n| *n != 0)
    }

    /// The end of its time on the monotonic clock, in nanoseconds, once it runs.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        let ns = self.it().time_limit_ns.load(Ordering::Relaxed);
        let started = self.it().started_ns.load(Ordering::Relaxed);
        (ns != 0 && started != 0).then(|| started.saturating_add(ns))
    }

    /// In the process that runs it, before the target does.
    pub(super) fn limit_memory_here(&self) {
        if let Some(bytes) = self.memory_limit() {
            rlimit::limit_private_memory(bytes);
        }
    }

    /// In the process that runs it: from now on the supervisor knows its deadline.
    pub(super) fn arm_deadline(&self) {
        if let Some(at) = self.deadline() {
            let runtime = self.me().runtime();
            runtime.process_slot().deadline.store(at, Ordering::Release);
            crash_point!("limits.armed");
            runtime.ring();
        }
    }

    /// Its time is up: marks it, unless it has ended.
    #[must_use]
    pub fn time_is_up(&self) -> TimeUp {
        if self.mark_while_running(OVER_TIME, 0) {
            TimeUp::Interrupt
        } else if self.state_now() == State::Running {
            TimeUp::GoesOn
        } else {
            TimeUp::Ended
        }
    }

    /// The grace is over too: marks it as killed for that, unless it has ended.
    pub(super) fn grace_is_over(&self) -> bool {
        self.mark_while_running(OVER_TIME_KILLED, OVER_TIME)
    }

    /// Whether its time was up before it ended.
    #[must_use]
    pub fn over_time(&self) -> bool {
        self.word() & OVER_TIME != 0
    }

    /// Whether it was killed because it went on after its time.
    #[must_use]
    pub fn killed_over_time(&self) -> bool {
        self.word() & OVER_TIME_KILLED != 0
    }

    /// Whether an interrupt is to be a signal as well.
    #[must_use]
    pub fn wants_signal(&self) -> bool {
        self.flags() & flag::INTERRUPT_SIGNAL != 0
    }
}
