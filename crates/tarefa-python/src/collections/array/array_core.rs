//! `ArrayCore`: what `tarefa.Array` and `tarefa.RawArray` are made of.

use pyo3::exceptions::{PyAttributeError, PyIndexError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyList, PySlice, PyString, PyTuple};
use tarefa_engine::collections::array::Array;
use tarefa_engine::collections::array::pep3118::Scalar;
use tarefa_engine::shm::object::handle::Handle;

use super::buffer::Borrowed;
use super::memory::ArrayMemory;
use super::scalars::{Bits, Type};
use crate::collections::array::item;
use crate::collections::array::item::Cells;
use crate::collections::list::{index_of, is_index};
use crate::runtime::registry::SharedClass;

/// Items in shared memory.
#[pyclass(frozen, subclass, weakref, generic, name = "Array", module = "tarefa")]
#[derive(Debug)]
pub(crate) struct ArrayCore {
    cells: Cells,
}

/// What a key says of one dimension.
#[derive(Clone, Copy, Debug)]
enum Selected {
    One(usize),
    Many { start: isize, step: isize, count: usize },
}

impl Selected {
    fn count(self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many { count, .. } => count,
        }
    }

    fn at(self, i: usize) -> usize {
        match self {
            Self::One(at) => at,
            Self::Many { start, step, .. } => (start + step * i as isize) as usize,
        }
    }
}

impl ArrayCore {
    pub(crate) fn cells(&self) -> &Cells {
        &self.cells
    }

    fn extents(&self) -> &[usize] {
        &self.cells.memory().extents
    }

    fn item_type(&self) -> PyResult<Type<'_>> {
        self.cells.item_type().ok_or_else(|| {
            let name = self.cells.memory().type_name();
            PyTypeError::new_err(format!("items of type {name} are read through get_obj()"))
        })
    }

    #[cold]
    fn out_of_range(&self, index: isize, dimension: usize) -> PyErr {
        let n = self.extents()[dimension];
        let along = if self.extents().len() > 1 {
            format!(" along dimension {dimension}")
        } else {
            String::new()
        };
        let text = format!("index {index} is out of range: the array has {n} items{along}");
        PyIndexError::new_err(text)
    }

    #[inline]
    fn position(&self, index: isize, dimension: usize) -> PyResult<usize> {
        let n = self.extents()[dimension];
        let from_end = if index < 0 { index + n as isize } else { index };
        if (0..n as isize).contains(&from_end) {
            return Ok(from_end as usize);
        }
        Err(self.out_of_range(index, dimension))
    }

    /// The item that an index, or an index for each dimension, names.
    #[inline]
    fn place(&self, key: &Bound<'_, PyAny>) -> PyResult<u64> {
        if self.extents().len() == 1 && is_index(key) {
            return Ok(self.position(index_of(key)?, 0)? as u64);
        }
        let selected = self.selected(key)?;
        if let Some(i) = selected.iter().position(|s| matches!(s, Selected::Many { .. })) {
            let n = selected.len();
            return Err(if is_index(key) || key.is_instance_of::<PyTuple>() {
                let text = format!("one item is named by {n} indices: dimension {i} has none");
                PyTypeError::new_err(text)
            } else {
                wrong_key(key)
            });
        }
        let at = |at, (n, s): (&usize, &Selected)| at * n + s.at(0);
        Ok(self.extents().iter().zip(&selected).fold(0, at) as u64)
    }

    fn selected(&self, key: &Bound<'_, PyAny>) -> PyResult<Vec<Selected>> {
        let keys: Vec<Bound<'_, PyAny>> = match key.cast::<PyTuple>() {
            Ok(keys) => keys.iter().collect(),
            Err(_) => vec![key.clone()],
        };
        let extents = self.extents();
        if keys.len() > extents.len() {
            let (given, has) = (keys.len(), extents.len());
            let text = format!("{given} indices were given: the array has {has} dimension(s)");
            return Err(PyIndexError::new_err(text));
        }
        let mut selected = Vec::with_capacity(extents.len());
        for (i, n) in extents.iter().enumerate() {
            selected.push(match keys.get(i) {
                None => Selected::Many { start: 0, step: 1, count: *n },
                Some(key) if is_index(key) => Selected::One(self.position(index_of(key)?, i)?),
                Some(key) => {
                    let slice = key.cast::<PySlice>().map_err(|_| wrong_key(key))?;
                    let at = slice.indices(*n as isize)?;
                    Selected::Many { start: at.start, step: at.step, count: at.slicelength }
                }
            });
        }
        Ok(selected)
    }

    /// Calls `act` with the number of each selected item, in order.
    fn each(&self, selected: &[Selected], act: &mut dyn FnMut(u64)) {
        fn walk(extents: &[usize], left: &[Selected], base: usize, act: &mut dyn FnMut(u64)) {
            let ([n, extents @ ..], [first, left @ ..]) = (extents, left) else {
                return act(base as u64);
            };
            for i in 0..first.count() {
                walk(extents, left, base * n + first.at(i), act);
            }
        }
        walk(self.extents(), selected, 0, act);
    }

    /// The selected items as Python has them: nested lists, or text.
    fn gather(
        py: Python<'_>,
        t: Type<'_>,
        selected: &[Selected],
        bits: &mut std::slice::Iter<'_, Bits>,
    ) -> PyResult<Py<PyAny>> {
        match selected {
            [] => t.decode(py, *bits.next().unwrap_or(&[0; 2])),
            [Selected::One(_), rest @ ..] => Self::gather(py, t, rest, bits),
            [Selected::Many { count, .. }, rest @ ..] => {
                if rest.iter().all(|s| matches!(s, Selected::One(_))) {
                    if let Some(text) = text(py, t, bits, *count)? {
                        return Ok(text);
                    }
                }
                let list = PyList::empty(py);
                for _ in 0..*count {
                    list.append(Self::gather(py, t, rest, bits)?)?;
                }
                Ok(list.into_any().unbind())
            }
        }
    }

    /// The bits of `value` for the selected items, in order.
    fn spread(
        t: Type<'_>,
        selected: &[Selected],
        value: &Bound<'_, PyAny>,
        bits: &mut Vec<Bits>,
    ) -> PyResult<()> {
        match selected {
            [] => bits.push(t.encode(value)?),
            [Selected::One(_), rest @ ..] => Self::spread(t, rest, value, bits)?,
            [Selected::Many { count, .. }, rest @ ..] => {
                let values: Vec<Bound<'_, PyAny>> = value
                    .try_iter()
                    .map_err(|_| {
                        let name =
                            value.get_type().name().map_or_else(|_| "?".into(), |n| n.to_string());
                        PyTypeError::new_err(format!(
                            "a slice takes as many items as it has, one after the other, not {name}"
                        ))
                    })?
                    .collect::<PyResult<_>>()?;
                if values.len() != *count {
                    let n = values.len();
                    let text = format!("{n} items do not fit a slice of {count}: lengths stay");
                    return Err(PyValueError::new_err(text));
                }
                for (i, value) in values.iter().enumerate() {
                    Self::spread(t, rest, value, bits).map_err(|e| at_item(value.py(), &e, i))?;
                }
            }
        }
        Ok(())
    }

    /// Of an array of text in one dimension.
    fn text_type(&self, what: &str, chars_only: bool) -> PyResult<Type<'_>> {
        match self.cells.item_type() {
            Some(t)
                if self.extents().len() == 1
                    && (t.scalar == Scalar::Char || t.scalar == Scalar::Wide && !chars_only) =>
            {
                Ok(t)
            }
            _ => Err(PyAttributeError::new_err(format!(
                "an array of type {} has no .{what}: arrays of text have one",
                self.cells.memory().type_name()
            ))),
        }
    }

    fn all(&self, array: &Array<'_>, scalar: Scalar) -> Vec<Bits> {
        let n: usize = self.extents().iter().product();
        (0..n as u64).map(|i| item::get(array, i, scalar)).collect()
    }

    fn everything(&self) -> Vec<Selected> {
        let many = |n: &usize| Selected::Many { start: 0, step: 1, count: *n };
        self.extents().iter().map(many).collect()
    }
}

/// As bytes or str, if the items are text.
fn text(
    py: Python<'_>,
    t: Type<'_>,
    bits: &mut std::slice::Iter<'_, Bits>,
    count: usize,
) -> PyResult<Option<Py<PyAny>>> {
    match t.scalar {
        Scalar::Char => {
            let bytes: Vec<u8> = bits.by_ref().take(count).map(|b| b[0] as u8).collect();
            Ok(Some(PyBytes::new(py, &bytes).into_any().unbind()))
        }
        Scalar::Wide => {
            let list = PyList::empty(py);
            for b in bits.by_ref().take(count) {
                list.append(t.decode(py, *b)?)?;
            }
            Ok(Some(PyString::new(py, "").call_method1("join", (list,))?.unbind()))
        }
        _ => Ok(None),
    }
}

#[cold]
fn wrong_key(key: &Bound<'_, PyAny>) -> PyErr {
    let name = key.get_type().name().map_or_else(|_| "?".to_owned(), |n| n.to_string());
    PyTypeError::new_err(format!("indices are whole numbers or slices, not {name}"))
}

/// The same error, of item `i`.
#[cold]
fn at_item(py: Python<'_>, e: &PyErr, i: usize) -> PyErr {
    let known = e.is_instance_of::<pyo3::exceptions::PyOverflowError>(py)
        || e.is_instance_of::<PyTypeError>(py);
    if !known {
        return e.clone_ref(py);
    }
    PyErr::from_type(e.get_type(py), format!("item {i}: {}", e.value(py)))
}

impl SharedClass for ArrayCore {
    fn handle_in(object: &Bound<'_, Self>) -> Option<Handle> {
        object.get().cells().by_reference()
    }
}

#[pymethods]
impl ArrayCore {
    #[new]
    #[pyo3(signature = (memory, lock = None))]
    fn new(memory: Py<ArrayMemory>, lock: Option<Bound<'_, PyAny>>) -> PyResult<Self> {
        if memory.get().extents.is_empty() {
            return Err(PyValueError::new_err("a single value is no array"));
        }
        Ok(Self { cells: Cells::new(memory, lock) })
    }

    fn __len__(&self) -> usize {
        self.extents()[0]
    }

    fn __getitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let t = self.item_type()?;
        if self.extents().len() == 1 && is_index(key) {
            let place = self.place(key)?;
            let bits = self.cells.locked(py, |array| Ok(item::get(array, place, t.scalar)))?;
            return t.decode(py, bits);
        }
        let selected = self.selected(key)?;
        let bits = self.cells.locked(py, |array| {
            let mut bits = Vec::new();
            self.each(&selected, &mut |i| bits.push(item::get(array, i, t.scalar)));
            Ok(bits)
        })?;
        Self::gather(py, t, &selected, &mut bits.iter())
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let t = self.item_type()?;
        let py = key.py();
        if self.extents().len() == 1 && is_index(key) {
            let place = self.place(key)?;
            let bits = t.encode(value)?;
            return self.cells.locked(py, |array| {
                item::put(array, place, t.scalar, bits);
                Ok(())
            });
        }
        let selected = self.selected(key)?;
        let mut bits = Vec::new();
        Self::spread(t, &selected, value, &mut bits)?;
        self.cells.locked(py, |array| {
            let mut bits = bits.iter();
            self.each(&selected, &mut |i| {
                if let Some(bits) = bits.next() {
                    item::put(array, i, t.scalar, *bits);
                }
            });
            Ok(())
        })
    }

    fn __delitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let n = self.extents()[0];
        let text = format!("an array keeps its length, {n}: item {key} cannot be deleted");
        Err(PyTypeError::new_err(text))
    }

    /// All items, whoever holds the lock, or while it is held.
    #[pyo3(name = "_read_all")]
    fn read_all(&self, py: Python<'_>, locked: bool) -> PyResult<Py<PyAny>> {
        let t = self.item_type()?;
        let read = |array: &Array<'_>| Ok(self.all(array, t.scalar));
        let bits = if locked { self.cells.locked(py, read) } else { self.cells.bare(read) }?;
        Self::gather(py, t, &self.everything(), &mut bits.iter())
    }

    /// An item, whoever holds the lock.
    #[pyo3(name = "_inspect")]
    fn inspect(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (t, at) = (self.item_type()?, self.place(key)?);
        t.decode(py, self.cells.bare(|array| Ok(item::get(array, at, t.scalar)))?)
    }

    /// Stores the items of a plain list, or of a buffer of the same format, before anybody else
    /// has a handle.
    #[pyo3(name = "_fill")]
    fn fill(&self, values: &Bound<'_, PyAny>) -> PyResult<()> {
        let t = self.item_type()?;
        let memory = self.cells.memory();
        if let Some(lent) = Borrowed::of(values, t.scalar, memory.shape.extents()) {
            return self.cells.bare(|array| {
                array.fill(lent.bytes());
                Ok(())
            });
        }
        let size = t.scalar.size() as usize;
        let mut bytes = Vec::with_capacity(memory.extents.iter().product::<usize>() * size);
        for (i, value) in values.try_iter()?.enumerate() {
            let bits = t.encode(&value?).map_err(|e| at_item(values.py(), &e, i))?;
            let both = u128::from(bits[0]) | u128::from(bits[1]) << 64;
            bytes.extend_from_slice(&both.to_le_bytes()[..size]);
        }
        let wanted = memory.extents.iter().product::<usize>() * size;
        if bytes.len() != wanted {
            let (n, all) = (bytes.len() / size, wanted / size);
            let text = format!("{n} items were given for an array of {all}");
            return Err(PyValueError::new_err(text));
        }
        self.cells.bare(|array| {
            array.fill(&bytes);
            Ok(())
        })
    }

    /// Adds to an item at one instant; what it is then.
    fn add(
        &self,
        py: Python<'_>,
        index: &Bound<'_, PyAny>,
        n: &Bound<'_, PyAny>,
    ) -> PyResult<Py<PyAny>> {
        self.cells.add(py, self.place(index)?, n)
    }

    /// Stores into an item at one instant; what was there.
    fn exchange(
        &self,
        py: Python<'_>,
        index: &Bound<'_, PyAny>,
        new: &Bound<'_, PyAny>,
    ) -> PyResult<Py<PyAny>> {
        self.cells.exchange(py, self.place(index)?, new)
    }

    /// Stores into an item, at one instant, if it equals `expected`; whether it did.
    fn compare_exchange(
        &self,
        index: &Bound<'_, PyAny>,
        expected: &Bound<'_, PyAny>,
        new: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        self.cells.compare_exchange(self.place(index)?, expected, new)
    }

    /// An array of text, up to the first zero.
    #[getter]
    fn value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let t = self.text_type("value", false)?;
        let mut bits = self.cells.locked(py, |array| Ok(self.all(array, t.scalar)))?;
        if let Some(end) = bits.iter().position(|b| b[0] == 0) {
            bits.truncate(end);
        }
        let count = bits.len();
        Ok(text(py, t, &mut bits.iter(), count)?.unwrap_or_else(|| py.None()))
    }

    #[setter]
    fn set_value(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let t = self.text_type("value", false)?;
        let mut bits = text_bits(t, value)?;
        self.check_room(bits.len())?;
        if bits.len() < self.extents()[0] {
            bits.push([0; 2]);
        }
        self.store_text(t, &bits, value.py())
    }

    /// An array of bytes, all of it.
    #[getter]
    fn raw<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let t = self.text_type("raw", true)?;
        let bits = self.cells.locked(py, |array| Ok(self.all(array, t.scalar)))?;
        let bytes: Vec<u8> = bits.iter().map(|b| b[0] as u8).collect();
        Ok(PyBytes::new(py, &bytes))
    }

    #[setter]
    fn set_raw(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let t = self.text_type("raw", true)?;
        let bits = text_bits(t, value)?;
        self.check_room(bits.len())?;
        self.store_text(t, &bits, value.py())
    }

    /// Gives the handle back; views must be gone.
    fn close(&self) -> PyResult<()> {
        self.cells.memory().close()
    }

    /// Its memory.
    #[getter]
    #[pyo3(name = "_memory")]
    fn memory(&self, py: Python<'_>) -> Py<ArrayMemory> {
        self.cells.memory_object(py)
    }

    /// The typecode, or the format of an item that has none.
    #[getter]
    fn type_code(&self) -> &str {
        self.cells.memory().code()
    }

    /// The lock that was given when it was made.
    #[getter]
    #[pyo3(name = "_lock_given")]
    fn lock_given(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.cells.lock_given(py)
    }

    /// Whether operations wait for a lock.
    #[getter]
    #[pyo3(name = "_is_locked")]
    fn is_locked(&self) -> bool {
        self.cells.is_locked()
    }

    /// Takes the lock that is part of it.
    #[pyo3(signature = (blocking = None, timeout = None))]
    #[pyo3(name = "_object_lock_acquire")]
    fn object_lock_acquire(
        &self,
        py: Python<'_>,
        blocking: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        self.cells.object_lock_acquire(py, blocking, timeout)
    }

    /// Lets that lock go.
    #[pyo3(name = "_object_lock_release")]
    fn object_lock_release(&self) -> PyResult<()> {
        self.cells.object_lock_release()
    }

    /// Who holds that lock.
    #[pyo3(name = "_object_lock_owner")]
    fn object_lock_owner(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.cells.object_lock_owner(py)
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Py<PyAny>, Bound<'py, PyTuple>)> {
        self.cells.reduce(py)
    }

    /// Tells objects apart: the same for all handles of one object.
    #[getter]
    fn object_id(&self) -> PyResult<(u64, u64)> {
        self.cells.memory().object_id()
    }

    unsafe fn __getbuffer__(
        slf: &Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: std::ffi::c_int,
    ) -> PyResult<()> {
        let memory = slf.get().cells.memory();
        // SAFETY: as Python calls it.
        unsafe { memory.lend(slf.as_any(), view, flags, &memory.shape) }
    }

    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        self.cells.memory().returned();
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.cells.traverse(&visit)
    }
}

impl ArrayCore {
    fn check_room(&self, given: usize) -> PyResult<()> {
        let room = self.extents()[0];
        if given <= room {
            return Ok(());
        }
        let text = format!("{given} characters do not fit an array of {room}");
        Err(PyValueError::new_err(text))
    }

    fn store_text(&self, t: Type<'_>, bits: &[Bits], py: Python<'_>) -> PyResult<()> {
        self.cells.locked(py, |array| {
            for (i, bits) in bits.iter().enumerate() {
                item::put(array, i as u64, t.scalar, *bits);
            }
            Ok(())
        })
    }
}

/// The characters of bytes or str.
fn text_bits(t: Type<'_>, value: &Bound<'_, PyAny>) -> PyResult<Vec<Bits>> {
    let wanted = if t.scalar == Scalar::Char { "bytes" } else { "str" };
    let right = match t.scalar {
        Scalar::Char => value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyByteArray>(),
        _ => value.is_instance_of::<PyString>(),
    };
    if !right {
        let name = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!("{wanted} expected, not {name}")));
    }
    value.try_iter()?.map(|c| t.encode(&c?)).collect()
}
