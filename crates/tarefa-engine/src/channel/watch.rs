//! Waits for a queue's state that take nothing and put nothing: for those who do that elsewhere, as an
//! event loop does.

use super::gate::Gate;
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
    /// No message any more, before the end of the queue.
    Nothing,
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

    /// The same, until a deadline, for one who does not go on to take what is there: whoever else waits
    /// for it is woken in its place.
    pub fn look_out(
        &self,
        wanted: Wanted,
        stopped: &AtomicBool,
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
    ) -> Outcome {
        let mut condition =
            LookOut { watch: Watch { queue: *self, wanted, stopped }, woken: false };
        let outcome = wait::wait(self.me, hooks, &mut condition, deadline);
        condition.watch.gate().open(1);
        outcome
    }

    /// Whether there is what is wanted at this instant.
    #[must_use]
    pub fn has(&self, wanted: Wanted) -> bool {
        Watch { queue: *self, wanted, stopped: &AtomicBool::new(false) }.ready()
    }

    /// Has all who wait for that look around.
    pub fn look_around(&self, wanted: Wanted) {
        self.gate_of(wanted).open_all();
    }

    fn gate_of(&self, wanted: Wanted) -> &'static Gate {
        match wanted {
            Wanted::Message => &self.it.not_empty,
            Wanted::Room(_) | Wanted::Nothing => &self.it.not_full,
        }
    }
}

struct Watch<'a> {
    queue: Queue<'a>,
    wanted: Wanted,
    stopped: &'a AtomicBool,
}

impl Watch<'_> {
    fn gate(&self) -> &'static Gate {
        self.queue.gate_of(self.wanted)
    }
}

impl Awaited for Watch<'_> {
    fn word(&self) -> &'static AtomicU32 {
        self.gate().word()
    }

    fn object(&self) -> Off {
        self.queue.off
    }

    fn ready(&mut self) -> bool {
        if self.stopped.load(Ordering::Acquire) {
            return true;
        }
        let _latches = self.queue.alone();
        let is_over = self.queue.it.shut.load(Ordering::Acquire) != shut::OPEN;
        match self.wanted {
            Wanted::Message => is_over || self.queue.len_alone() > 0,
            Wanted::Room(bytes) => is_over || self.queue.has_room(bytes),
            Wanted::Nothing => !is_over && self.queue.len_alone() == 0,
        }
    }

    fn announce(&mut self) -> Option<u32> {
        let value = self.gate().announce(matches!(self.wanted, Wanted::Room(_)));
        if self.ready() { None } else { Some(value) }
    }
}

/// A wait of one who does not act on what it waits for.
struct LookOut<'a> {
    watch: Watch<'a>,
    /// Whether it has slept: the wake-up may have been meant for one who would act.
    woken: bool,
}

impl Awaited for LookOut<'_> {
    fn word(&self) -> &'static AtomicU32 {
        self.watch.word()
    }

    fn object(&self) -> Off {
        self.watch.object()
    }

    fn ready(&mut self) -> bool {
        self.watch.ready()
    }

    fn announce(&mut self) -> Option<u32> {
        if std::mem::replace(&mut self.woken, true) {
            self.watch.gate().open(1);
        }
        self.watch.announce()
    }
}
