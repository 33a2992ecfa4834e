//! What the supervisor knows.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use super::untold::Untold;
use crate::os::clock::Deadline;
use crate::os::epoll::Poll;
use crate::shm::Member;
use crate::task::deadlines::Deadlines;

pub(super) struct Supervisor<'a> {
    pub(super) me: &'a Member,
    pub(super) poll: &'a Poll,
    /// By process slot.
    pub(super) watched: HashMap<u32, OwnedFd>,
    /// Process slots (with pids) for which there was no descriptor.
    pub(super) by_clock: Vec<(u32, i32)>,
    /// Process slots of children that have ended and that their zygote has yet to collect, and
    /// how long it may take.
    pub(super) ending: Vec<(u32, Deadline)>,
    /// Zygotes in a row that ended before they were ready.
    pub(super) early_deaths: u32,
    /// Requests for reports that were passed on.
    pub(super) reports_seen: u64,
    /// By process slot: when its task's time is up, or the grace after it.
    pub(super) deadlines: Deadlines<u32>,
    /// How many deaths of the kernel's making for want of memory are accounted for, once there
    /// is a zygote.
    pub(super) out_of_memory: Option<u64>,
    pub(super) untold: Untold,
    /// Whether it has said that the program has closed descriptors of the runtime's.
    pub(super) told_closed: bool,
    /// Process slots whose clean-up others have begun: see `finish_old_roots_work`.
    pub(super) begun: Vec<u32>,
}
