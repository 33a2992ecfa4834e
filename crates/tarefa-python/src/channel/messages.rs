//! Messages as Python has them, and how long to wait for one: what queues and pipes have in common.

use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use tarefa_engine::channel::{Content, unkeyed};
use tarefa_engine::collections::value::tag;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::object::blob;
use tarefa_engine::task::origin;

use crate::convert::{encode, flat};
use crate::runtime::blocking::deadline;
use crate::runtime::{errors, hooks};
use crate::sync::lock::seconds;

/// How long to wait, from the arguments of `put` and `get`; `None` not to wait at all.
#[inline]
pub(crate) fn patience(
    block: Option<&Bound<'_, PyAny>>,
    timeout: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<Deadline>> {
    if !block.map_or(Ok(true), Bound::is_truthy)? {
        return Ok(None);
    }
    let Some(timeout) = timeout.filter(|t| !t.is_none()) else { return Ok(Some(Deadline::NEVER)) };
    let seconds = seconds(timeout)?;
    if seconds.is_nan() || seconds < 0.0 {
        return Err(PyValueError::new_err("'timeout' must be a non-negative number"));
    }
    deadline(Some(seconds)).map(Some)
}

/// The object that a message is; `last` if nobody else has it any more, so that its buffers are the
/// receiver's; `channel` is what it came through, for an error.
pub(crate) fn decode(
    py: Python<'_>,
    me: &Member,
    content: Content<'_>,
    last: bool,
    channel: &str,
) -> PyResult<Py<PyAny>> {
    let (how, bytes, at) = match content {
        Content::Word(word) => return encode::decode_word(py, word),
        Content::Blob(how, bytes, at) => (how, bytes, at),
    };
    let decoded = if how == tag::TUPLE {
        flat::decode(py, bytes)
    } else if how == tag::KEYED {
        let (how, bytes) = unkeyed(bytes).unwrap_or((0, bytes));
        encode::decode_last(py, how, bytes, last)
    } else if how == tag::OBJECT {
        let held = blob::hold(me, at).map_err(|e| errors::out_of_memory(py, e))?;
        encode::decode_object(py, me, held.first())
    } else {
        encode::decode_last(py, how, bytes, last)
    };
    decoded.map_err(|e| {
        // An interrupt is none of the message's.
        if !e.is_instance_of::<PyException>(py) {
            return e;
        }
        let pid = blob::signed_by(me, at);
        match hooks::named(py, "bad_message")
            .and_then(|make| make.call1((origin::of_process(me, pid), pid, e.value(py), channel)))
        {
            Ok(made) => {
                let made = PyErr::from_value(made);
                made.set_cause(py, Some(e));
                made
            }
            Err(other) => other,
        }
    })
}
