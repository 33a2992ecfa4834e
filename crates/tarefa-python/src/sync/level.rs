//! `Level`: what a descriptor for a queue, a pipe's end or an event shows.

use std::fmt;

use pyo3::prelude::*;
use tarefa_engine::atomic::{AtomicBool, AtomicUsize, Ordering};
use tarefa_engine::shm::Member;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::wait::{BlockingHooks, Outcome};

use crate::runtime::blocking::PyBlockingHooks;
use crate::runtime::handle::Slot;
use crate::runtime::hooks;
use crate::runtime::signals;

/// How many there are: mostly none, and then nobody has to be told of changes.
static LEVELS: AtomicUsize = AtomicUsize::new(0);

/// This thread has changed the object with that id, or may have: descriptors for it show that at once.
#[inline]
pub(crate) fn changed(py: Python<'_>, object: u64) {
    if LEVELS.load(Ordering::Relaxed) != 0 {
        tell(py, object);
    }
}

#[cold]
fn tell(py: Python<'_>, object: u64) {
    // What was asked for is done, so nothing can be raised; the thread behind a descriptor looks
    // as well.
    let refreshed =
        hooks::named(py, "refresh_descriptors").and_then(|refresh| refresh.call1((object,)));
    if let Err(e) = refreshed {
        signals::raise_later(py, e);
    }
}

/// What has a level: something to take or not, set or not.
pub(crate) trait Shown: Send + Sync {
    /// The object, of which this is a handle.
    fn handle(&self) -> &Handle;

    fn is_up(&self, me: &Member) -> bool;

    /// Waits until it is up if it `was` down, and the other way round, or until `again`, which whoever
    /// sets it shows by [`look_around`](Self::look_around).
    fn look_out(
        &self,
        me: &Member,
        was: bool,
        again: &AtomicBool,
        hooks: &mut dyn BlockingHooks,
    ) -> Outcome;

    fn look_around(&self, me: &Member);
}

/// Whether an object has something now, for a thread that shows it by a descriptor.
#[pyclass(frozen, module = "tarefa._engine")]
pub(crate) struct Level {
    of: Box<dyn Shown>,
    stopped: AtomicBool,
    /// What is shown has changed since the thread that shows it looked.
    again: AtomicBool,
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Level({:?})", self.of.handle())
    }
}

impl Level {
    pub(crate) fn new(of: impl Shown + 'static) -> Self {
        LEVELS.fetch_add(1, Ordering::Relaxed);
        let (stopped, again) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { of: Box::new(of), stopped, again }
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        LEVELS.fetch_sub(1, Ordering::Relaxed);
    }
}

#[pymethods]
impl Level {
    /// The object, as [`changed`] names it.
    #[getter]
    fn object(&self) -> u64 {
        self.of.handle().id()
    }

    /// Whether there is something now.
    fn now(&self) -> bool {
        self.of.handle().with_me(|me| self.of.is_up(me))
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
        let me = self.of.handle().try_slot()?;
        let mut hooks = PyBlockingHooks::new(py);
        match self.of.look_out(&me, was, &self.again, &mut hooks) {
            Outcome::Interrupted => Err(hooks.into_error()),
            _ => Ok(!self.stopped.load(Ordering::Acquire)),
        }
    }

    /// What is shown has changed: who waits may wait for the wrong thing.
    fn look_again(&self) {
        self.again.store(true, Ordering::SeqCst);
        self.of.handle().with_me(|me| self.of.look_around(me));
    }

    /// Ends the waits.
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.look_again();
    }
}
