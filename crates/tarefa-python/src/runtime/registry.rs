//! The classes of shared objects: each registers how a handle becomes one of its objects, and how
//! the handle of such an object is found.

use std::sync::OnceLock;

use pyo3::PyClass;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use tarefa_engine::kinds;
use tarefa_engine::shm::object::handle::Handle;

use crate::runtime::{errors, hooks};

/// Makes the core of an object from its handle.
pub(crate) type Make = fn(Python<'_>, Handle) -> PyResult<Py<PyAny>>;

/// A class whose objects stand for shared ones.
pub(crate) trait SharedClass: PyClass {
    /// The handle of such an object; none if it stands for more than that.
    fn handle_in(object: &Bound<'_, Self>) -> Option<Handle>;
}

/// The handle in an object of a class; none of an object of another.
type Find = fn(&Bound<'_, PyAny>) -> Option<Handle>;

/// By kind.
static MAKES: [OnceLock<Make>; kinds::COUNT] = [const { OnceLock::new() }; kinds::COUNT];
/// In the order in which they registered.
static FINDS: [OnceLock<Find>; kinds::COUNT] = [const { OnceLock::new() }; kinds::COUNT];

/// Has objects of these kinds be made by `make`.
pub(crate) fn add_kinds(kinds: &[u64], make: Make) {
    for kind in kinds {
        let _ = MAKES[*kind as usize].set(make);
    }
}

/// Has handles be found in objects of the class `T`, and of its subclasses.
pub(crate) fn add_class<T: SharedClass>() {
    fn find<T: SharedClass>(object: &Bound<'_, PyAny>) -> Option<Handle> {
        object.cast::<T>().ok().and_then(T::handle_in)
    }
    let mut find: Find = find::<T>;
    for place in &FINDS {
        match place.set(find) {
            Ok(()) => return,
            Err(again) => find = again,
        }
    }
}

/// The handle of one of this package's own objects; not of a subclass of a user's.
pub(crate) fn of_object(object: &Bound<'_, PyAny>) -> Option<Handle> {
    let handle = FINDS.iter().map_while(|find| find.get()).find_map(|find| find(object))?;
    let module = object.get_type().getattr("__module__").ok();
    let is_ours = module.and_then(|m| m.extract::<String>().ok()).is_some_and(|m| m == "tarefa");
    is_ours.then_some(handle)
}

/// A bare core for another handle of an object's: what the `__new__` of a subclass takes.
#[pyfunction]
pub(crate) fn core_of(object: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let found = of_object(object);
    let make = |handle: &Handle| MAKES.get(handle.kind() as usize).and_then(|make| make.get());
    match found.map(|handle| (make(&handle), handle)) {
        Some((Some(make), handle)) => make(object.py(), handle),
        _ => Err(PyTypeError::new_err(format!("{} is no shared object", object.get_type()))),
    }
}

/// The Python object for a handle.
pub(crate) fn wrap(py: Python<'_>, handle: Handle, kind: u64) -> PyResult<Py<PyAny>> {
    let make = MAKES.get(kind as usize).and_then(|make| make.get());
    let Some(make) = make else {
        let text = format!("the object is of a kind ({kind}) that this version does not know");
        return Err(errors::new(py, "HandleGone", text));
    };
    hooks::public(py, kinds::name(kind).unwrap_or_default(), make(py, handle)?)
}
