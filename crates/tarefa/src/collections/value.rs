//! A value that threads and processes share.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::convert::address::shared_object;
use crate::convert::handle;
use crate::convert::plain::{Integer, Plain};
use crate::runtime::errors::CreateError;
use crate::sync::errors::LockError;
use crate::sync::items::{Cells, ItemError, LockedItems};

/// One value in memory that threads and processes share. Clones are handles of one value.
///
/// - A value of 1, 2, 4 or 8 bytes is read and written at one instant; integers have the
///   operations of [`std::sync::atomic`], under the same names. None of these waits for anybody,
///   all are in one order for all who look (`SeqCst`), and a process killed in one of them has
///   either done it or not.
/// - A larger one is read and written under the value's lock, which [`lock`](Value::lock) takes
///   for several operations. A process killed in the middle of a write leaves the value as it was
///   or written, never in between; the next to take the lock, or to read, is told by
///   [`OwnerDied`](crate::OwnerDied), once.
/// - In Python it is a `tarefa.Value`, and the other way round.
///
/// ```
/// use tarefa::{Process, Value};
///
/// fn count(counter: Value<u64>) {
///     for _ in 0..1000 {
///         counter.fetch_add(1);
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let counter = Value::new(0u64)?;
/// let tasks = (0..2)
///     .map(|_| Process::spawn(count, (counter.clone(),)))
///     .collect::<Result<Vec<_>, _>>()?;
/// for task in &tasks {
///     task.join(None)?;
/// }
/// assert_eq!(counter.load()?, 2000);
/// # Ok(())
/// # }
/// ```
pub struct Value<T>(Cells<T>);

impl<T: Plain> Value<T> {
    /// Makes one.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn new(value: T) -> Result<Self, CreateError> {
        Cells::new(&[], |array| Cells::write(array, 0, &value)).map(Self)
    }

    /// What it is.
    ///
    /// # Errors
    /// [`ItemError::Invalid`] if what was written by others is no `T`; for a `T` of more than one
    /// word, [`ItemError::Lock`].
    #[inline]
    pub fn load(&self) -> Result<T, ItemError> {
        self.0.load(0)
    }

    /// Makes it `value`.
    ///
    /// # Errors
    /// For a `T` of more than one word, [`ItemError::Lock`]; it is as it was.
    #[inline]
    pub fn store(&self, value: T) -> Result<(), ItemError> {
        self.0.store(0, &value)
    }

    /// Makes it what `change` makes of it, at one instant, and returns what it was. `change` may
    /// be called several times. It must not change the value itself, by an `update` of its own or
    /// otherwise.
    ///
    /// # Errors
    /// As [`load`](Value::load), and [`ItemError::Nested`]; what `change` returned is not stored then.
    pub fn update(&self, change: impl FnMut(T) -> T) -> Result<T, ItemError> {
        self.0.update(0, change)
    }

    /// Takes the value's lock, waiting for it at most `timeout`: what is read and written through
    /// the guard is one operation for all who take the lock too, Python's `value.value` among
    /// them. The thread may take it again.
    ///
    /// # Errors
    /// [`LockError`]; the lock is not the caller's then.
    pub fn lock(&self, timeout: Option<Duration>) -> Result<ValueGuard<'_, T>, LockError> {
        self.0.hold(timeout).map(ValueGuard)
    }
}

impl<T: Integer> Value<T> {
    /// Adds, and wraps around at the type's end, as [`std::sync::atomic`]'s; what it was.
    #[inline]
    pub fn fetch_add(&self, n: T) -> T {
        self.0.fetch_update(0, |was| Some(was.wrapping_sum(n))).unwrap_or_else(|was| was)
    }

    /// Subtracts, and wraps around at the type's end; what it was.
    #[inline]
    pub fn fetch_sub(&self, n: T) -> T {
        self.0.fetch_update(0, |was| Some(was.wrapping_difference(n))).unwrap_or_else(|was| was)
    }

    /// Adds if the sum is one of the type's: what it is now, or `None` with nothing changed.
    #[inline]
    #[must_use]
    pub fn checked_add(&self, n: T) -> Option<T> {
        let was = self.0.fetch_update(0, |was| was.checked_sum(n)).ok()?;
        was.checked_sum(n)
    }

    /// Makes it `value`; what it was.
    #[inline]
    pub fn swap(&self, value: T) -> T {
        self.0.swap(0, value)
    }

    /// Makes it `new` if it is `current`.
    ///
    /// # Errors
    /// What it is instead.
    #[inline]
    pub fn compare_exchange(&self, current: T, new: T) -> Result<T, T> {
        self.0.compare_exchange(0, current, new)
    }

    /// Makes it what `change` says, unless that is `None`; what it was. `change` may be called
    /// several times.
    ///
    /// # Errors
    /// What it is, if `change` says `None`, or changes the value itself: by an `update` of its own,
    /// or otherwise.
    #[inline]
    pub fn fetch_update(&self, change: impl FnMut(T) -> Option<T>) -> Result<T, T> {
        self.0.fetch_update_by(0, change)
    }
}

/// Holds a [`Value`]'s lock until it is dropped.
#[must_use = "the lock is let go when this is dropped"]
#[derive(Debug)]
pub struct ValueGuard<'a, T: Plain>(LockedItems<'a, T>);

impl<T: Plain> ValueGuard<'_, T> {
    /// What it is.
    ///
    /// # Errors
    /// [`ItemError::Invalid`].
    pub fn get(&self) -> Result<T, ItemError> {
        self.0.cells.with(|_, array| Cells::read(array, 0))
    }

    /// Makes it `value`.
    pub fn set(&mut self, value: T) {
        self.0.cells.with(|_, array| Cells::write(array, 0, &value));
    }
}

impl<T> Clone for Value<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> PartialEq for Value<T> {
    /// Whether they are handles of one value.
    fn eq(&self, other: &Self) -> bool {
        self.0.handle == other.0.handle
    }
}

impl<T> Eq for Value<T> {}

impl<T: Plain + fmt::Debug> fmt::Debug for Value<T> {
    /// What it is, whoever holds the lock.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.with(|_, array| Cells::<T>::read(array, 0)) {
            Ok(value) => f.debug_tuple("Value").field(&value).finish(),
            Err(e) => write!(f, "Value({e})"),
        }
    }
}

shared_object!([T: Plain] Value<T>);

impl<T> Serialize for Value<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        handle::serialize(&self.0.handle, serializer)
    }
}

impl<'de, T: Plain> Deserialize<'de> for Value<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cells::deserialize(deserializer, true).map(Self)
    }
}
