//! Failures that nobody has asked about: how the interpreter is reminded to tell of them.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tarefa_engine::atomic::{AtomicI32, AtomicU32, Ordering};
use tarefa_engine::os::{process, signal};
use tarefa_engine::shm::Runtime;
use tarefa_engine::task::supervisor::untold;
use tarefa_engine::task::{self, thread_timer, unretrieved};

use crate::convert::bytes;
use crate::runtime::{errors, hooks, member};
use crate::task::core::{ERROR, exit_code};

/// Has `on_reminder` called soon, by a thread that may wait for the interpreter's lock. False where
/// no thread is to be had.
pub(crate) fn remind(_: &'static Runtime) -> bool {
    let act = || {
        Python::try_attach(|py| {
            if let Err(e) = hooks::ON_REMINDER.get(py).and_then(|f| f.call0()) {
                e.write_unraisable(py, None);
            }
        });
    };
    thread_timer::run_soon(Arc::new(act)).is_ok()
}

/// How many of this process's reminders have been seen.
static SEEN: AtomicU32 = AtomicU32::new(0);

/// Whether this process was reminded since this was asked last. In a handler of a signal.
#[pyfunction]
pub(crate) fn was_reminded() -> bool {
    let Some(runtime) = Runtime::existing_unlocked() else { return false };
    let now = unretrieved::reminders(runtime);
    SEEN.swap(now, Ordering::AcqRel) != now
}

/// The process that has a thread which waits for reminders.
static LISTENS: AtomicI32 = AtomicI32::new(0);

/// Sees to it that reminders reach this process: the root and a task get them without this.
#[pyfunction]
pub(crate) fn listen_for_reminders(py: Python<'_>) -> PyResult<()> {
    let pid = process::pid();
    if LISTENS.load(Ordering::Relaxed) == pid {
        return Ok(());
    }
    let runtime = member::me(py)?.runtime();
    // Also of one that need not listen: it does not ask again.
    if LISTENS.swap(pid, Ordering::AcqRel) == pid || unretrieved::is_reminded(runtime) {
        return Ok(());
    }
    let thread = std::thread::Builder::new().name("tarefa-teller".into()).stack_size(256 * 1024);
    let listen = move || {
        signal::block_all();
        let mut seen = unretrieved::reminders(runtime);
        loop {
            unretrieved::wait_for_reminder(runtime, seen);
            let now = unretrieved::reminders(runtime);
            if now != seen {
                seen = now;
                remind(runtime);
            }
        }
    };
    if thread.spawn(listen).is_err() {
        // What there is to tell is told when the process ends.
        LISTENS.store(0, Ordering::Release);
    }
    Ok(())
}

/// Has this process reminded at `at`, in nanoseconds of the monotonic clock.
#[pyfunction]
pub(crate) fn remind_at(py: Python<'_>, at: u64) -> PyResult<()> {
    let runtime = task::runtime().map_err(|e| errors::runtime_failed(py, &e))?;
    runtime.with_me(|me| unretrieved::remind_at(me, at));
    Ok(())
}

/// A task whose starter has died before it told of its failure: name, pid, exit code; words of its
/// death and its most memory, or the pickle of its exception.
type Orphaned<'py> = (String, i32, i32, Option<String>, u64, Option<Bound<'py, PyBytes>>);

/// What the root has to tell of such tasks.
#[pyfunction]
pub(crate) fn take_orphaned(py: Python<'_>) -> PyResult<Vec<Orphaned<'_>>> {
    let made = untold::take_orphaned().into_iter().map(|task| {
        let pickle = task.outcome.filter(|(tag, _)| *tag == ERROR);
        let pickle = pickle.map(|(_, bytes)| bytes::bytes_of(py, &bytes)).transpose()?;
        let words = task.death.as_ref().map(|death| death.words().to_string());
        let peak = task.death.map_or(0, |death| death.peak_memory);
        Ok((task.name, task.pid, exit_code(task.exit), words, peak, pickle))
    });
    made.collect()
}
