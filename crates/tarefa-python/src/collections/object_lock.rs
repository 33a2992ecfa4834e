//! Operations that give way to whoever groups his own, and the lock that does it.

use pyo3::prelude::*;
use tarefa_engine::collections::object_lock;
use tarefa_engine::collections::object_lock::MaybeGuarded;
use tarefa_engine::shm::{Me, Off};
use tarefa_engine::sync::lock::word::{LockCell, Sort};

use crate::runtime::blocking;
use crate::runtime::blocking::PyParker;
use crate::sync::lock;

/// Runs `act` until no other thread's group stands in its way; an error of its own is inside.
#[inline]
pub(crate) fn giving_way<T, E: MaybeGuarded>(
    py: Python<'_>,
    me: &Me,
    cell: &'static LockCell,
    object: Off,
    act: impl FnMut() -> Result<T, E>,
) -> PyResult<Result<T, E>> {
    object_lock::giving_way(me, cell, object, || PyParker::new(py), act)
        .map_err(|(parker, _)| parker.into_error())
}

/// How often something is computed anew before others have to wait for it.
const TRIES: usize = 8;

/// Runs `once` until it gives something. If others come in between, again and again, they have
/// to wait: it holds the lock of the object then.
pub(crate) fn insisting<T>(
    py: Python<'_>,
    me: &Me,
    cell: &'static LockCell,
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
    me: &Me,
    cell: &'static LockCell,
    object: Off,
    blocking: Option<&Bound<'_, PyAny>>,
    timeout: Option<&Bound<'_, PyAny>>,
) -> PyResult<bool> {
    let until = lock::patience(blocking, timeout, None)?;
    lock::take(py, me, cell, Sort::Recursive, object, until)
}

/// Lets it go.
pub(crate) fn release(me: &Me, cell: &'static LockCell) -> PyResult<()> {
    lock::let_go(me, cell, Sort::Recursive)
}

/// Who holds it.
pub(crate) fn owner(
    py: Python<'_>,
    me: &Me,
    cell: &'static LockCell,
) -> PyResult<Option<Py<PyAny>>> {
    lock::owner(py, me, cell, Sort::Recursive)
}
