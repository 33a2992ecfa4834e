//! Waiting for several tasks.

use std::time::Duration;

use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::machine;
use tarefa_engine::sync::wait::Outcome;
use tarefa_engine::task::State;
use tarefa_engine::task::record::{self, Task as Record};

use crate::runtime::blocking::Here;
use crate::runtime::errors::{TooManyThreads, from_no_slot};
use crate::runtime::interrupt::Interrupted;
use crate::task::Task;

pub use tarefa_engine::task::record::ReturnWhen;

/// Waits for tasks, at most `timeout`. Returns the indices of those that have ended, and of
/// those that have not.
///
/// ```
/// use tarefa::{ReturnWhen, Task, Thread, wait};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let a = Thread::spawn(|| 1, ())?;
/// let b = Thread::spawn(|| "two".to_owned(), ())?;
/// let (ended, left) = wait(&[&a as &dyn Task, &b], None, ReturnWhen::AllCompleted)?;
/// assert_eq!((ended.len(), left.len()), (2, 0));
/// let more = [1, 2].map(|n| Thread::spawn(|n: u8| n, (n,)).unwrap());
/// wait(&more, None, ReturnWhen::FirstCompleted)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`WaitError`]: one of them was never started, or the task that waits was interrupted.
#[track_caller]
pub fn wait(
    tasks: &[impl Task],
    timeout: Option<Duration>,
    return_when: ReturnWhen,
) -> Result<(Vec<usize>, Vec<usize>), WaitError> {
    let deadline = Deadline::after(timeout);
    let mut here = Here::now();
    if let Some(new) = tasks.iter().find(|t| t.state() == State::New) {
        return Err(WaitError::NotStarted { name: new.name() });
    }
    let handles: Vec<_> = tasks.iter().filter_map(|task| task.core().handle().ok()).collect();
    let mes = handles.iter().map(|handle| handle.try_me()).collect::<Result<Vec<_>, _>>()?;
    let records: Vec<_> =
        handles.iter().zip(&mes).map(|(handle, me)| Record::at(me, handle.off())).collect();
    if let Some(me) = mes.first() {
        let outcome = record::join_several(me, &records, return_when, &mut here, deadline);
        if outcome == Outcome::Interrupted {
            return Err(Interrupted.into());
        }
    }
    Ok((0..tasks.len()).partition(|&i| tasks[i].state().is_final()))
}

/// How many processors this program can use: those it may run on, cut by its cgroup's quota;
/// at least 1.
#[must_use]
pub fn cpu_count() -> usize {
    machine::cpu_count()
}

/// Waiting for several tasks failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError {
    /// One of them was never started.
    #[error("task {name:?} was not started: call start() before wait()")]
    NotStarted {
        /// The task's name.
        name: String,
    },
    /// The task that waits was interrupted.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

from_no_slot!(WaitError);
