//! Operations that give way to whoever groups his own, and the lock that does it.

use pyo3::prelude::*;
use tarefa_engine::collections::object_lock;
use tarefa_engine::collections::object_lock::MaybeGuarded;
use tarefa_engine::shm::{Member, Off};
use tarefa_engine::sync::lock::word::{LockWord, Recursion};

use crate::runtime::blocking;
use crate::runtime::blocking::PyBlockingHooks;
use crate::sync::lock;

/// Runs `act` until no other thread's group stands in its way; an error of its own is inside.
#[inline]
pub(crate) fn retry_when_unlocked<T, E: MaybeGuarded>(
    py: Python<'_>,
    me: &Member,
    cell: &'static LockWord,
    object: Off,
    act: impl FnMut() -> Result<T, E>,
) -> PyResult<Result<T, E>> {
    object_lock::retry_when_unlocked(me, cell, object, || PyBlockingHooks::new(py), act)
        .map_err(|(hooks, _)| hooks.into_error())
}

/// How often something is computed anew before others have to wait for it.
const TRIES: usize = 8;

/// Runs `once` until it gives something. If others come in between, again and again, they have
/// to wait: it holds the lock of the object then.
pub(crate) fn insisting<T>(
    py: Python<'_>,
    me: &Member,
    cell: &'static LockWord,
    object: Off,
    mut once: impl FnMut() -> PyResult<Option<T>>,
) -> PyResult<T> {
    for _ in 0..TRIES {
        if let Some(done) = once()? {
            return Ok(done);
        }
    }
    acquire(py, me, cell, object, None, None)?;
    let mut result = once();
    while matches!(result, Ok(None)) {
        // Only an operation of this very thread comes in between now, from inside `once`.
        result = blocking::tick(py).and_then(|()| once());
    }
    release(me, cell)?;
    result?.ok_or_else(|| pyo3::exceptions::PyRuntimeError::new_err("nothing was computed"))
}

/// Takes the lock of an object, as `acquire` of an `RLock`.
pub(crate) fn acquire(
    py: Python<'_>,
    me: &Member,
    cell: &'static LockWord,
    object: Off,
    blocking: Option<&Bound<'_, PyAny>>,
    timeout: Option<&Bound<'_, PyAny>>,
) -> PyResult<bool> {
    let until = lock::patience(blocking, timeout, None)?;
    lock::take(py, me, cell, Recursion::Allowed, object, until)
}

/// Lets it go.
pub(crate) fn release(me: &Member, cell: &'static LockWord) -> PyResult<()> {
    lock::let_go(me, cell, Recursion::Allowed)
}

/// Who holds it.
pub(crate) fn owner(
    py: Python<'_>,
    me: &Member,
    cell: &'static LockWord,
) -> PyResult<Option<Py<PyAny>>> {
    lock::owner(py, me, cell, Recursion::Allowed)
}
