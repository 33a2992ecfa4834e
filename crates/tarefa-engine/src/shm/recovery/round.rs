//! One round of giving up what the dead have of objects, and how long it waits for their latches.
//!
//! Whoever has an object's latch may be stopped. What the dead have of that object stays until he goes
//! on, or dies: the cleaner tries it again, in another round. All else is not to wait for him, so a round
//! waits for each latch a little, and for all of them not much longer than for one.

use std::time::Duration;

use crate::os::clock::Deadline;
use crate::shm::arena::offset::Off;

/// How long a round waits for one latch: whoever has it is mostly about to let go, or has died himself.
const EACH: Duration = Duration::from_millis(5);
/// How long in all. Who is held up after that is not waited for.
const ALL: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug)]
pub struct Round {
    each: Option<Duration>,
    end: Deadline,
    /// Objects whose latches were not to be had.
    held_up: Vec<Off>,
}

impl Round {
    /// One that waits for nobody who is stopped.
    #[must_use]
    pub fn short() -> Self {
        Self { each: Some(EACH), end: Deadline::after(Some(ALL)), held_up: Vec::new() }
    }

    /// One that waits for all.
    #[must_use]
    pub fn patient() -> Self {
        Self { each: None, end: Deadline::NEVER, held_up: Vec::new() }
    }

    /// Until when it waits for a latch from now on.
    #[must_use]
    pub fn limit(&self) -> Deadline {
        Deadline::after(self.each).min(self.end)
    }

    /// Does something under the latch of an object, which has to be had by the time given; false if it
    /// was not, now or before.
    pub(super) fn give_up(&mut self, object: Off, work: impl FnOnce(Deadline) -> bool) -> bool {
        if self.held_up.contains(&object) {
            return false;
        }
        let done = work(self.limit());
        if !done {
            self.held_up.push(object);
        }
        done
    }
}
