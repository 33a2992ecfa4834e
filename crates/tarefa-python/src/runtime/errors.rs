//! Exceptions of the package, raised from Rust.

use std::io;

use pyo3::exceptions::{PyIndexError, PyRecursionError, PyValueError};
use pyo3::prelude::*;
use tarefa_engine::collections::list::ListError;
use tarefa_engine::os::rlimit;
use tarefa_engine::settings::BadSetting;
use tarefa_engine::shm::TooManyThreads;
use tarefa_engine::shm::heap::OutOfMemory;
use tarefa_engine::shm::member::attach::AttachError;
use tarefa_engine::sync::wait_queue::WaitError;
use tarefa_engine::task::process::StartError;

use crate::runtime::hooks;

/// An instance of the class `name` of `tarefa._hooks`.
pub(crate) fn new(py: Python<'_>, name: &str, args: impl ErrorArgs) -> PyErr {
    args.raise(py, name)
}

/// The class `name` of `tarefa._hooks`.
pub(crate) fn named<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    hooks::named(py, name)
}

/// What an exception is made with.
pub(crate) trait ErrorArgs {
    /// Makes it.
    fn raise(self, py: Python<'_>, name: &str) -> PyErr;
}

impl ErrorArgs for String {
    fn raise(self, py: Python<'_>, name: &str) -> PyErr {
        make(py, name, |class| class.call1((self.as_str(),)))
    }
}

impl ErrorArgs for (i32, String) {
    fn raise(self, py: Python<'_>, name: &str) -> PyErr {
        make(py, name, |class| class.call1((self.0, self.1.as_str())))
    }
}

fn make<'py>(
    py: Python<'py>,
    name: &str,
    call: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
) -> PyErr {
    let made = hooks::named(py, name).and_then(|class| call(&class));
    made.map_or_else(|e| e, PyErr::from_value)
}

pub(crate) fn out_of_memory(py: Python<'_>, e: OutOfMemory) -> PyErr {
    new(py, "ArenaFull", e.to_string())
}

/// The calling thread cannot use shared objects.
#[cold]
pub(crate) fn too_many_threads(e: TooManyThreads) -> PyErr {
    Python::attach(|py| new(py, "TooManyThreads", e.to_string()))
}

pub(crate) fn wait(py: Python<'_>, e: WaitError) -> PyErr {
    match e {
        WaitError::Memory(e) => out_of_memory(py, e),
        WaitError::TooDeep => PyRecursionError::new_err(e.to_string()),
    }
}

pub(crate) fn list(py: Python<'_>, e: ListError) -> PyErr {
    match e {
        ListError::OutOfRange { .. } => PyIndexError::new_err(e.to_string()),
        ListError::Changed | ListError::Locked(_) => new(py, "ListChanged", e.to_string()),
        ListError::Memory(e) => out_of_memory(py, e),
    }
}

/// A handle leads to an object that is gone.
pub(crate) fn gone(py: Python<'_>) -> PyErr {
    let text = "the object is gone: nothing refers to it any more; \
                keep it in the sending program until the receiver has it";
    new(py, "HandleGone", text.to_owned())
}

pub(crate) fn attach(py: Python<'_>, e: &AttachError) -> PyErr {
    new(py, "HandleGone", e.to_string())
}

pub(crate) fn start(py: Python<'_>, e: StartError) -> PyErr {
    match e {
        StartError::Memory(e) => out_of_memory(py, e),
        StartError::Processes { .. } => new(py, "StartError", (11, format!("{e} [RLIMIT_NPROC]"))),
        StartError::Descriptors { .. } => {
            new(py, "StartError", (24, format!("{e} [RLIMIT_NOFILE]")))
        }
        _ => new(py, "StartError", (0, e.to_string())),
    }
}

pub(crate) fn runtime_failed(py: Python<'_>, e: &io::Error) -> PyErr {
    if e.get_ref().is_some_and(|e| e.is::<BadSetting>()) {
        return PyValueError::new_err(e.to_string());
    }
    let hint = match e.raw_os_error() {
        Some(24 | 23) => {
            " The limit on open files (RLIMIT_NOFILE, ulimit -n) is reached: close some or raise it."
                .to_owned()
        }
        Some(12) => " There is no address space for it (RLIMIT_AS, ulimit -v).".to_owned(),
        Some(11) => format!(" There can be no thread for it: {}.", rlimit::no_thread()),
        _ => String::new(),
    };
    let text = format!("cannot set up the shared memory of tarefa: {e}.{hint}");
    new(py, "StartError", (e.raw_os_error().unwrap_or(0), text))
}
