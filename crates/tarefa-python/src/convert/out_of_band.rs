//! Pickles whose large buffers lie beside them (PEP 574), so that each is copied once.
//!
//! What is stored, little-endian, all positions from its start:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | number of buffers |
//! | 8 | length of the pickle |
//! | 8 each | length of a buffer, shifted left by 3; bit 0: read-only, bit 1: it was a `bytes` or `bytearray` itself, bit 2: it lies in a [`Block`] |
//! | | the pickle |
//! | | each buffer, at the next multiple of 64; of one in a block its place and number, and where in it the buffer begins |
//!
//! Buffers of messages lie in blocks: they are copied once, when they are put, and read where they
//! are. Elsewhere (elements, arguments, results) only those do that lay in one before.
//!
//! A buffer that was writable comes back writable. Read from a copy, what is built over a buffer
//! (an array) looks into that copy, which lives as long as anything does that looks into it; a
//! buffer that was an object of its own comes back as a `bytes` or `bytearray`.

use std::ffi::c_int;
use std::ops::Range;
use std::sync::Arc;

use pyo3::buffer::PyBuffer;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMemoryView};
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::{Member, Off};

use crate::convert::block::{self, Block};
use crate::convert::bytes::bytes_of;
use crate::convert::collector::{self, References};
use crate::runtime::once::name;
use crate::runtime::{errors, member};

const ALIGN: usize = 64;
static ZEROES: [u8; ALIGN] = [0; ALIGN];

const READONLY: u64 = 1;
const EXACT: u64 = 2;
const IN_BLOCK: u64 = 4;
const LENGTH_SHIFT: u32 = 3;
/// Bytes of what says where in which block a buffer is.
const PLACE: usize = 24;

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

/// What a message is made for: whether one of so many bytes can be sent at all.
pub(crate) type Check<'a> = &'a dyn Fn(u64) -> PyResult<()>;

/// A buffer on its way in.
pub(crate) struct Met {
    buffer: PyBuffer<u8>,
    flags: u64,
    /// Where in which block it lies, as it is stored.
    place: Option<[u8; PLACE]>,
}

impl Met {
    fn set_place(&mut self, block: &Handle, start: u64) {
        let words = [block.off().0, block.id(), start].map(u64::to_le_bytes);
        let mut place = [0; PLACE];
        place.copy_from_slice(words.as_flattened());
        self.place = Some(place);
        self.flags |= IN_BLOCK;
    }
}

/// The buffers behind memory views. Those that lie in blocks are mentioned.
pub(crate) fn met(
    py: Python<'_>,
    views: &[Py<PyAny>],
    refs: &mut References,
    runtime: u64,
) -> PyResult<Vec<Met>> {
    let mut found = Vec::with_capacity(views.len());
    for view in views {
        let view = view.bind(py);
        let buffer = contiguous(view)?;
        let exporter = view.getattr("obj")?;
        let exact = exporter.is_exact_instance_of::<PyBytes>()
            || exporter.is_exact_instance_of::<pyo3::types::PyByteArray>();
        let flags = if buffer.readonly() { READONLY } else { 0 } | if exact { EXACT } else { 0 };
        let (address, len) = (buffer.buf_ptr() as usize, buffer.len_bytes());
        let mut met = Met { buffer, flags, place: None };
        if let Some(place) = block::find(runtime, address, len) {
            met.set_place(&place.handle, place.start);
            refs.beside += if place.carried { len as u64 } else { 0 };
            refs.add(place.handle);
        }
        found.push(met);
    }
    Ok(found)
}

/// Copies buffers that do not lie in blocks into new ones, if a message of that size can be sent.
/// What comes back as an object of its own would be copied once more, and is not.
pub(crate) fn move_to_blocks(
    py: Python<'_>,
    me: &Member,
    pickle: &Bound<'_, PyBytes>,
    met: &mut [Met],
    refs: &mut References,
    check: Check<'_>,
) -> PyResult<()> {
    let is_to_move = |met: &Met| met.place.is_none() && met.flags & EXACT == 0;
    let inside = met.iter().filter(|met| met.place.is_none());
    let bytes: usize = inside.map(|met| met.buffer.len_bytes()).sum();
    check((pickle.as_bytes().len() + bytes) as u64 + refs.beside)?;
    for met in met.iter_mut().filter(|met| is_to_move(met)) {
        // SAFETY: lent for as long as the buffer is held, which is longer than the copy takes.
        let content = unsafe { content(&met.buffer) };
        let handle = block::copied(py, me, content)?;
        met.set_place(&handle, 0);
        refs.beside += content.len() as u64;
        refs.add_new(handle);
    }
    Ok(())
}

/// A pickle and its buffers on their way in.
pub(crate) struct OutOfBand<'py> {
    /// Of the fields below, which do not move.
    parts: Vec<&'static [u8]>,
    _head: Box<[u8]>,
    _pickle: Bound<'py, PyBytes>,
    _buffers: Box<[Met]>,
}

impl<'py> OutOfBand<'py> {
    /// Of a pickle and its buffers.
    pub(crate) fn new(pickle: Bound<'py, PyBytes>, buffers: Vec<Met>) -> Self {
        let mut head = Vec::with_capacity(16 + 8 * buffers.len());
        head.extend((buffers.len() as u64).to_le_bytes());
        head.extend((pickle.as_bytes().len() as u64).to_le_bytes());
        for met in &buffers {
            let word = (met.buffer.len_bytes() as u64) << LENGTH_SHIFT | met.flags;
            head.extend(word.to_le_bytes());
        }
        let (head, buffers) = (head.into_boxed_slice(), buffers.into_boxed_slice());
        // SAFETY: all are kept beside the slices: boxed, in an object of the interpreter's that does
        // not change, and in exported memory.
        let parts = unsafe {
            let lasting = |bytes: &[u8]| std::slice::from_raw_parts(bytes.as_ptr(), bytes.len());
            let mut parts: Vec<&'static [u8]> = vec![lasting(&head), lasting(pickle.as_bytes())];
            let mut at = head.len() + pickle.as_bytes().len();
            for met in &buffers {
                let part = match &met.place {
                    Some(place) => lasting(place),
                    None => content(&met.buffer),
                };
                parts.push(&ZEROES[..padding(at)]);
                parts.push(part);
                at = at.next_multiple_of(ALIGN) + part.len();
            }
            parts
        };
        Self { parts, _head: head, _pickle: pickle, _buffers: buffers }
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
        let len = usize::try_from(described >> LENGTH_SHIFT).ok()?;
        let end = at.checked_add(if described & IN_BLOCK != 0 { PLACE } else { len })?;
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
        let buffer = match in_block(py, &bytes[at.clone()], flags)? {
            Some(view) => view,
            None => object_of(py, &bytes[at], flags)?,
        };
        buffers.append(buffer)?;
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
        // SAFETY: nobody has been given a look into the copy that could change it there.
        let bytes = unsafe { &(&*copy.0)[at.clone()] };
        if let Some(view) = in_block(py, bytes, flags)? {
            buffers.append(view)?;
        } else if flags & EXACT != 0 {
            buffers.append(object_of(py, bytes, flags)?)?;
        } else {
            let start = copy.0.cast::<u8>().wrapping_add(at.start) as usize;
            let readonly = flags & READONLY != 0;
            let keeper = Keeper::Copy { _copy: Arc::clone(&copy) };
            buffers.append(view_of(py, BufferView { keeper, start, len: at.len(), readonly })?)?;
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

/// What keeps the memory of a buffer.
#[derive(Debug)]
enum Keeper {
    Copy { _copy: Arc<Copy> },
    Block { _block: Py<Block> },
    Lent { _buffer: PyBuffer<u8> },
}

/// A part of a copy or a block, lent through the buffer protocol.
#[pyclass(frozen, module = "tarefa._engine")]
#[derive(Debug)]
struct BufferView {
    #[expect(dead_code, reason = "kept")]
    keeper: Keeper,
    start: usize,
    len: usize,
    readonly: bool,
}

fn view_of(py: Python<'_>, part: BufferView) -> PyResult<Bound<'_, PyAny>> {
    Ok(PyMemoryView::from(&Bound::new(py, part)?.into_any())?.into_any())
}

/// What looks into a block, if the buffer that `place` says is in one.
fn in_block<'py>(
    py: Python<'py>,
    place: &[u8],
    described: u64,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if described & IN_BLOCK == 0 {
        return Ok(None);
    }
    let word = |i: usize| place.get(8 * i..8 * i + 8)?.try_into().ok().map(u64::from_le_bytes);
    let (Some(off), Some(id), Some(start)) = (word(0), word(1), word(2)) else {
        return Err(corrupt(py));
    };
    let block = block::arrived_at(py, &member::here(py)?, Off(off), id)?;
    let (len, start) = ((described >> LENGTH_SHIFT) as usize, start as usize);
    let it = block.get();
    let readonly = it.readonly() || described & READONLY != 0;
    let start = it.address() + start;
    view_of(py, BufferView { keeper: Keeper::Block { _block: block }, start, len, readonly })
        .map(Some)
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
        // SAFETY: the interpreter's view; the part lies in what the piece keeps, and the view keeps
        // the piece.
        unsafe { block::show(view, slf.as_any(), it.start, it.len, it.readonly, flags) }
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

fn is_in_block(raw: &Bound<'_, PyAny>) -> PyResult<bool> {
    let buffer = PyBuffer::<u8>::get(raw)?;
    let (address, len) = (buffer.buf_ptr() as usize, buffer.len_bytes());
    let runtime = member::here(raw.py())?.runtime().id();
    Ok(len > 0 && block::find(runtime, address, len).is_some())
}

/// Lends the bytes of a contiguous view, as a buffer of their own: what becomes of them is no `bytes`
/// because they are a `bytes`'s.
#[pyfunction]
#[pyo3(signature = (view, /))]
pub(crate) fn lend<'py>(view: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = view.py();
    let buffer = contiguous(&view.call_method1("cast", ("B",))?)?;
    let (start, len, readonly) = (buffer.buf_ptr() as usize, buffer.len_bytes(), buffer.readonly());
    let keeper = Keeper::Lent { _buffer: buffer };
    Ok(Bound::new(py, BufferView { keeper, start, len, readonly })?.into_any())
}

/// For `pickle`, of a `PickleBuffer` that it meets: whether it is to be in the pickle. Else it is
/// noted for the encoding that is going on.
#[pyfunction]
#[pyo3(signature = (buffer, /))]
pub(crate) fn keep_out_of_band(buffer: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = buffer.py();
    let raw = match buffer.call_method0(name!(py, "raw")) {
        Ok(raw) => raw,
        // Not contiguous: pickle says that it cannot be.
        Err(e) if e.is_instance_of::<pyo3::exceptions::PyBufferError>(py) => return Ok(true),
        Err(e) => return Err(e),
    };
    if raw.len()? < APART && !(block::any() && is_in_block(&raw)?) {
        return Ok(true);
    }
    Ok(!collector::note_buffer(raw))
}
