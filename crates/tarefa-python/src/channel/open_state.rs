//! Whether a connection is open in this process, and which of its threads wait in it.

use std::sync::{Mutex, PoisonError};

use tarefa_engine::atomic::{AtomicBool, Ordering};
use tarefa_engine::shm::Member;
use tarefa_engine::sync::wait;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct OpenState {
    closed: AtomicBool,
    /// Who closes the connection has them look around.
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
