//! Why a pool takes no task, and why a task of it has no result.

use std::sync::Arc;
use std::time::Duration;

use tarefa_engine::task::cause_of_death::Death as WorkerDied;
use tarefa_engine::units::Seconds;

use super::timeline::TimelineError;
use crate::convert::errors::{DecodeError, EncodeError};
use crate::runtime::errors::{CreateError, TooManyThreads, from_no_slot};
use crate::runtime::interrupt::Interrupted;
use crate::runtime::own_copy::Unreachable;
use crate::task::errors::StartError;

/// A pool takes no task, or not this one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// It was set up with something that is not possible.
    #[error("{pool} cannot start: {what}")]
    Setting {
        /// The pool's name.
        pool: String,
        /// What is wrong.
        what: String,
    },
    /// It was closed.
    #[error("{pool} is closed, and takes no more tasks: make another pool")]
    Closed {
        /// The pool's name.
        pool: String,
    },
    /// Its workers cannot begin, for its initializer fails, say.
    #[error("{pool} is broken: {why}")]
    Broken {
        /// The pool's name.
        pool: String,
        /// Why.
        why: Arc<str>,
    },
    /// The arguments do not serialise.
    #[error("the arguments of {call} cannot be sent to a worker: {source}")]
    Arguments {
        /// The function.
        call: &'static str,
        /// Which type, and why.
        #[source]
        source: EncodeError,
    },
    /// No other process can find the function.
    #[error("{call} cannot run in a worker: {source}")]
    Target {
        /// The function.
        call: &'static str,
        /// Why.
        #[source]
        source: Unreachable,
    },
    /// The pool has no such resource, or less of it.
    #[error("{pool} cannot run the task: {what}")]
    Resource {
        /// The pool's name.
        pool: String,
        /// What is missing.
        what: String,
    },
    /// What borrows from its surroundings runs on threads only.
    #[error(
        "{pool} has processes, which cannot borrow from this one: use scope() of a pool of threads, or \
         submit() with arguments"
    )]
    NotThreads {
        /// The pool's name.
        pool: String,
    },
    /// A worker could not be started.
    #[error("{pool} cannot start a worker: {source}")]
    Start {
        /// The pool's name.
        pool: String,
        /// Why.
        #[source]
        source: StartError,
    },
    /// Its timeline cannot be recorded.
    #[error("{pool} cannot record its timeline: {source}")]
    Timeline {
        /// The pool's name.
        pool: String,
        /// Why.
        #[source]
        source: TimelineError,
    },
    /// The shared memory cannot take the pool, or the task.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

from_no_slot!(PoolError);

/// One attempt at a task, which its worker did not survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The process of the worker.
    pub pid: i32,
    /// How it ended, in short: `ended by SIGKILL`.
    pub end: String,
}

/// A task of a pool has no result to give.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The pool did not take it.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// Its function panicked.
    #[error("{call} panicked in process {pid}: {message}")]
    Panicked {
        /// The function.
        call: &'static str,
        /// The process it ran in.
        pid: i32,
        /// What the panic said, and where.
        message: String,
    },
    /// The process of its worker ended before it did, each time that it was tried.
    #[error("{argument} failed with its worker: {death}{}", words(attempts, *over_time))]
    Died {
        /// The call, with its arguments as far as they have a short text.
        argument: String,
        /// How the last worker died: its process, the signal, its peak memory, the likely cause.
        death: Box<WorkerDied>,
        /// All attempts, the last one too.
        attempts: Vec<Attempt>,
        /// Its time limit, if it was killed for that.
        over_time: Option<Duration>,
    },
    /// It ran longer than its time limit, and ended when it was interrupted for that.
    #[error("{call} ran longer than its time limit of {}", Seconds(*.limit))]
    OverTime {
        /// The function.
        call: &'static str,
        /// How long it was to run.
        limit: Duration,
    },
    /// `cancel()` or `cancel_and_kill()` was called on it.
    #[error("{call} was cancelled")]
    Cancelled {
        /// The function.
        call: &'static str,
    },
    /// Its pool was terminated, or was dropped by a thread that panicked.
    #[error("{call} has no result: {pool} was terminated")]
    Terminated {
        /// The function.
        call: &'static str,
        /// The pool's name.
        pool: String,
    },
    /// Its worker cannot read the arguments.
    #[error("the arguments of {call} cannot be read in its worker: {message}")]
    Unread {
        /// The function.
        call: &'static str,
        /// Why.
        message: String,
    },
    /// What it returned does not serialise.
    #[error("the result of {call} cannot be sent back: {message}")]
    Unsent {
        /// The function.
        call: &'static str,
        /// Why.
        message: String,
    },
    /// Its result cannot be read here.
    #[error("the result of {call} cannot be read: {source}")]
    Decode {
        /// The function.
        call: &'static str,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// It has not ended in time; it goes on.
    #[error("{call} has no result after {}; it goes on", Seconds(*.timeout))]
    TimedOut {
        /// The function.
        call: &'static str,
        /// How long was waited.
        timeout: Duration,
    },
    /// Its result was asked for before, and belongs to who did that.
    #[error("the result of {call} was taken before")]
    Taken {
        /// The function.
        call: &'static str,
    },
    /// The task that waits for it was interrupted.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

from_no_slot!(TaskError);

fn words(attempts: &[Attempt], over_time: Option<Duration>) -> String {
    let over = over_time.map(|limit| {
        format!("; it had run longer than its time limit of {}, and went on", Seconds(limit))
    });
    let tried = (attempts.len() > 1).then(|| {
        let all: Vec<_> = attempts.iter().map(|a| format!("process {} {}", a.pid, a.end)).collect();
        format!("; it was tried {} times: {}", all.len(), all.join(", "))
    });
    over.unwrap_or_default() + &tried.unwrap_or_default()
}
