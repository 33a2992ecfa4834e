//! Operations that give way to whoever groups his own, and the lock that does it.

use pyo3::prelude::*;
use tarefa_engine::collections::guard::{self, MaybeGuarded};
use tarefa_engine::shm::{Me, Off};
use tarefa_engine::sync::cell::{LockCell, Sort};

use crate::lock;
use crate::parker::PyParker;

/// Runs `act` until no other thread's group stands in its way; an error of its own is inside.
#[inline]
pub(crate) fn giving_way<T, E: MaybeGuarded>(
    py: Python<'_>,
    me: &Me,
    cell: &'static LockCell,
    object: Off,
    act: impl FnMut() -> Result<T, E>,
) -> PyResult<Result<T, E>> {
    guard::giving_way(me, cell, object, || PyParker::new(py), act)
        .map_err(|(parker, _)| parker.into_error())
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
