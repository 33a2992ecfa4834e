//! A read-write lock with its value, which threads and processes share.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tarefa_engine::kinds;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::rwlock::{self, Acquired, Mode};

use crate::convert::handle;
use crate::convert::plain::Plain;
use crate::runtime;
use crate::runtime::blocking::Here;
use crate::runtime::errors::CreateError;
use crate::runtime::interrupt::Interrupted;
use crate::sync::items::{Cells, ItemError};
use crate::sync::mutex::MutexError;

/// A value that many threads of all processes read at a time, or one changes. Clones are handles
/// of one lock.
///
/// - A guard has a copy of the value; that of a writer puts it back when it is dropped. So a
///   process killed before that, and a panic, leave the value as it was; one killed while it puts
///   the value back leaves it as it was or put back, never in between.
/// - Readers and writers have their turns by turns, so nobody starves. A reader that dies is
///   forgotten. If a writer died, the lock is *poisoned*: each who takes it is told by
///   [`MutexError::OwnerDied`], until one has taken it by
///   [`write_poisoned`](RwLock::write_poisoned), looked at the value and said that it is whole, by
///   [`PoisonedWrite::repair`] or [`PoisonedWrite::replace`].
///
/// ```
/// use tarefa::RwLock;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let limits = RwLock::new([1, 10])?;
/// assert_eq!(limits.read(None).unwrap()[1], 10);
/// limits.write(None).unwrap()[1] = 20;
/// assert_eq!(*limits.read(None).unwrap(), [1, 20]);
/// # Ok(())
/// # }
/// ```
pub struct RwLock<T> {
    lock: Handle,
    cells: Cells<T>,
}

impl<T: Plain> RwLock<T> {
    /// A lock with that value, which is free.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn new(value: T) -> Result<Self, CreateError> {
        let me = runtime::get()?.try_me()?;
        let lock = Handle::adopt(&me, rwlock::create(&me)?);
        let cells = Cells::new(&[], |array| Cells::write(array, 0, &value))?;
        Ok(Self { lock, cells })
    }

    fn take(
        &self,
        mode: Mode,
        until: Deadline,
        here: &mut Here,
    ) -> Result<Taken<'_, T>, MutexError> {
        let (me, off) = (self.lock.try_me()?, self.lock.off());
        let reads = rwlock::is_mine(&me, off, Mode::Read);
        if rwlock::is_mine(&me, off, Mode::Write) || (reads && mode == Mode::Write) {
            return Err(MutexError::Reentrant);
        }
        loop {
            match rwlock::acquire(&me, off, mode, here, until)? {
                Acquired::Yes => {
                    self.cells.with(|_, array| Cells::<T>::apply_redo(array));
                    return Ok(Taken { lock: self, mode, stays: PhantomData });
                }
                Acquired::TimedOut => return Err(MutexError::TimedOut),
                Acquired::Interrupted => return Err(Interrupted.into()),
                Acquired::Upgrade => return Err(MutexError::Reentrant),
                // That it is poisoned shows once it is taken.
                Acquired::OwnerDied(_) => {}
            }
        }
    }

    fn last_dead_pid(&self) -> Option<i32> {
        self.lock.with_me(|me| rwlock::last_dead_pid(me, self.lock.off()))
    }

    /// [`MutexError::OwnerDied`], if a writer has died.
    fn check(&self) -> Result<(), MutexError> {
        if self.is_poisoned() {
            return Err(MutexError::OwnerDied { pid: self.last_dead_pid() });
        }
        Ok(())
    }

    /// Takes the lock together with other readers, waiting for it at most `timeout`. A thread
    /// that reads may read again.
    ///
    /// # Errors
    /// [`MutexError`]; the lock is not the caller's then. Where a writer died, repair the value by
    /// [`write_poisoned`](RwLock::write_poisoned).
    #[track_caller]
    pub fn read(&self, timeout: Option<Duration>) -> Result<RwLockReadGuard<'_, T>, MutexError> {
        let taken = self.take(Mode::Read, Deadline::after(timeout), &mut Here::now())?;
        self.check()?;
        let value = taken.get()?;
        Ok(RwLockReadGuard { taken, value })
    }

    /// Takes the lock alone, waiting for it at most `timeout`.
    ///
    /// # Errors
    /// [`MutexError`]; the lock is not the caller's then. Where a writer died, take it by
    /// [`write_poisoned`](RwLock::write_poisoned).
    #[track_caller]
    pub fn write(&self, timeout: Option<Duration>) -> Result<RwLockWriteGuard<'_, T>, MutexError> {
        let taken = self.take(Mode::Write, Deadline::after(timeout), &mut Here::now())?;
        self.check()?;
        let value = taken.get()?;
        Ok(RwLockWriteGuard { taken, value, changed: false })
    }

    /// Takes the lock alone, also one whose writer died, to look at the value and repair it.
    ///
    /// # Errors
    /// [`MutexError`], but never [`MutexError::OwnerDied`] or [`MutexError::Item`].
    #[track_caller]
    pub fn write_poisoned(
        &self,
        timeout: Option<Duration>,
    ) -> Result<PoisonedWrite<'_, T>, MutexError> {
        let here = &mut Here::now();
        self.take(Mode::Write, Deadline::after(timeout), here).map(PoisonedWrite)
    }

    /// Whether a writer has died and nobody has said since that the value is whole.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.lock.with_me(|me| rwlock::poisoned(me, self.lock.off()))
    }

    /// Whether somebody holds it, in either way.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.lock.with_me(|me| rwlock::locked_by_any(me, self.lock.off()))
    }
}

/// The lock is this thread's, in a way, until this is dropped.
struct Taken<'a, T: Plain> {
    lock: &'a RwLock<T>,
    mode: Mode,
    /// The thread that took it lets it go.
    stays: PhantomData<*const ()>,
}

impl<T: Plain> Taken<'_, T> {
    fn get(&self) -> Result<T, ItemError> {
        self.lock.cells.with(|_, array| Cells::read(array, 0))
    }

    fn set(&self, value: &T) {
        self.lock.cells.with(|_, array| Cells::write(array, 0, value));
    }
}

impl<T: Plain> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        // It is held in that way.
        let lock = &self.lock.lock;
        let _ = lock.with_me(|me| rwlock::release(me, lock.off(), self.mode));
    }
}

/// Holds a [`RwLock`] for reading, with a copy of its value.
#[must_use = "the lock is let go when this is dropped"]
#[derive(Debug)]
pub struct RwLockReadGuard<'a, T: Plain> {
    #[expect(dead_code, reason = "lets the lock go")]
    taken: Taken<'a, T>,
    value: T,
}

impl<T: Plain> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Holds a [`RwLock`] for writing, with a copy of its value that is put back when this is
/// dropped.
#[must_use = "the lock is let go when this is dropped"]
#[derive(Debug)]
pub struct RwLockWriteGuard<'a, T: Plain> {
    taken: Taken<'a, T>,
    value: T,
    changed: bool,
}

impl<T: Plain> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Plain> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.changed = true;
        &mut self.value
    }
}

impl<T: Plain> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        // Not the child's of a fork, which has a copy of the guard but not the lock.
        let lock = &self.taken.lock.lock;
        let mine = || lock.with_me(|me| rwlock::is_mine(me, lock.off(), Mode::Write));
        if self.changed && !std::thread::panicking() && mine() {
            self.taken.set(&self.value);
        }
    }
}

/// Holds, for writing, a [`RwLock`] whose writer may have died: see [`RwLock::write_poisoned`].
/// Dropped as it is, the next to take the lock is told again.
#[must_use = "the lock stays poisoned, and is let go, when this is dropped"]
pub struct PoisonedWrite<'a, T: Plain>(Taken<'a, T>);

impl<'a, T: Plain> PoisonedWrite<'a, T> {
    /// The process that died, where that is known.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.0.lock.last_dead_pid()
    }

    /// The value as it was left.
    ///
    /// # Errors
    /// [`ItemError::Invalid`].
    pub fn get(&self) -> Result<T, ItemError> {
        self.0.get()
    }

    /// Has `mend` make the value whole, which is said by returning; the lock is as any other
    /// then.
    ///
    /// # Errors
    /// [`ItemError::Invalid`]: there is nothing to work on. The lock is let go, and stays
    /// poisoned; [`replace`](PoisonedWrite::replace) the value.
    pub fn repair(self, mend: impl FnOnce(&mut T)) -> Result<RwLockWriteGuard<'a, T>, ItemError> {
        let mut value = self.0.get()?;
        mend(&mut value);
        Ok(self.replace(value))
    }

    /// Makes `value` the value; the lock is as any other then.
    pub fn replace(self, value: T) -> RwLockWriteGuard<'a, T> {
        // The value before the word: killed in between, the next is told again.
        self.0.set(&value);
        let lock = &self.0.lock.lock;
        lock.with_me(|me| rwlock::clear_poison(me, lock.off()));
        RwLockWriteGuard { taken: self.0, value, changed: false }
    }
}

impl<T: Plain> fmt::Debug for Taken<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lock.fmt(f)
    }
}

impl<T: Plain> fmt::Debug for PoisonedWrite<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PoisonedWrite").field(&self.0).finish()
    }
}

impl<T> Clone for RwLock<T> {
    fn clone(&self) -> Self {
        Self { lock: self.lock.clone(), cells: self.cells.clone() }
    }
}

/// Two handles are equal when they lead to the same lock.
impl<T> PartialEq for RwLock<T> {
    fn eq(&self, other: &Self) -> bool {
        self.lock == other.lock
    }
}

impl<T> Eq for RwLock<T> {}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RwLock({})", self.lock.id())
    }
}

impl<T> Serialize for RwLock<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (handle::Written(&self.lock), handle::Written(&self.cells.handle)).serialize(serializer)
    }
}

impl<'de, T: Plain> Deserialize<'de> for RwLock<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);
        impl<'de, T: Plain> de::Visitor<'de> for Visitor<T> {
            type Value = RwLock<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("handles of a read-write lock and of its value")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<RwLock<T>, A::Error> {
                let missing = |i| de::Error::invalid_length(i, &"two handles");
                let lock = seq.next_element_seed(LockSeed)?.ok_or_else(|| missing(0))?;
                let seed = CellsSeed(PhantomData);
                let cells = seq.next_element_seed(seed)?.ok_or_else(|| missing(1))?;
                Ok(RwLock { lock, cells })
            }
        }
        deserializer.deserialize_tuple(2, Visitor(PhantomData))
    }
}

struct LockSeed;

impl<'de> de::DeserializeSeed<'de> for LockSeed {
    type Value = Handle;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Handle, D::Error> {
        handle::deserialize(deserializer, kinds::RWLOCK)
    }
}

struct CellsSeed<T>(PhantomData<T>);

impl<'de, T: Plain> de::DeserializeSeed<'de> for CellsSeed<T> {
    type Value = Cells<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cells<T>, D::Error> {
        Cells::deserialize(deserializer, true)
    }
}
