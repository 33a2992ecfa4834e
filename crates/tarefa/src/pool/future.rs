//! The handle of a task that was submitted.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;

use super::crew::{Crew, unless_done};
use super::errors::TaskError;
use super::sink::{One, Sink};
use crate::runtime::blocking::Here;

/// A task that a [`Pool`](crate::Pool) has taken: its result is to come.
///
/// It outlives the pool, and may be asked by another thread than the one that submitted it. A handle that is
/// dropped leaves the task to itself.
#[must_use = "its result is lost with it; the pool waits for the task all the same"]
pub struct PoolFuture<R> {
    crew: Crew,
    one: Arc<One<R>>,
}

impl<R: Serialize + DeserializeOwned + Send + 'static> PoolFuture<R> {
    pub(super) fn new(crew: Crew, one: Arc<One<R>>) -> Self {
        Self { crew, one }
    }

    /// The result, once it is there. A worker of a pool of threads that waits for a task of its own pool runs
    /// it itself, if nobody else has begun it.
    ///
    /// # Errors
    /// [`TaskError`].
    #[track_caller]
    pub fn result(self) -> Result<R, TaskError> {
        self.wait(Deadline::NEVER, Here::now(), || TaskError::Cancelled { call: self.one.call() })
    }

    /// The same, waiting at most so long. The result is handed out once.
    ///
    /// # Errors
    /// [`TaskError::TimedOut`], and the task goes on; [`TaskError::Taken`] after its result was handed out.
    #[track_caller]
    pub fn result_timeout(&self, timeout: Duration) -> Result<R, TaskError> {
        let timed_out = || TaskError::TimedOut { call: self.one.call(), timeout };
        self.wait(Deadline::after(Some(timeout)), Here::now(), timed_out)
    }

    fn wait(
        &self,
        deadline: Deadline,
        mut here: Here,
        timed_out: impl FnOnce() -> TaskError,
    ) -> Result<R, TaskError> {
        let me = self.crew.me()?;
        let sink = Arc::clone(&self.one) as Arc<dyn Sink>;
        let waited = self.crew.wait(&me, &sink, &|| self.one.is_done(), &mut here, deadline);
        if let Some(given) = self.one.take() {
            return given.map_err(|error| *error);
        }
        unless_done(waited, timed_out)?;
        Err(TaskError::Taken { call: self.one.call() })
    }

    /// Whether it has its result, or has failed, or was cancelled.
    #[must_use]
    pub fn is_done(&self) -> bool {
        if !self.one.is_done() {
            if let Ok(me) = self.crew.me() {
                self.crew.look(&me);
            }
        }
        self.one.is_done()
    }

    /// Takes the task back if no worker has begun it: false if one has, or it has ended. Its result is
    /// [`TaskError::Cancelled`] then.
    #[must_use = "it says whether the task was cancelled"]
    pub fn cancel(&self) -> bool {
        self.with_me(|me| self.crew.cancel(me, self.one.batch()))
    }

    /// The same, and of a task that runs the worker is killed: another takes its place. A thread cannot be
    /// killed without its process: its task is interrupted. False if the task has ended; else its result is
    /// [`TaskError::Cancelled`], unless it had one at that very moment.
    #[must_use = "it says whether the task was stopped"]
    pub fn cancel_and_kill(&self) -> bool {
        self.with_me(|me| {
            let number = || self.one.batch();
            while !self.is_done() {
                if self.crew.cancel(me, number()) || self.crew.stop(me, number()) {
                    return true;
                }
                // A worker has just taken it, or has just ended it.
                std::thread::yield_now();
            }
            false
        })
    }

    fn with_me(&self, act: impl FnOnce(&Member) -> bool) -> bool {
        self.crew.me().is_ok_and(|me| act(&me))
    }
}

impl<R> fmt::Debug for PoolFuture<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.one.is_done() { "done" } else { "pending" };
        write!(f, "PoolFuture({state})")
    }
}
