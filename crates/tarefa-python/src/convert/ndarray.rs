//! NumPy arrays that lie in the arena, as messages and elements: where, and what they look like.
//!
//! Only the most common, of numbers in the machine's order and of the very class: all others, and
//! those inside other values, go the way of `python/tarefa/_convert/_views.py`.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the typecode of its items, as NumPy has it |
//! | 1 | 1 if it is read-only |
//! | 2 | dimensions |
//! | 1 | 1 if its items lie one after the other, the last dimension first |
//! | 3 | 0 |
//! | 8 | where its first item is, from the start of the block |
//! | 8, 8 | the block's place and number |
//! | 8 each | its extents, then its strides |

use std::ffi::CStr;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::{Member, Off};

use crate::convert::block;
use crate::runtime::errors;
use crate::runtime::once::Once;

/// Typecodes that say all of an item.
const CODES: &[u8] = b"?bBhHiIlLqQefd";
const FIXED: usize = 32;
/// Dimensions that NumPy has at most.
const DIMENSIONS: usize = 64;

static CLASS: Once<Py<PyType>> = Once::new();
static DTYPES: [Once<Py<PyAny>>; 128] = [const { Once::new() }; 128];

/// An array on its way in.
pub(crate) struct View {
    pub(crate) bytes: Vec<u8>,
    pub(crate) block: [Off; 1],
    /// What counts with it for a queue's bound.
    pub(crate) beside: u64,
    _handle: Handle,
}

/// NumPy's class of arrays, if the program has loaded it.
fn class(py: Python<'_>) -> Option<&Bound<'_, PyType>> {
    if let Some(class) = CLASS.get(py) {
        return Some(class.bind(py));
    }
    let modules = py.import("sys").ok()?.getattr("modules").ok()?.cast_into::<PyDict>().ok()?;
    let numpy = modules.get_item("numpy").ok()??;
    let class = numpy.getattr("ndarray").ok()?.cast_into::<PyType>().ok()?;
    Some(CLASS.get_or_init(py, || class.unbind()).bind(py))
}

/// A buffer that is given back.
struct Lent(ffi::Py_buffer);

impl Drop for Lent {
    fn drop(&mut self) {
        // SAFETY: it was filled in; its exporter is alive, for the buffer holds it.
        unsafe { ffi::PyBuffer_Release(&raw mut self.0) };
    }
}

/// Numbers that a buffer describes its dimensions by.
///
/// # Safety
/// `from` is null, or has `n` of them for as long as they are used.
unsafe fn numbers<'a>(from: *const isize, n: usize) -> Option<&'a [isize]> {
    if n == 0 {
        return Some(&[]);
    }
    // SAFETY: the caller's.
    (!from.is_null()).then(|| unsafe { std::slice::from_raw_parts(from, n) })
}

/// What `object` is as an array of a block; none if it is something else.
#[inline]
pub(crate) fn encode(me: &Member, object: &Bound<'_, PyAny>) -> Option<View> {
    if !block::any() {
        return None;
    }
    let class = class(object.py())?;
    if !object.get_type().is(class) {
        return None;
    }
    let mut lent = Lent(ffi::Py_buffer::new());
    // SAFETY: attached, a live object; `lent` is there to be filled in.
    unsafe {
        let flags = ffi::PyBUF_STRIDES | ffi::PyBUF_FORMAT;
        if ffi::PyObject_GetBuffer(object.as_ptr(), &raw mut lent.0, flags) != 0 {
            // Not one of those that a buffer describes.
            ffi::PyErr_Clear();
            std::mem::forget(lent);
            return None;
        }
    }
    let view = &lent.0;
    // SAFETY: a format that was asked for is a text of the exporter's.
    let format = unsafe { view.format.as_ref().map(|f| CStr::from_ptr(f).to_bytes())? };
    let code = match format {
        [code] if CODES.contains(code) => *code,
        b"Zf" => b'F',
        b"Zd" => b'D',
        _ => return None,
    };
    let n = usize::try_from(view.ndim).ok()?;
    // SAFETY: of a buffer that was asked for its strides they are there, one a dimension.
    let (extents, strides) = unsafe { (numbers(view.shape, n)?, numbers(view.strides, n)?) };
    let (mut low, mut high) = (0isize, view.itemsize);
    let mut next = view.itemsize;
    let is_in_order = extents.iter().zip(strides).rev().all(|(extent, stride)| {
        let expected = next;
        next = next.saturating_mul(*extent);
        *stride == expected
    });
    for (extent, stride) in extents.iter().zip(strides) {
        let last = extent.checked_sub(1).filter(|last| *last >= 0)?.checked_mul(*stride)?;
        if last < 0 { low += last } else { high += last }
    }
    let first = view.buf as usize;
    let place =
        block::find(me.runtime().id(), first.wrapping_add_signed(low), (high - low) as usize)?;
    let mut bytes = Vec::with_capacity(FIXED + 16 * n);
    bytes.extend([code, u8::from(view.readonly != 0)]);
    bytes.extend((n as u16).to_le_bytes());
    bytes.extend([u8::from(is_in_order), 0, 0, 0]);
    bytes.extend(place.start.wrapping_add_signed(-low as i64).to_le_bytes());
    bytes.extend(place.handle.off().0.to_le_bytes());
    bytes.extend(place.handle.id().to_le_bytes());
    for number in extents.iter().chain(strides) {
        bytes.extend((*number as i64).to_le_bytes());
    }
    let beside = if place.carried { view.len as u64 } else { 0 };
    Some(View { bytes, block: [place.handle.off()], beside, _handle: place.handle })
}

fn dtype(py: Python<'_>, code: u8) -> PyResult<&Bound<'_, PyAny>> {
    let known = DTYPES.get(usize::from(code)).ok_or_else(|| corrupt(py))?;
    let make = || {
        let code = char::from(code).to_string();
        Ok::<_, PyErr>(py.import("numpy")?.getattr("dtype")?.call1((code,))?.unbind())
    };
    Ok(known.get_or_try_init(py, make)?.bind(py))
}

#[cold]
fn corrupt(py: Python<'_>) -> PyErr {
    errors::new(py, "NotReadable", "the array's bytes are not as they were written".to_owned())
}

/// The array that `bytes` describe.
pub(crate) fn decode(py: Python<'_>, me: &Member, bytes: &[u8]) -> PyResult<Py<PyAny>> {
    let word = |i: usize| -> Option<u64> {
        Some(u64::from_le_bytes(bytes.get(8 * i..8 * i + 8)?.try_into().ok()?))
    };
    let (Some(head), Some(start), Some(off), Some(id)) = (word(0), word(1), word(2), word(3))
    else {
        return Err(corrupt(py));
    };
    let [code, readonly, n0, n1, is_in_order, ..] = head.to_le_bytes();
    let n = usize::from(u16::from_le_bytes([n0, n1]));
    let mut numbers = [0i64; 2 * DIMENSIONS];
    if n > DIMENSIONS || bytes.len() < FIXED + 16 * n {
        return Err(corrupt(py));
    }
    for (i, number) in numbers[..2 * n].iter_mut().enumerate() {
        *number = word(4 + i).unwrap_or(0) as i64;
    }
    let block = block::arrived_at(py, me, Off(off), id)?;
    let class = CLASS.get_or_try_init(py, || {
        Ok::<_, PyErr>(py.import("numpy")?.getattr("ndarray")?.cast_into::<PyType>()?.unbind())
    })?;
    let extents = PyTuple::new(py, &numbers[..n])?;
    let was_writable = !block.get().readonly();
    let (class, dtype) = (class.bind(py), dtype(py, code)?);
    let made = if is_in_order != 0 {
        class.call1((extents, dtype, block, start))?
    } else {
        let strides = PyTuple::new(py, &numbers[n..2 * n])?;
        class.call1((extents, dtype, block, start, strides))?
    };
    if readonly != 0 && was_writable {
        made.getattr("flags")?.setattr("writeable", false)?;
    }
    Ok(made.unbind())
}
