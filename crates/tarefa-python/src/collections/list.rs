//! `ListCore`: what `tarefa.List` is made of. The rest of a list's methods are in Python.

use pyo3::exceptions::{PyIndexError, PyMemoryError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySlice, PyTuple, PyType};
use tarefa_engine::collections::list::{self, Cut, List, ListError, Source};
use tarefa_engine::collections::updating::{self, Element};
use tarefa_engine::collections::value::{Expected, Item};
use tarefa_engine::os::rlimit;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::{Member, Off, heap};

use crate::collections::object_lock;
use crate::collections::object_lock::{insisting, retry_when_unlocked};
use crate::convert::collector;
use crate::convert::encode;
use crate::convert::encode::Encoded;
use crate::runtime::blocking;
use crate::runtime::errors;
use crate::runtime::handle;
use crate::runtime::handle::Slot as _;
use crate::runtime::hooks::{self, Hook};
use crate::runtime::member;
use crate::runtime::module_objects;
use crate::runtime::registry::SharedClass;

/// A list in shared memory.
#[pyclass(frozen, subclass, weakref, generic, name = "List", module = "tarefa")]
#[derive(Debug)]
pub(crate) struct ListCore {
    handle: Handle,
}

impl ListCore {
    pub(crate) fn of(handle: Handle) -> Self {
        Self { handle }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs `act` on the list, once no other thread groups its operations on it.
    #[inline]
    fn with<T>(
        &self,
        py: Python<'_>,
        me: &Member,
        mut act: impl FnMut(&List<'_>) -> Result<T, ListError>,
    ) -> PyResult<T> {
        let list = List::at(me, self.handle.off());
        retry_when_unlocked(py, me, list.object_lock(), self.handle.off(), || act(&list))?
            .map_err(|e| failed(py, e))
    }

    /// An index from either end as a position, if it is one now.
    fn position(list: &List<'_>, index: isize) -> Result<u64, ListError> {
        if index >= 0 {
            return Ok(index as u64);
        }
        let (index, len) = (index.unsigned_abs() as u64, list.count()?);
        len.checked_sub(index).ok_or(ListError::OutOfRange { index, len })
    }
}

fn out_of_range() -> PyErr {
    PyIndexError::new_err("list index out of range")
}

fn failed(py: Python<'_>, e: ListError) -> PyErr {
    match e {
        ListError::OutOfRange { .. } => out_of_range(),
        other => errors::list(py, other),
    }
}

fn encode_all<'py>(
    me: &Member,
    items: &Bound<'py, PyList>,
    into: Off,
) -> PyResult<Vec<Encoded<'py>>> {
    let mut all = room_for(items.len())?;
    for item in items.iter() {
        all.push(encode::encode_into(me, &item, into)?);
    }
    Ok(all)
}

/// The encoded as what the engine takes.
fn items_of<'a>(encoded: &'a [Encoded<'_>]) -> PyResult<Vec<Item<'a>>> {
    let mut all = room_for(encoded.len())?;
    for one in encoded {
        all.push(one.item()?);
    }
    Ok(all)
}

/// A `MemoryError` where there is no memory for so many, rather than the end of the process.
pub(crate) fn room_for<T>(count: usize) -> PyResult<Vec<T>> {
    let mut all = Vec::new();
    all.try_reserve_exact(count).map_err(|_| {
        let cause =
            rlimit::no_private_memory().map_or_else(String::new, |text| format!(": {text}"));
        PyMemoryError::new_err(format!(
            "no private memory for {count} elements on their way{cause}"
        ))
    })?;
    Ok(all)
}

/// Raises `ArenaFull` if there is no room for `words` more elements, each at least a word.
#[pyfunction]
pub(crate) fn check_room(py: Python<'_>, words: &Bound<'_, PyAny>) -> PyResult<()> {
    // What is no such number is more than any memory holds.
    let words = words.extract::<u64>().unwrap_or(u64::MAX);
    let me = member::me(py)?;
    blocking::allocated(py, || heap::check_room(&me, words.saturating_mul(8)))
}

/// An index as an argument: one that no list is long enough for is out of range.
struct Index(isize);

impl<'py> FromPyObject<'_, 'py> for Index {
    type Error = PyErr;

    fn extract(object: pyo3::Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        index_of(&object).map(Self)
    }
}

/// An index as a number; `IndexError` for one that no container is long enough for.
pub(crate) fn index_of(key: &Bound<'_, PyAny>) -> PyResult<isize> {
    // SAFETY: attached; a live object; the exception, if any, is fetched just below.
    let index = unsafe { ffi::PyNumber_AsSsize_t(key.as_ptr(), ffi::PyExc_IndexError) };
    if index == -1 {
        if let Some(e) = PyErr::take(key.py()) {
            return Err(e);
        }
    }
    Ok(index)
}

/// Whether `key` is a whole number.
pub(crate) fn is_index(key: &Bound<'_, PyAny>) -> bool {
    // SAFETY: attached; a live object.
    unsafe { ffi::PyIndex_Check(key.as_ptr()) != 0 }
}

impl SharedClass for ListCore {
    fn handle_in(object: &Bound<'_, Self>) -> Option<Handle> {
        Some(object.get().handle().clone())
    }
}

#[pymethods]
impl ListCore {
    #[new]
    #[classmethod]
    #[pyo3(signature = (*args, **kwargs))]
    fn new(
        cls: &Bound<'_, PyType>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        if let Some(core) = handle::core_in::<Self>(args) {
            return Ok(Self { handle: core.get().handle.clone() });
        }
        if let Some(handle) = module_objects::find(cls, args, kwargs)? {
            return Ok(Self { handle });
        }
        let py = cls.py();
        let me = member::me(py)?;
        let off = blocking::allocated(py, || list::create(&me))?;
        Ok(Self { handle: Handle::adopt(&me, off) })
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        let me = self.handle.try_slot()?;
        Ok(self.with(py, &me, |list| list.count())? as usize)
    }

    /// Adds an element at the end.
    fn append(&self, py: Python<'_>, item: &Bound<'_, PyAny>) -> PyResult<()> {
        let me = self.handle.try_slot()?;
        if let Some(word) = encode::word(item) {
            return self.with(py, &me, |list| list.append(Item::Word(word)));
        }
        let encoded = encode::encode_into(&me, item, self.handle.off())?;
        let item = encoded.item()?;
        self.with(py, &me, |list| list.append(item))
    }

    /// Adds the elements of a plain list at the end, all at one instant.
    #[pyo3(name = "_extend_from")]
    fn extend_from(&self, py: Python<'_>, items: &Bound<'_, PyList>) -> PyResult<()> {
        let me = self.handle.try_slot()?;
        let words = (items.len() as u64).saturating_mul(8);
        blocking::allocated(py, || heap::check_room(&me, words))?;
        let encoded = encode_all(&me, items, self.handle.off())?;
        let items = items_of(&encoded)?;
        self.with(py, &me, |list| list.extend(&items))
    }

    fn __getitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        if !is_index(key) {
            return self.slice(py, key);
        }
        let index = index_of(key)?;
        let me = self.handle.try_slot()?;
        let list = List::at(&me, self.handle.off());
        if let Some(word) =
            Self::position(&list, index).ok().and_then(|at| list.read_optimistic(at))
        {
            return encode::decode_word(py, word.map_err(|e| failed(py, e))?);
        }
        let fetched = self.with(py, &me, |list| list.get(Self::position(list, index)?))?;
        encode::decode(py, &me, fetched)
    }

    fn __setitem__(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        item: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        if !is_index(key) {
            return self.call_python(py, &hooks::SET_SLICE, (key, item));
        }
        let index = index_of(key)?;
        let me = self.handle.try_slot()?;
        let encoded = encode::encode_into(&me, item, self.handle.off())?;
        let item = encoded.item()?;
        self.with(py, &me, |list| list.set(Self::position(list, index)?, item))
    }

    fn __delitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        if !is_index(key) {
            return self.call_python(py, &hooks::DELETE_SLICE, (key,));
        }
        let index = index_of(key)?;
        let me = self.handle.try_slot()?;
        self.with(py, &me, |list| list.discard(Self::position(list, index)?))
    }

    /// Takes out the elements that a slice names, all at one instant. Needs no memory.
    #[pyo3(name = "_delete_slice")]
    fn delete_slice(&self, py: Python<'_>, key: &Bound<'_, PySlice>) -> PyResult<()> {
        let me = self.handle.try_slot()?;
        loop {
            let shot = self.with(py, &me, |list| Ok((list.snapshot(0, 0)?.version, list.len())))?;
            let slice = key.indices(isize::try_from(shot.1)?)?;
            let count = slice.slicelength as u64;
            let (first, step) = (slice.start.unsigned_abs() as u64, slice.step.unsigned_abs());
            let step = step as u64;
            // Backwards is the same ones from the other end.
            let first =
                if slice.step < 0 && count > 0 { first - (count - 1) * step } else { first };
            let cut = Cut { first, step, count };
            let done = self.with(py, &me, |list| match list.cut(cut, Some(shot)) {
                Err(ListError::Changed) => Ok(false),
                other => other.map(|()| true),
            })?;
            if done {
                return Ok(());
            }
        }
    }

    /// Assigns to a slice in place, at one instant, if it does not grow: needs no more memory than the
    /// values and a few words. False where that is not possible, or there is not even so much, or others
    /// come in between again and again: the usual way has them wait.
    #[pyo3(name = "_set_slice")]
    fn set_slice(
        &self,
        py: Python<'_>,
        key: &Bound<'_, PySlice>,
        values: &Bound<'_, PyList>,
    ) -> PyResult<bool> {
        let me = self.handle.try_slot()?;
        let mut encoded: Option<Vec<Encoded<'_>>> = None;
        for _ in 0..updating::TRIES {
            let shot = self.with(py, &me, |list| Ok((list.snapshot(0, 0)?.version, list.len())))?;
            let slice = key.indices(isize::try_from(shot.1)?)?;
            let (there, new) = (slice.slicelength, values.len());
            if new == 0 || new > there || (slice.step != 1 && new != there) {
                return Ok(false);
            }
            let all = match encoded.take() {
                Some(all) => all,
                None => encode_all(&me, values, self.handle.off())?,
            };
            let mut items = items_of(&all)?;
            let (mut first, step) = (slice.start.unsigned_abs() as u64, slice.step.unsigned_abs());
            if slice.step < 0 {
                // Backwards is the same ones from the other end.
                first -= (new as u64 - 1) * step as u64;
                items.reverse();
            }
            let at = (first, step as u64);
            let done = self.with(py, &me, |list| {
                match list.splice(shot, at, &items, (there - new) as u64) {
                    Err(ListError::Changed) => Ok(None),
                    Err(ListError::Memory(e)) if !e.is_held_up() => Ok(Some(false)),
                    other => other.map(|()| Some(true)),
                }
            })?;
            if let Some(done) = done {
                return Ok(done);
            }
            drop(items);
            encoded = Some(all);
        }
        Ok(false)
    }

    /// Takes out the element at `index`, if `version` and `length` still hold; false when they do
    /// not. Needs no memory.
    #[pyo3(name = "_remove_if")]
    fn remove_if(&self, py: Python<'_>, version: u64, length: u64, index: u64) -> PyResult<bool> {
        let me = self.handle.try_slot()?;
        let cut = Cut { first: index, step: 1, count: 1 };
        self.with(py, &me, |list| match list.cut(cut, Some((version, length))) {
            Err(ListError::Changed) => Ok(false),
            other => other.map(|()| true),
        })
    }

    /// Repeats the elements so that they are there `times` times, if `version` still holds and
    /// `items` are all; false when not.
    #[pyo3(name = "_repeat")]
    fn repeat(
        &self,
        py: Python<'_>,
        version: u64,
        items: &Bound<'_, PyList>,
        times: u64,
    ) -> PyResult<bool> {
        let me = self.handle.try_slot()?;
        let more = times.saturating_sub(1);
        let words = (items.len() as u64).saturating_mul(more).saturating_mul(8);
        blocking::allocated(py, || heap::check_room(&me, words))?;
        let encoded = encode_all(&me, items, self.handle.off())?;
        let new = items_of(&encoded)?;
        let blobs = new.iter().map(|item| item.stored_bytes()).fold(0, u64::saturating_add);
        let all = words.saturating_add(blobs.saturating_mul(more));
        blocking::allocated(py, || heap::check_room(&me, all))?;
        let length = new.len() as u64;
        let kept = (0..length).map(Source::Keep);
        let added = (0..more).flat_map(|_| new.iter().map(|item| Source::New(*item)));
        let mut sources = room_for(new.len().saturating_mul(times as usize))?;
        sources.extend(kept.chain(added));
        self.with(py, &me, |list| match list.rebuild(version, length, &sources) {
            Ok(()) => Ok(true),
            Err(ListError::Changed) => Ok(false),
            Err(e) => Err(e),
        })
    }

    /// Takes out and returns the element at `index`, by default the last.
    #[pyo3(signature = (index = Index(-1), /), text_signature = "($self, index=-1, /)")]
    fn pop(&self, py: Python<'_>, index: Index) -> PyResult<Py<PyAny>> {
        let Index(index) = index;
        self.remove_at(py, index, |empty| {
            PyIndexError::new_err(if empty {
                "pop from empty list"
            } else {
                "pop index out of range"
            })
        })
    }

    /// Puts an element before the one at `index`.
    fn insert(
        &self,
        py: Python<'_>,
        index: &Bound<'_, PyAny>,
        item: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let index = if is_index(index) {
            index_of(index)?
        } else {
            let text = format!("an index is a whole number, not {}", index.get_type().name()?);
            return Err(PyTypeError::new_err(text));
        };
        let me = self.handle.try_slot()?;
        let encoded = encode::encode_into(&me, item, self.handle.off())?;
        let item = encoded.item()?;
        self.with(py, &me, |list| {
            let position = match Self::position(list, index) {
                Err(ListError::OutOfRange { .. }) => 0,
                other => other?,
            };
            list.insert(position, item)
        })
    }

    /// Makes the element at `index` what `change` returns for it, at one instant.
    #[pyo3(signature = (index, change, /))]
    fn update(
        &self,
        py: Python<'_>,
        index: &Bound<'_, PyAny>,
        change: &Bound<'_, PyAny>,
    ) -> PyResult<Py<PyAny>> {
        let index = index_of(index)?;
        let me = self.handle.try_slot()?;
        let cell = List::at(&me, self.handle.off()).object_lock();
        let position = self.with(py, &me, |list| Self::position(list, index))?;
        insisting(py, &me, cell, self.handle.off(), Element::Index(position), || {
            let (position, read) = self.with(py, &me, |list| {
                let position = Self::position(list, index)?;
                Ok((position, list.get(position)?))
            })?;
            let new = change.call1((encode::decode_ref(py, &me, &read)?,))?;
            let encoded = encode::encode_into(&me, &new, self.handle.off())?;
            let item = encoded.item()?;
            let expected = Expected::of(Some(&read));
            let done = self.with(py, &me, |list| list.replace_if(position, expected, item))?;
            Ok(done.then(|| new.unbind()))
        })
    }

    /// Takes everything out.
    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        let me = self.handle.try_slot()?;
        self.with(py, &me, |list| list.clear())
    }

    /// (version, elements) at one instant.
    #[pyo3(signature = (start = 0, stop = None))]
    #[pyo3(name = "_read")]
    fn read<'py>(
        &self,
        py: Python<'py>,
        start: u64,
        stop: Option<u64>,
    ) -> PyResult<(u64, Bound<'py, PyList>)> {
        let me = self.handle.try_slot()?;
        let stop = stop.unwrap_or(u64::MAX);
        let shot = self.with(py, &me, |list| list.snapshot(start, stop))?;
        let items = PyList::empty(py);
        for item in shot.items {
            items.append(encode::decode(py, &me, item)?)?;
        }
        Ok((shot.version, items))
    }

    /// Makes the list of old indices and new values (`(True, index)`, `(False, value)`), if
    /// `version` and `length` still hold; false when they do not.
    #[pyo3(name = "_rebuild")]
    fn rebuild(
        &self,
        py: Python<'_>,
        version: u64,
        length: u64,
        sources: &Bound<'_, PyList>,
    ) -> PyResult<bool> {
        let me = self.handle.try_slot()?;
        let words = (sources.len() as u64).saturating_sub(length).saturating_mul(8);
        blocking::allocated(py, || heap::check_room(&me, words))?;
        let mut plan: Vec<Result<u64, Encoded<'_>>> = room_for(sources.len())?;
        for source in sources.iter() {
            let (keep, value): (bool, Bound<'_, PyAny>) = source.extract()?;
            plan.push(if keep {
                let index: u64 = value.extract()?;
                if index >= length {
                    return Err(out_of_range());
                }
                Ok(index)
            } else {
                Err(encode::encode_into(&me, &value, self.handle.off())?)
            });
        }
        let mut sources = room_for(plan.len())?;
        for step in &plan {
            sources.push(match step {
                Ok(index) => Source::Keep(*index),
                Err(encoded) => Source::New(encoded.item()?),
            });
        }
        self.with(py, &me, |list| match list.rebuild(version, length, &sources) {
            Ok(()) => Ok(true),
            Err(ListError::Changed) => Ok(false),
            Err(e) => Err(e),
        })
    }

    /// Calls `attempt`, which computes the list anew, until it says that it was done.
    #[pyo3(name = "_retry_optimistic")]
    fn retry_optimistic(
        slf: &Bound<'_, Self>,
        attempt: &Bound<'_, PyAny>,
        error: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let handle = &slf.get().handle;
        let cell = List::at(&handle.try_slot()?, handle.off()).object_lock();
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
        let cell = List::at(&me, self.handle.off()).object_lock();
        object_lock::acquire(py, &me, cell, self.handle.off(), blocking, timeout)
    }

    /// Lets that lock go.
    #[pyo3(name = "_object_lock_release")]
    fn object_lock_release(&self) -> PyResult<()> {
        let me = self.handle.try_slot()?;
        object_lock::release(&me, List::at(&me, self.handle.off()).object_lock())
    }

    /// Keeps what repairs the object after the death of who held that lock.
    #[pyo3(name = "_object_lock_repair")]
    fn object_lock_repair(&self, py: Python<'_>, function: &Bound<'_, PyAny>) -> PyResult<()> {
        let (me, off) = (self.handle.try_slot()?, self.handle.off());
        object_lock::set_repair(py, &me, List::at(&me, off).object_lock(), off, function)
    }

    /// Who holds that lock.
    #[pyo3(name = "_object_lock_owner")]
    fn object_lock_owner(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let me = self.handle.try_slot()?;
        object_lock::owner(py, &me, List::at(&me, self.handle.off()).object_lock())
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

impl ListCore {
    /// Takes out the element at `index`; `none` is the error where there is none, told whether
    /// the list was empty.
    fn remove_at(
        &self,
        py: Python<'_>,
        index: isize,
        none: impl Fn(bool) -> PyErr,
    ) -> PyResult<Py<PyAny>> {
        let me = self.handle.try_slot()?;
        let taken = self.with(py, &me, |list| {
            let taken = if index == -1 {
                list.pop()
            } else {
                Self::position(list, index).and_then(|position| list.remove(position))
            };
            match taken {
                Err(ListError::OutOfRange { len, .. }) => Ok(Err(len == 0)),
                other => other.map(Ok),
            }
        })?;
        encode::decode(py, &me, taken.map_err(none)?)
    }

    fn slice(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (_, items) = self.read(py, 0, None)?;
        if key.cast::<pyo3::types::PySlice>().is_err() {
            let name = key.get_type().name()?;
            let text = format!("list indices must be integers or slices, not {name}");
            return Err(PyTypeError::new_err(text));
        }
        Ok(items.as_any().get_item(key)?.unbind())
    }

    fn call_python<'py, A>(&self, py: Python<'py>, hook: &'static Hook, args: A) -> PyResult<()>
    where
        A: IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error = PyErr>,
    {
        let core = Py::new(py, Self { handle: self.handle.clone() })?;
        let args = args.into_pyobject(py)?;
        let mut all = vec![core.into_any().into_bound(py)];
        all.extend(args.iter());
        hook.get(py)?.call1(PyTuple::new(py, all)?).map(drop)
    }
}
