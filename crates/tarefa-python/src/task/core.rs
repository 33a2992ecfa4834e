//! `TaskCore`: a handle of a task's record, with which the Python classes do their work.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use tarefa_engine::os::pidfd::Exit;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::{Member, Off, object};
use tarefa_engine::task::limits::TimeUp;
use tarefa_engine::task::record::Task;
use tarefa_engine::task::thread_timer::Kept;

use crate::convert::encode::PICKLE;
use crate::runtime::{handle, signals};
use crate::task::interrupt;

/// The tag of a pickled exception.
pub(crate) const ERROR: u8 = PICKLE + 8;

/// A task's record.
#[pyclass(frozen, module = "tarefa._engine")]
#[derive(Debug)]
pub(crate) struct TaskCore {
    pub(super) handle: Handle,
    /// Of a thread: what was raised in its target.
    pub(super) raising: Mutex<Raising>,
    /// Of a thread with a time limit, while its target runs.
    pub(super) kept: Mutex<Option<Kept>>,
    /// Of a process: a weak reference to the interrupt that was raised in its target last.
    pub(super) delivered: Mutex<Option<Py<PyWeakrefReference>>>,
}

/// How far interrupts of a thread's target have come.
#[derive(Debug, Default)]
pub(super) struct Raising {
    /// Something was set to be raised in it.
    pub(super) set: bool,
    /// It is over: nothing may be raised in it any more.
    pub(super) over: bool,
}

impl TaskCore {
    pub(crate) fn of(handle: Handle) -> Self {
        let (kept, delivered) = (Mutex::new(None), Mutex::new(None));
        Self { handle, raising: Mutex::default(), kept, delivered }
    }

    /// The record at `off`, which this process can see.
    pub(crate) fn at(py: Python<'_>, me: &Member, off: Off) -> PyResult<Self> {
        let id = object::header(me, off).id.load(tarefa_engine::atomic::Ordering::Relaxed);
        Ok(Self::of(handle::acquire(py, me, off, id)?))
    }

    /// The time of the thread `ident`, which runs it, is up: `exception` is raised in it.
    pub(super) fn time_is_up(&self, py: Python<'_>, ident: u64, exception: &Py<PyAny>) {
        let mut raising = self.raising.lock().unwrap_or_else(PoisonError::into_inner);
        if raising.over || self.with(|t| t.time_is_up()) == TimeUp::Ended {
            return;
        }
        raising.set = true;
        if signals::raise_in_thread(ident, exception.bind(py)) {
            self.with(|t| t.wake());
            interrupt::wake_sleeper(self.with(|t| t.tid()));
        }
    }

    /// Whether something was set to be raised in its thread.
    pub(crate) fn was_raised(&self) -> bool {
        self.raising.lock().unwrap_or_else(PoisonError::into_inner).set
    }

    /// Whether [`TaskCore::note_delivered`] was told of that very one last.
    pub(crate) fn was_delivered(&self, interrupt: &Bound<'_, PyAny>) -> bool {
        let delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        let weak = delivered.as_ref().map(|weak| weak.bind(interrupt.py()));
        weak.and_then(|weak| weak.upgrade()).is_some_and(|known| known.is(interrupt))
    }

    /// Does what neither blocks nor calls Python, in whatever thread.
    pub(super) fn with<T>(&self, f: impl FnOnce(&Task<'_>) -> T) -> T {
        self.handle.with_me(|me| f(&Task::at(me, self.handle.off())))
    }

    /// Asks for an interrupt and makes its thread look around.
    pub(crate) fn request_interrupt(&self) {
        self.with(|t| t.request_interrupt());
    }

    /// Has `exception` raised in the thread `ident`, which runs it; false if its target is over.
    pub(crate) fn raise_in_target(&self, ident: u64, exception: &Bound<'_, PyAny>) -> bool {
        let mut raising = self.raising.lock().unwrap_or_else(PoisonError::into_inner);
        if raising.over {
            return false;
        }
        raising.set = true;
        signals::raise_in_thread(ident, exception)
    }
}

/// The exit code, or minus the signal's number; -255 where nobody knows.
pub(crate) fn exit_code(exit: Option<Exit>) -> i32 {
    match exit {
        Some(Exit::Code(code)) => code,
        Some(Exit::Signal(signal)) => -signal,
        Some(Exit::Unknown) | None => -255,
    }
}
