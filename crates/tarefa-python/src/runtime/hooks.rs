//! What the extension asks of the package: through `tarefa._hooks`, the one module that it imports,
//! and the public classes, which register themselves here.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule, PyType};

use crate::runtime::once::Once;

/// A function, class or value of `tarefa._hooks`, looked up when it is first asked for.
pub(crate) struct Hook {
    name: &'static str,
    found: Once<Py<PyAny>>,
}

/// Picklers of an object: for bytes by themselves, and for the engine's encoding.
pub(crate) static DUMPS: Hook = Hook::new("dumps");
pub(crate) static DUMPS_OUT_OF_BAND: Hook = Hook::new("dumps_out_of_band");
pub(crate) static LOADS: Hook = Hook::new("loads");
/// What an object is as a key, and the error for one that is none.
pub(crate) static REDUCE_KEY: Hook = Hook::new("reduce_key");
pub(crate) static KEY_REFUSAL: Hook = Hook::new("refusal");
/// Functions that a handle is pickled as a call of.
pub(crate) static ATTACH: Hook = Hook::new("attach");
pub(crate) static ATTACH_BLOCK: Hook = Hook::new("attach_block");
pub(crate) static ATTACH_WITH_LOCK: Hook = Hook::new("attach_with_lock");
/// The class of a lock's owner.
pub(crate) static OWNER: Hook = Hook::new("Owner");
/// Assignment to a slice of a list, and its deletion.
pub(crate) static SET_SLICE: Hook = Hook::new("set_slice");
pub(crate) static DELETE_SLICE: Hook = Hook::new("delete_slice");
/// One instruction of Python.
pub(crate) static TICK: Hook = Hook::new("tick");
/// The handler of the interrupt signal in a task's process.
pub(crate) static ON_INTERRUPT: Hook = Hook::new("on_interrupt");
/// Tells of failures that are due.
pub(crate) static ON_REMINDER: Hook = Hook::new("on_reminder");
/// Has this process offer its stack.
pub(crate) static OFFER_STACK: Hook = Hook::new("offer_stack");
/// The folder of the package.
pub(crate) static FOLDER: Hook = Hook::new("FOLDER");
/// What a constructor stands for where a module makes it as it is imported.
pub(crate) static MODULE_OBJECT: Hook = Hook::new("module_object");
/// Says how a zygote is started.
pub(crate) static ENSURE_ZYGOTE_COMMAND: Hook = Hook::new("ensure_zygote_command");

impl Hook {
    const fn new(name: &'static str) -> Self {
        Self { name, found: Once::new() }
    }

    pub(crate) fn get<'py>(&'static self, py: Python<'py>) -> PyResult<&'py Bound<'py, PyAny>> {
        let found = self.found.get_or_try_init(py, || named(py, self.name).map(Bound::unbind))?;
        Ok(found.bind(py))
    }
}

/// What `tarefa._hooks` calls `name`.
pub(crate) fn named<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    static MODULE: Once<Py<PyModule>> = Once::new();
    let module =
        MODULE.get_or_try_init(py, || PyModule::import(py, "tarefa._hooks").map(Bound::unbind))?;
    module.bind(py).getattr(name)
}

static CLASSES: Once<Py<PyDict>> = Once::new();

fn classes(py: Python<'_>) -> &Bound<'_, PyDict> {
    CLASSES.get_or_init(py, || PyDict::new(py).unbind()).bind(py)
}

/// Has objects of that kind be of `class`, whose `__new__` takes a core; or what that function
/// makes of one.
#[pyfunction]
pub(crate) fn register_class(py: Python<'_>, kind: &str, class: &Bound<'_, PyAny>) -> PyResult<()> {
    classes(py).set_item(kind, class)
}

/// The public object for a core of that kind.
pub(crate) fn public(py: Python<'_>, kind: &str, core: Py<PyAny>) -> PyResult<Py<PyAny>> {
    let mut class = classes(py).get_item(kind)?;
    if class.is_none() {
        // Its module is one that is imported when it is first needed.
        named(py, "load_class")?.call1((kind,))?;
        class = classes(py).get_item(kind)?;
    }
    let Some(class) = class else {
        let text = format!("no class for objects of the kind {kind}: import tarefa first");
        return Err(PyRuntimeError::new_err(text));
    };
    if class.is_instance_of::<PyType>() {
        class.call_method1("__new__", (&class, core)).map(Bound::unbind)
    } else {
        class.call1((core,)).map(Bound::unbind)
    }
}
