//! A slice in shared memory that nobody changes.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tarefa_engine::collections::array::{self, Array};
use tarefa_engine::kinds;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::object::refcount;

use super::pinned::Pinned;
use crate::convert::address::shared_object;
use crate::convert::handle;
use crate::convert::plain::{Number, Plain};
use crate::runtime;
use crate::runtime::errors::CreateError;
use crate::sync::items::{Cells, ItemError, deserialize_handle, with_form};

/// A slice of plain data in shared memory that nobody changes: an [`Arc<[T]>`](std::sync::Arc) of threads
/// and processes. Clones are handles of one slice; sending one sends no items.
///
/// - It goes wherever values go: in messages of channels, as an argument, a result, or an element.
/// - Of [numbers](Number) it is a `&[T]` that lies where all have it. What is otherwise plain is copied
///   out ([`read`](SharedSlice::read)).
/// - It is free when the last handle is dropped, and the last message that has one is gone: also when
///   the process that had it was killed.
/// - While there is only one handle, [`get_mut`](SharedSlice::get_mut) lends the items to be changed: so
///   a large one is filled in where it lies. For items that many change there is
///   [`Array`](crate::Array).
///
/// ```
/// use tarefa::{Process, Receiver, SharedSlice, channel};
///
/// fn sums(parts: Receiver<(usize, SharedSlice<f64>)>) -> Result<f64, tarefa::Failure> {
///     let mut sum = 0.0;
///     for part in parts {
///         let (from, numbers) = part?;
///         sum += numbers[from..from + 1000].iter().sum::<f64>();
///     }
///     Ok(sum)
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let numbers = SharedSlice::from_slice(&[0.5; 10_000])?;
/// let (parts, received) = channel(0)?;
/// let task = Process::spawn(sums, (received,))?;
/// for from in (0..10_000).step_by(1000) {
///     parts.send((from, numbers.clone()))?; // a few bytes
/// }
/// drop(parts);
/// assert_eq!(task.result(None)??, 5000.0);
/// # Ok(())
/// # }
/// ```
pub struct SharedSlice<T> {
    handle: Handle,
    item: PhantomData<fn() -> T>,
}

/// Bytes that are copied at once.
const CHUNK: usize = 64 * 1024;

impl<T: Plain> SharedSlice<T> {
    /// A slice with a copy of these items.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn from_slice(items: &[T]) -> Result<Self, CreateError> {
        let mut rest = items.iter();
        Self::made(items.len(), |bytes| {
            bytes.chunks_exact_mut(size_of::<T>()).zip(&mut rest).for_each(|(to, it)| it.put(to));
        })
    }

    /// A slice of so many items, of which `item` gives each by its place.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn from_fn(len: usize, mut item: impl FnMut(usize) -> T) -> Result<Self, CreateError> {
        let mut next = 0..;
        Self::made(len, |bytes| {
            bytes
                .chunks_exact_mut(size_of::<T>())
                .zip(&mut next)
                .for_each(|(to, i)| item(i).put(to));
        })
    }

    /// One whose bytes `fill` gives, some at a time, in their order.
    fn made(len: usize, mut fill: impl FnMut(&mut [u8])) -> Result<Self, CreateError> {
        let it = Self::zeroes(len)?;
        let most = (CHUNK / size_of::<T>()).clamp(1, len.max(1));
        let mut bytes = vec![0; most * size_of::<T>()];
        for first in (0..len).step_by(most) {
            let bytes = &mut bytes[..most.min(len - first) * size_of::<T>()];
            fill(bytes);
            it.with(|array| array.fill_at(first as u64, bytes));
        }
        Ok(it)
    }

    fn zeroes(len: usize) -> Result<Self, CreateError> {
        let me = runtime::get()?.try_me()?;
        let create = |form: array::Form<'_>| array::create_slice(&me, form);
        let off = with_form::<T, _>(&[len as u64], false, create)?;
        Ok(Self { handle: Handle::adopt(&me, off), item: PhantomData })
    }

    /// A copy of an item.
    ///
    /// # Errors
    /// [`ItemError::OutOfRange`]; [`ItemError::Invalid`] if it was written as another type of the same
    /// look, and is no `T`.
    pub fn read(&self, index: usize) -> Result<T, ItemError> {
        let len = self.len();
        if index >= len {
            return Err(ItemError::OutOfRange { index, len });
        }
        self.with(|array| Cells::read(array, index as u64))
    }

    /// Copies of all items.
    ///
    /// # Errors
    /// [`ItemError::Invalid`], as of [`read`](SharedSlice::read).
    pub fn read_all(&self) -> Result<Vec<T>, ItemError> {
        (0..self.len()).map(|index| self.read(index)).collect()
    }
}

impl<T> SharedSlice<T> {
    fn with<R>(&self, act: impl FnOnce(&Array<'_>) -> R) -> R {
        self.handle.with_me(|me| act(&Array::at(me, self.handle.off())))
    }

    /// How many items it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.with(|array| array.len() as usize)
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether both are handles of one slice.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.handle == other.handle
    }
}

impl<T: Number> SharedSlice<T> {
    /// A slice of so many zeroes, which takes no time but for the memory: to be filled in by
    /// [`get_mut`](SharedSlice::get_mut).
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn zeroed(len: usize) -> Result<Self, CreateError> {
        Self::zeroes(len)
    }

    /// The items, to be changed, if this is the only handle: no clone of it is left in any process, in
    /// no message and no element.
    ///
    /// ```
    /// use tarefa::SharedSlice;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut squares = SharedSlice::<u64>::zeroed(4)?;
    /// if let Some(items) = squares.get_mut() {
    ///     items.iter_mut().zip(0..).for_each(|(item, n)| *item = n * n);
    /// }
    /// let other = squares.clone();
    /// assert!(squares.get_mut().is_none());
    /// assert_eq!(other[..], [0, 1, 4, 9]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_mut(&mut self) -> Option<&mut [T]> {
        if !self.handle.with_me(|me| refcount::is_sole(me, self.handle.off(), 0)) {
            return None;
        }
        let (start, len) = self.place();
        // SAFETY: as for `deref`; the only reference of the only process that has one is borrowed, so
        // nobody else looks, and nobody comes to have another meanwhile.
        Some(unsafe { std::slice::from_raw_parts_mut(start, len) })
    }

    /// Keeps its memory where it is until what this returns is dropped: for what is told the address and
    /// uses it on its own, such as a driver. It is neither given back nor used for anything else meanwhile,
    /// whoever drops the slice, and none of its items change. It is this process that has it pinned: when it
    /// ends, or is killed, what it had pinned is released.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let numbers = tarefa::SharedSlice::from_slice(&[1.0, 2.0])?;
    /// let pinned = numbers.pin();
    /// assert_eq!((pinned.as_ptr().cast(), pinned.len()), (numbers.as_ptr(), 16));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn pin(&self) -> Pinned {
        let (start, len) = self.place();
        Pinned::new(self.handle.clone(), start.expose_provenance(), len * size_of::<T>())
    }

    /// Where its items are, and how many.
    fn place(&self) -> (*mut T, usize) {
        self.with(|array| (array.address().cast(), array.len() as usize))
    }
}

impl<T: Number> Deref for SharedSlice<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let (start, len) = self.place();
        // SAFETY: the items lie there as long as the handle, at a multiple of 16. They are as many
        // bytes as so many `T`s have, of which any are one. Nobody changes them: an object of this kind
        // is written to by who made it, before others have it, and by `get_mut`, which borrows the only
        // handle.
        unsafe { std::slice::from_raw_parts(start, len) }
    }
}

impl<T: Number> AsRef<[T]> for SharedSlice<T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<T> Clone for SharedSlice<T> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone(), item: PhantomData }
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for SharedSlice<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.read_all() {
            Ok(items) => f.debug_list().entries(items).finish(),
            Err(e) => write!(f, "SharedSlice({e})"),
        }
    }
}

shared_object!([T: Plain] SharedSlice<T>);

impl<T> Serialize for SharedSlice<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        handle::serialize(&self.handle, serializer)
    }
}

impl<'de, T: Plain> Deserialize<'de> for SharedSlice<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let handle = deserialize_handle::<T, D>(deserializer, kinds::SLICE)?;
        Ok(Self { handle, item: PhantomData })
    }
}
