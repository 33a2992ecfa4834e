//! Pickles whose large buffers lie beside them (PEP 574), so that each is copied once.
//!
//! What is stored, little-endian, all positions from its start:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | number of buffers |
//! | 8 | length of the pickle |
//! | 8 each | length of a buffer, shifted left by 2; bit 0: read-only, bit 1: it was a `bytes` or `bytearray` itself |
//! | | the pickle |
//! | | each buffer, at the next multiple of 64 |
//!
//! A buffer that was writable comes back writable. Read from a copy, what is built over a buffer
//! (an array) looks into that copy, which lives as long as anything does that looks into it; a
//! buffer that was an object of its own comes back as a `bytes` or `bytearray`.

use std::ffi::c_int;
use std::ops::Range;
use std::sync::Arc;

use pyo3::buffer::PyBuffer;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView};

use crate::convert::bytes::bytes_of;
use crate::convert::collector;
use crate::runtime::errors;

const ALIGN: usize = 64;
static ZEROES: [u8; ALIGN] = [0; ALIGN];

const READONLY: u64 = 1;
const EXACT: u64 = 2;
const LENGTH_SHIFT: u32 = 2;

fn padding(len: usize) -> usize {
    len.next_multiple_of(ALIGN) - len
}

/// The bytes of a buffer, as long as `buffer` is.
///
/// # Safety
/// The slice must not be used after `buffer` is dropped. Others may write to it meanwhile: what
/// is read then is a mixture.
unsafe fn content(buffer: &PyBuffer<u8>) -> &'static [u8] {
    let len = buffer.len_bytes();
    if len == 0 {
        return &[];
    }
    // SAFETY: the exporter keeps the memory in place for as long as the buffer is held; a PyBuffer
    // of bytes is contiguous here, for `OutOfBand::new` and `InBand::new` look.
    unsafe { std::slice::from_raw_parts(buffer.buf_ptr().cast(), len) }
}

fn contiguous(object: &Bound<'_, PyAny>) -> PyResult<PyBuffer<u8>> {
    let buffer = PyBuffer::<u8>::get(object)?;
    if !buffer.is_c_contiguous() {
        return Err(pyo3::exceptions::PyBufferError::new_err("the buffer is not contiguous"));
    }
    Ok(buffer)
}

/// A `bytearray` on its way in.
pub(crate) struct InBand {
    buffer: PyBuffer<u8>,
}

impl InBand {
    pub(crate) fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self { buffer: contiguous(object)? })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: lent for as long as the buffer is held.
        unsafe { content(&self.buffer) }
    }
}

/// A pickle and its buffers on their way in.
pub(crate) struct OutOfBand<'py> {
    /// Of the fields below, which do not move.
    parts: Vec<&'static [u8]>,
    _head: Box<[u8]>,
    _pickle: Bound<'py, PyBytes>,
    _buffers: Vec<PyBuffer<u8>>,
}

impl<'py> OutOfBand<'py> {
    /// Of a pickle and the memory views of its buffers.
    pub(crate) fn new(pickle: Bound<'py, PyBytes>, views: &[Py<PyAny>]) -> PyResult<Self> {
        let py = pickle.py();
        let mut buffers = Vec::with_capacity(views.len());
        let mut head = Vec::with_capacity(16 + 8 * views.len());
        head.extend((views.len() as u64).to_le_bytes());
        head.extend((pickle.as_bytes().len() as u64).to_le_bytes());
        for view in views {
            let view = view.bind(py);
            let buffer = contiguous(view)?;
            let exporter = view.getattr("obj")?;
            let exact = exporter.is_exact_instance_of::<PyBytes>()
                || exporter.is_exact_instance_of::<pyo3::types::PyByteArray>();
            let flags =
                if buffer.readonly() { READONLY } else { 0 } | if exact { EXACT } else { 0 };
            let word = (buffer.len_bytes() as u64) << LENGTH_SHIFT | flags;
            head.extend(word.to_le_bytes());
            buffers.push(buffer);
        }
        let head = head.into_boxed_slice();
        // SAFETY: all three are kept beside the slices: boxed, in an object of the interpreter's
        // that does not change, and in exported memory.
        let parts = unsafe {
            let lasting = |bytes: &[u8]| std::slice::from_raw_parts(bytes.as_ptr(), bytes.len());
            let mut parts: Vec<&'static [u8]> = vec![lasting(&head), lasting(pickle.as_bytes())];
            let mut at = head.len() + pickle.as_bytes().len();
            for buffer in &buffers {
                parts.push(&ZEROES[..padding(at)]);
                parts.push(content(buffer));
                at = at.next_multiple_of(ALIGN) + buffer.len_bytes();
            }
            parts
        };
        Ok(Self { parts, _head: head, _pickle: pickle, _buffers: buffers })
    }

    pub(crate) fn parts(&self) -> &[&[u8]] {
        &self.parts
    }
}

/// Where the pickle and the buffers are in what was stored.
struct Layout {
    pickle: Range<usize>,
    buffers: Vec<(Range<usize>, u64)>,
}

fn layout(bytes: &[u8]) -> Option<Layout> {
    let word = |i: usize| -> Option<u64> {
        let at = i.checked_mul(8)?;
        Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
    };
    let count = usize::try_from(word(0)?).ok().filter(|n| *n <= bytes.len() / 8)?;
    let start = 16 + 8 * count;
    let pickle = start..start.checked_add(usize::try_from(word(1)?).ok()?)?;
    let mut at = pickle.end;
    let mut buffers = Vec::with_capacity(count);
    for i in 0..count {
        let described = word(2 + i)?;
        at = at.checked_next_multiple_of(ALIGN)?;
        let end = at.checked_add(usize::try_from(described >> LENGTH_SHIFT).ok()?)?;
        buffers.push((at..end, described));
        at = end;
    }
    (at <= bytes.len()).then_some(Layout { pickle, buffers })
}

fn corrupt(py: Python<'_>) -> PyErr {
    errors::new(py, "NotReadable", "the element's bytes are not as they were written".to_owned())
}

fn bytearray_of<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: attached; a new reference, or null with an exception set.
    unsafe {
        let len = bytes.len() as ffi::Py_ssize_t;
        let ptr = ffi::PyByteArray_FromStringAndSize(bytes.as_ptr().cast(), len);
        Bound::from_owned_ptr_or_err(py, ptr)
    }
}

/// The `bytearray` that was stored whole.
pub(crate) fn whole(py: Python<'_>, bytes: &[u8]) -> PyResult<Py<PyAny>> {
    bytearray_of(py, bytes).map(Bound::unbind)
}

/// A `bytes` or `bytearray`.
fn object_of<'py>(py: Python<'py>, bytes: &[u8], flags: u64) -> PyResult<Bound<'py, PyAny>> {
    if flags & READONLY != 0 {
        bytes_of(py, bytes).map(Bound::into_any)
    } else {
        bytearray_of(py, bytes)
    }
}

/// The pickle, and its buffers as objects, which are copied from `bytes`.
pub(crate) fn taken<'py>(
    py: Python<'py>,
    bytes: &[u8],
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyList>)> {
    let found = layout(bytes).ok_or_else(|| corrupt(py))?;
    let buffers = PyList::empty(py);
    for (at, flags) in found.buffers {
        buffers.append(object_of(py, &bytes[at], flags)?)?;
    }
    Ok((bytes_of(py, &bytes[found.pickle])?, buffers))
}

/// The same from a copy that is given up: the buffers look into it.
pub(crate) fn taken_over(
    py: Python<'_>,
    bytes: Vec<u8>,
) -> PyResult<(Bound<'_, PyBytes>, Bound<'_, PyList>)> {
    let found = layout(&bytes).ok_or_else(|| corrupt(py))?;
    let pickle = bytes_of(py, &bytes[found.pickle])?;
    let copy = Arc::new(Copy(Box::into_raw(bytes.into_boxed_slice())));
    let buffers = PyList::empty(py);
    for (at, flags) in found.buffers {
        if flags & EXACT != 0 {
            // SAFETY: nobody has been given a look into the copy that could change it there.
            let bytes = unsafe { &(&*copy.0)[at] };
            buffers.append(object_of(py, bytes, flags)?)?;
        } else {
            let piece = BufferView { copy: Arc::clone(&copy), at, readonly: flags & READONLY != 0 };
            buffers.append(PyMemoryView::from(&Bound::new(py, piece)?.into_any())?)?;
        }
    }
    Ok((pickle, buffers))
}

/// Memory that several pieces look into, each into a part of its own.
#[derive(Debug)]
struct Copy(*mut [u8]);

// SAFETY: plain memory, which only those change who got a piece of it through the interpreter.
unsafe impl Send for Copy {}
// SAFETY: as above.
unsafe impl Sync for Copy {}

impl Drop for Copy {
    fn drop(&mut self) {
        // SAFETY: it came from a box, and no piece is left.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// A part of a copy, lent through the buffer protocol.
#[pyclass(frozen, module = "tarefa._engine")]
#[derive(Debug)]
struct BufferView {
    copy: Arc<Copy>,
    at: Range<usize>,
    readonly: bool,
}

#[pymethods]
impl BufferView {
    // SAFETY: called by the interpreter, with a view to fill in.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let it = slf.get();
        // SAFETY: the part lies in the copy, which the piece keeps and the view keeps the piece;
        // FillInfo takes a reference of its own, and sets an exception when it fails.
        let filled = unsafe {
            let start = it.copy.0.cast::<u8>().add(it.at.start);
            let len = it.at.len() as ffi::Py_ssize_t;
            let readonly = c_int::from(it.readonly);
            ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start.cast(), len, readonly, flags)
        };
        if filled == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_short_or_says_nonsense_is_refused() {
        assert!(layout(&[]).is_none());
        assert!(layout(&u64::MAX.to_le_bytes().repeat(4)).is_none());
        let words = [1u64, 3, 100 << LENGTH_SHIFT];
        let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        bytes.extend(b"abc");
        assert!(layout(&bytes).is_none());
        bytes.resize(164, 0);
        let found = layout(&bytes).unwrap();
        assert_eq!((found.pickle, found.buffers[0].0.clone()), (24..27, 64..164));
    }
}

/// From this many bytes on a buffer lies beside the pickle: a smaller one is copied sooner than
/// it is noted down.
const APART: usize = 1 << 14;

/// For `pickle`, of a `PickleBuffer` that it meets: whether it is to be in the pickle. Else it is
/// noted for the encoding that is going on.
#[pyfunction]
#[pyo3(signature = (buffer, /))]
pub(crate) fn keep_out_of_band(buffer: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = buffer.py();
    let raw = match buffer.call_method0(intern!(py, "raw")) {
        Ok(raw) => raw,
        // Not contiguous: pickle says that it cannot be.
        Err(e) if e.is_instance_of::<pyo3::exceptions::PyBufferError>(py) => return Ok(true),
        Err(e) => return Err(e),
    };
    if raw.len()? < APART {
        return Ok(true);
    }
    Ok(!collector::note_buffer(raw))
}
