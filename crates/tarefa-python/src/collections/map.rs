//! `MapCore`: what `tarefa.Dict`, `Set`, `Counter` and `Namespace` have in common.

use std::collections::VecDeque;
use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple, PyType};
use tarefa_engine::collections::dict::{
    self, Applied, Change, Dict, DictError, Key, Order, Pair, Range, Terms, What,
};
use tarefa_engine::collections::object_lock::MaybeGuarded as _;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::{Member, heap};

use crate::collections::list::room_for;
use crate::collections::object_lock;
use crate::collections::object_lock::retry_when_unlocked;
use crate::convert::collector;
use crate::convert::encode;
use crate::convert::encode::Encoded;
use crate::convert::key::{PyKey, Stored, with_form};
use crate::runtime::blocking;
use crate::runtime::errors;
use crate::runtime::handle;
use crate::runtime::handle::Slot as _;
use crate::runtime::member;
use crate::runtime::module_objects;
use crate::runtime::registry::SharedClass;

/// Keys, and perhaps values, in shared memory.
#[pyclass(frozen, subclass, weakref, name = "Map", module = "tarefa")]
#[derive(Debug)]
pub(crate) struct MapCore {
    handle: Handle,
}

/// The entries that an iteration fetches first, and at the most: the first key of many is
/// cheap, and so is each of many.
const FIRST: usize = 16;
const MOST: usize = 512;
/// For fewer keys the question whether there is room costs more than the answer is worth.
const FEW: usize = 4096;

impl MapCore {
    pub(crate) fn of(handle: Handle) -> Self {
        Self { handle }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// For a class's `__new__`: a new object of the kind that the class names, or the one of
    /// the bare core `T` that is given.
    pub(crate) fn made<T>(
        cls: &Bound<'_, PyType>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self>
    where
        T: pyo3::PyClass<BaseType = Self>,
    {
        let py = cls.py();
        if let Some(core) = handle::core_in::<T>(args) {
            return Ok(Self { handle: core.as_super().get().handle.clone() });
        }
        if let Some(handle) = module_objects::find(cls, args, kwargs)? {
            return Ok(Self { handle });
        }
        let kind = cls.getattr("_KIND")?.extract()?;
        let me = member::me(py)?;
        let off = blocking::allocated(py, || dict::create(&me, kind))?;
        Ok(Self { handle: Handle::adopt(&me, off) })
    }

    /// Runs `act` on the dict, once no other thread groups its operations on it.
    #[inline]
    pub(crate) fn with<T>(
        &self,
        py: Python<'_>,
        me: &Member,
        mut act: impl FnMut(&Dict<'_>) -> Result<T, DictError>,
    ) -> PyResult<T> {
        let dict = Dict::at(me, self.handle.off());
        // Mostly at once, and then its result is moved once.
        match heap::retrying(me, || act(&dict)) {
            Ok(done) => Ok(done),
            Err(e) if !e.is_guarded() => Err(failed(py, e)),
            Err(_) => {
                retry_when_unlocked(py, me, dict.object_lock(), self.handle.off(), || act(&dict))?
                    .map_err(|e| failed(py, e))
            }
        }
    }

    /// Encodes a key and a value that are to be put in.
    pub(crate) fn encode_key<'py>(
        &self,
        me: &Member,
        key: PyKey<'py>,
        object: &Bound<'py, PyAny>,
    ) -> PyResult<Stored<'py>> {
        let stored = Stored::from(me, key, object)?;
        if let Some(given) = stored.given() {
            encode::outside(given, self.handle.off())?;
        }
        Ok(stored)
    }

    pub(crate) fn encode_value<'py>(
        &self,
        me: &Member,
        object: &Bound<'py, PyAny>,
    ) -> PyResult<Encoded<'py>> {
        encode::encode_into(me, object, self.handle.off())
    }

    /// Makes several changes at one instant.
    fn make(
        &self,
        py: Python<'_>,
        me: &Member,
        todo: &[Todo<'_>],
        terms: Terms,
    ) -> PyResult<Applied> {
        let mut changes: Vec<(Key<'_>, Change<'_>)> = room_for(todo.len())?;
        for one in todo {
            changes.push((one.key()?, one.change()?));
        }
        self.with(py, me, |dict| dict.apply(&changes, terms))
    }

    /// Makes all the pairs of a plain dict those keys' values, at one instant.
    pub(crate) fn put_all(&self, py: Python<'_>, pairs: &Bound<'_, PyDict>) -> PyResult<()> {
        let me = self.handle.try_slot()?;
        if pairs.len() > FEW {
            // Each key is one of its own, and what has keys may have memory for more of them.
            let before = self.with(py, &me, |dict| dict.len())?;
            let new = (pairs.len() as u64).saturating_sub(before);
            let bytes = new.saturating_mul(if before == 0 { dict::OF_A_KEY } else { 8 });
            blocking::allocated(py, || heap::check_room(&me, bytes))?;
        }
        let mut todo = room_for(pairs.len())?;
        for (key, value) in pairs.iter() {
            let key = self.encode_key(&me, PyKey::of(&key)?, &key)?;
            todo.push(Todo { key, step: Step::Put(self.encode_value(&me, &value)?) });
        }
        self.make(py, &me, &todo, Terms::default()).map(drop)
    }
}

pub(crate) fn failed(py: Python<'_>, e: DictError) -> PyErr {
    match e {
        DictError::Memory(e) => errors::out_of_memory(py, e),
        DictError::Locked(e) => pyo3::exceptions::PyRuntimeError::new_err(e.to_string()),
    }
}

struct Todo<'py> {
    key: Stored<'py>,
    step: Step<'py>,
}

enum Step<'py> {
    Put(Encoded<'py>),
    Remove,
    Toggle,
    Add(u64),
}

impl Todo<'_> {
    fn key(&self) -> PyResult<Key<'_>> {
        self.key.key()
    }

    fn change(&self) -> PyResult<Change<'_>> {
        Ok(match &self.step {
            Step::Put(encoded) => Change::Put(encoded.item()?),
            Step::Remove => Change::Remove,
            Step::Toggle => Change::Toggle,
            Step::Add(word) => Change::Add(tarefa_engine::collections::value::small(*word)),
        })
    }
}

fn what(name: &str) -> What {
    match name {
        "keys" => What::Keys,
        "values" => What::Values,
        _ => What::Pairs,
    }
}

/// An entry as Python sees it: a key, a value, or a tuple of both.
fn decoded(py: Python<'_>, me: &Member, pair: Pair) -> PyResult<Py<PyAny>> {
    let key = pair.key.map(|key| encode::decode(py, me, key)).transpose()?;
    let value = pair.value.map(|value| encode::decode(py, me, value)).transpose()?;
    match (key, value) {
        (Some(key), Some(value)) => Ok((key, value).into_pyobject(py)?.into_any().unbind()),
        (Some(one), None) | (None, Some(one)) => Ok(one),
        (None, None) => Ok(py.None()),
    }
}

impl SharedClass for MapCore {
    fn handle_in(object: &Bound<'_, Self>) -> Option<Handle> {
        Some(object.get().handle().clone())
    }
}

#[pymethods]
impl MapCore {
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        let me = self.handle.try_slot()?;
        self.with(py, &me, |dict| dict.len()).map(|len| len as usize)
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let me = self.handle.try_slot()?;
        with_form(key, |form| self.with(key.py(), &me, |dict| dict.contains(form)))
    }

    /// Takes everything out.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        let me = self.handle.try_slot()?;
        self.with(py, &me, |dict| dict.clear())
    }

    /// Goes over the keys, the values or the pairs that are there now.
    #[pyo3(name = "_walk")]
    fn walk(slf: &Bound<'_, Self>, of: &str, backwards: bool) -> MapIterator {
        let core = slf.get();
        let range = core.handle.with_me(|me| Dict::at(me, core.handle.off()).all());
        MapIterator {
            handle: core.handle.clone(),
            what: what(of),
            order: if backwards { Order::Down } else { Order::Up },
            at: Mutex::new(Walk { range, fetched: VecDeque::new(), next: FIRST }),
        }
    }

    /// (version, keys or values or pairs) at one instant.
    #[pyo3(name = "_read")]
    fn read<'py>(&self, py: Python<'py>, of: &str) -> PyResult<(u64, Bound<'py, PyList>)> {
        let me = self.handle.try_slot()?;
        let shot = self.with(py, &me, |dict| dict.snapshot(what(of)))?;
        let items = PyList::empty(py);
        for pair in shot.pairs {
            items.append(decoded(py, &me, pair)?)?;
        }
        Ok((shot.version, items))
    }

    /// The pairs at one instant, as a plain dict.
    #[pyo3(name = "_read_dict")]
    fn read_dict<'py>(&self, py: Python<'py>) -> PyResult<(u64, Bound<'py, PyDict>)> {
        let me = self.handle.try_slot()?;
        let shot = self.with(py, &me, |dict| dict.snapshot(What::Pairs))?;
        let items = PyDict::new(py);
        for pair in shot.pairs {
            if let (Some(key), Some(value)) = (pair.key, pair.value) {
                items.set_item(encode::decode(py, &me, key)?, encode::decode(py, &me, value)?)?;
            }
        }
        Ok((shot.version, items))
    }

    /// Makes changes at one instant: ("put", key, value), ("add", key, number), ("remove", key,
    /// None), ("toggle", key, None), each key once. With `only` all other keys are taken out.
    /// False if `version` is given and not that of the dict; None if a sum is not to be had
    /// without Python. Nothing is done then.
    #[pyo3(signature = (changes, version = None, only = false))]
    #[pyo3(name = "_apply")]
    fn apply(
        &self,
        py: Python<'_>,
        changes: &Bound<'_, PyList>,
        version: Option<u64>,
        only: bool,
    ) -> PyResult<Option<bool>> {
        let me = self.handle.try_slot()?;
        let mut todo = room_for(changes.len())?;
        for change in changes.iter() {
            let (step, key, value): (String, Bound<'_, PyAny>, Bound<'_, PyAny>) =
                change.extract()?;
            let step = match step.as_str() {
                "put" => Step::Put(self.encode_value(&me, &value)?),
                "remove" => Step::Remove,
                "toggle" => Step::Toggle,
                _ => match encode::word(&value) {
                    Some(word) => Step::Add(word),
                    None => return Ok(None),
                },
            };
            todo.push(Todo { key: self.encode_key(&me, PyKey::of(&key)?, &key)?, step });
        }
        Ok(match self.make(py, &me, &todo, Terms { version, only })? {
            Applied::Yes => Some(true),
            Applied::Changed => Some(false),
            Applied::NotSmall => None,
        })
    }

    /// Calls `attempt`, which computes the object anew, until it says that it was done.
    #[pyo3(name = "_retry_optimistic")]
    fn retry_optimistic(
        slf: &Bound<'_, Self>,
        attempt: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let handle = &slf.get().handle;
        let cell = Dict::at(&handle.try_slot()?, handle.off()).object_lock();
        object_lock::retry_optimistic(slf.as_any(), handle, cell, attempt, error)
    }

    /// Takes the lock that makes others' operations on the object wait.
    #[pyo3(signature = (blocking = None, timeout = None))]
    #[pyo3(name = "_object_lock_acquire")]
    fn object_lock_acquire(
        &self,
        py: Python<'_>,
        blocking: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let me = self.handle.try_slot()?;
        let cell = Dict::at(&me, self.handle.off()).object_lock();
        object_lock::acquire(py, &me, cell, self.handle.off(), blocking, timeout)
    }

    /// Lets that lock go.
    #[pyo3(name = "_object_lock_release")]
    fn object_lock_release(&self) -> PyResult<()> {
        let me = self.handle.try_slot()?;
        object_lock::release(&me, Dict::at(&me, self.handle.off()).object_lock())
    }

    /// Keeps what repairs the object after the death of who held that lock.
    #[pyo3(name = "_object_lock_repair")]
    fn object_lock_repair(&self, py: Python<'_>, function: &Bound<'_, PyAny>) -> PyResult<()> {
        let (me, off) = (self.handle.try_slot()?, self.handle.off());
        object_lock::set_repair(py, &me, Dict::at(&me, off).object_lock(), off, function)
    }

    /// Who holds that lock.
    #[pyo3(name = "_object_lock_owner")]
    fn object_lock_owner(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let me = self.handle.try_slot()?;
        object_lock::owner(py, &me, Dict::at(&me, self.handle.off()).object_lock())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Py<PyAny>, Bound<'py, PyTuple>)> {
        collector::reduce(py, &self.handle)
    }

    /// Tells objects apart: the same for all handles of one object.
    #[getter]
    fn object_id(&self) -> (u64, u64) {
        (self.handle.runtime().id(), self.handle.id())
    }
}

/// An iteration over the keys, values or pairs that were there when it began.
#[pyclass(frozen, module = "tarefa._engine")]
pub(crate) struct MapIterator {
    handle: Handle,
    what: What,
    order: Order,
    at: Mutex<Walk>,
}

struct Walk {
    range: Range,
    fetched: VecDeque<Py<PyAny>>,
    /// Entries to fetch the next time.
    next: usize,
}

#[pymethods]
impl MapIterator {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        // Not across a wait, during which another thread may come here.
        let (mut range, most) = {
            let mut at = self.lock();
            if let Some(one) = at.fetched.pop_front() {
                return Ok(Some(one));
            }
            if at.range.from >= at.range.to {
                return Ok(None);
            }
            let most = at.next;
            at.next = (most * 2).min(MOST);
            (at.range, most)
        };
        let me = self.handle.try_slot()?;
        let dict = Dict::at(&me, self.handle.off());
        let pairs = retry_when_unlocked(py, &me, dict.object_lock(), self.handle.off(), || {
            dict.walk(&mut range, self.order, self.what, most)
        })?
        .map_err(|e| failed(py, e))?;
        let mut fetched = VecDeque::with_capacity(pairs.len());
        for pair in pairs {
            fetched.push_back(decoded(py, &me, pair)?);
        }
        let first = fetched.pop_front();
        let mut at = self.lock();
        at.range = range;
        at.fetched.append(&mut fetched);
        Ok(first)
    }
}

impl MapIterator {
    fn lock(&self) -> std::sync::MutexGuard<'_, Walk> {
        self.at.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
