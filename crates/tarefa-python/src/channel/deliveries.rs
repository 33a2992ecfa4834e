//! `Deliveries`: messages that were taken at once and are to be acknowledged.

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use tarefa_engine::channel::{Delivery, NotHeld, Queue};
use tarefa_engine::os::process;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::wait::BlockingHooks;

use crate::runtime::blocking::PyBlockingHooks;
use crate::runtime::handle::Slot;

/// What one `get` or `get_many` took. Dropped without a word, the messages go back to the queue.
#[pyclass(frozen, module = "tarefa._engine")]
#[derive(Debug)]
pub(crate) struct Deliveries {
    handle: Handle,
    /// The process that took them; a child of `fork` has a copy of this.
    pid: i32,
    held: Mutex<Vec<Delivery>>,
}

/// What is to become of messages: an error where they are nobody's any more, `None` where the caller
/// was interrupted before.
type Way<'a> = fn(&Queue<'a>, &[Delivery], &mut dyn BlockingHooks) -> Option<Result<(), NotHeld>>;

impl Deliveries {
    pub(crate) fn new(handle: Handle, held: Vec<Delivery>) -> Self {
        Self { handle, pid: process::pid(), held: Mutex::new(held) }
    }

    /// Those that are neither acknowledged nor given back.
    fn take(&self) -> Vec<Delivery> {
        std::mem::take(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has them acknowledged or given back; who was interrupted before that holds them still.
    fn settle<'a>(&self, py: Python<'_>, me: &'a Member, way: Way<'a>) -> PyResult<()> {
        let mut hooks = PyBlockingHooks::new(py);
        let held = self.take();
        let settled = way(&Queue::at(me, self.handle.off()), &held, &mut hooks);
        let Some(settled) = settled else {
            self.held.lock().unwrap_or_else(PoisonError::into_inner).extend(held);
            return Err(hooks.into_error());
        };
        settled.map_err(|e| PyValueError::new_err(e.to_string()))
    }

    fn check(&self, what: &str) -> PyResult<()> {
        if self.pid == process::pid() {
            return Ok(());
        }
        let pid = self.pid;
        Err(PyValueError::new_err(format!(
            "{what} of an item that process {pid} took, from which this one was forked: it is that \
             process's to acknowledge"
        )))
    }
}

#[pymethods]
impl Deliveries {
    /// The messages are done with.
    fn ack(&self, py: Python<'_>) -> PyResult<()> {
        self.check("ack()")?;
        self.settle(py, &self.handle.try_slot()?, Queue::ack_with)
    }

    /// The messages go back to the queue's head.
    fn give_back(&self, py: Python<'_>) -> PyResult<()> {
        self.check("nack()")?;
        self.settle(py, &self.handle.try_slot()?, Queue::give_back_with)
    }

    /// Messages that are neither acknowledged nor given back.
    fn __len__(&self) -> usize {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        let held = self.take();
        if !held.is_empty() && self.pid == process::pid() {
            self.handle.with_me(|me| {
                // Not held any more: nothing to give back.
                let _ = Queue::at(me, self.handle.off()).give_back(&held);
            });
        }
    }
}

thread_local! {
    /// The queues whose message that this thread took last had been handed out before.
    static REDELIVERED: RefCell<Vec<(u64, u64)>> = const { RefCell::new(Vec::new()) };
}

fn key(handle: &Handle) -> (u64, u64) {
    (handle.runtime().id(), handle.id())
}

/// Notes whether what this thread has just taken from the queue had been handed out before.
#[inline]
pub(crate) fn note_redelivered(handle: &Handle, redelivered: bool) {
    REDELIVERED.with_borrow_mut(|queues| {
        if redelivered || !queues.is_empty() {
            let key = key(handle);
            queues.retain(|queue| *queue != key);
            if redelivered {
                queues.push(key);
            }
        }
    });
}

/// Whether what this thread took last from the queue had been handed out before.
pub(crate) fn was_redelivered(handle: &Handle) -> bool {
    REDELIVERED.with_borrow(|queues| queues.contains(&key(handle)))
}
