//! Children that have ended and that their zygote has yet to collect.

use std::time::Duration;

use crate::os::clock::Deadline;
use crate::os::procfs;

/// How long a zygote may leave a child that has ended, before it is looked at why.
const COLLECTING: Duration = Duration::from_millis(60);
/// How long in all, while it only waits for a processor.
const STARVING: Duration = Duration::from_secs(2);
/// It has come to run, if it has used so much: the system counts in ticks of 10 ms.
const RAN_NS: u64 = 20_000_000;

/// A child that has ended and that its zygote has yet to collect, which alone learns what it used.
pub(super) struct Ending {
    /// Its process slot.
    pub(super) index: u32,
    /// When it is looked at next.
    pub(super) look: Deadline,
    /// When it is waited for no longer.
    limit: Deadline,
    /// What the zygote had used of a processor when it was looked at first, in nanoseconds.
    zygote_ran: Option<u64>,
}

impl Ending {
    pub(super) fn new(index: u32) -> Self {
        let (look, limit) = (Deadline::after(Some(COLLECTING)), Deadline::after(Some(STARVING)));
        Self { index, look, limit, zygote_ran: None }
    }

    /// Whether the zygote would collect it if it came to run: not if it runs and does something
    /// else, or waits for something, or is stopped.
    pub(super) fn is_starving(&mut self, zygote: i32) -> bool {
        let Some(stat) = procfs::stat(zygote).filter(|s| s.state == 'R') else { return false };
        let ran = stat.user_ns + stat.system_ns;
        let before = *self.zygote_ran.get_or_insert(ran);
        self.look = Deadline::after(Some(COLLECTING));
        ran < before + RAN_NS && !self.limit.passed()
    }
}
