//! `BarrierCore`: what `tarefa.Barrier` is made of.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple, PyType};
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::barrier::{self, Passed, Why};

use crate::convert::collector;
use crate::runtime::blocking::{self, PyBlockingHooks, deadline};
use crate::runtime::errors;
use crate::runtime::handle;
use crate::runtime::handle::Slot as _;
use crate::runtime::hooks;
use crate::runtime::member;
use crate::runtime::module_objects;
use crate::runtime::registry::SharedClass;
use crate::runtime::signals;

/// Tags of an action's blob: pickled, or why it cannot be.
const PICKLED: u8 = 1;
const REFUSED: u8 = 2;

/// A barrier in shared memory.
#[pyclass(frozen, subclass, weakref, name = "Barrier", module = "tarefa")]
#[derive(Debug)]
pub(crate) struct BarrierCore {
    handle: Handle,
}

impl BarrierCore {
    pub(crate) fn of(handle: Handle) -> Self {
        Self { handle }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    fn broken_error(&self, py: Python<'_>, why: Why) -> PyErr {
        let what = match why {
            Why::Aborted => "the barrier was aborted".to_owned(),
            Why::Reset => {
                let text = "the barrier was reset while this task waited at it: come again";
                return errors::new(py, "BrokenBarrierError", text.to_owned());
            }
            Why::TimedOut => format!(
                "the time of a party passed before all {} had come, which broke the barrier",
                self.handle.with_me(|me| barrier::parties(me, self.handle.off()))
            ),
            Why::ActionFailed => "the action of the barrier failed, which broke it".to_owned(),
            Why::Died(pid) => {
                format!("process {pid} died while it waited at the barrier, which broke it")
            }
        };
        let text = format!("{what}; reset() makes it whole again");
        errors::new(py, "BrokenBarrierError", text)
    }
}

impl SharedClass for BarrierCore {
    fn handle_in(object: &Bound<'_, Self>) -> Option<Handle> {
        // Its action goes with it; where that fails, pickling says why.
        if let Err(e) = object.call_method0("_publish") {
            if !e.is_instance_of::<PyException>(object.py()) {
                signals::raise_later(object.py(), e);
            }
            return None;
        }
        Some(object.get().handle().clone())
    }
}

#[pymethods]
impl BarrierCore {
    /// Of a core, another handle of its barrier; else a new one, for one party.
    #[new]
    #[classmethod]
    #[pyo3(signature = (*args, **kwargs))]
    fn new(
        cls: &Bound<'_, PyType>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        if let Some(core) = handle::core_in::<Self>(args) {
            return Ok(Self::of(core.get().handle.clone()));
        }
        if let Some(handle) = module_objects::find(cls, args, kwargs)? {
            return Ok(Self::of(handle));
        }
        let py = cls.py();
        let me = member::me(py)?;
        let off = blocking::allocated(py, || barrier::create(&me))?;
        Ok(Self::of(Handle::adopt(&me, off)))
    }

    /// Says for how many parties it is, for how long a wait waits, and whether there is an
    /// action.
    #[pyo3(signature = (parties, timeout, acts))]
    #[pyo3(name = "_set_up")]
    fn set_up(&self, parties: u32, timeout: Option<f64>, acts: bool) -> PyResult<()> {
        barrier::set_up(&self.handle.try_slot()?, self.handle.off(), parties, timeout, acts);
        Ok(())
    }

    /// Waits until all parties have come; runs the action, `self._act()`, if it is the last.
    #[pyo3(signature = (timeout = None))]
    fn wait(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<u64> {
        let (py, this) = (slf.py(), slf.get());
        let (me, off) = (this.handle.try_slot()?, this.handle.off());
        let until = deadline(timeout.or_else(|| barrier::limit(&me, off)))?;
        let mut hooks = PyBlockingHooks::new(py);
        let mut passed = barrier::wait(&me, off, &mut hooks, until);
        if let Ok(Passed::Act(acting)) = passed {
            if let Err(e) = slf.call_method0("_act") {
                acting.failed();
                return Err(e);
            }
            passed = Ok(acting.done());
        }
        match passed.map_err(|e| errors::wait(py, e))? {
            Passed::Yes(index) => Ok(index),
            Passed::Broken(why) => Err(this.broken_error(py, why)),
            Passed::TimedOut => Err(this.broken_error(py, Why::TimedOut)),
            Passed::Interrupted | Passed::Act(_) => Err(hooks.into_error()),
        }
    }

    /// Hangs the action's pickled form on the barrier, for other processes.
    #[pyo3(name = "_publish_action")]
    fn publish_action(&self, py: Python<'_>, action: &Bound<'_, PyAny>) -> PyResult<()> {
        let (me, off) = (self.handle.try_slot()?, self.handle.off());
        let set = match collector::collecting(hooks::DUMPS.get(py)?, action, me.runtime().id()) {
            Ok((bytes, mut references)) => {
                // Whoever runs it has a handle of the barrier.
                references.forget(off);
                barrier::set_action(&me, off, PICKLED, bytes.as_bytes(), &references)
            }
            Err(e) => {
                let text = e.value(py).to_string();
                barrier::set_action(&me, off, REFUSED, text.as_bytes(), &[])
            }
        };
        set.map_err(|e| errors::out_of_memory(py, e))
    }

    /// Whether the action's pickled form is there.
    #[getter]
    #[pyo3(name = "_published")]
    fn published(&self) -> bool {
        self.handle.with_me(|me| barrier::has_action(me, self.handle.off()))
    }

    /// The action, as another process has published it.
    #[pyo3(name = "_published_action")]
    fn published_action(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let found = barrier::action(&self.handle.try_slot()?, self.handle.off())
            .map_err(|e| errors::out_of_memory(py, e))?;
        let Some((tag, bytes, _held)) = found else { return Ok(None) };
        if tag == REFUSED {
            let why = String::from_utf8_lossy(&bytes);
            let text = format!(
                "the action of the barrier runs in the last task that comes, which is of another \
                 process here, and it does not travel: {why}"
            );
            return Err(errors::new(py, "NotPicklable", text));
        }
        Ok(Some(hooks::LOADS.get(py)?.call1((PyBytes::new(py, &bytes),))?.unbind()))
    }

    /// Breaks the barrier.
    fn abort(&self) {
        self.handle.with_me(|me| barrier::abort(me, self.handle.off()));
    }

    /// Makes the barrier whole and empty.
    fn reset(&self) {
        self.handle.with_me(|me| barrier::reset(me, self.handle.off()));
    }

    /// How many parties have to come.
    #[getter]
    fn parties(&self) -> u32 {
        self.handle.with_me(|me| barrier::parties(me, self.handle.off()))
    }

    /// How many wait now.
    #[getter]
    fn n_waiting(&self) -> u32 {
        self.handle.with_me(|me| barrier::waiting(me, self.handle.off()))
    }

    /// Whether it is broken.
    #[getter]
    fn broken(&self) -> bool {
        self.handle.with_me(|me| barrier::broken(me, self.handle.off()).is_some())
    }

    /// Whether there is an action.
    #[getter]
    #[pyo3(name = "_acts")]
    fn acts(&self) -> bool {
        self.handle.with_me(|me| barrier::acts(me, self.handle.off()))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Py<PyAny>, Bound<'py, PyTuple>)> {
        collector::reduce(py, &self.handle)
    }

    /// Tells objects apart: the same for all handles of one object.
    #[getter]
    fn object_id(&self) -> (u64, u64) {
        (self.handle.runtime().id(), self.handle.id())
    }
}
