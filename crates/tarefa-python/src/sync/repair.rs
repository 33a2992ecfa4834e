//! `repair=` of locks: a function that is called, with the lock held, by whoever takes it first
//! after its owner's death.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use tarefa_engine::collections::value::Item;
use tarefa_engine::shm::heap::OutOfMemory;
use tarefa_engine::shm::{Member, Off};
use tarefa_engine::sync::lock::word::LockWord;
use tarefa_engine::sync::repair::Repair;

use crate::convert::encode::{self, APART, PICKLE};
use crate::runtime::{errors, hooks};

/// A function as the engine keeps it: tag, bytes in parts, objects mentioned.
type Kept<'a> = (u8, &'a [&'a [u8]], &'a [Off]);

/// Encodes `function` and has `set` keep it.
pub(crate) fn keep(
    py: Python<'_>,
    me: &Member,
    function: &Bound<'_, PyAny>,
    set: impl FnOnce(Kept<'_>) -> Result<(), OutOfMemory>,
) -> PyResult<()> {
    if !function.is_callable() {
        let text = format!("repair must be a function, not {}", function.get_type().name()?);
        return Err(PyTypeError::new_err(text));
    }
    // One that would not be run.
    hooks::named(py, "refuse_async")?.call1((function, "repair"))?;
    let encoded = encode::encode(me, function)?;
    let result = match encoded.item()? {
        Item::Blob(tag, bytes, refs) => set((tag, &[bytes], refs)),
        Item::Parts(tag, parts, refs) => set((tag, parts, refs)),
        Item::Word(_) => return Err(PyTypeError::new_err("repair must be a function")),
    };
    result.map_err(|e| errors::out_of_memory(py, e))
}

/// Calls what `kept` is; false if it is of another language.
pub(crate) fn call(py: Python<'_>, kept: &Repair) -> PyResult<bool> {
    if !matches!(kept.tag, PICKLE | APART) {
        return Ok(false);
    }
    encode::decode_bytes(py, kept.tag, &kept.bytes)?.call0(py)?;
    Ok(true)
}

/// Repairs what the lock of `cell` guards, which the calling thread holds. On an error it is as
/// much to be repaired as before, and still held; so it is where it answers false, for what is kept
/// is of another language.
#[cold]
pub(crate) fn repair(
    py: Python<'_>,
    me: &Member,
    cell: &'static LockWord,
    object: Off,
) -> PyResult<bool> {
    let kept = cell.repair(me, object).map_err(|e| errors::out_of_memory(py, e))?;
    let Some(kept) = kept else { return Ok(true) };
    let done = call(py, &kept)?;
    if done {
        cell.clear_poison();
    }
    Ok(done)
}
