//! A mutex with its value, which threads and processes share.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::sync::condition;
use tarefa_engine::sync::lock::word::{Acquired, LockWord, Recursion};
use tarefa_engine::sync::wait_queue::WaitError as QueueError;

use crate::convert::address::shared_object;
use crate::convert::handle;
use crate::convert::plain::Plain;
use crate::runtime::blocking::Here;
use crate::runtime::errors::{CreateError, TooManyThreads, from_no_slot};
use crate::runtime::interrupt::Interrupted;
use crate::sync::condvar::sealed::Guard;
use crate::sync::errors::named;
use crate::sync::items::{Cells, ItemError};

/// The lock is one that its thread might take again, as Python's is; a mutex refuses that.
const RECURSION: Recursion = Recursion::Allowed;

/// A value that one thread of all processes at a time works on. Clones are handles of one mutex.
///
/// - The guard has a copy of the value, and puts it back when it is dropped. So a process killed
///   before that, and a panic, leave the value as it was; one killed while it puts the value back
///   leaves it as it was or put back, never in between.
/// - If an owner died, the mutex is *poisoned*: each who takes it is told, by
///   [`MutexError::OwnerDied`], until somebody has taken it by
///   [`lock_poisoned`](Mutex::lock_poisoned), looked at the value and said that it is whole, by
///   [`Poisoned::repair`] or [`Poisoned::replace`].
/// - In Python it is a `tarefa.Value`, whose `get_lock()` is the same lock.
///
/// ```
/// use tarefa::{Failure, Mutex, Process};
///
/// fn count(total: Mutex<u64>) -> Result<(), Failure> {
///     for _ in 0..1000 {
///         *total.lock(None)? += 1;
///     }
///     Ok(())
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let total = Mutex::new(0)?;
/// let tasks = [(); 2].map(|()| Process::spawn(count, (total.clone(),)).unwrap());
/// for task in &tasks {
///     task.result(None)??;
/// }
/// assert_eq!(*total.lock(None).unwrap(), 2000);
/// # Ok(())
/// # }
/// ```
pub struct Mutex<T>(Cells<T>);

impl<T: Plain> Mutex<T> {
    /// A mutex with that value, which is free.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn new(value: T) -> Result<Self, CreateError> {
        Cells::new(&[], |array| Cells::write(array, 0, &value)).map(Self)
    }

    fn cell(&self) -> &'static LockWord {
        self.0.with(|_, array| array.object_lock())
    }

    /// Takes the mutex, waiting for it at most `timeout`.
    ///
    /// # Errors
    /// [`MutexError`]; the mutex is not the caller's then. Where an owner died, take it by
    /// [`lock_poisoned`](Mutex::lock_poisoned).
    #[inline]
    #[track_caller]
    pub fn lock(&self, timeout: Option<Duration>) -> Result<MutexGuard<'_, T>, MutexError> {
        self.take(timeout)?.healthy()
    }

    /// Takes the mutex if it is free; `None` if it is not, or is this thread's already.
    ///
    /// # Errors
    /// [`MutexError::OwnerDied`]; [`MutexError::Item`].
    pub fn try_lock(&self) -> Result<Option<MutexGuard<'_, T>>, MutexError> {
        let me = self.0.handle.try_me()?;
        let cell = self.cell();
        if cell.is_mine(&me) {
            return Ok(None);
        }
        loop {
            match cell.try_acquire(&me, RECURSION) {
                Some(Acquired::Yes) => return self.taken().healthy().map(Some),
                Some(Acquired::OwnerDied(_)) => {}
                _ => return Ok(None),
            }
        }
    }

    /// Takes the mutex, also one whose owner died, to look at the value and repair it.
    ///
    /// ```
    /// use tarefa::{Mutex, MutexError};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let total = Mutex::new(0)?;
    /// let mut guard = match total.lock(None) {
    ///     Err(MutexError::OwnerDied { .. }) => total.lock_poisoned(None)?.repair(|n| *n = 0)?,
    ///     other => other?,
    /// };
    /// *guard += 1;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`MutexError`], but never [`MutexError::OwnerDied`] or [`MutexError::Item`].
    #[track_caller]
    pub fn lock_poisoned(&self, timeout: Option<Duration>) -> Result<Poisoned<'_, T>, MutexError> {
        self.take(timeout).map(Poisoned)
    }

    #[inline]
    #[track_caller]
    fn take(&self, timeout: Option<Duration>) -> Result<Taken<'_, T>, MutexError> {
        let me = self.0.handle.try_me()?;
        let cell = self.cell();
        if cell.is_mine(&me) {
            return Err(MutexError::Reentrant);
        }
        match cell.try_acquire(&me, RECURSION) {
            Some(Acquired::Yes) => Ok(self.taken()),
            _ => self.wait(timeout),
        }
    }

    #[cold]
    #[track_caller]
    fn wait(&self, timeout: Option<Duration>) -> Result<Taken<'_, T>, MutexError> {
        let (me, cell, until) = (self.0.handle.me(), self.cell(), Deadline::after(timeout));
        let mut here = Here::now();
        loop {
            match cell.acquire(&me, RECURSION, self.0.handle.off(), &mut here, until) {
                Acquired::Yes => return Ok(self.taken()),
                Acquired::TimedOut => return Err(MutexError::TimedOut),
                Acquired::Interrupted => return Err(Interrupted.into()),
                // The mutex is free now; that it is poisoned shows once it is taken.
                Acquired::OwnerDied(_) => {}
            }
        }
    }

    /// The mutex is the caller's.
    #[inline]
    fn taken(&self) -> Taken<'_, T> {
        let taken = Taken { mutex: self, stays: PhantomData };
        self.0.with(|_, array| Cells::<T>::apply_redo(array));
        taken
    }

    /// Whether an owner has died and nobody has said since that the value is whole.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.0.handle.with_me(|me| self.cell().poisoned(me, RECURSION))
    }

    /// Whether somebody alive holds it.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.0.handle.with_me(|me| self.cell().locked(me, RECURSION))
    }
}

/// The mutex is this thread's until this is dropped.
struct Taken<'a, T: Plain> {
    mutex: &'a Mutex<T>,
    /// The thread that took it lets it go.
    stays: PhantomData<*const ()>,
}

impl<'a, T: Plain> Taken<'a, T> {
    /// As a guard, if no owner has died.
    #[inline]
    fn healthy(self) -> Result<MutexGuard<'a, T>, MutexError> {
        let (me, cell) = (self.mutex.0.handle.me(), self.mutex.cell());
        if cell.poisoned(&me, RECURSION) {
            return Err(MutexError::OwnerDied { pid: cell.last_dead_pid(&me) });
        }
        let value = self.read()?;
        Ok(MutexGuard { taken: self, value, changed: false })
    }

    #[inline]
    fn read(&self) -> Result<T, ItemError> {
        self.mutex.0.with(|_, array| Cells::read(array, 0))
    }

    #[inline]
    fn write(&self, value: &T) {
        self.mutex.0.with(|_, array| Cells::write(array, 0, value));
    }
}

impl<T: Plain> Drop for Taken<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // It is held, once.
        let cell = self.mutex.cell();
        let _ = self.mutex.0.handle.with_me(|me| cell.release(me, RECURSION));
    }
}

/// Holds a [`Mutex`], with a copy of its value that is put back when this is dropped.
#[must_use = "the mutex is let go when this is dropped"]
#[derive(Debug)]
pub struct MutexGuard<'a, T: Plain> {
    taken: Taken<'a, T>,
    value: T,
    changed: bool,
}

impl<T: Plain> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Plain> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.changed = true;
        &mut self.value
    }
}

impl<T: Plain> MutexGuard<'_, T> {
    #[inline]
    fn put_back(&mut self) {
        // Not the child's of a fork, which has a copy of the guard but not the mutex.
        let mutex = self.taken.mutex;
        let mine = || mutex.0.handle.with_me(|me| mutex.cell().is_mine(me));
        if self.changed && !std::thread::panicking() && mine() {
            self.taken.write(&self.value);
        }
        self.changed = false;
    }
}

impl<T: Plain> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.put_back();
    }
}

impl<T: Plain + fmt::Debug> Guard for MutexGuard<'_, T> {
    fn lock(&self) -> condition::Lock {
        let mutex = self.taken.mutex;
        condition::Lock { off: mutex.0.handle.off(), cell: mutex.cell(), recursion: RECURSION }
    }

    fn leave(&mut self) {
        self.put_back();
    }

    fn come_back(&mut self) -> Result<(), ItemError> {
        self.taken.mutex.0.with(|_, array| Cells::<T>::apply_redo(array));
        self.value = self.taken.read()?;
        Ok(())
    }
}

/// Holds a [`Mutex`] whose owner may have died: see [`Mutex::lock_poisoned`]. Dropped as it is, the
/// next to take the mutex is told again.
#[must_use = "the mutex stays poisoned, and is let go, when this is dropped"]
pub struct Poisoned<'a, T: Plain>(Taken<'a, T>);

impl<'a, T: Plain> Poisoned<'a, T> {
    /// The process that died, where that is still known.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        let mutex = self.0.mutex;
        mutex.0.handle.with_me(|me| mutex.cell().last_dead_pid(me))
    }

    /// The value as it was left.
    ///
    /// # Errors
    /// [`ItemError::Invalid`].
    pub fn get(&self) -> Result<T, ItemError> {
        self.0.read()
    }

    /// Has `mend` make the value whole, which is said by returning; the mutex is as any other
    /// then.
    ///
    /// # Errors
    /// [`ItemError::Invalid`]: there is nothing to work on. The mutex is let go, and stays
    /// poisoned; [`replace`](Poisoned::replace) the value.
    pub fn repair(self, mend: impl FnOnce(&mut T)) -> Result<MutexGuard<'a, T>, ItemError> {
        let mut value = self.0.read()?;
        mend(&mut value);
        Ok(self.replace(value))
    }

    /// Makes `value` the value; the mutex is as any other then.
    pub fn replace(self, value: T) -> MutexGuard<'a, T> {
        // The value before the word: killed in between, the next is told again.
        self.0.write(&value);
        self.0.mutex.cell().clear_poison();
        MutexGuard { taken: self.0, value, changed: false }
    }
}

impl<T: Plain> fmt::Debug for Taken<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mutex.fmt(f)
    }
}

impl<T: Plain> fmt::Debug for Poisoned<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Poisoned").field(&self.0).finish()
    }
}

impl<T> Clone for Mutex<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Two handles are equal when they lead to the same mutex.
impl<T> PartialEq for Mutex<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.handle == other.0.handle
    }
}

impl<T> Eq for Mutex<T> {}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mutex({})", self.0.handle.id())
    }
}

shared_object!([T: Plain] Mutex<T>);

impl<T> Serialize for Mutex<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        handle::serialize(&self.0.handle, serializer)
    }
}

impl<'de, T: Plain> Deserialize<'de> for Mutex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cells::deserialize(deserializer, true).map(Self)
    }
}

/// A mutex or a read-write lock was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MutexError {
    /// An owner died while it held the lock, and nobody has said since that the value is whole.
    #[error(
        "process {} died while it held the lock; the value may be half-changed: take the lock with \
         lock_poisoned() or write_poisoned(), and repair() the value",
        named(*.pid)
    )]
    OwnerDied {
        /// Its process, where that is known.
        pid: Option<i32>,
    },
    /// The time was up first.
    #[error("the mutex was still held when the time was up")]
    TimedOut,
    /// The task that waits was interrupted.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// It would wait for itself.
    #[error("this thread holds the mutex already: it would wait for itself")]
    Reentrant,
    /// What is there is no value of the type.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// The wait, or what the thread gets, cannot be noted in shared memory.
    #[error(transparent)]
    Wait(#[from] QueueError),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

from_no_slot!(MutexError);
