//! Waiting without the interpreter's lock, and waking for its exceptions.

use std::ffi::c_void;
use std::sync::OnceLock;

use pyo3::ffi;
use pyo3::prelude::*;
use tarefa_engine::atomic::Ordering;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::signal;
use tarefa_engine::os::symbols as system;
use tarefa_engine::shm::heap::OutOfMemory;
use tarefa_engine::shm::member::unblock;
use tarefa_engine::shm::{Member, Off, Runtime, heap};
use tarefa_engine::sync::wait::{BlockingHooks, Outcome};
use tarefa_engine::task::record::Task;

use crate::runtime::call_site;
use crate::runtime::entrance;
use crate::runtime::errors;
use crate::runtime::hooks;
use crate::runtime::signals::mind_signals_of_main;

/// Lets signals' handlers and exceptions set from other threads happen now.
///
/// Both are raised by the evaluation loop only, so a function of one instruction is run.
pub(crate) fn tick(py: Python<'_>) -> PyResult<()> {
    py.check_signals()?;
    hooks::TICK.get(py)?.call0().map(drop)
}

/// Raises the interrupt that was asked of the process's task, if the calling thread runs it.
///
/// The signal that comes with it is for what does not wait here: one that comes between a look
/// around and the sleep ends no sleep, whereas the word that is slept on has changed before.
fn raise_due(py: Python<'_>) -> PyResult<()> {
    let Some(runtime) = Runtime::existing_unlocked() else { return Ok(()) };
    // A thread without a slot runs no task.
    let Ok(me) = runtime.try_me() else { return Ok(()) };
    let task = Off(me.slot().task.load(Ordering::Acquire));
    if task.is_none() {
        return Ok(());
    }
    let task = Task::at(&me, task);
    if task.is_thread() || !task.interrupt_due() {
        return Ok(());
    }
    hooks::ON_INTERRUPT.get(py)?.call1((signal::interrupt_signal(), py.None())).map(drop)
}

/// A wait of a Python thread.
pub(crate) struct PyBlockingHooks<'py> {
    py: Python<'py>,
    /// What ended the wait.
    pub(crate) error: Option<PyErr>,
}

impl<'py> PyBlockingHooks<'py> {
    pub(crate) fn new(py: Python<'py>) -> Self {
        Self { py, error: None }
    }

    /// Whether the wait succeeded; the exception if it was interrupted.
    pub(crate) fn verdict(self, outcome: Outcome) -> PyResult<bool> {
        match outcome {
            Outcome::Ready => Ok(true),
            Outcome::TimedOut => Ok(false),
            Outcome::Interrupted => Err(self.into_error()),
        }
    }

    pub(crate) fn into_error(self) -> PyErr {
        self.error.unwrap_or_else(|| pyo3::exceptions::PyKeyboardInterrupt::new_err(()))
    }
}

impl BlockingHooks for PyBlockingHooks<'_> {
    fn release(&mut self, sleep: &mut dyn FnMut()) {
        // SAFETY: the thread is attached (`py`), and `sleep` touches no Python object.
        let state = unsafe { ffi::PyEval_SaveThread() };
        sleep();
        // SAFETY: `state` was saved by this thread just above.
        unsafe { entrance::restore(state) };
    }

    fn place(&mut self, me: &Member) {
        call_site::note_place(self.py, me);
        mind_signals_of_main(me);
    }

    fn interrupted(&mut self) -> bool {
        self.error = tick(self.py).and_then(|()| raise_due(self.py)).err();
        self.error.is_some()
    }
}

/// A wait in what does without the interpreter's lock as a whole.
#[derive(Debug, Default)]
pub(crate) struct DetachedHooks(Option<PyErr>);

impl DetachedHooks {
    /// What ended the wait, if anything did.
    pub(crate) fn into_error(self) -> Option<PyErr> {
        self.0
    }
}

impl BlockingHooks for DetachedHooks {
    fn release(&mut self, sleep: &mut dyn FnMut()) {
        sleep();
    }

    fn place(&mut self, me: &Member) {
        mind_signals_of_main(me);
    }

    fn interrupted(&mut self) -> bool {
        self.0 = Python::attach(|py| tick(py).and_then(|()| raise_due(py)).err());
        self.0.is_some()
    }
}

/// What `make` allocates. A stopped member that keeps memory from it is waited for, until an interrupt.
pub(crate) fn allocated<T>(
    py: Python<'_>,
    make: impl FnMut() -> Result<T, OutOfMemory>,
) -> PyResult<T> {
    let mut hooks = PyBlockingHooks::new(py);
    match heap::retry_held_up(|| hooks.interrupted(), make) {
        Ok(made) => made.map_err(|e| errors::out_of_memory(py, e)),
        Err(_) => Err(hooks.into_error()),
    }
}

/// How a thread of Python's sleeps inside the engine: without the interpreter's lock, if it has
/// that. Threads of the engine's own, and those that have let go of it already, have not.
fn unblocked(sleep: &mut dyn FnMut()) {
    // SAFETY: a question that any thread may ask.
    let mine = unsafe { ffi::PyGILState_GetThisThreadState() };
    if mine.is_null() || current_thread_state() != mine {
        return sleep();
    }
    // SAFETY: the thread is attached, as just seen, and `sleep` touches no Python object.
    let state = unsafe { ffi::PyEval_SaveThread() };
    sleep();
    // SAFETY: saved by this thread just above.
    unsafe { entrance::restore(state) };
}

/// The thread state that is attached: this thread's, or up to CPython 3.11 that of whatever thread
/// has the interpreter's lock. Null where the interpreter does not say.
fn current_thread_state() -> *mut ffi::PyThreadState {
    type Current = unsafe extern "C" fn() -> *mut ffi::PyThreadState;
    static CURRENT: OnceLock<Option<Current>> = OnceLock::new();
    let current = CURRENT.get_or_init(|| {
        // Not of the stable interface, but of every CPython, by one of these names.
        let names = [c"PyThreadState_GetUnchecked", c"_PyThreadState_UncheckedGet"];
        names.iter().find_map(|name| {
            system::symbol(name).map(|found| {
                // SAFETY: both are of that type.
                unsafe { std::mem::transmute::<*mut c_void, Current>(found) }
            })
        })
    });
    // SAFETY: a look at a pointer, which any thread may take.
    current.map_or(std::ptr::null_mut(), |current| unsafe { current() })
}

/// Tells the engine how threads of Python's sleep.
pub(crate) fn register() {
    unblock::set_unblocked(unblocked);
}

/// The longest timeout in seconds, as `threading.TIMEOUT_MAX`, with its fraction.
const TIMEOUT_MAX: f64 = 9_223_372_036.854_775;

/// A timeout in seconds as a deadline, with the habits of `threading`: `None` is never, below 0 is
/// now; a NaN, and what is longer than `TIMEOUT_MAX`, are errors.
pub(crate) fn deadline(timeout: Option<f64>) -> PyResult<Deadline> {
    let Some(seconds) = timeout else { return Ok(Deadline::NEVER) };
    if seconds.is_nan() {
        return Err(pyo3::exceptions::PyValueError::new_err(
            "Invalid value NaN (not a number): timeout must be a number of seconds",
        ));
    }
    if seconds > TIMEOUT_MAX {
        return Err(pyo3::exceptions::PyOverflowError::new_err(format!(
            "timeout value is too large: {seconds} s are more than TIMEOUT_MAX; None waits for ever"
        )));
    }
    let duration = std::time::Duration::from_secs_f64(seconds.max(0.0));
    Ok(Deadline::after(Some(duration)))
}

/// The same for a wait that lasts while `timeout > 0`, as those of conditions and events: a NaN is
/// not above 0.
pub(crate) fn deadline_while_positive(timeout: Option<f64>) -> PyResult<Deadline> {
    deadline(timeout.map(|seconds| if seconds.is_nan() { 0.0 } else { seconds }))
}
