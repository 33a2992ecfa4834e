//! Operations that give way to whoever groups his own, and the lock that does it.

use pyo3::prelude::*;
use tarefa_engine::collections::object_lock;
use tarefa_engine::collections::object_lock::MaybeGuarded;
use tarefa_engine::collections::updating::{self, Element, NestedUpdate};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::{Member, Off};
use tarefa_engine::sync::lock::word::{Acquired, LockWord, Recursion};

use crate::runtime::blocking::PyBlockingHooks;
use crate::runtime::errors;
use crate::runtime::handle::Slot as _;
use crate::sync::{lock, repair};

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

/// A Python exception, or one that is yet to be made of [`NestedUpdate`].
struct Failed(PyErr);

impl From<PyErr> for Failed {
    fn from(error: PyErr) -> Self {
        Self(error)
    }
}

impl From<NestedUpdate> for Failed {
    fn from(error: NestedUpdate) -> Self {
        Self(Python::attach(|py| errors::new(py, "NestedUpdate", error.to_string())))
    }
}

/// The object is this thread's until this is dropped.
struct Alone<'a>(&'a Member, &'static LockWord);

impl<'a> Alone<'a> {
    fn take(
        py: Python<'_>,
        me: &'a Member,
        cell: &'static LockWord,
        object: Off,
    ) -> PyResult<Self> {
        let mut parker = PyBlockingHooks::new(py);
        loop {
            match cell.acquire(me, Recursion::Allowed, object, &mut parker, Deadline::NEVER) {
                Acquired::Yes => return Ok(Self(me, cell)),
                Acquired::Interrupted => return Err(parker.into_error()),
                // A group that was cut short left each of its operations whole.
                Acquired::OwnerDied(_) | Acquired::TimedOut => {}
            }
        }
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        // It is held, once.
        let _ = self.1.release(self.0, Recursion::Allowed);
    }
}

/// Runs `once`, which computes `element` anew by code of the user's, until it gives something. If
/// others come in between, again and again, they have to wait: it holds the lock of the object then.
pub(crate) fn insisting<T>(
    py: Python<'_>,
    me: &Member,
    cell: &'static LockWord,
    object: Off,
    element: Element,
    mut once: impl FnMut() -> PyResult<Option<T>>,
) -> PyResult<T> {
    let run = || {
        let updating = updating::begin(me, object, element)?;
        let lock = || Ok(Alone::take(py, me, cell, object)?);
        updating::retry_optimistic(&updating, lock, || Ok(once()?))
    };
    run().map_err(|Failed(error)| error)
}

/// Why an object is not computed anew.
enum Stopped {
    Raised(PyErr),
    ByItself,
}

impl From<PyErr> for Stopped {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl From<NestedUpdate> for Stopped {
    fn from(_: NestedUpdate) -> Self {
        Self::ByItself
    }
}

/// Runs `attempt`, which computes the whole object anew, until it says that it was done; `error` where
/// what it calls changes the object. Others have to wait as in [`insisting`].
pub(crate) fn retry_optimistic(
    object: &Bound<'_, PyAny>,
    handle: &Handle,
    cell: &'static LockWord,
    attempt: &Bound<'_, PyAny>,
    error: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (py, me) = (object.py(), handle.try_slot()?);
    let run = || {
        let updating = updating::begin(&me, handle.off(), Element::All)?;
        let lock = || Ok(Alone::take(py, &me, cell, handle.off())?);
        updating::retry_optimistic(&updating, lock, || {
            Ok(attempt.call0()?.is_truthy()?.then_some(()))
        })
    };
    run().or_else(|stopped| match stopped {
        Stopped::Raised(raised) => Err(raised),
        Stopped::ByItself => {
            let class = object.get_type().name()?;
            let text = format!("the {class} was changed by what was called to change it");
            Err(PyErr::from_value(error.call1((text,))?))
        }
    })
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

/// Keeps what repairs the object.
pub(crate) fn set_repair(
    py: Python<'_>,
    me: &Member,
    cell: &'static LockWord,
    object: Off,
    function: &Bound<'_, PyAny>,
) -> PyResult<()> {
    repair::keep(py, me, function, |kept| cell.set_repair(me, object, kept))
}

/// Who holds it.
pub(crate) fn owner(
    py: Python<'_>,
    me: &Member,
    cell: &'static LockWord,
) -> PyResult<Option<Py<PyAny>>> {
    lock::owner(py, me, cell, Recursion::Allowed)
}
