//! `QueueWatch`: a wait for a queue's state that takes nothing, and that another thread can end.

use pyo3::prelude::*;
use tarefa_engine::atomic::{AtomicBool, Ordering};
use tarefa_engine::channel::{Queue, Wanted};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::object::handle::Handle;

use super::queue::QueueCore;
use crate::runtime::blocking::PyBlockingHooks;
use crate::runtime::handle::Slot;

/// Waits until a queue has a message, or room for one.
#[pyclass(frozen, module = "tarefa._engine")]
#[derive(Debug)]
pub(crate) struct QueueWatch {
    handle: Handle,
    wanted: Wanted,
    stopped: AtomicBool,
}

#[pymethods]
impl QueueWatch {
    /// Of a queue; `for_room`: until there is room for so many bytes, not a message.
    #[new]
    fn new(queue: &QueueCore, for_room: Option<u64>) -> Self {
        let wanted = for_room.map_or(Wanted::Message, Wanted::Room);
        Self { handle: queue.handle().clone(), wanted, stopped: AtomicBool::new(false) }
    }

    /// Waits; false once it was stopped.
    fn wait(&self, py: Python<'_>) -> PyResult<bool> {
        let me = self.handle.try_slot()?;
        let mut hooks = PyBlockingHooks::new(py);
        let queue = Queue::at(&me, self.handle.off());
        // Who is told may be gone before it looks: whoever else waits is woken in its place.
        let outcome = queue.look_out(self.wanted, &self.stopped, &mut hooks, Deadline::NEVER);
        hooks.verdict(outcome).map(|_| !self.stopped.load(Ordering::Acquire))
    }

    /// Ends the wait.
    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.handle.with_me(|me| Queue::at(me, self.handle.off()).look_around(self.wanted));
    }
}
