//! A dict that threads and processes share.

use std::any::TypeId;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::io;
use std::marker::PhantomData;
use std::ops::Add;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tarefa_engine::collections::dict as engine_dict;
use tarefa_engine::collections::dict::{self, Added, Applied, Change, DictError as Failed, What};
use tarefa_engine::collections::object_lock;
use tarefa_engine::collections::object_lock::Locked;
use tarefa_engine::collections::updating::{self, Element};
use tarefa_engine::collections::value::{Expected, Fetched, small, word_of};
use tarefa_engine::kinds;
use tarefa_engine::shm::heap::OutOfMemory;
use tarefa_engine::shm::object::handle::Handle;

use crate::collections::object_lock::Group;
use crate::convert::address::shared_object;
use crate::convert::element;
use crate::convert::element::Stored;
use crate::convert::errors::{DecodeError, EncodeError};
use crate::convert::handle;
use crate::convert::key;
use crate::convert::key::{Form, NotAKey};
use crate::runtime;
use crate::runtime::blocking::{Here, RustParker};
use crate::runtime::errors::{CreateError, TooManyThreads, from_no_slot};
use crate::runtime::interrupt::Interrupted;
use crate::sync::errors::LockError;
use crate::sync::items::{NestedUpdate, from_nested};

/// A map that threads and processes share, in the order in which keys came. Clones are handles
/// of one dict.
///
/// - Every method happens at one instant: nobody sees it half done, and a process killed in the
///   middle of one leaves the dict as it was. [`lock`](Dict::lock) groups several.
/// - Values read are copies. Handles are stored by reference, so what is nested is shared too.
/// - Keys are compared as Python compares them: numbers by value (`1`, `1.0` and `true` are one
///   key), strings, bytes, `None`, and tuples and sequences of those, in either language. Other
///   serde types are compared by the bytes that they serialise to. A NaN, a handle or a map is no key.
///
/// ```
/// use tarefa::{Dict, Process};
///
/// fn count(words: Dict<String, u64>) -> Result<(), tarefa::Failure> {
///     for word in ["a", "b", "a"] {
///         words.add(word, 1)?;
///     }
///     Ok(())
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let words = Dict::new()?;
/// let tasks = [(); 2].map(|()| Process::spawn(count, (words.clone(),)).unwrap());
/// for task in &tasks {
///     task.result(None)??;
/// }
/// assert_eq!(words.get("a")?, Some(4));
/// assert_eq!(words.keys()?, ["a", "b"]);
/// # Ok(())
/// # }
/// ```
pub struct Dict<K, V> {
    handle: Handle,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Dict<K, V>
where
    K: Serialize + DeserializeOwned + 'static,
    V: Serialize + DeserializeOwned + 'static,
{
    /// An empty dict.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn new() -> Result<Self, CreateError> {
        let me = runtime::get()?.try_me()?;
        let handle = Handle::adopt(&me, dict::create(&me, kinds::DICT)?);
        Ok(Self { handle, types: PhantomData })
    }

    /// A dict of those pairs; the last value of a key counts.
    ///
    /// # Errors
    /// [`DictError`]; also when there is no memory for a dict at all.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self, DictError> {
        let made = Self::new()?;
        made.extend(pairs)?;
        Ok(made)
    }

    /// Runs `act`, once no other thread groups its operations on the dict.
    #[inline]
    fn with<U>(
        &self,
        mut act: impl FnMut(&dict::Dict<'_>) -> Result<U, Failed>,
    ) -> Result<U, DictError> {
        let me = self.handle.try_me()?;
        let it = dict::Dict::at(&me, self.handle.off());
        let done = object_lock::retry_when_unlocked(
            &me,
            it.object_lock(),
            self.handle.off(),
            || RustParker,
            || act(&it),
        );
        Ok(done.unwrap_or_else(|_interrupted| Err(Locked.into()))?)
    }

    fn value(&self, fetched: Fetched) -> Result<V, DictError> {
        element::load(self.handle.runtime(), fetched).map_err(DictError::Decode)
    }

    fn store(&self, value: &V) -> Result<Stored, DictError> {
        let stored = element::store(value)?;
        let itself = stored.mentions(&self.handle);
        if itself { Err(DictError::Itself) } else { Ok(stored) }
    }

    fn form<Q: Serialize + ?Sized>(key: &Q) -> Result<Form, DictError> {
        Ok(Form::of::<K, Q>(key)?)
    }

    /// How many keys it has.
    ///
    /// # Errors
    /// [`DictError::Interrupted`] while another thread groups operations.
    pub fn len(&self) -> Result<usize, DictError> {
        Ok(self.with(|it| it.len())? as usize)
    }

    /// Whether it has no key.
    ///
    /// # Errors
    /// As [`len`](Dict::len).
    pub fn is_empty(&self) -> Result<bool, DictError> {
        Ok(self.len()? == 0)
    }

    /// A copy of the key's value; `None` if the key is not there.
    ///
    /// # Errors
    /// [`DictError`].
    #[inline]
    pub fn get<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>, DictError>
    where
        K: Borrow<Q>,
    {
        let form = Self::form(key)?;
        let found = self.with(|it| it.get(form.canonical()))?;
        found.map(|fetched| self.value(fetched)).transpose()
    }

    /// Whether the key is there.
    ///
    /// # Errors
    /// [`DictError`].
    pub fn contains_key<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<bool, DictError>
    where
        K: Borrow<Q>,
    {
        let form = Self::form(key)?;
        self.with(|it| it.contains(form.canonical()))
    }

    /// Makes `value` the key's value, whatever it was: [`replace`](Dict::replace) says that.
    ///
    /// # Errors
    /// [`DictError`]; the dict is as it was.
    #[inline]
    pub fn insert(&self, key: K, value: V) -> Result<(), DictError> {
        let (form, stored) = (Self::form(&key)?, self.store(&value)?);
        stored.with(self.handle.runtime(), |item| self.with(|it| it.set(&form.key(), item)))
    }

    /// Makes `value` the key's value, and returns what it was.
    ///
    /// # Errors
    /// [`DictError`]; the dict is as it was.
    pub fn replace(&self, key: K, value: V) -> Result<Option<V>, DictError> {
        let (form, stored) = (Self::form(&key)?, self.store(&value)?);
        self.updating(Element::All, || {
            let before = self.with(|it| it.get(form.canonical()))?;
            let expected = Expected::of(before.as_ref());
            let same = stored.with(self.handle.runtime(), |item| {
                self.with(|it| it.replace_if(&form.key(), expected, Some(item)))
            })?;
            if same { before.map(|b| self.value(b)).transpose().map(Some) } else { Ok(None) }
        })
    }

    /// The key's value, which is `value` if it had none.
    ///
    /// # Errors
    /// [`DictError`]; the dict is as it was.
    pub fn get_or_insert(&self, key: K, value: V) -> Result<V, DictError> {
        let (form, stored) = (Self::form(&key)?, self.store(&value)?);
        let there = stored.with(self.handle.runtime(), |item| {
            self.with(|it| it.set_default(&form.key(), item))
        })?;
        there.map_or(Ok(value), |fetched| self.value(fetched))
    }

    /// Makes what `change` says of the key's value its value, at one instant; `None` stands for
    /// a key that is not there, both ways. Returns the value that it has then.
    ///
    /// `change` may be called more than once, when others change the value meanwhile. It must not
    /// change the key's value itself, by an `update` of its own or otherwise.
    ///
    /// # Errors
    /// [`DictError`], [`DictError::Nested`] among them; what `change` returned is not stored then.
    pub fn update<Q: Serialize + ?Sized>(
        &self,
        key: &Q,
        mut change: impl FnMut(Option<V>) -> Option<V>,
    ) -> Result<Option<V>, DictError>
    where
        K: Borrow<Q>,
    {
        let form = Self::form(key)?;
        self.updating(Element::Key(form.canonical().clone()), || {
            let before = self.with(|it| it.get(form.canonical()))?;
            let expected = Expected::of(before.as_ref());
            let copy = self.with(|it| it.get(form.canonical()))?;
            let after = change(copy.map(|c| self.value(c)).transpose()?);
            let stored = after.as_ref().map(|v| self.store(v)).transpose()?;
            let same = match &stored {
                None => self.with(|it| it.replace_if(&form.key(), expected, None))?,
                Some(stored) => stored.with(self.handle.runtime(), |item| {
                    self.with(|it| it.replace_if(&form.key(), expected, Some(item)))
                })?,
            };
            Ok(same.then_some(after))
        })
    }

    /// Runs `once`, which computes `element` anew, until it gives something.
    fn updating<T>(
        &self,
        element: Element,
        once: impl FnMut() -> Result<Option<T>, DictError>,
    ) -> Result<T, DictError> {
        let me = self.handle.try_me()?;
        let updating = updating::begin(&me, self.handle.off(), element)?;
        let cell = dict::Dict::at(&me, self.handle.off()).object_lock();
        updating::retry_optimistic(&updating, || Group::insist(&self.handle, cell), once)
    }

    /// Adds `n` to the key's value, where a key that is not there counts as nothing, and returns
    /// the sum.
    ///
    /// # Errors
    /// [`DictError`]; the dict is as it was.
    pub fn add<Q: Serialize + ?Sized>(&self, key: &Q, n: V) -> Result<V, DictError>
    where
        K: Borrow<Q>,
        V: Add<Output = V> + Default + Clone,
    {
        let form = Self::form(key)?;
        if let (true, Stored::Word(word)) = (is_wide::<V>(), element::store(&n)?) {
            let added = self.with(|it| it.add(&form.key(), small(word)))?;
            if let Added::Now(sum) = added {
                let word = word_of(sum).unwrap_or(word);
                return self.value(Fetched::Word(word));
            }
        }
        let sum = self.update(key, |before| Some(before.unwrap_or_default() + n.clone()))?;
        Ok(sum.unwrap_or_default())
    }

    /// Takes the key out and returns its value; `None` if it was not there.
    ///
    /// # Errors
    /// [`DictError`]; the dict is as it was, but for a value that cannot be read.
    pub fn remove<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>, DictError>
    where
        K: Borrow<Q>,
    {
        let form = Self::form(key)?;
        let taken = self.with(|it| it.remove(form.canonical()))?;
        taken.map(|fetched| self.value(fetched)).transpose()
    }

    /// Takes out the key that came last.
    ///
    /// # Errors
    /// As [`remove`](Dict::remove).
    pub fn pop_last(&self) -> Result<Option<(K, V)>, DictError> {
        let Some((key, value)) = self.with(|it| it.pop_last())? else { return Ok(None) };
        Ok(Some((self.key(key)?, self.value(value)?)))
    }

    fn key(&self, fetched: Fetched) -> Result<K, DictError> {
        key::load(self.handle.runtime(), fetched).map_err(DictError::Decode)
    }

    /// Puts all pairs in, at one instant; the last value of a key counts.
    ///
    /// # Errors
    /// [`DictError`]; the dict is as it was.
    pub fn extend(&self, pairs: impl IntoIterator<Item = (K, V)>) -> Result<(), DictError> {
        let stored = pairs
            .into_iter()
            .map(|(key, value)| Ok((Self::form(&key)?, self.store(&value)?)))
            .collect::<Result<Vec<_>, DictError>>()?;
        element::with_items(self.handle.runtime(), stored.iter().map(|(_, v)| v), |items| {
            let changes: Vec<_> = stored
                .iter()
                .zip(items)
                .map(|((form, _), item)| (form.key(), Change::Put(*item)))
                .collect();
            let applied = self.with(|it| it.apply(&changes, dict::Terms::default()))?;
            debug_assert_eq!(applied, Applied::Yes);
            Ok(())
        })
    }

    /// Takes everything out.
    ///
    /// # Errors
    /// [`DictError`]; the dict is as it was.
    pub fn clear(&self) -> Result<(), DictError> {
        self.with(|it| it.clear())
    }

    fn all(&self, what: What) -> Result<Vec<dict::Pair>, DictError> {
        Ok(self.with(|it| it.snapshot(what))?.pairs)
    }

    /// Copies of all keys, as they are at one instant, in the order in which they came.
    ///
    /// # Errors
    /// [`DictError`].
    pub fn keys(&self) -> Result<Vec<K>, DictError> {
        let all = self.all(What::Keys)?.into_iter();
        all.filter_map(|pair| pair.key).map(|key| self.key(key)).collect()
    }

    /// Copies of all values, as they are at one instant, in the order of their keys.
    ///
    /// # Errors
    /// [`DictError`].
    pub fn values(&self) -> Result<Vec<V>, DictError> {
        let all = self.all(What::Values)?.into_iter();
        all.filter_map(|pair| pair.value).map(|value| self.value(value)).collect()
    }

    /// Copies of all pairs, as they are at one instant, in the order in which the keys came.
    ///
    /// # Errors
    /// [`DictError`].
    pub fn to_vec(&self) -> Result<Vec<(K, V)>, DictError> {
        let all = self.all(What::Pairs)?.into_iter();
        all.filter_map(|pair| Some((pair.key?, pair.value?)))
            .map(|(key, value)| Ok((self.key(key)?, self.value(value)?)))
            .collect()
    }

    /// The same as a map of this process's own.
    ///
    /// # Errors
    /// [`DictError`].
    pub fn to_hash_map(&self) -> Result<HashMap<K, V>, DictError>
    where
        K: Eq + Hash,
    {
        Ok(self.to_vec()?.into_iter().collect())
    }

    /// Groups operations: until the group is dropped, those of others wait. Waits at most
    /// `timeout` for its turn.
    ///
    /// # Errors
    /// [`LockError`]; there is no group then.
    #[track_caller]
    pub fn lock(&self, timeout: Option<Duration>) -> Result<Group<'_>, LockError> {
        let cell = dict::Dict::at(&self.handle.try_me()?, self.handle.off()).object_lock();
        Group::begin(&self.handle, cell, timeout, Here::now())
    }
}

/// Whether every sum that a word holds is one of the type: else the type adds.
fn is_wide<V: 'static>() -> bool {
    let wide = [
        TypeId::of::<i64>(),
        TypeId::of::<u64>(),
        TypeId::of::<isize>(),
        TypeId::of::<usize>(),
        TypeId::of::<i128>(),
        TypeId::of::<u128>(),
        TypeId::of::<f64>(),
    ];
    wide.contains(&TypeId::of::<V>())
}

impl<K, V> Clone for Dict<K, V> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone(), types: PhantomData }
    }
}

/// Two handles are equal when they lead to the same dict.
impl<K, V> PartialEq for Dict<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.handle == other.handle
    }
}

impl<K, V> Eq for Dict<K, V> {}

impl<K, V> fmt::Debug for Dict<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dict({})", self.handle.id())
    }
}

shared_object!([K, V] Dict<K, V>);

impl<K, V> Serialize for Dict<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        handle::serialize(&self.handle, serializer)
    }
}

impl<'de, K, V> Deserialize<'de> for Dict<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let handle = handle::deserialize(deserializer, kinds::DICT)?;
        Ok(Self { handle, types: PhantomData })
    }
}

/// An operation on a dict or a set failed; it is as it was.
#[derive(Debug, thiserror::Error)]
pub enum DictError {
    /// The system refused what the runtime needs.
    #[error("cannot set up the shared memory: {0}")]
    Runtime(#[source] io::Error),
    /// The shared memory is full.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// See [`NotAKey`].
    #[error(transparent)]
    Key(#[from] NotAKey),
    /// The value does not serialise.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A key or a value cannot be read here.
    #[error("a key or a value cannot be read: {0}")]
    Decode(#[source] DecodeError),
    /// The calling task was interrupted while another thread grouped its operations on it.
    #[error("{0}")]
    Interrupted(#[from] Interrupted),
    /// The value mentions the dict that it was to be put into, which would never be freed.
    #[error("a dict cannot be put into itself: it would never be freed")]
    Itself,
    /// See [`NestedUpdate`].
    #[error(transparent)]
    Nested(#[from] NestedUpdate),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

impl From<CreateError> for DictError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Memory(e) => Self::Memory(e),
            CreateError::Runtime(e) => Self::Runtime(e),
            CreateError::Threads(e) => Self::Threads(e),
        }
    }
}

impl From<engine_dict::DictError> for DictError {
    fn from(error: engine_dict::DictError) -> Self {
        match error {
            // Only an interrupt ends the wait for the lock of whoever groups operations.
            engine_dict::DictError::Locked(_) => Self::Interrupted(Interrupted),
            engine_dict::DictError::Memory(e) => Self::Memory(e),
        }
    }
}

from_no_slot!(DictError);

from_nested!(DictError);
