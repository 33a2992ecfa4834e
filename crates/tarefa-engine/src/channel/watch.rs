//! Waits for a queue's state that take nothing and put nothing: for those who do that elsewhere, as an
//! event loop does.

use super::queue::{Queue, shut};
use crate::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::os::clock::Deadline;
use crate::shm::arena::offset::Off;
use crate::sync::wait::{self, Awaited, BlockingHooks, Outcome};

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A message, or the end of the queue.
    Message,
    /// Room for a message whose blob has so many bytes, or the end of the queue.
    Room(u64),
}

impl Queue<'_> {
    /// Waits until there is what is wanted, or until `stopped`, which whoever sets it shows by
    /// [`Queue::look_around`]. Others may be there first.
    pub fn watch(
        &self,
        wanted: Wanted,
        stopped: &AtomicBool,
        hooks: &mut dyn BlockingHooks,
    ) -> Outcome {
        let mut condition = Watch { queue: *self, wanted, stopped };
        wait::wait(self.me, hooks, &mut condition, Deadline::NEVER)
    }

    /// Has all who wait for that look around.
    pub fn look_around(&self, wanted: Wanted) {
        match wanted {
            Wanted::Message => self.it.not_empty.open_all(),
            Wanted::Room(_) => self.it.not_full.open_all(),
        }
    }
}

struct Watch<'a> {
    queue: Queue<'a>,
    wanted: Wanted,
    stopped: &'a AtomicBool,
}

impl Awaited for Watch<'_> {
    fn word(&self) -> &'static AtomicU32 {
        match self.wanted {
            Wanted::Message => self.queue.it.not_empty.word(),
            Wanted::Room(_) => self.queue.it.not_full.word(),
        }
    }

    fn object(&self) -> Off {
        self.queue.off
    }

    fn ready(&mut self) -> bool {
        if self.stopped.load(Ordering::Acquire) {
            return true;
        }
        let _latches = self.queue.alone();
        let state = self.queue.it.shut.load(Ordering::Acquire);
        state != shut::OPEN
            || match self.wanted {
                Wanted::Message => self.queue.len_alone() > 0,
                Wanted::Room(bytes) => self.queue.has_room(bytes),
            }
    }

    fn announce(&mut self) -> Option<u32> {
        let value = match self.wanted {
            Wanted::Message => self.queue.it.not_empty.announce(false),
            Wanted::Room(_) => self.queue.it.not_full.announce(true),
        };
        if self.ready() { None } else { Some(value) }
    }
}
