//! `QueueLevel`: whether a queue has something to take, for a descriptor that shows it.

use pyo3::prelude::*;
use tarefa_engine::atomic::{AtomicBool, AtomicUsize, Ordering};
use tarefa_engine::channel::{Queue, Wanted};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::wait::Outcome;

use crate::runtime::blocking::PyBlockingHooks;
use crate::runtime::handle::Slot;
use crate::runtime::hooks;

/// How many there are in this process.
static LEVELS: AtomicUsize = AtomicUsize::new(0);

/// This thread has put something into the queue with that id, or taken something, or found nothing:
/// descriptors for it show that at once.
#[inline]
pub(crate) fn changed(py: Python<'_>, queue: u64) {
    if LEVELS.load(Ordering::Relaxed) != 0 {
        tell(py, queue);
    }
}

#[cold]
fn tell(py: Python<'_>, queue: u64) {
    // Nobody can do anything about an error here, and the thread behind a descriptor looks as well.
    let _ = hooks::named(py, "refresh_descriptors").and_then(|refresh| refresh.call1((queue,)));
}

/// Whether there is a message, or the end of the queue. It holds the queue, not an end of a pipe.
#[pyclass(frozen, module = "tarefa._engine")]
#[derive(Debug)]
pub(crate) struct QueueLevel {
    queue: Handle,
    stopped: AtomicBool,
    /// What is shown has changed since the thread that shows it looked.
    again: AtomicBool,
}

impl QueueLevel {
    pub(crate) fn new(queue: Handle) -> Self {
        LEVELS.fetch_add(1, Ordering::Relaxed);
        Self { queue, stopped: AtomicBool::new(false), again: AtomicBool::new(false) }
    }
}

impl Drop for QueueLevel {
    fn drop(&mut self) {
        LEVELS.fetch_sub(1, Ordering::Relaxed);
    }
}

#[pymethods]
impl QueueLevel {
    /// The queue, as [`changed`] names it.
    #[getter]
    fn queue(&self) -> u64 {
        self.queue.id()
    }

    /// Whether there is something now.
    fn now(&self) -> bool {
        self.queue.with_me(|me| Queue::at(me, self.queue.off()).has(Wanted::Message))
    }

    /// Before `wait`, and before it is looked at what is shown.
    fn begin(&self) {
        self.again.store(false, Ordering::SeqCst);
    }

    /// Waits until there is something if there `was` nothing, and the other way round, or until
    /// `look_again`; false once it was stopped.
    fn wait(&self, py: Python<'_>, was: bool) -> PyResult<bool> {
        if self.stopped.load(Ordering::SeqCst) {
            return Ok(false);
        }
        let me = self.queue.try_slot()?;
        let mut hooks = PyBlockingHooks::new(py);
        let wanted = if was { Wanted::Nothing } else { Wanted::Message };
        let outcome = Queue::at(&me, self.queue.off()).look_out(
            wanted,
            &self.again,
            &mut hooks,
            Deadline::NEVER,
        );
        match outcome {
            Outcome::Interrupted => Err(hooks.into_error()),
            _ => Ok(!self.stopped.load(Ordering::Acquire)),
        }
    }

    /// What is shown has changed: who waits may wait for the wrong thing.
    fn look_again(&self) {
        self.again.store(true, Ordering::SeqCst);
        self.queue.with_me(|me| {
            let queue = Queue::at(me, self.queue.off());
            queue.look_around(Wanted::Message);
            queue.look_around(Wanted::Nothing);
        });
    }

    /// Ends the waits.
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.look_again();
    }
}
