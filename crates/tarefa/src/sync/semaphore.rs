//! A semaphore that threads and processes share.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tarefa_engine::kinds;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::semaphore;
use tarefa_engine::sync::wait::Outcome;
use tarefa_engine::sync::wait_queue::WaitError as QueueError;

use crate::convert::address::shared_object;
use crate::convert::handle;
use crate::runtime;
use crate::runtime::blocking::Here;
use crate::runtime::errors::{CreateError, TooManyThreads, from_no_slot};
use crate::runtime::interrupt::Interrupted;

/// Permits that threads and processes take and give back. Clones are handles of one semaphore.
///
/// Who waits gets a permit in the order in which they came. A [`Permit`] of a process that dies
/// comes back.
///
/// ```
/// use tarefa::Semaphore;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let two = Semaphore::new(2)?;
/// let first = two.acquire(None)?;
/// let second = two.acquire(None)?;
/// assert!(two.try_acquire()?.is_none());
/// drop(first);
/// assert!(two.try_acquire()?.is_some());
/// # drop(second);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Semaphore(Handle);

/// Holds a permit of a [`Semaphore`], which comes back when this is dropped or the process dies.
#[must_use = "the permit goes back when this is dropped"]
#[derive(Debug)]
pub struct Permit<'a>(&'a Semaphore);

impl Semaphore {
    /// A semaphore with that many permits; [`release`](Semaphore::release) may add more.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn new(permits: u64) -> Result<Self, CreateError> {
        Self::make(permits, false)
    }

    /// A semaphore that never has more than that many permits free.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn bounded(permits: u64) -> Result<Self, CreateError> {
        Self::make(permits, true)
    }

    fn make(permits: u64, bounded: bool) -> Result<Self, CreateError> {
        let me = runtime::get()?.try_me()?;
        let off = semaphore::create(&me)?;
        semaphore::set_up(&me, off, permits, bounded);
        Ok(Self(Handle::adopt(&me, off)))
    }

    /// Takes a permit, waiting for it at most `timeout`.
    ///
    /// # Errors
    /// [`SemaphoreError`]; no permit is taken then.
    #[track_caller]
    pub fn acquire(&self, timeout: Option<Duration>) -> Result<Permit<'_>, SemaphoreError> {
        let until = Deadline::after(timeout);
        match semaphore::acquire(&self.0.try_me()?, self.0.off(), true, &mut Here::now(), until)? {
            Outcome::Ready => Ok(Permit(self)),
            Outcome::TimedOut => Err(SemaphoreError::TimedOut),
            Outcome::Interrupted => Err(Interrupted.into()),
        }
    }

    /// Takes a permit if one is free and nobody waits; `None` if not.
    ///
    /// # Errors
    /// [`SemaphoreError::Wait`] without room to note it; [`SemaphoreError::Threads`].
    pub fn try_acquire(&self) -> Result<Option<Permit<'_>>, SemaphoreError> {
        let taken = semaphore::try_acquire(&self.0.try_me()?, self.0.off(), true);
        Ok(taken.map_err(semaphore_memory)?.then(|| Permit(self)))
    }

    /// Gives `n` permits back, or adds them: for permits that were [forgotten](Permit::forget).
    ///
    /// # Errors
    /// [`TooManyPermits`]: nothing was given back.
    pub fn release(&self, n: u64) -> Result<(), TooManyPermits> {
        let released = self.0.with_me(|me| semaphore::release(me, self.0.off(), n));
        released.map_err(|e| TooManyPermits { free: e.free, bound: e.bound })
    }

    /// Permits that are free now.
    #[must_use]
    pub fn available_permits(&self) -> u64 {
        self.0.with_me(|me| semaphore::value(me, self.0.off()))
    }
}

fn semaphore_memory(e: tarefa_engine::shm::heap::OutOfMemory) -> SemaphoreError {
    SemaphoreError::Wait(e.into())
}

impl Permit<'_> {
    /// Keeps the permit: nobody gives it back but [`Semaphore::release`], in any process. It
    /// does not come back if this process dies.
    pub fn forget(self) {
        let handle = &self.0.0;
        handle.with_me(|me| semaphore::keep(me, handle.off()));
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        // Only others who gave back too many could make it fail.
        let handle = &self.0.0;
        let _ = handle.with_me(|me| semaphore::release_held(me, handle.off()));
    }
}

shared_object!([] Semaphore);

impl Serialize for Semaphore {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        handle::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Semaphore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        handle::deserialize(deserializer, kinds::SEMAPHORE).map(Self)
    }
}

/// No permit of a semaphore was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SemaphoreError {
    /// The time was up first.
    #[error("no permit of the semaphore was free when the time was up")]
    TimedOut,
    /// The task that waits was interrupted.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// The wait, or the permit, cannot be noted in shared memory.
    #[error(transparent)]
    Wait(#[from] QueueError),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

from_no_slot!(SemaphoreError);

/// A semaphore has as many permits as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "more permits were given back than were taken: {free} are free already, and at most {bound} \
     may be"
)]
pub struct TooManyPermits {
    /// Permits that are free.
    pub free: u64,
    /// The most that may be.
    pub bound: u64,
}
