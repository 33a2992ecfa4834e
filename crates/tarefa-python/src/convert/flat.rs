//! Small tuples of what cannot change as the engine has them, and items in a priority queue.

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyInt, PyString, PyTuple};
use tarefa_engine::collections::flat::{self, DEPTH, Part};
use tarefa_engine::collections::value::tag;

use crate::convert::bytes::bytes_of;
use crate::convert::encode;
use crate::runtime::errors;

/// The most bytes of one; a pickle is as fast for what is larger.
const MOST: usize = 4096;

/// The tuple as bytes, if it is such a one.
pub(crate) fn encode(object: &Bound<'_, PyAny>) -> Option<Vec<u8>> {
    let tuple = object.cast_exact::<PyTuple>().ok()?;
    let mut out = Vec::with_capacity(64);
    put_tuple(tuple, &mut out, DEPTH).then_some(out)
}

fn put_tuple(tuple: &Bound<'_, PyTuple>, out: &mut Vec<u8>, depth: usize) -> bool {
    if depth == 0 || tuple.len() > MOST / 8 {
        return false;
    }
    flat::put(out, Part::Tuple(tuple.len()));
    tuple.iter_borrowed().all(|item| put_item(&item, out, depth - 1))
}

fn put_item(item: &Bound<'_, PyAny>, out: &mut Vec<u8>, depth: usize) -> bool {
    if let Some(word) = encode::word(item) {
        flat::put(out, Part::Word(word));
    } else if let Ok(text) = item.cast_exact::<PyString>() {
        // A lone surrogate is not UTF-8.
        let Ok(text) = text.to_str() else { return false };
        if text.len() > MOST {
            return false;
        }
        flat::put(out, Part::Str(text.as_bytes()));
    } else if let Ok(bytes) = item.cast_exact::<PyBytes>() {
        if bytes.as_bytes().len() > MOST {
            return false;
        }
        flat::put(out, Part::Bytes(bytes.as_bytes()));
    } else if let Ok(int) = item.cast_exact::<PyInt>() {
        let Ok(bytes) = encode::int_bytes(int) else { return false };
        // More is not compared as a whole.
        if bytes.as_bytes().len() > 16 {
            return false;
        }
        flat::put(out, Part::Int(bytes.as_bytes()));
    } else if let Ok(tuple) = item.cast_exact::<PyTuple>() {
        return put_tuple(tuple, out, depth);
    } else {
        return false;
    }
    out.len() <= MOST
}

/// The items that a tuple begins with and that can be compared, as a tuple in bytes: what it is ordered
/// by. `TypeError` where it begins with none, and for what is no tuple.
pub(crate) fn key(object: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let mut items = Vec::new();
    let mut count = 0;
    if let Ok(tuple) = object.cast_exact::<PyTuple>() {
        for item in tuple.iter_borrowed() {
            let before = items.len();
            if !put_item(&item, &mut items, DEPTH) {
                items.truncate(before);
                break;
            }
            count += 1;
        }
    }
    if count == 0 {
        let text = format!(
            "a PriorityQueue orders numbers, texts, bytes and tuples that begin with one of them, not \
             {}: put a tuple (priority, item)",
            object.get_type().name()?
        );
        return Err(PyTypeError::new_err(text));
    }
    let mut out = Vec::with_capacity(items.len() + 8);
    flat::put(&mut out, Part::Tuple(count));
    out.append(&mut items);
    Ok(out)
}

/// The tuple that those bytes are.
pub(crate) fn decode(py: Python<'_>, mut bytes: &[u8]) -> PyResult<Py<PyAny>> {
    let found = take_item(py, &mut bytes, DEPTH + 1)?;
    if bytes.is_empty() { Ok(found) } else { Err(broken(py)) }
}

#[cold]
fn broken(py: Python<'_>) -> PyErr {
    errors::new(py, "NotReadable", "the message is broken".to_owned())
}

fn take_item(py: Python<'_>, bytes: &mut &[u8], depth: usize) -> PyResult<Py<PyAny>> {
    match flat::take(bytes) {
        Some(Part::Word(word)) => encode::decode_word(py, word),
        Some(Part::Str(text)) => encode::decode_bytes(py, tag::STR, text),
        Some(Part::Bytes(these)) => Ok(bytes_of(py, these)?.into_any().unbind()),
        Some(Part::Int(int)) => encode::decode_bytes(py, tag::INT, int),
        Some(Part::Tuple(count)) if depth > 0 => {
            // SAFETY: attached; a new reference, or null with an exception set.
            let tuple = unsafe {
                let ptr = ffi::PyTuple_New(count as ffi::Py_ssize_t);
                Bound::from_owned_ptr_or_err(py, ptr)?
            };
            for i in 0..count {
                let item = take_item(py, bytes, depth - 1)?.into_ptr();
                // SAFETY: nobody else has the tuple yet; it takes the reference to the item.
                unsafe { ffi::PyTuple_SetItem(tuple.as_ptr(), i as ffi::Py_ssize_t, item) };
            }
            Ok(tuple.unbind())
        }
        _ => Err(broken(py)),
    }
}
