//! A set that threads and processes share.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tarefa_engine::collections::dict::{self, Change, DictError as Failed, Terms, What};
use tarefa_engine::collections::object_lock;
use tarefa_engine::collections::object_lock::Locked;
use tarefa_engine::collections::value::{Fetched, Item, NONE};
use tarefa_engine::kinds;
use tarefa_engine::shm::object::handle::Handle;

use crate::collections::dict::DictError;
use crate::collections::object_lock::Group;
use crate::convert::address::shared_object;
use crate::convert::handle;
use crate::convert::key;
use crate::convert::key::Form;
use crate::runtime;
use crate::runtime::blocking::{Here, RustParker};
use crate::runtime::errors::CreateError;
use crate::sync::errors::LockError;

/// A set that threads and processes share, in the order in which members came. Clones are
/// handles of one set. Members are compared as the keys of a [`Dict`](crate::Dict).
///
/// ```
/// use tarefa::Set;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let seen = Set::new()?;
/// assert!(seen.insert(3)?);
/// assert!(!seen.insert(3)?);
/// assert!(seen.contains(&3)?);
/// # Ok(())
/// # }
/// ```
pub struct Set<T> {
    handle: Handle,
    member: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned + 'static> Set<T> {
    /// An empty set.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn new() -> Result<Self, CreateError> {
        let me = runtime::get()?.try_me()?;
        let handle = Handle::adopt(&me, dict::create(&me, kinds::SET)?);
        Ok(Self { handle, member: PhantomData })
    }

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

    fn form<Q: Serialize + ?Sized>(member: &Q) -> Result<Form, DictError> {
        Ok(Form::of::<T, Q>(member)?)
    }

    fn load(&self, fetched: Fetched) -> Result<T, DictError> {
        key::load(self.handle.runtime(), fetched).map_err(DictError::Decode)
    }

    /// How many members it has.
    ///
    /// # Errors
    /// [`DictError::Interrupted`] while another thread groups operations.
    pub fn len(&self) -> Result<usize, DictError> {
        Ok(self.with(|it| it.len())? as usize)
    }

    /// Whether it has no member.
    ///
    /// # Errors
    /// As [`len`](Set::len).
    pub fn is_empty(&self) -> Result<bool, DictError> {
        Ok(self.len()? == 0)
    }

    /// Puts a member in; false if it was there.
    ///
    /// # Errors
    /// [`DictError`]; the set is as it was.
    pub fn insert(&self, member: T) -> Result<bool, DictError> {
        let form = Self::form(&member)?;
        let there = self.with(|it| it.set_default(&form.key(), Item::Word(NONE)))?;
        Ok(there.is_none())
    }

    /// Takes a member out; false if it was not there.
    ///
    /// # Errors
    /// [`DictError`]; the set is as it was.
    pub fn remove<Q: Serialize + ?Sized>(&self, member: &Q) -> Result<bool, DictError>
    where
        T: Borrow<Q>,
    {
        let form = Self::form(member)?;
        Ok(self.with(|it| it.remove(form.canonical()))?.is_some())
    }

    /// Whether it is a member.
    ///
    /// # Errors
    /// [`DictError`].
    pub fn contains<Q: Serialize + ?Sized>(&self, member: &Q) -> Result<bool, DictError>
    where
        T: Borrow<Q>,
    {
        let form = Self::form(member)?;
        self.with(|it| it.contains(form.canonical()))
    }

    /// Puts all in, at one instant.
    ///
    /// # Errors
    /// [`DictError`]; the set is as it was.
    pub fn extend(&self, members: impl IntoIterator<Item = T>) -> Result<(), DictError> {
        let forms =
            members.into_iter().map(|m| Self::form(&m)).collect::<Result<Vec<_>, DictError>>()?;
        let changes: Vec<_> =
            forms.iter().map(|form| (form.key(), Change::Put(Item::Word(NONE)))).collect();
        self.with(|it| it.apply(&changes, Terms::default())).map(drop)
    }

    /// Takes everything out.
    ///
    /// # Errors
    /// [`DictError`]; the set is as it was.
    pub fn clear(&self) -> Result<(), DictError> {
        self.with(|it| it.clear())
    }

    /// Copies of all members, as they are at one instant, in the order in which they came.
    ///
    /// # Errors
    /// [`DictError`].
    pub fn to_vec(&self) -> Result<Vec<T>, DictError> {
        let snapshot = self.with(|it| it.snapshot(What::Keys))?;
        let members = snapshot.pairs.into_iter().filter_map(|pair| pair.key);
        members.map(|member| self.load(member)).collect()
    }

    /// The same as a set of this process's own.
    ///
    /// # Errors
    /// [`DictError`].
    pub fn to_hash_set(&self) -> Result<HashSet<T>, DictError>
    where
        T: Eq + Hash,
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

impl<T> Clone for Set<T> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone(), member: PhantomData }
    }
}

/// Two handles are equal when they lead to the same set.
impl<T> PartialEq for Set<T> {
    fn eq(&self, other: &Self) -> bool {
        self.handle == other.handle
    }
}

impl<T> Eq for Set<T> {}

impl<T> fmt::Debug for Set<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Set({})", self.handle.id())
    }
}

shared_object!([T] Set<T>);

impl<T> Serialize for Set<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        handle::serialize(&self.handle, serializer)
    }
}

impl<'de, T> Deserialize<'de> for Set<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let handle = handle::deserialize(deserializer, kinds::SET)?;
        Ok(Self { handle, member: PhantomData })
    }
}
