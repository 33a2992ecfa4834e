//! An array that threads and processes share.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tarefa_engine::collections::array::Array as Engine;

use crate::convert::address::shared_object;
use crate::convert::handle;
use crate::convert::plain::{Integer, Plain};
use crate::runtime::errors::CreateError;
use crate::sync::errors::LockError;
use crate::sync::items::{Cells, ItemError, LockedItems};

/// Items in memory that threads and processes share; their number stays. Clones are handles of
/// one array.
///
/// - An item of 1, 2, 4 or 8 bytes is read and written at one instant; integers have the
///   operations of [`std::sync::atomic`], under the same names. None of these waits for anybody,
///   and a process killed in one of them has either done it or not.
/// - A larger item is read and written under the array's lock, which [`lock`](Array::lock) takes
///   for several operations. A process killed in the middle leaves each item as it was or
///   written; the next to take the lock is told by [`OwnerDied`](crate::OwnerDied), once.
/// - What is read is a copy. There is no `&mut [T]` of it, not under the lock either, for nothing
///   makes other processes take that.
/// - A handle is read as an `Array<T>` only if the items are `T`s: the same numbers in the same
///   places, whatever their names. As `[u8; N]` any items can be read.
/// - In Python it is a `tarefa.Array`, which NumPy looks at without copying, and the other way
///   round. One of several dimensions there is one row after the other here.
///
/// ```
/// use tarefa::{Array, Process};
///
/// fn quadrados(numeros: Array<f64>) -> Result<(), tarefa::Failure> {
///     for i in 0..numeros.len() {
///         numeros.set(i, (i * i) as f64)?;
///     }
///     Ok(())
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let numeros = Array::filled(0.0, 4)?;
/// Process::spawn(quadrados, (numeros.clone(),))?.result(None)??;
/// assert_eq!(numeros.to_vec()?, [0.0, 1.0, 4.0, 9.0]);
/// # Ok(())
/// # }
/// ```
pub struct Array<T>(Cells<T>);

/// Bytes that are copied at once.
const CHUNK: usize = 64 * 1024;

fn check(array: &Engine<'_>, index: usize) -> Result<u64, ItemError> {
    let len = array.len();
    if (index as u64) < len {
        return Ok(index as u64);
    }
    Err(ItemError::OutOfRange { index, len: len as usize })
}

impl<T: Plain> Cells<T> {
    fn place(&self, index: usize) -> Result<u64, ItemError> {
        self.with(|_, array| check(array, index))
    }

    fn len(&self) -> usize {
        self.with(|_, array| array.len() as usize)
    }

    /// Calls `act` with each item, in order.
    fn each(&self, mut act: impl FnMut(T)) -> Result<(), ItemError> {
        let (size, len) = (size_of::<T>(), self.len());
        let most = (CHUNK / size).clamp(1, len.max(1));
        let mut bytes = vec![0; most * size];
        self.with(|_, array| {
            for first in (0..len).step_by(most) {
                let bytes = &mut bytes[..most.min(len - first) * size];
                array.read(first as u64, bytes);
                for (i, bytes) in bytes.chunks_exact(size).enumerate() {
                    act(Self::take((first + i) as u64, bytes)?);
                }
            }
            Ok(())
        })
    }

    fn to_vec(&self) -> Result<Vec<T>, ItemError> {
        let mut all = Vec::with_capacity(self.len());
        self.each(|value| all.push(value))?;
        Ok(all)
    }

    /// Writes items from `first` on; the caller sees to it that there are so many.
    fn write_all(array: &Engine<'_>, first: u64, values: &[T]) {
        for (i, value) in (first..).zip(values) {
            Self::write(array, i, value);
        }
    }
}

/// The bytes of `values`, one after the other.
fn bytes_of<T: Plain>(values: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        let at = bytes.len();
        bytes.resize(at + size_of::<T>(), 0);
        value.put(&mut bytes[at..]);
    }
    bytes
}

impl<T: Plain> Array<T> {
    /// `len` items, all of them `value`.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn filled(value: T, len: usize) -> Result<Self, CreateError> {
        let one = bytes_of([value]);
        Cells::new(&[len as u64], |array| {
            // The memory is zero already.
            if one.iter().any(|b| *b != 0) {
                Cells::write_all_of(array, &value, len);
            }
        })
        .map(Self)
    }

    /// An array of these values.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn from_values(values: impl IntoIterator<Item = T>) -> Result<Self, CreateError> {
        let bytes = bytes_of(values);
        let len = bytes.len() / size_of::<T>().max(1);
        Cells::new(&[len as u64], |array| array.fill(&bytes)).map(Self)
    }

    /// How many items it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of an item.
    ///
    /// # Errors
    /// [`ItemError::OutOfRange`]; [`ItemError::Invalid`] if what was written by others is no `T`;
    /// for a `T` of more than one word, [`ItemError::Lock`].
    #[inline]
    pub fn get(&self, index: usize) -> Result<T, ItemError> {
        self.0.load(self.0.place(index)?)
    }

    /// Replaces an item.
    ///
    /// # Errors
    /// [`ItemError::OutOfRange`]; for a `T` of more than one word, [`ItemError::Lock`]. The item
    /// is as it was then.
    #[inline]
    pub fn set(&self, index: usize, value: T) -> Result<(), ItemError> {
        self.0.store(self.0.place(index)?, &value)
    }

    /// Makes an item what `change` makes of it, at one instant, and returns what it was. `change`
    /// may be called several times. It must not change the item itself, by an `update` of its own or
    /// otherwise.
    ///
    /// # Errors
    /// As [`get`](Array::get), and [`ItemError::Nested`]; what `change` returned is not stored then.
    pub fn update(&self, index: usize, change: impl FnMut(T) -> T) -> Result<T, ItemError> {
        self.0.update(self.0.place(index)?, change)
    }

    /// Makes all items `value`, under the lock.
    ///
    /// # Errors
    /// [`LockError`]; nothing was changed then.
    pub fn fill(&self, value: T) -> Result<(), LockError> {
        self.lock(None)?.fill(value);
        Ok(())
    }

    /// Copies of all items, made under the lock: of one instant, for all who take it too.
    ///
    /// # Errors
    /// [`ItemError::Lock`], [`ItemError::Invalid`].
    pub fn to_vec(&self) -> Result<Vec<T>, ItemError> {
        self.lock(None)?.to_vec()
    }

    /// The items one after the other, each as it is when its turn comes.
    #[must_use]
    pub fn iter(&self) -> Items<'_, T> {
        Items { array: self, next: 0 }
    }

    /// Takes the array's lock, waiting for it at most `timeout`: what is read and written through
    /// the guard is one operation for all who take the lock too, Python's `array[i]` among them.
    /// The thread may take it again.
    ///
    /// # Errors
    /// [`LockError`]; the lock is not the caller's then.
    pub fn lock(&self, timeout: Option<Duration>) -> Result<ArrayGuard<'_, T>, LockError> {
        self.0.hold(timeout).map(ArrayGuard)
    }
}

impl<T: Plain> Cells<T> {
    fn write_all_of(array: &Engine<'_>, value: &T, len: usize) {
        for i in 0..len as u64 {
            Self::write(array, i, value);
        }
    }
}

impl<T: Integer> Array<T> {
    /// Adds to an item, and wraps around at the type's end, as [`std::sync::atomic`]'s; what it
    /// was.
    ///
    /// # Errors
    /// [`ItemError::OutOfRange`].
    #[inline]
    pub fn fetch_add(&self, index: usize, n: T) -> Result<T, ItemError> {
        let place = self.0.place(index)?;
        let sum = |was: T| Some(was.wrapping_sum(n));
        Ok(self.0.fetch_update(place, sum).unwrap_or_else(|was| was))
    }

    /// Subtracts from an item, and wraps around at the type's end; what it was.
    ///
    /// # Errors
    /// [`ItemError::OutOfRange`].
    #[inline]
    pub fn fetch_sub(&self, index: usize, n: T) -> Result<T, ItemError> {
        let place = self.0.place(index)?;
        let difference = |was: T| Some(was.wrapping_difference(n));
        Ok(self.0.fetch_update(place, difference).unwrap_or_else(|was| was))
    }

    /// Adds to an item if the sum is one of the type's: what it is now, or `None` with nothing
    /// changed.
    ///
    /// # Errors
    /// [`ItemError::OutOfRange`].
    #[inline]
    pub fn checked_add(&self, index: usize, n: T) -> Result<Option<T>, ItemError> {
        let place = self.0.place(index)?;
        let was = self.0.fetch_update(place, |was| was.checked_sum(n)).ok();
        Ok(was.and_then(|was| was.checked_sum(n)))
    }

    /// Replaces an item; what it was.
    ///
    /// # Errors
    /// [`ItemError::OutOfRange`].
    #[inline]
    pub fn swap(&self, index: usize, value: T) -> Result<T, ItemError> {
        Ok(self.0.swap(self.0.place(index)?, value))
    }

    /// Replaces an item if it is `current`: `Ok` with that, or `Err` with what it is instead.
    ///
    /// # Errors
    /// [`ItemError::OutOfRange`].
    #[inline]
    pub fn compare_exchange(
        &self,
        index: usize,
        current: T,
        new: T,
    ) -> Result<Result<T, T>, ItemError> {
        Ok(self.0.compare_exchange(self.0.place(index)?, current, new))
    }
}

/// Copies of an [`Array`]'s items.
#[derive(Debug)]
pub struct Items<'a, T: Plain> {
    array: &'a Array<T>,
    next: usize,
}

impl<T: Plain> Iterator for Items<'_, T> {
    type Item = Result<T, ItemError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.array.len() {
            return None;
        }
        self.next += 1;
        Some(self.array.get(self.next - 1))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.array.len() - self.next;
        (left, Some(left))
    }
}

impl<T: Plain> ExactSizeIterator for Items<'_, T> {}

impl<'a, T: Plain> IntoIterator for &'a Array<T> {
    type Item = Result<T, ItemError>;
    type IntoIter = Items<'a, T>;

    fn into_iter(self) -> Items<'a, T> {
        self.iter()
    }
}

/// Holds an [`Array`]'s lock until it is dropped.
#[must_use = "the lock is let go when this is dropped"]
#[derive(Debug)]
pub struct ArrayGuard<'a, T: Plain>(LockedItems<'a, T>);

impl<T: Plain> ArrayGuard<'_, T> {
    /// A copy of an item.
    ///
    /// # Errors
    /// [`ItemError::OutOfRange`], [`ItemError::Invalid`].
    pub fn get(&self, index: usize) -> Result<T, ItemError> {
        self.0.cells.with(|_, array| Cells::read(array, check(array, index)?))
    }

    /// Replaces an item.
    ///
    /// # Errors
    /// [`ItemError::OutOfRange`].
    pub fn set(&mut self, index: usize, value: T) -> Result<(), ItemError> {
        self.0.cells.with(|_, array| {
            Cells::write(array, check(array, index)?, &value);
            Ok(())
        })
    }

    /// Replaces the items from `first` on with these.
    ///
    /// # Errors
    /// [`ItemError::OutOfRange`] if there are not so many; nothing was changed then.
    pub fn set_from(&mut self, first: usize, values: &[T]) -> Result<(), ItemError> {
        self.0.cells.with(|_, array| {
            let len = array.len() as usize;
            if first.checked_add(values.len()).is_none_or(|end| end > len) {
                return Err(ItemError::OutOfRange { index: first.max(len), len });
            }
            Cells::write_all(array, first as u64, values);
            Ok(())
        })
    }

    /// Makes all items `value`.
    pub fn fill(&mut self, value: T) {
        let len = self.0.cells.len();
        self.0.cells.with(|_, array| Cells::write_all_of(array, &value, len));
    }

    /// Copies of all items.
    ///
    /// # Errors
    /// [`ItemError::Invalid`].
    pub fn to_vec(&self) -> Result<Vec<T>, ItemError> {
        self.0.cells.to_vec()
    }
}

impl<T> Clone for Array<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> PartialEq for Array<T> {
    /// Whether they are handles of one array.
    fn eq(&self, other: &Self) -> bool {
        self.0.handle == other.0.handle
    }
}

impl<T> Eq for Array<T> {}

impl<T: Plain + fmt::Debug> fmt::Debug for Array<T> {
    /// Its items, whoever holds the lock.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.to_vec() {
            Ok(items) => f.debug_list().entries(items).finish(),
            Err(e) => write!(f, "Array({e})"),
        }
    }
}

shared_object!([T: Plain] Array<T>);

impl<T> Serialize for Array<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        handle::serialize(&self.0.handle, serializer)
    }
}

impl<'de, T: Plain> Deserialize<'de> for Array<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cells::deserialize(deserializer, false).map(Self)
    }
}
