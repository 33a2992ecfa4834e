//! Reminders of failures that are still to be told, and those whose starter has died.
//!
//! The supervisor holds no reference to the records: who has still to tell does. It takes one of
//! its own nowhere, for a lock of this process's would be needed, which a thread may hold that
//! waits for what only the supervisor cleans up. So before a dead starter is cleaned up after,
//! what is to be told is copied out of the records that it holds.

use std::sync::{Mutex, PoisonError};

use crate::os::pidfd::Exit;
use crate::shm::arena::offset::Off;
use crate::shm::member::fork_safe_lock::Latest;
use crate::shm::{Member, Runtime, object};
use crate::task::cause_of_death::Death;
use crate::task::deadlines::Deadlines;
use crate::task::record::Task;

/// Has the front of the root tell what it has to tell, soon and elsewhere: it must not block.
/// False if it cannot now.
pub type Teller = fn(&'static Runtime) -> bool;

pub(super) static TELLER: Latest<Teller> = Latest::none();

/// Says who tells in the root.
pub fn set_teller(teller: Teller) {
    if TELLER.get().is_none() {
        TELLER.set(teller);
    }
}

/// A failure that nobody has asked about, and whose starter has died before it told of it.
#[derive(Clone, Debug)]
pub struct Orphaned {
    /// The task's name.
    pub name: String,
    /// Its process.
    pub pid: i32,
    /// How that ended.
    pub exit: Option<Exit>,
    /// What it died of, if it left no outcome.
    pub death: Option<Death>,
    /// Its outcome, if it left one: tag and bytes.
    pub outcome: Option<(u8, Vec<u8>)>,
}

pub(super) static ORPHANED: Mutex<Vec<Orphaned>> = Mutex::new(Vec::new());

/// Takes what the root has to tell in the place of dead starters.
#[must_use]
pub fn take_orphaned() -> Vec<Orphaned> {
    std::mem::take(&mut *ORPHANED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A failure that its starter has still to tell of.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) record: Off,
    pub(super) id: u64,
    /// [`slots::lock_owner`] of the starter.
    pub(super) starter: u32,
}

impl Failure {
    /// The task, if nobody has asked about it or told of it.
    pub(super) fn untold<'a>(&self, me: &'a Member) -> Option<Task<'a>> {
        object::exists(me, self.record, self.id)
            .then(|| Task::at(me, self.record))
            .filter(Task::is_untold)
    }
}

/// What the supervisor knows of failures that are still to be told.
#[derive(Debug, Default)]
pub(super) struct Untold {
    pub(super) failures: Vec<Failure>,
    /// By process slot: when the process there is reminded.
    pub(super) reminders: Deadlines<u32>,
}

impl Untold {
    /// When the first reminder is due.
    pub(super) fn first(&self) -> Option<u64> {
        self.reminders.first()
    }

    /// The process in slot `index` is to be reminded at `at`, or earlier.
    pub(super) fn remind(&mut self, index: u32, at: u64) {
        if self.reminders.of(index).is_none_or(|before| at < before) {
            self.reminders.set(index, at);
        }
    }
}
