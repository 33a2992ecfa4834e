//! Whether a queue or connection is open in this process, and which of its threads wait in it.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use tarefa_engine::atomic::{AtomicBool, Ordering};
use tarefa_engine::shm::Member;
use tarefa_engine::sync::wait::{self, BlockingHooks};

use crate::runtime::blocking::PyBlockingHooks;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct OpenState {
    closed: AtomicBool,
    /// Who closes it has them look around.
    waiting: Mutex<Vec<u32>>,
}

impl OpenState {
    /// From here on [`OpenState::close`] has the thread in that slot look around.
    pub(super) fn wait_begins(&self, thread: u32) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    }

    pub(super) fn wait_is_over(&self, thread: u32) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(i) = waiting.iter().rposition(|t| *t == thread) {
            waiting.swap_remove(i);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Says so to all who wait.
    pub(super) fn close(&self, me: &Member) {
        self.closed.store(true, Ordering::SeqCst);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for thread in waiting {
            wait::wake(me, thread);
        }
    }
}

/// A wait that `close()` in this process ends as well.
pub(super) struct ClosableWait<'a, 'py> {
    python: PyBlockingHooks<'py>,
    state: &'a OpenState,
    thread: u32,
}

impl<'a, 'py> ClosableWait<'a, 'py> {
    #[inline]
    pub(super) fn new(py: Python<'py>, state: &'a OpenState, thread: u32) -> Self {
        Self { python: PyBlockingHooks::new(py), state, thread }
    }

    /// What ended the wait; `closed` makes the error where that was `close()`.
    pub(super) fn into_error(self, closed: impl FnOnce() -> PyErr) -> PyErr {
        if self.state.is_closed() && self.python.error.is_none() {
            return closed();
        }
        self.python.into_error()
    }
}

impl BlockingHooks for ClosableWait<'_, '_> {
    fn release(&mut self, sleep: &mut dyn FnMut()) {
        let (state, thread) = (self.state, self.thread);
        self.python.release(&mut || {
            // Who closes it now finds the thread; who has before is seen here.
            state.wait_begins(thread);
            if !state.is_closed() {
                sleep();
            }
            state.wait_is_over(thread);
        });
    }

    fn interrupted(&mut self) -> bool {
        self.python.interrupted() || self.state.is_closed()
    }

    fn place(&mut self, me: &Member) {
        self.python.place(me);
    }
}
