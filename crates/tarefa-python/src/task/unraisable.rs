//! Interrupts that the interpreter would drop.
//!
//! An interrupt is raised in whatever its thread executes next. Where that is a finalizer or the
//! callback of a weak reference, which run between two lines of the target, the interpreter
//! reports the exception and goes on without it. So it is raised once more, after that.
//!
//! A finalizer may also fail with an interrupt that is none of its task's: the outcome of another
//! task, whose result it asked for, say. What a thread's task is interrupted with is raised by its
//! class alone, and so has no text yet, as outcomes have; what a process's task is interrupted with
//! is the one that [`TaskCore::note_delivered`] was told of.

use std::cell::RefCell;

use pyo3::PyTraverseError;
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tarefa_engine::os::signal;

use crate::task::core::TaskCore;

/// Who runs a task's target.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Runs {
    /// A thread, by the interpreter's number for it.
    Thread(u64),
    /// The main thread of a process.
    Process,
}

thread_local! {
    /// The task whose target this thread runs.
    static HERE: RefCell<Option<(Py<TaskCore>, Runs)>> = const { RefCell::new(None) };
}

/// The calling thread runs the target of `core` from now on.
pub(crate) fn runs_here(core: &Bound<'_, TaskCore>, process: bool) {
    let runs = if process {
        Runs::Process
    } else {
        // SAFETY: attached; has no other preconditions.
        Runs::Thread(unsafe { ffi::PyThread_get_thread_ident() })
    };
    drop(HERE.replace(Some((core.clone().unbind(), runs))));
}

/// The calling thread runs no target any more.
pub(crate) fn ended_here() {
    drop(HERE.take());
}

/// A `sys.unraisablehook` that has dropped interrupts raised again and hands on the rest.
///
/// Native, for what is to be raised in a thread comes at its next bytecode: were the hook written
/// in Python, that would be one of the hook's own, and the interrupt dropped again. So would be one
/// that comes while the hook looks at another.
#[pyclass(frozen, module = "tarefa._engine")]
pub(crate) struct UnraisableHook {
    /// The hook that gets all other exceptions.
    before: Py<PyAny>,
    /// The classes of interrupts.
    interrupts: Py<PyTuple>,
}

#[pymethods]
impl UnraisableHook {
    #[new]
    fn new(before: Py<PyAny>, interrupts: Py<PyTuple>) -> Self {
        Self { before, interrupts }
    }

    fn __call__(&self, py: Python<'_>, unraisable: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.raised_again(py, unraisable).unwrap_or(false) {
            return Ok(());
        }
        self.before.bind(py).call1((unraisable,)).map(drop)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.before)?;
        visit.call(&self.interrupts)
    }
}

impl UnraisableHook {
    /// Whether it was an interrupt of the task that runs here, which comes again. Runs no bytecode.
    fn raised_again(&self, py: Python<'_>, unraisable: &Bound<'_, PyAny>) -> PyResult<bool> {
        let class = unraisable.getattr("exc_type")?;
        if !self.interrupts.bind(py).iter().any(|known| known.is(&class)) {
            return Ok(false);
        }
        let value = unraisable.getattr("exc_value")?;
        let here = HERE
            .with_borrow(|here| here.as_ref().map(|(core, runs)| (core.bind(py).clone(), *runs)));
        Ok(match here {
            None => false,
            Some((core, Runs::Thread(ident))) => {
                let bare = value.is_none() || value.getattr("args")?.is_empty()?;
                bare && core.get().was_raised() && core.get().raise_in_target(ident, &class)
            }
            Some((core, Runs::Process)) => {
                let ours = core.get().was_delivered(&value);
                if ours {
                    // As it came: by the handler of the signal, which says what it is.
                    core.get().request_interrupt();
                    // SAFETY: attached; the number is a signal's.
                    unsafe { ffi::PyErr_SetInterruptEx(signal::interrupt_signal()) };
                }
                ours
            }
        })
    }
}
