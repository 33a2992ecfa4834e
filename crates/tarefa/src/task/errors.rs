//! Errors of tasks, one type for each operation.

use std::io;
use std::time::Duration;

use tarefa_engine::os::rlimit;
use tarefa_engine::task::cause_of_death::Death as WorkerDied;
use tarefa_engine::task::process as engine_process;
use tarefa_engine::units::Seconds;

use crate::convert::errors::{DecodeError, EncodeError};
use crate::runtime::errors::{CreateError, TooManyThreads, from_no_slot};
use crate::runtime::interrupt::Interrupted;
use crate::runtime::own_copy::Unreachable;

/// A task could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It was started before: a task runs once.
    #[error("task {name:?} was started before: make a new one for each run")]
    AlreadyStarted {
        /// The task's name.
        name: String,
    },
    /// This handle came from elsewhere: only the one that made a task can start it.
    #[error(
        "task {name:?} cannot be started through a handle that was sent: start it where it was made"
    )]
    NotOurs {
        /// The task's name.
        name: String,
    },
    /// The arguments do not serialise.
    #[error("cannot start task {name:?}: {source}")]
    Arguments {
        /// The task's name.
        name: String,
        /// Which type, and why.
        #[source]
        source: EncodeError,
    },
    /// No other process can find the target.
    #[error("cannot start process {name:?}: {source}")]
    Target {
        /// The task's name.
        name: String,
        /// Why.
        #[source]
        source: Unreachable,
    },
    /// A limit of nothing at all.
    #[error("cannot start task {name:?}: its {what} limit is 0; a limit is above that, or not set")]
    Limit {
        /// The task's name.
        name: String,
        /// "time" or "memory".
        what: &'static str,
    },
    /// The shared memory cannot take the task.
    #[error("cannot start a task: {0}")]
    Create(#[from] CreateError),
    /// The process could not be made.
    #[error(transparent)]
    Process(#[from] engine_process::StartError),
    /// The thread could not be made.
    #[error("cannot start thread {name:?}: {source}; {}", rlimit::no_thread())]
    Thread {
        /// The task's name.
        name: String,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
}

/// A task could not be joined, or not yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// It was never started.
    #[error("task {name:?} was not started: call start() before join() or result()")]
    NotStarted {
        /// The task's name.
        name: String,
    },
    /// A task waits for itself.
    #[error("task {name:?} waits for its own end, which would never come")]
    Itself {
        /// The task's name.
        name: String,
    },
    /// It still runs.
    #[error("task {name:?} (pid {pid}) still runs after {timeout:?}")]
    TimedOut {
        /// The task's name.
        name: String,
        /// The process it runs in.
        pid: i32,
        /// How long was waited.
        timeout: Duration,
    },
    /// The task that waits was interrupted.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

from_no_slot!(JoinError);

/// A task has no result to give.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// It has not ended.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// Its target panicked.
    #[error("task {name:?} (pid {pid}) panicked: {message}")]
    Panicked {
        /// The task's name.
        name: String,
        /// The process it ran in.
        pid: i32,
        /// What the panic said.
        message: String,
    },
    /// Its target returned an error, as far as that has words: for who does not know its type, as
    /// [`Task::error`](crate::Task::error).
    #[error("task {name:?} (pid {pid}) failed: {message}")]
    Failed {
        /// The task's name.
        name: String,
        /// The process it ran in.
        pid: i32,
        /// The texts in the error.
        message: String,
    },
    /// It ran longer than its time limit, and ended when it was interrupted for that; likewise.
    #[error(
        "task {name:?} (pid {pid}) ran longer than its time limit of {}: {message}", Seconds(*.limit)
    )]
    OverTime {
        /// The task's name.
        name: String,
        /// The process it ran in.
        pid: i32,
        /// How long it was to run.
        limit: Duration,
        /// The texts in the error that it returned.
        message: String,
    },
    /// Its process ended before the target did.
    #[error(transparent)]
    Died(#[from] WorkerDied),
    /// There was no room for the result.
    #[error(
        "the result of task {name:?} (pid {pid}) is lost: the shared memory was full; free something, or raise TAREFA_ARENA_MAX"
    )]
    Lost {
        /// The task's name.
        name: String,
        /// The process it ran in.
        pid: i32,
    },
    /// The result cannot be read here.
    #[error("the result of task {name:?} cannot be read: {source}")]
    Decode {
        /// The task's name.
        name: String,
        /// Why.
        #[source]
        source: DecodeError,
    },
}

/// A task could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// It was never started.
    #[error("task {name:?} was not started: there is nothing to stop")]
    NotStarted {
        /// The task's name.
        name: String,
    },
    /// The system refused the signal.
    #[error("task {name:?} (pid {pid}) cannot be signalled: {source}")]
    System {
        /// The task's name.
        name: String,
        /// Its process.
        pid: i32,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
}
