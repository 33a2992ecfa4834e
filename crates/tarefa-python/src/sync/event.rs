//! `EventCore`: what `tarefa.Event` is made of.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use tarefa_engine::atomic::AtomicBool;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::wait::{BlockingHooks, Outcome};
use tarefa_engine::sync::{event, select as engine};

use crate::convert::collector;
use crate::runtime::blocking::{self, PyBlockingHooks, deadline_while_positive};
use crate::runtime::handle;
use crate::runtime::handle::Slot as _;
use crate::runtime::member;
use crate::runtime::module_objects;
use crate::runtime::registry::SharedClass;
use crate::sync::level::{self, Level, Shown};
use crate::sync::select::{Selectable, Waitable};

/// An event in shared memory.
#[pyclass(frozen, subclass, weakref, name = "Event", module = "tarefa")]
#[derive(Debug)]
pub(crate) struct EventCore {
    handle: Handle,
}

impl EventCore {
    pub(crate) fn of(handle: Handle) -> Self {
        Self { handle }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

struct Raised(Handle);

impl Waitable for Raised {
    fn handle(&self) -> &Handle {
        &self.0
    }

    fn selectable<'a>(&'a self, me: &'a Member) -> Box<dyn engine::Selectable + 'a> {
        Box::new(event::selectable(me, self.0.off()))
    }
}

impl Shown for Raised {
    fn handle(&self) -> &Handle {
        &self.0
    }

    fn is_up(&self, me: &Member) -> bool {
        event::is_set(me, self.0.off())
    }

    fn look_out(
        &self,
        me: &Member,
        was: bool,
        again: &AtomicBool,
        hooks: &mut dyn BlockingHooks,
    ) -> Outcome {
        event::look_out(me, self.0.off(), was, again, hooks, Deadline::NEVER)
    }

    fn look_around(&self, me: &Member) {
        event::look_around(me, self.0.off());
    }
}

impl SharedClass for EventCore {
    fn handle_in(object: &Bound<'_, Self>) -> Option<Handle> {
        Some(object.get().handle().clone())
    }
}

#[pymethods]
impl EventCore {
    #[new]
    #[classmethod]
    #[pyo3(signature = (*args, **kwargs))]
    fn new(
        cls: &Bound<'_, PyType>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        if let Some(core) = handle::core_in::<Self>(args) {
            return Ok(Self { handle: core.get().handle.clone() });
        }
        handle::takes_nothing(cls, args.len(), kwargs, "Event() takes no arguments")?;
        if let Some(handle) = module_objects::find(cls, args, None)? {
            return Ok(Self { handle });
        }
        let py = cls.py();
        let me = member::me(py)?;
        let off = blocking::allocated(py, || event::create(&me))?;
        Ok(Self { handle: Handle::adopt(&me, off) })
    }

    /// Whether the flag is up.
    fn is_set(&self) -> bool {
        self.handle.with_me(|me| event::is_set(me, self.handle.off()))
    }

    /// Raises the flag and wakes all who wait.
    fn set(&self, py: Python<'_>) {
        self.handle.with_me(|me| event::set(me, self.handle.off()));
        level::changed(py, self.handle.id());
    }

    /// Lowers the flag.
    fn clear(&self, py: Python<'_>) {
        self.handle.with_me(|me| event::clear(me, self.handle.off()));
        level::changed(py, self.handle.id());
    }

    /// Waits until the flag is up; false when `timeout` seconds pass first.
    #[pyo3(signature = (timeout = None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        if self.is_set() {
            return Ok(true);
        }
        let until = deadline_while_positive(timeout)?;
        let mut hooks = PyBlockingHooks::new(py);
        let outcome = event::wait(&self.handle.try_slot()?, self.handle.off(), &mut hooks, until);
        hooks.verdict(outcome)
    }

    /// What waits for it beside other things.
    #[pyo3(name = "_selectable")]
    fn selectable(&self) -> Selectable {
        Selectable::new(Raised(self.handle.clone()))
    }

    /// What a descriptor for it shows.
    #[pyo3(name = "_level")]
    fn level(&self) -> Level {
        Level::new(Raised(self.handle.clone()))
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
