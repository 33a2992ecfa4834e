//! Interrupts that the interpreter would drop.
//!
//! An interrupt is raised in whatever its thread executes next. Where that is a finalizer or the
//! callback of a weak reference, which run between two lines of the target, the interpreter
//! reports the exception and goes on without it. So it is raised once more, after that.

use pyo3::prelude::*;

use crate::task::TaskCore;

/// A second interrupt may fall into the question about the first; somebody who interrupts without
/// pause is not waited for.
const TRIES: u32 = 8;

/// A `sys.unraisablehook` that has dropped interrupts raised again and hands on the rest.
///
/// Native, for what is to be raised in a thread comes at its next bytecode: were the hook written
/// in Python, that would be one of the hook's own, and the interrupt dropped again.
#[pyclass(frozen, module = "tarefa._engine")]
pub(crate) struct UnraisableHook {
    /// The hook that gets all other exceptions.
    before: Py<PyAny>,
    /// Called with an exception's class; the core of the calling thread's task if it is an
    /// interrupt and the task's target still runs, else None.
    interrupted: Py<PyAny>,
}

#[pymethods]
impl UnraisableHook {
    #[new]
    fn new(before: Py<PyAny>, interrupted: Py<PyAny>) -> Self {
        Self { before, interrupted }
    }

    fn __call__(&self, py: Python<'_>, unraisable: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut dropped = unraisable.getattr("exc_type")?;
        for _ in 0..TRIES {
            match self.interrupted.bind(py).call1((&dropped,)) {
                Ok(core) if core.is_none() => break,
                Ok(core) => {
                    let core = core.cast::<TaskCore>()?.get();
                    if !core.raise_in_target(this_thread(py)?, &dropped) {
                        break;
                    }
                    return Ok(());
                }
                Err(second) => dropped = second.get_type(py).into_any(),
            }
        }
        self.before.bind(py).call1((unraisable,))?;
        Ok(())
    }
}

fn this_thread(py: Python<'_>) -> PyResult<u64> {
    py.import("_thread")?.call_method0("get_ident")?.extract()
}
