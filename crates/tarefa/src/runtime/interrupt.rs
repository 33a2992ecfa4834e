//! The task that runs on the calling thread, and its interruption.

use std::cell::Cell;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tarefa_engine::shm::{Off, Runtime};
use tarefa_engine::task::record::Task;

/// Somebody called `interrupt()` on the task that runs here.
///
/// A target that passes it on (with `?`) ends as [`State::Interrupted`](crate::State).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error, Serialize, Deserialize)]
#[error("the task was interrupted")]
pub struct Interrupted;

/// The name under which serde sees it.
pub(crate) const INTERRUPTED: &str = "Interrupted";

thread_local! {
    static CURRENT: Cell<Option<(&'static Runtime, Off)>> = const { Cell::new(None) };
    /// How many interruptions the calling thread has been told.
    static TOLD: Cell<u64> = const { Cell::new(0) };
}

/// How many interruptions the calling thread has been told so far.
pub(crate) fn told() -> u64 {
    TOLD.get()
}

/// The calling thread runs the task at `off`, which somebody holds until [`leave`].
pub(crate) fn enter(runtime: &'static Runtime, off: Off) {
    CURRENT.set(Some((runtime, off)));
}

pub(crate) fn leave() {
    CURRENT.set(None);
}

/// The task that runs on the calling thread, if one does.
pub(crate) fn running() -> Option<(&'static Runtime, Off)> {
    CURRENT.get()
}

/// Whether the calling thread runs the task at `off` of `runtime`.
pub(crate) fn is(runtime: &'static Runtime, off: Off) -> bool {
    CURRENT.get().is_some_and(|(r, o)| o == off && std::ptr::eq(r, runtime))
}

/// Gives an interruption of the task that runs here its chance: call it now and then in a
/// computation that does not wait in tarefa. Each `interrupt()` is reported once, here or by
/// the wait it ends.
///
/// # Errors
/// [`Interrupted`] when `interrupt()` was called on the task.
#[inline]
pub fn check_interrupt() -> Result<(), Interrupted> {
    if taken() { Err(Interrupted) } else { Ok(()) }
}

/// How long the task that runs here was to run, if that has passed.
pub(crate) fn passed_limit() -> Option<Duration> {
    let (runtime, off) = CURRENT.get()?;
    runtime.with_me(|me| {
        let task = Task::at(me, off);
        task.time_limit().filter(|_| task.over_time())
    })
}

pub(super) fn taken() -> bool {
    CURRENT.get().is_some_and(|(runtime, off)| {
        runtime.with_me(|me| {
            let task = Task::at(me, off);
            let taken = task.interrupt_due() && task.take_interrupt();
            if taken {
                TOLD.set(TOLD.get() + 1);
            }
            taken
        })
    })
}
