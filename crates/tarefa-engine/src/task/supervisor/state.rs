//! What the supervisor knows.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;

use super::ending::Ending;
use super::terminations::Terminations;
use super::untold::Untold;
use crate::os::epoll::Poll;
use crate::os::pidfd::Exit;
use crate::os::rusage::Usage;
use crate::shm::Member;
use crate::task::deadlines::Deadlines;

/// How far a clean-up is that others may wait for.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Its latches are taken from it, and those have looked around who wait.
    pub(super) is_released: bool,
    /// Its places in queues and what it held of objects is taken from it.
    pub(super) has_left: bool,
    /// Nothing of the task layer's is its any more.
    pub(super) work_is_ended: bool,
}

/// A process whose end is told.
#[derive(Debug)]
pub(super) struct Dead {
    pub(super) index: u32,
    pub(super) exit: Exit,
    pub(super) usage: Usage,
    /// What the task's record is told beside that.
    pub(super) flags: u32,
    /// Its [`slots::lock_owner`] while it lived.
    pub(super) generation: u32,
    /// Whether it had a task when its end was told.
    pub(super) had_task: bool,
    /// Whether what it refers to is given back but for the objects that it has not left.
    pub(super) others_are_returned: bool,
    pub(super) progress: Progress,
}

impl Dead {
    /// Whether nobody waits for anything of its, so that it can be buried.
    pub(super) fn is_done_with(&self) -> bool {
        self.progress.has_left && self.progress.work_is_ended
    }
}

pub(super) struct Supervisor<'a> {
    pub(super) me: &'a Member,
    pub(super) poll: &'a Poll,
    /// By process slot.
    pub(super) watched: HashMap<u32, OwnedFd>,
    /// Process slots (with pids) for which there was no descriptor.
    pub(super) by_clock: Vec<(u32, i32)>,
    /// Children that have ended and that their zygote has yet to collect.
    pub(super) ending: Vec<Ending>,
    /// Zygotes in a row that ended before they were ready.
    pub(super) early_deaths: u32,
    /// Requests for reports that were passed on.
    pub(super) reports_seen: u64,
    /// By process slot: when its task's time is up, or the grace after it.
    pub(super) deadlines: Deadlines<u32>,
    pub(super) terminations: Terminations,
    /// How many deaths of the kernel's making for want of memory are accounted for, once there
    /// is a zygote.
    pub(super) out_of_memory: Option<u64>,
    pub(super) untold: Untold,
    /// Whether it has said that the program has closed descriptors of the runtime's.
    pub(super) told_closed: bool,
    /// Processes whose end is told, and that are still to be cleaned up after; in that order, but for
    /// those that have something of an object which a stopped member has the latch of.
    pub(super) dead: VecDeque<Dead>,
    /// Whether a member that is stopped has what the clean-up needs: it is tried again later.
    pub(super) held_up: bool,
    /// Process slots whose clean-up others have begun: see `finish_old_roots_work`.
    pub(super) begun: Vec<u32>,
}
