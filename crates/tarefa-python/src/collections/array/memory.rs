//! `ArrayMemory`: one handle of an array, which the public object and all views of it share.

use pyo3::exceptions::{PyBufferError, PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use tarefa_engine::atomic::{AtomicBool, AtomicUsize, Ordering};
use tarefa_engine::collections::array::pep3118::Scalar;
use tarefa_engine::collections::array::{self, Array, ArrayError, Form};
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, Off, Runtime};

use super::buffer::Shape;
use crate::convert::block;
use crate::convert::collector;
use crate::convert::encode::PICKLE;
use crate::runtime::blocking;
use crate::runtime::errors;
use crate::runtime::handle::Slot as _;
use crate::runtime::hooks;
use crate::runtime::member;

/// The memory of an array: writable bytes to whoever asks for a buffer.
///
/// The memory stays as long as this object, and so as long as any view of it, but the handle may
/// be given back before: [`ArrayMemory::close`].
#[pyclass(frozen, module = "tarefa._engine")]
#[derive(Debug)]
pub(crate) struct ArrayMemory {
    runtime: &'static Runtime,
    off: Off,
    open: AtomicBool,
    /// Buffers that are out.
    exports: AtomicUsize,
    pub(super) format: String,
    pub(super) scalar: Option<Scalar>,
    pub(super) item: usize,
    pub(super) extents: Vec<usize>,
    pub(super) locked: bool,
    /// As a buffer of items, and of bytes.
    pub(super) shape: Shape,
    bytes: Shape,
}

fn failed(py: Python<'_>, e: ArrayError) -> PyErr {
    match e {
        ArrayError::Memory(e) => errors::out_of_memory(py, e),
        other => PyValueError::new_err(other.to_string()),
    }
}

/// Arrays that this process has open.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Whether this process has arrays or blocks, whose memory views may be of.
#[pyfunction]
pub(crate) fn has_arrays() -> bool {
    OPEN.load(Ordering::Relaxed) > 0 || block::any_ever()
}

impl ArrayMemory {
    /// Takes over a handle.
    pub(crate) fn of(handle: Handle) -> PyResult<Self> {
        let (runtime, off) = (handle.runtime(), handle.off());
        let me = handle.try_slot()?;
        let array = Array::at(&me, off);
        let format = String::from_utf8(array.format())
            .map_err(|_| PyValueError::new_err("the array's format is no text"))?;
        let to_usize =
            |n: u64| usize::try_from(n).map_err(|e| PyMemoryError::new_err(e.to_string()));
        let extents = array.extents().into_iter().map(to_usize).collect::<PyResult<Vec<_>>>()?;
        let item = to_usize(array.item())?;
        let all = to_usize(array.len())? * item;
        let made = Self {
            runtime,
            off,
            open: AtomicBool::new(true),
            exports: AtomicUsize::new(0),
            scalar: Scalar::of(format.as_bytes()),
            shape: Shape::new(&format, item, &extents)?,
            bytes: Shape::new("B", 1, &[all])?,
            format,
            item,
            extents,
            locked: array.guarded(),
        };
        OPEN.fetch_add(1, Ordering::Relaxed);
        // The reference is this object's now.
        std::mem::forget(handle);
        Ok(made)
    }

    /// A handle of its own; an error when it is closed.
    pub(crate) fn handle(&self) -> PyResult<Handle> {
        self.me().map(|me| {
            // The object lives, for this process holds it; so this only counts.
            let array = tarefa_engine::shm::object::header(&me, self.off);
            let _ = refcount::acquire(&me, self.off, array.id.load(Ordering::Relaxed));
            Handle::adopt(&me, self.off)
        })
    }

    /// The calling thread; an error when this is closed.
    #[inline]
    pub(super) fn me(&self) -> PyResult<Member> {
        if self.open.load(Ordering::Relaxed) {
            self.runtime.try_me().map_err(errors::too_many_threads)
        } else {
            Err(closed())
        }
    }

    fn give_back(&self) {
        if self.open.swap(false, Ordering::Relaxed) {
            OPEN.fetch_sub(1, Ordering::Relaxed);
            self.runtime.with_me(|me| refcount::release(me, self.off));
        }
    }

    pub(super) fn off(&self) -> Off {
        self.off
    }

    /// For people: "i", or "a structure of 16 bytes".
    pub(super) fn type_name(&self) -> String {
        match self.scalar {
            Some(scalar) => format!("{:?} ({})", self.code(), scalar.name()),
            None => format!("{:?} ({} bytes)", self.format, self.item),
        }
    }

    /// The typecode that a user writes.
    pub(super) fn code(&self) -> &str {
        match self.format.as_str() {
            "w" => "u",
            "Zf" => "F",
            "Zd" => "D",
            other => other,
        }
    }

    /// Lends the memory as a buffer of `shape`, on behalf of `owner`.
    ///
    /// # Safety
    /// `view` is a buffer that `owner` was asked to fill.
    pub(super) unsafe fn lend(
        &self,
        owner: &Bound<'_, PyAny>,
        view: *mut ffi::Py_buffer,
        flags: std::ffi::c_int,
        shape: &Shape,
    ) -> PyResult<()> {
        let me = self.me()?;
        let address = Array::at(&me, self.off).address();
        // SAFETY: the caller's; the memory stays until `returned`, for `close` refuses while a
        // buffer is out, and `owner`, which the buffer holds, holds this object.
        unsafe { shape.fill(owner, view, flags, address) }?;
        self.exports.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// A buffer that was lent is back.
    pub(super) fn returned(&self) {
        self.exports.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn reduce<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Py<PyAny>, Bound<'py, PyTuple>)> {
        collector::reduce(py, &self.handle()?)
    }

    pub(super) fn object_id(&self) -> PyResult<(u64, u64)> {
        let handle = self.handle()?;
        Ok((handle.runtime().id(), handle.id()))
    }
}

#[cold]
fn closed() -> PyErr {
    PyValueError::new_err("it is closed: close() gave its shared memory back; make a new one")
}

#[pymethods]
impl ArrayMemory {
    /// Gives the handle back before this object ends.
    pub(super) fn close(&self) -> PyResult<()> {
        let out = self.exports.load(Ordering::Relaxed);
        if out > 0 {
            let text = format!(
                "cannot close it: {out} view(s) of its memory exist (NumPy arrays, memoryviews, \
                 ctypes objects); delete them first"
            );
            return Err(PyBufferError::new_err(text));
        }
        if let Ok(me) = self.me() {
            if Array::at(&me, self.off).object_lock().is_mine(&me) {
                let text = "cannot close it while this thread holds its lock: release that first";
                return Err(PyRuntimeError::new_err(text));
            }
        }
        self.give_back();
        Ok(())
    }

    /// `ValueError` if `close()` was called.
    fn check_open(&self) -> PyResult<()> {
        self.me().map(drop)
    }

    /// Whether `close()` was called.
    #[getter]
    fn closed(&self) -> bool {
        !self.open.load(Ordering::Relaxed)
    }

    /// How an item looks, as PEP 3118 writes it.
    #[getter]
    fn format(&self) -> &str {
        &self.format
    }

    /// Bytes of an item.
    #[getter]
    fn itemsize(&self) -> usize {
        self.item
    }

    /// Items along each dimension; empty for a single value.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.extents)
    }

    /// Whether its items are read and written without a view.
    #[getter]
    fn scalar(&self) -> bool {
        self.scalar.is_some()
    }

    /// Whether it has a lock of its own that operations take.
    #[getter]
    fn locked(&self) -> bool {
        self.locked
    }

    /// What the one who made it left for others to know of it, pickled.
    fn note<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let me = self.me()?;
        let note = Array::at(&me, self.off).note();
        Ok(note.filter(|(tag, _)| *tag == PICKLE).map(|(_, bytes)| PyBytes::new(py, &bytes)))
    }

    unsafe fn __getbuffer__(
        slf: &Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: std::ffi::c_int,
    ) -> PyResult<()> {
        let this = slf.get();
        // SAFETY: as Python calls it.
        unsafe { this.lend(slf.as_any(), view, flags, &this.bytes) }
    }

    #[allow(clippy::needless_pass_by_value)]
    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {
        self.returned();
    }
}

impl Drop for ArrayMemory {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Makes an array of zeroes.
///
/// `shape` is empty for a single value. `note` is pickled into it, for others to read.
#[pyfunction]
#[pyo3(signature = (format, itemsize, shape, locked, note))]
pub(crate) fn make_array(
    py: Python<'_>,
    format: &str,
    itemsize: u64,
    shape: Vec<u64>,
    locked: bool,
    note: &Bound<'_, PyAny>,
) -> PyResult<ArrayMemory> {
    let me = member::me(py)?;
    let note = if note.is_none() {
        None
    } else {
        Some(collector::collecting(hooks::DUMPS.get(py)?, note, me.runtime().id())?)
    };
    let form = Form { format: format.as_bytes(), item: itemsize, extents: &shape, guarded: locked };
    // A large one takes a while to clear.
    let made = blocking::allocated(py, || match py.detach(|| array::create(&me, form)) {
        Err(ArrayError::Memory(e)) => Err(e),
        other => Ok(other),
    })?;
    let handle = Handle::adopt(&me, made.map_err(|e| failed(py, e))?);
    if let Some((bytes, mentioned)) = note {
        let array = Array::at(&me, handle.off());
        blocking::allocated(py, || array.set_note(PICKLE, bytes.as_bytes(), &mentioned))?;
    }
    ArrayMemory::of(handle)
}
