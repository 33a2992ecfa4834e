//! A re-entrant lock that threads and processes share.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tarefa_engine::kinds;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::lock;
use tarefa_engine::sync::lock::word::{Acquired, LockWord, Recursion};

use crate::convert::address::shared_object;
use crate::convert::handle;
use crate::runtime;
use crate::runtime::blocking::Here;
use crate::runtime::errors::CreateError;
use crate::runtime::interrupt::Interrupted;
use crate::sync::errors::{LockError, OwnerDied};

/// A lock that the thread which has it may take again. Clones are handles of one lock.
///
/// If the thread that holds it ends, or its process dies, the next one to ask gets
/// [`OwnerDied`], once, and can then take it.
///
/// ```
/// use tarefa::ReentrantLock;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let lock = ReentrantLock::new()?;
/// let outer = lock.lock(None)?;
/// let inner = lock.lock(None)?;
/// drop(outer);
/// assert!(lock.is_locked());
/// drop(inner);
/// assert!(!lock.is_locked());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReentrantLock(Handle);

/// Holds a [`ReentrantLock`] until it is dropped, by the thread that took it.
#[must_use = "the lock is let go when this is dropped"]
#[derive(Debug)]
pub struct ReentrantLockGuard<'a> {
    lock: &'a ReentrantLock,
    /// Only the thread that took it may let it go.
    stays: std::marker::PhantomData<*const ()>,
}

impl ReentrantLock {
    /// A lock that is free.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn new() -> Result<Self, CreateError> {
        let me = runtime::get()?.try_me()?;
        Ok(Self(Handle::adopt(&me, lock::create(&me, Recursion::Allowed)?)))
    }

    fn cell(&self) -> &'static LockWord {
        self.0.with_me(|me| lock::cell(me, self.0.off()))
    }

    fn guard(&self) -> ReentrantLockGuard<'_> {
        ReentrantLockGuard { lock: self, stays: std::marker::PhantomData }
    }

    /// Takes the lock, waiting for it at most `timeout`.
    ///
    /// # Errors
    /// [`LockError`]; the lock is not the caller's then.
    #[track_caller]
    pub fn lock(&self, timeout: Option<Duration>) -> Result<ReentrantLockGuard<'_>, LockError> {
        let (me, until) = (self.0.try_me()?, Deadline::after(timeout));
        let here = &mut Here::now();
        match self.cell().acquire(&me, Recursion::Allowed, self.0.off(), here, until) {
            Acquired::Yes => Ok(self.guard()),
            Acquired::TimedOut => Err(LockError::TimedOut),
            Acquired::Interrupted => Err(Interrupted.into()),
            Acquired::OwnerDied(_) => Err(OwnerDied.into()),
        }
    }

    /// Takes the lock if it is free or the caller's; `None` if it is not.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`], and the lock is free then; [`LockError::Threads`].
    pub fn try_lock(&self) -> Result<Option<ReentrantLockGuard<'_>>, LockError> {
        match self.cell().try_acquire(&self.0.try_me()?, Recursion::Allowed) {
            Some(Acquired::Yes) => Ok(Some(self.guard())),
            Some(Acquired::OwnerDied(_)) => Err(OwnerDied.into()),
            _ => Ok(None),
        }
    }

    /// Whether somebody alive holds it.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.0.with_me(|me| lock::cell(me, self.0.off()).locked(me, Recursion::Allowed))
    }
}

impl Drop for ReentrantLockGuard<'_> {
    fn drop(&mut self) {
        // The guard stays with its thread, which has the lock once for each guard.
        let cell = self.lock.cell();
        let _ = self.lock.0.with_me(|me| cell.release(me, Recursion::Allowed));
    }
}

shared_object!([] ReentrantLock);

impl Serialize for ReentrantLock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        handle::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for ReentrantLock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        handle::deserialize(deserializer, kinds::RLOCK).map(Self)
    }
}
