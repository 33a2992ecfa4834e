//! A list that threads and processes share.

use std::cmp::Ordering;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tarefa_engine::collections::list as engine_list;
use tarefa_engine::collections::list::{self, ListError as EngineError, Source};
use tarefa_engine::collections::object_lock;
use tarefa_engine::collections::object_lock::Locked;
use tarefa_engine::collections::updating::{self, Element};
use tarefa_engine::collections::value::Expected;
use tarefa_engine::kinds;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::heap::OutOfMemory;
use tarefa_engine::shm::object::handle::Handle;

use crate::collections::object_lock::Group;
use crate::convert::address::shared_object;
use crate::convert::element;
use crate::convert::element::Stored;
use crate::convert::errors::{DecodeError, EncodeError};
use crate::convert::handle;
use crate::runtime;
use crate::runtime::blocking::{Here, RustParker};
use crate::runtime::errors::{CreateError, TooManyThreads, from_no_slot};
use crate::runtime::interrupt::Interrupted;
use crate::sync::errors::LockError;
use crate::sync::items::{NestedUpdate, from_nested};

/// A sequence that threads and processes share. Clones are handles of one list.
///
/// - Every change happens at one instant: nobody sees it half done, and a process killed in
///   the middle of one leaves the list as it was.
/// - Integers, floats, booleans, `()`, `None`, strings and `Vec<u8>` are stored in a form that
///   other languages read too; a handle is stored by reference; all else as bytes that only
///   programs in Rust read.
/// - What is read is a copy: to change an element, [`set`](List::set) it.
///
/// ```
/// use tarefa::List;
///
/// # fn main() -> Result<(), tarefa::ListError> {
/// let list = List::from_values(["um", "dois"].map(String::from))?;
/// list.append("três".to_owned())?;
/// assert_eq!(list.get(2)?, "três");
/// assert_eq!(list.pop()?, Some("três".to_owned()));
/// assert_eq!(list.to_vec()?, ["um", "dois"]);
/// # Ok(())
/// # }
/// ```
pub struct List<T> {
    handle: Handle,
    element: PhantomData<fn(T) -> T>,
}

// The methods of the engine's list are generic over a lifetime that `with` chooses.
#[allow(clippy::redundant_closure_for_method_calls)]
impl<T: Serialize + DeserializeOwned + 'static> List<T> {
    /// An empty list.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn new() -> Result<Self, CreateError> {
        let me = runtime::get()?.try_me()?;
        Ok(Self { handle: Handle::adopt(&me, list::create(&me)?), element: PhantomData })
    }

    /// A list of these values.
    ///
    /// # Errors
    /// [`ListError`]; also when there is no memory for a list at all.
    pub fn from_values(values: impl IntoIterator<Item = T>) -> Result<Self, ListError> {
        let made = Self::new()?;
        made.extend(values)?;
        Ok(made)
    }

    /// Runs `act`, once no other thread groups its operations on the list. An interrupt while it
    /// waits for that is [`EngineError::Locked`].
    #[inline]
    fn with<U>(
        &self,
        mut act: impl FnMut(&list::List<'_>) -> Result<U, EngineError>,
    ) -> Result<U, ListError> {
        let me = self.handle.try_me()?;
        let list = list::List::at(&me, self.handle.off());
        let guard = list.object_lock();
        object_lock::retry_when_unlocked(
            &me,
            guard,
            self.handle.off(),
            || RustParker,
            || act(&list),
        )
        .unwrap_or_else(|_interrupted| Err(Locked.into()))
        .map_err(ListError::from)
    }

    /// Runs `once`, which computes `element` anew by code of the user's, until it gives something.
    fn updating<U>(
        &self,
        element: Element,
        once: impl FnMut() -> Result<Option<U>, ListError>,
    ) -> Result<U, ListError> {
        let me = self.handle.try_me()?;
        let updating = updating::begin(&me, self.handle.off(), element)?;
        let cell = list::List::at(&me, self.handle.off()).object_lock();
        updating::retry_optimistic(&updating, || Group::insist(&self.handle, cell), once)
    }

    #[inline]
    fn load(
        &self,
        index: usize,
        element: tarefa_engine::collections::value::Fetched,
    ) -> Result<T, ListError> {
        element::load(self.handle.runtime(), element)
            .map_err(|source| ListError::Decode { index, source })
    }

    /// How many elements it has at this very moment, also while somebody groups operations.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.handle.with_me(|me| list::List::at(me, self.handle.off()).len() as usize)
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a value at the end.
    ///
    /// # Errors
    /// [`ListError::Memory`], [`ListError::Encode`].
    #[inline]
    pub fn append(&self, value: T) -> Result<(), ListError> {
        let stored = self.store(&value)?;
        stored.with(self.handle.runtime(), |item| self.with(|list| list.append(item)))?;
        Ok(())
    }

    /// Adds values at the end, all at one instant.
    ///
    /// # Errors
    /// As [`append`](List::append); then none was added.
    pub fn extend(&self, values: impl IntoIterator<Item = T>) -> Result<(), ListError> {
        let stored = self.store_all(values)?;
        if !stored.is_empty() {
            element::with_items(self.handle.runtime(), &stored, |items| {
                self.with(|list| list.extend(items))
            })?;
        }
        Ok(())
    }

    fn store_all(&self, values: impl IntoIterator<Item = T>) -> Result<Vec<Stored>, ListError> {
        values.into_iter().map(|v| self.store(&v)).collect()
    }

    #[inline]
    fn store(&self, value: &T) -> Result<Stored, ListError> {
        let stored = element::store(value)?;
        let itself = stored.mentions(&self.handle);
        if itself { Err(ListError::Itself) } else { Ok(stored) }
    }

    /// A copy of the element at `index`.
    ///
    /// # Errors
    /// [`ListError::OutOfRange`], [`ListError::Decode`], [`ListError::Memory`].
    #[inline]
    pub fn get(&self, index: usize) -> Result<T, ListError> {
        let element = self.with(|list| list.get(index as u64))?;
        self.load(index, element)
    }

    /// Replaces the element at `index`.
    ///
    /// # Errors
    /// [`ListError::OutOfRange`], [`ListError::Memory`], [`ListError::Encode`].
    pub fn set(&self, index: usize, value: T) -> Result<(), ListError> {
        let stored = self.store(&value)?;
        stored
            .with(self.handle.runtime(), |item| self.with(|list| list.set(index as u64, item)))?;
        Ok(())
    }

    /// Makes the element at `index` what `change` makes of it, at one instant, and returns that.
    ///
    /// `change` may be called more than once, when others change the element meanwhile. It must not
    /// change the element itself, by an `update` of its own or otherwise.
    ///
    /// # Errors
    /// [`ListError::OutOfRange`], [`ListError::Decode`], [`ListError::Memory`],
    /// [`ListError::Encode`], [`ListError::Nested`]; what `change` returned is not stored then.
    pub fn update(&self, index: usize, mut change: impl FnMut(T) -> T) -> Result<T, ListError> {
        self.updating(Element::Index(index as u64), || {
            let before = self.with(|list| list.get(index as u64))?;
            let copy = self.with(|list| list.get(index as u64))?;
            let after = change(self.load(index, copy)?);
            let stored = self.store(&after)?;
            let expected = Expected::of(Some(&before));
            let same = stored.with(self.handle.runtime(), |item| {
                self.with(|list| list.replace_if(index as u64, expected, item))
            })?;
            Ok(same.then_some(after))
        })
    }

    /// Groups operations: until the group is dropped, those of others wait. Waits at most
    /// `timeout` for its turn.
    ///
    /// # Errors
    /// [`LockError`]; there is no group then.
    #[track_caller]
    pub fn lock(&self, timeout: Option<Duration>) -> Result<Group<'_>, LockError> {
        let cell = list::List::at(&self.handle.try_me()?, self.handle.off()).object_lock();
        Group::begin(&self.handle, cell, timeout, Here::now())
    }

    /// Puts a value before the element at `index`; past the end it is an append.
    ///
    /// # Errors
    /// As [`append`](List::append).
    pub fn insert(&self, index: usize, value: T) -> Result<(), ListError> {
        let stored = self.store(&value)?;
        stored.with(self.handle.runtime(), |item| {
            self.with(|list| list.insert(index as u64, item))
        })?;
        Ok(())
    }

    /// Takes the element at `index` out. At either end that costs the same however long the
    /// list is.
    ///
    /// # Errors
    /// As [`get`](List::get).
    pub fn remove(&self, index: usize) -> Result<T, ListError> {
        let element = self.with(|list| list.remove(index as u64))?;
        self.load(index, element)
    }

    /// Takes the last element out; `None` when there is none.
    ///
    /// # Errors
    /// As [`get`](List::get).
    pub fn pop(&self) -> Result<Option<T>, ListError> {
        self.taken(self.with(|list| list.pop()))
    }

    /// Takes the first element out; `None` when there is none.
    ///
    /// # Errors
    /// As [`get`](List::get).
    pub fn pop_front(&self) -> Result<Option<T>, ListError> {
        self.taken(self.with(|list| list.remove(0)))
    }

    fn taken(
        &self,
        element: Result<tarefa_engine::collections::value::Fetched, ListError>,
    ) -> Result<Option<T>, ListError> {
        match element {
            Ok(element) => self.load(0, element).map(Some),
            Err(ListError::OutOfRange { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Takes everything out.
    ///
    /// # Errors
    /// [`ListError::Memory`].
    pub fn clear(&self) -> Result<(), ListError> {
        self.with(|list| list.clear())?;
        Ok(())
    }

    /// Copies of all elements, as they are at one instant.
    ///
    /// # Errors
    /// [`ListError::Decode`], [`ListError::Memory`].
    pub fn to_vec(&self) -> Result<Vec<T>, ListError> {
        let snapshot = self.with(|list| list.snapshot(0, u64::MAX))?;
        self.load_all(snapshot.items)
    }

    fn load_all(
        &self,
        items: Vec<tarefa_engine::collections::value::Fetched>,
    ) -> Result<Vec<T>, ListError> {
        items.into_iter().enumerate().map(|(i, element)| self.load(i, element)).collect()
    }

    /// Copies of the elements one after the other, also of those appended meanwhile.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { list: self, next: 0 }
    }

    /// Sorts the list with `compare`, keeping the order of equal elements. The list changes at
    /// one instant; if somebody else changes it first, the sorting starts again. `compare` must not
    /// change the list.
    ///
    /// # Errors
    /// [`ListError::Decode`], [`ListError::Memory`], [`ListError::Nested`].
    pub fn sort_by(&self, mut compare: impl FnMut(&T, &T) -> Ordering) -> Result<(), ListError> {
        self.updating(Element::All, || {
            let snapshot = self.with(|list| list.snapshot(0, u64::MAX))?;
            let (version, len) = (snapshot.version, snapshot.items.len() as u64);
            let mut values: Vec<_> = self.load_all(snapshot.items)?.into_iter().zip(0..).collect();
            values.sort_by(|a, b| compare(&a.0, &b.0));
            let sources: Vec<_> = values.iter().map(|(_, index)| Source::Keep(*index)).collect();
            self.with(|list| match list.rebuild(version, len, &sources) {
                Err(EngineError::Changed) => Ok(None),
                other => other.map(Some),
            })
        })
    }

    /// Sorts the list.
    ///
    /// # Errors
    /// As [`sort_by`](List::sort_by).
    pub fn sort(&self) -> Result<(), ListError>
    where
        T: Ord,
    {
        self.sort_by(T::cmp)
    }

    /// Whether an element equals `value`.
    ///
    /// # Errors
    /// [`ListError::Decode`], [`ListError::Memory`].
    pub fn contains(&self, value: &T) -> Result<bool, ListError>
    where
        T: PartialEq,
    {
        Ok(self.to_vec()?.contains(value))
    }
}

/// See [`List::iter`].
#[derive(Debug)]
pub struct Iter<'a, T> {
    list: &'a List<T>,
    next: usize,
}

impl<T: Serialize + DeserializeOwned + 'static> Iterator for Iter<'_, T> {
    type Item = Result<T, ListError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.list.get(self.next) {
            Err(ListError::OutOfRange { .. }) => None,
            other => {
                self.next += 1;
                Some(other)
            }
        }
    }
}

impl<'a, T: Serialize + DeserializeOwned + 'static> IntoIterator for &'a List<T> {
    type Item = Result<T, ListError>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone(), element: PhantomData }
    }
}

/// Two handles are equal when they lead to the same list.
impl<T> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        self.handle == other.handle
    }
}

impl<T> Eq for List<T> {}

impl<T> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |me: &Member| list::List::at(me, self.handle.off()).len();
        write!(f, "List({} elements)", self.handle.with_me(list))
    }
}

shared_object!([T] List<T>);

impl<T> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        handle::serialize(&self.handle, serializer)
    }
}

impl<'de, T> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let handle = handle::deserialize(deserializer, kinds::LIST)?;
        Ok(Self { handle, element: PhantomData })
    }
}

/// An operation on a list failed; the list is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The system refused what the runtime needs.
    #[error("cannot set up the shared memory: {0}")]
    Runtime(#[source] io::Error),
    /// No such element.
    #[error("index {index} is out of range: the list has {len} elements")]
    OutOfRange {
        /// The index asked for.
        index: usize,
        /// The list's length.
        len: usize,
    },
    /// The shared memory is full.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// The element does not serialise.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The element cannot be read here.
    #[error("element {index} cannot be read: {source}")]
    Decode {
        /// Which one.
        index: usize,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// The calling task was interrupted while another thread grouped its operations on the list.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// The value mentions the list that it was to be put into, which would never be freed.
    #[error("a list cannot be put into itself: it would never be freed")]
    Itself,
    /// See [`NestedUpdate`].
    #[error(transparent)]
    Nested(#[from] NestedUpdate),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

impl From<CreateError> for ListError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Memory(e) => Self::Memory(e),
            CreateError::Runtime(e) => Self::Runtime(e),
            CreateError::Threads(e) => Self::Threads(e),
        }
    }
}

impl From<engine_list::ListError> for ListError {
    fn from(error: engine_list::ListError) -> Self {
        match error {
            engine_list::ListError::OutOfRange { index, len } => {
                Self::OutOfRange { index: index as usize, len: len as usize }
            }
            engine_list::ListError::Memory(e) => Self::Memory(e),
            // Only an interrupt ends the wait for the lock of whoever groups operations.
            engine_list::ListError::Locked(_) => Self::Interrupted(Interrupted),
            // Answered where it can arise, by trying again.
            engine_list::ListError::Changed => Self::OutOfRange { index: 0, len: 0 },
        }
    }
}

from_no_slot!(ListError);

from_nested!(ListError);
