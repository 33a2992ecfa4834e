//! `acquire` and `release` of a lock as plain C functions.
//!
//! What PyO3 does around each method, and its sorting out of arguments, costs as much as taking
//! a free lock. Here a call without arguments that needs neither wait nor error does without;
//! every other goes the usual way.

use std::ffi::{CStr, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::panic::PanicException;
use pyo3::prelude::*;
use pyo3::types::{PyTuple, PyType};
use tarefa_engine::sync::lock::word::Acquired;

use crate::sync::lock::LockCore;

const ACQUIRE_DOC: &CStr = c"acquire($self, blocking=True, timeout=-1, *, block=None)
--

Takes the lock.

Args:
    blocking: whether to wait.
    timeout: seconds to wait at most; -1 or None waits for ever.
    block: the name that multiprocessing has for blocking; timeout then means what it
        means there: below 0 is 0, and without waiting it is ignored.

Returns:
    Whether the lock was taken.

Raises:
    OwnerDied: whoever held it died; the lock is free, and not taken.
    ValueError: a timeout below 0 (but -1), or one without waiting.";

const RELEASE_DOC: &CStr = c"release($self)
--

Lets the lock go.

Raises:
    RuntimeError: it is not held, or, of an RLock, not by this thread.";

/// Gives `LockCore` these methods.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    own_lock_methods(&py.get_type::<LockCore>())
}

/// Gives a class of locks these methods as its own: the interpreter calls a method the short way where the
/// object is of the very class whose method it is.
#[pyfunction]
pub(crate) fn own_lock_methods(class: &Bound<'_, PyType>) -> PyResult<()> {
    if !class.is_subclass_of::<LockCore>()? {
        return Err(PyTypeError::new_err("not a class of locks"));
    }
    let acquire = ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: acquire };
    let release = ffi::PyMethodDefPointer { PyCFunction: release };
    let with_arguments = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    add(class, c"acquire", acquire, with_arguments, ACQUIRE_DOC)?;
    add(class, c"release", release, ffi::METH_NOARGS, RELEASE_DOC)
}

fn add(
    class: &Bound<'_, PyType>,
    name: &'static CStr,
    ml_meth: ffi::PyMethodDefPointer,
    ml_flags: c_int,
    doc: &'static CStr,
) -> PyResult<()> {
    let (ml_name, ml_doc) = (name.as_ptr(), doc.as_ptr());
    // The interpreter keeps the address for as long as the class lives: for ever.
    let def = Box::leak(Box::new(ffi::PyMethodDef { ml_name, ml_meth, ml_flags, ml_doc }));
    let py = class.py();
    // SAFETY: attached; the type lives, the definition for ever; a new reference or an error.
    let method = unsafe {
        let method = ffi::PyDescr_NewMethod(class.as_type_ptr(), def);
        Bound::from_owned_ptr_or_err(py, method)?
    };
    class.setattr(name.to_str().unwrap_or_default(), method)
}

/// Runs `act`; no panic may unwind into C.
#[inline]
fn guarded(act: impl FnOnce() -> *mut ffi::PyObject) -> *mut ffi::PyObject {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        Python::attach(|py| PanicException::new_err(text.unwrap_or_default()).restore(py));
        std::ptr::null_mut()
    })
}

/// Runs `act` with all that PyO3 does; an error becomes the interpreter's.
#[cold]
fn usual<'a>(
    this: *mut ffi::PyObject,
    act: impl FnOnce(Python<'_>, &LockCore) -> PyResult<Option<bool>> + 'a,
) -> *mut ffi::PyObject {
    Python::attach(|py| match act(py, core(py, &this)) {
        Ok(Some(value)) => pyo3::types::PyBool::new(py, value).to_owned().into_any().into_ptr(),
        Ok(None) => py.None().into_ptr(),
        Err(e) => {
            e.restore(py);
            std::ptr::null_mut()
        }
    })
}

/// What `self` of a method holds, for the length of the call.
#[inline]
fn core<'a>(py: Python<'a>, this: &'a *mut ffi::PyObject) -> &'a LockCore {
    // SAFETY: the caller holds a reference, and the method's descriptor has checked that it is
    // an instance of the class.
    unsafe { Borrowed::from_ptr(py, *this).cast_unchecked::<LockCore>().get() }
}

unsafe extern "C" fn acquire(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|| {
        if count == 0 && names.is_null() {
            // SAFETY: the interpreter calls this, attached. Nothing of PyO3's that counts is
            // used before `usual`.
            let py = unsafe { Python::assume_attached() };
            let lock = core(py, &this);
            let how = lock.attempt();
            if how == Some(Acquired::Yes) && !lock.has_repair() {
                // SAFETY: attached; the object is immortal or gets a new reference.
                return unsafe { ffi::Py_NewRef(ffi::Py_True()) };
            }
            return usual(this, |py, lock| lock.go_on(py, how).map(Some));
        }
        usual(this, |py, lock| {
            // SAFETY: by the calling convention there are as many objects as positional
            // arguments and names together, and all live as long as the call.
            let [blocking, timeout, block] = unsafe { sorted(py, arguments, count, names)? };
            lock.acquire(py, blocking.as_ref(), timeout.as_ref(), block.as_ref()).map(Some)
        })
    })
}

unsafe extern "C" fn release(
    this: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|| {
        // SAFETY: as in `acquire`.
        let py = unsafe { Python::assume_attached() };
        if core(py, &this).try_release() {
            // SAFETY: as in `acquire`.
            return unsafe { ffi::Py_NewRef(ffi::Py_None()) };
        }
        usual(this, |_, lock| lock.release().map(|()| None))
    })
}

/// The arguments of `acquire`, by their names.
///
/// # Safety
/// `count` objects lie at `arguments`, and behind them one for each of `names`; all live.
unsafe fn sorted(
    py: Python<'_>,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> PyResult<[Option<Bound<'_, PyAny>>; 3]> {
    const NAMES: [&str; 3] = ["blocking", "timeout", "block"];
    let count = count as usize;
    if count > 2 {
        let text = format!("acquire() takes at most 2 positional arguments ({count} given)");
        return Err(PyTypeError::new_err(text));
    }
    // SAFETY: promised by the caller.
    let at = |i: usize| unsafe { Bound::from_borrowed_ptr(py, *arguments.add(i)) };
    let mut found = [const { None }; 3];
    for (i, place) in found.iter_mut().take(count).enumerate() {
        *place = Some(at(i));
    }
    // SAFETY: a tuple of strings, or null.
    let names = unsafe { Bound::from_borrowed_ptr_or_opt(py, names) };
    let Some(names) = names else { return Ok(found) };
    for (i, name) in names.cast::<PyTuple>()?.iter().enumerate() {
        let name: String = name.extract()?;
        let Some(which) = NAMES.iter().position(|n| *n == name) else {
            let text = format!("acquire() got an unexpected keyword argument '{name}'");
            return Err(PyTypeError::new_err(text));
        };
        if found[which].replace(at(count + i)).is_some() {
            let text = format!("acquire() got multiple values for argument '{name}'");
            return Err(PyTypeError::new_err(text));
        }
    }
    Ok(found)
}
