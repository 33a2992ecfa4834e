//! A lock that threads and processes share.

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

/// A mutual exclusion between threads and processes. Clones are handles of one lock.
///
/// A process that dies while it holds the lock does not leave it locked: the next one to ask
/// gets [`OwnerDied`], once, and can then take it.
///
/// ```
/// use tarefa::{Lock, LockError};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let lock = Lock::new()?;
/// let guard = lock.lock(None)?;
/// assert!(lock.try_lock()?.is_none());
/// drop(guard);
/// match lock.lock(None) {
///     Ok(_guard) => { /* the lock is held here */ }
///     Err(LockError::OwnerDied(_)) => { /* check what it guards, then lock again */ }
///     Err(e) => return Err(e.into()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock(Handle);

/// Holds a [`Lock`] until it is dropped.
#[must_use = "the lock is let go when this is dropped"]
#[derive(Debug)]
pub struct LockGuard<'a>(&'a Lock);

impl Lock {
    /// A lock that is free.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn new() -> Result<Self, CreateError> {
        let me = runtime::get()?.try_me()?;
        Ok(Self(Handle::adopt(&me, lock::create(&me, Recursion::Forbidden)?)))
    }

    /// Takes the lock, waiting for it at most `timeout`. A thread that has it already waits
    /// for itself.
    ///
    /// # Errors
    /// [`LockError`]; the lock is not the caller's then.
    #[inline]
    #[track_caller]
    pub fn lock(&self, timeout: Option<Duration>) -> Result<LockGuard<'_>, LockError> {
        let me = self.0.try_me()?;
        match lock::cell(&me, self.0.off()).try_acquire(&me, Recursion::Forbidden) {
            Some(Acquired::Yes) => Ok(LockGuard(self)),
            Some(_) => Err(OwnerDied.into()),
            None => self.wait(timeout),
        }
    }

    #[cold]
    #[track_caller]
    fn wait(&self, timeout: Option<Duration>) -> Result<LockGuard<'_>, LockError> {
        let (me, off) = (self.0.me(), self.0.off());
        let until = Deadline::after(timeout);
        match self.cell().acquire(&me, Recursion::Forbidden, off, &mut Here::now(), until) {
            Acquired::Yes => Ok(LockGuard(self)),
            Acquired::TimedOut => Err(LockError::TimedOut),
            Acquired::Interrupted => Err(Interrupted.into()),
            Acquired::OwnerDied(_) => Err(OwnerDied.into()),
        }
    }

    /// Takes the lock if it is free; `None` if it is not.
    ///
    /// # Errors
    /// [`LockError::OwnerDied`], and the lock is free then; [`LockError::Threads`].
    pub fn try_lock(&self) -> Result<Option<LockGuard<'_>>, LockError> {
        match self.cell().try_acquire(&self.0.try_me()?, Recursion::Forbidden) {
            Some(Acquired::Yes) => Ok(Some(LockGuard(self))),
            Some(Acquired::OwnerDied(_)) => Err(OwnerDied.into()),
            _ => Ok(None),
        }
    }

    fn cell(&self) -> &'static LockWord {
        self.0.with_me(|me| lock::cell(me, self.0.off()))
    }

    /// Whether somebody alive holds it.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.0.with_me(|me| lock::cell(me, self.0.off()).locked(me, Recursion::Forbidden))
    }
}

impl crate::sync::condvar::sealed::Guard for LockGuard<'_> {
    fn lock(&self) -> tarefa_engine::sync::condition::Lock {
        tarefa_engine::sync::condition::Lock {
            off: self.0.0.off(),
            cell: self.0.cell(),
            recursion: Recursion::Forbidden,
        }
    }
}

impl Drop for LockGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        let (handle, off) = (&self.0.0, self.0.0.off());
        // Only a second release could fail, and this is the only one.
        let _ = handle.with_me(|me| lock::cell(me, off).release_guard(me, Recursion::Forbidden));
    }
}

shared_object!([] Lock);

impl Serialize for Lock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        handle::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Lock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        handle::deserialize(deserializer, kinds::LOCK).map(Self)
    }
}
