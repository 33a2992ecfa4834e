//! Waiting for a task: for its process to exist, and for its end.

use super::layout::{FORKED, SLEEPERS, STARTER};
use super::task::Task;
use crate::atomic::{AtomicU32, Ordering};
use crate::os::clock::{Deadline, now_ns};
use crate::os::futex;
use crate::shm::Member;
use crate::shm::arena::offset::Off;
use crate::sync::select::{SelectError, Selectable, Source, select};
use crate::sync::wait::wait_record;
use crate::sync::wait::wait_record::{How, Noted, Wanted};
use crate::sync::wait::{self, AdaptiveSpin, Awaited, BlockingHooks, Outcome, Overdue};
use crate::task::state::State;

/// How a wait for a task's start ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// Its process exists.
    Yes,
    /// It could not be made: an error number of the system.
    Error(i32),
    /// The hooks wanted the wait to end first.
    Interrupted,
}

impl Task<'_> {
    /// Waits for its end. `Ready` means that [`Task::state`] is final.
    pub fn join(&self, hooks: &mut dyn BlockingHooks, deadline: Deadline) -> Outcome {
        self.wait_for(Ending { task: *self, outcome: false }, hooks, deadline)
    }

    /// Waits for its outcome: `Ready` means that it has ended, or [`Task::delivered`].
    pub fn join_outcome(&self, hooks: &mut dyn BlockingHooks, deadline: Deadline) -> Outcome {
        self.wait_for(Ending { task: *self, outcome: true }, hooks, deadline)
    }

    fn wait_for(
        &self,
        mut ending: Ending<'_>,
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
    ) -> Outcome {
        if self.is_thread() {
            return wait::wait(self.me, hooks, &mut ending, deadline);
        }
        JOINING.with(|p| wait::wait_spinning(self.me, hooks, &mut ending, deadline, p))
    }

    /// Notes, until that is dropped, that the calling thread waits for the task's end in a way
    /// of its own.
    pub fn note_join(&self, since_ns: u64, deadline: Deadline) -> Noted {
        let objects = &[self.off];
        let wanted = Wanted { how: How::One, objects };
        wait_record::note(self.me, &self.it.state, wanted, since_ns, deadline)
    }

    /// Waits until its process exists, or could not be made.
    pub(in crate::task) fn wait_forked(&self, hooks: &mut dyn BlockingHooks) -> Started {
        let mut forking = Forking { task: *self, runs: false };
        let outcome = wait::wait(self.me, hooks, &mut forking, Deadline::NEVER);
        if outcome == Outcome::Interrupted {
            return Started::Interrupted;
        }
        match self.it.error.swap(0, Ordering::AcqRel) {
            0 => {
                crash_point!("task.no_error");
                Started::Yes
            }
            error => Started::Error(error as i32),
        }
    }

    /// Waits until it runs, or has ended, or could not be made what its starter is.
    pub(in crate::task) fn wait_running(&self, hooks: &mut dyn BlockingHooks) -> Started {
        let mut running = Forking { task: *self, runs: true };
        let outcome = wait::wait(self.me, hooks, &mut running, Deadline::NEVER);
        if outcome == Outcome::Interrupted {
            return Started::Interrupted;
        }
        let error = self.it.error.swap(0, Ordering::AcqRel);
        crash_point!("task.no_refusal");
        if error == 0 { Started::Yes } else { Started::Error(error as i32) }
    }
}

impl<'a> Task<'a> {
    /// What waits for its end beside other things.
    #[must_use]
    pub fn selectable(self) -> impl Selectable + use<'a> {
        Ending { task: self, outcome: false }
    }
}

/// When a wait for several tasks is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnWhen {
    /// Once one of the tasks has ended.
    FirstCompleted,
    /// Once one of the tasks has ended otherwise than [`State::Finished`], or all have.
    FirstFailed,
    /// Once all have ended.
    AllCompleted,
}

impl ReturnWhen {
    fn is_met(self, ended: &[Task<'_>], left: &[Task<'_>]) -> bool {
        left.is_empty()
            || match self {
                Self::FirstCompleted => !ended.is_empty(),
                Self::FirstFailed => ended.iter().any(|task| task.state() != State::Finished),
                Self::AllCompleted => false,
            }
    }
}

/// Waits for tasks, which have all been started, until `when` is met: `Ready` then. Which of them have
/// ended their states tell.
pub fn join_several(
    me: &Member,
    tasks: &[Task<'_>],
    when: ReturnWhen,
    hooks: &mut dyn BlockingHooks,
    deadline: Deadline,
) -> Outcome {
    loop {
        let (ended, left): (Vec<_>, Vec<_>) =
            tasks.iter().partition(|task| task.state().is_final());
        if when.is_met(&ended, &left) {
            return Outcome::Ready;
        }
        match join_any(me, &left, when == ReturnWhen::AllCompleted, hooks, deadline) {
            Outcome::Ready => {}
            outcome => return outcome,
        }
    }
}

/// Waits until one of `tasks` has ended; `all` says that the caller wants to see them all end,
/// one after the other.
fn join_any(
    me: &Member,
    tasks: &[Task<'_>],
    all: bool,
    hooks: &mut dyn BlockingHooks,
    deadline: Deadline,
) -> Outcome {
    if !all && tasks.len() >= futex::MANY {
        if let Some(outcome) = join_any_of_many(me, tasks, hooks, deadline) {
            return outcome;
        }
    }
    let interrupt = &me.slot().interrupt;
    let (start, overdue) = (now_ns(), Overdue::new());
    let objects: Vec<Off> = tasks.iter().map(|t| t.off).collect();
    let how = if all { How::All } else { How::Any };
    let first = tasks.first().map_or(interrupt, |t| &t.it.state);
    loop {
        let seen = interrupt.load(Ordering::Acquire);
        if hooks.interrupted() {
            return Outcome::Interrupted;
        }
        let mut words = Vec::new();
        for task in tasks.iter().take(futex::MANY - 1) {
            let mut ending = Ending { task: *task, outcome: false };
            match ending.announce() {
                Some(value) => words.push((&task.it.state, value)),
                None => return Outcome::Ready,
            }
        }
        if tasks.iter().skip(words.len()).any(|t| t.state().is_final()) {
            return Outcome::Ready;
        }
        words.push((interrupt, seen));
        // Who waits for all has enough with as many as one call can sleep on. Else, for want of threads,
        // the others are looked at from time to time.
        let nap =
            (!all && tasks.len() >= futex::MANY).then(|| std::time::Duration::from_millis(20));
        let until = match (nap, deadline.left()) {
            (Some(nap), left) if left.is_none_or(|l| l > nap) => Deadline::after(Some(nap)),
            _ => deadline,
        };
        let mut woken = futex::Woken::Woken;
        hooks.place(me);
        hooks.release(&mut || {
            let wanted = Wanted { how, objects: &objects };
            let _noted = wait_record::note(me, first, wanted, start, deadline);
            let due = overdue.due(me, start);
            woken = futex::wait_many(&words, until.min(due));
            if woken == futex::Woken::TimedOut && due.passed() {
                overdue.ask(me);
                // Under the same note, in which the report finds this wait.
                woken = futex::wait_many(&words, until);
            }
        });
        if woken == futex::Woken::TimedOut && deadline.passed() {
            let over = tasks.iter().any(|t| t.state().is_final());
            return if over { Outcome::Ready } else { Outcome::TimedOut };
        }
    }
}

/// The same for more tasks than one call of the system can sleep on; none where it has no threads for
/// that.
fn join_any_of_many(
    me: &Member,
    tasks: &[Task<'_>],
    hooks: &mut dyn BlockingHooks,
    deadline: Deadline,
) -> Option<Outcome> {
    let mut endings: Vec<_> =
        tasks.iter().map(|task| Ending { task: *task, outcome: false }).collect();
    let mut sources: Vec<_> = endings.iter_mut().map(|ending| Source::Object(ending)).collect();
    match select(me, hooks, &mut sources, deadline) {
        Ok(ready) if ready.is_empty() => Some(Outcome::TimedOut),
        Ok(_) => Some(Outcome::Ready),
        Err(SelectError::Interrupted) => Some(Outcome::Interrupted),
        Err(SelectError::Closed(..) | SelectError::System(_)) => None,
    }
}

struct Ending<'a> {
    task: Task<'a>,
    /// Its outcome will do.
    outcome: bool,
}

impl Selectable for Ending<'_> {}

impl Awaited for Ending<'_> {
    fn word(&self) -> &'static AtomicU32 {
        &self.task.it.state
    }

    fn object(&self) -> Off {
        self.task.off
    }

    fn ready(&mut self) -> bool {
        self.outcome && self.task.delivered() || self.task.state().is_final()
    }

    fn announce(&mut self) -> Option<u32> {
        let seen = self.task.it.state.fetch_or(SLEEPERS, Ordering::AcqRel) | SLEEPERS;
        crash_point!("task.joining");
        // After the announcement: a death before it is seen here, one after it wakes us.
        (!self.ready()).then_some(seen)
    }
}

thread_local! {
    /// A short task in a spare ends within this time, and a wake-up costs a good part of it.
    static JOINING: AdaptiveSpin = const { AdaptiveSpin::new(200_000, 300_000) };
}

struct Forking<'a> {
    task: Task<'a>,
    /// Whether it is to run, and not only to have a process.
    runs: bool,
}

impl Awaited for Forking<'_> {
    fn word(&self) -> &'static AtomicU32 {
        &self.task.it.state
    }

    fn object(&self) -> Off {
        self.task.off
    }

    fn ready(&mut self) -> bool {
        let word = self.task.it.state.load(Ordering::Acquire);
        word & 0xff != State::Starting as u32
            || word & FORKED != 0 && !self.runs
            || self.task.process_died()
    }

    fn announce(&mut self) -> Option<u32> {
        let announced = SLEEPERS | STARTER;
        let seen = self.task.it.state.fetch_or(announced, Ordering::AcqRel) | announced;
        crash_point!("task.awaiting_fork");
        (!self.ready()).then_some(seen)
    }
}
