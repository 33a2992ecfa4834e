//! Waits for a queue's state that take nothing and put nothing: for those who do that elsewhere, as an
//! event loop does.

use super::gate::Gate;
use super::queue::{Queue, shut, soon};
use crate::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::os::clock::Deadline;
use crate::shm::arena::offset::Off;
use crate::sync::select::{Selectable, Source, select};
use crate::sync::wait::{Awaited, BlockingHooks, Outcome};

/// What nobody stops.
static NEVER: AtomicBool = AtomicBool::new(false);

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
    /// [`Queue::look_around`], for one who does not go on to take what is there: whoever else waits
    /// for it is woken in its place.
    pub fn look_out(
        &self,
        wanted: Wanted,
        stopped: &AtomicBool,
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
    ) -> Outcome {
        let mut it = SelectQueue::of(Watch { queue: *self, wanted, stopped });
        let found = select(self.me, hooks, &mut [Source::Object(&mut it)], deadline);
        it.woken();
        match found {
            Ok(found) if found.is_empty() => Outcome::TimedOut,
            Ok(_) => Outcome::Ready,
            Err(_) => Outcome::Interrupted,
        }
    }

    /// Whether there is what is wanted at this instant.
    #[must_use]
    pub fn has(&self, wanted: Wanted) -> bool {
        self.selectable(wanted).look()
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

impl<'a> Queue<'a> {
    /// What waits for that beside other things, and takes nothing.
    pub fn selectable(self, wanted: Wanted) -> SelectQueue<'a> {
        SelectQueue::of(Watch { queue: self, wanted, stopped: &NEVER })
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

    /// Whether there is what is wanted; both latches are held.
    fn is_there(&self) -> bool {
        let is_over = self.queue.it.shut.load(Ordering::Acquire) != shut::OPEN;
        match self.wanted {
            Wanted::Message => is_over || self.queue.len_alone() > 0,
            Wanted::Room(bytes) => is_over || self.queue.has_room(bytes),
            Wanted::Nothing => !is_over && self.queue.len_alone() == 0,
        }
    }

    /// Whether a look without a latch shows a message, or the end of the queue.
    fn shows_message(&self) -> bool {
        let it = self.queue.it;
        it.head.load(Ordering::Relaxed) != it.tail.load(Ordering::Acquire)
            || it.shut.load(Ordering::Acquire) != shut::OPEN
            || it.get.unacked.returned.load(Ordering::Acquire) != 0
    }

    fn announce(&self) -> u32 {
        self.gate().announce(matches!(self.wanted, Wanted::Room(_)))
    }
}

/// What a thread that slept had announced, and where the queue stood then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pass {
    announced: u32,
    moved: [u64; 4],
}

/// A wait of one who does not act on what it waits for.
struct LookOut<'a> {
    watch: Watch<'a>,
    /// Of the last sleep: the wake-up may have been meant for one who would act.
    pass: Option<Pass>,
}

impl LookOut<'_> {
    /// How far those have come who open the gate.
    fn moved(&self) -> [u64; 4] {
        let it = self.watch.queue.it;
        [&it.head, &it.bytes, &it.get.unacked.returned, &it.tail]
            .map(|word| word.load(Ordering::Acquire))
    }

    /// Wakes the next, if this thread slept and may have been woken in its place. Where there is
    /// nothing that one could act on, this thread was woken by another who handed on: two of them
    /// would go on for ever.
    fn hand_on(&mut self) {
        let Some(pass) = self.pass else { return };
        let gate = self.watch.gate();
        if gate.word().load(Ordering::Acquire) == pass.announced {
            return;
        }
        let useful = match self.watch.wanted {
            Wanted::Message => self.watch.shows_message(),
            Wanted::Room(_) | Wanted::Nothing => self.moved() != pass.moved,
        };
        if useful {
            self.pass = None;
            gate.open(1);
        }
    }

    fn announce(&mut self) -> u32 {
        self.hand_on();
        let moved = self.moved();
        let announced = self.watch.announce();
        self.pass = Some(Pass { announced, moved });
        announced
    }
}

/// See [`Queue::selectable`].
#[must_use]
pub struct SelectQueue<'a> {
    look_out: LookOut<'a>,
    unsure: bool,
}

impl std::fmt::Debug for SelectQueue<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let watch = &self.look_out.watch;
        f.debug_tuple("SelectQueue").field(&watch.queue.off).field(&watch.wanted).finish()
    }
}

impl<'a> SelectQueue<'a> {
    fn of(watch: Watch<'a>) -> Self {
        Self { look_out: LookOut { watch, pass: None }, unsure: false }
    }

    /// Whether there is what is wanted, as far as one can tell who waits for nobody who is stopped.
    fn look_for(&mut self, patience: Deadline) -> bool {
        let queue = self.look_out.watch.queue;
        self.unsure = false;
        if self.ready() {
            return true;
        }
        if let Some(_latches) = queue.alone_until(patience) {
            return self.look_out.watch.is_there();
        }
        self.unsure = true;
        self.ready()
    }
}

impl Awaited for SelectQueue<'_> {
    fn word(&self) -> &'static AtomicU32 {
        self.look_out.watch.gate().word()
    }

    fn object(&self) -> Off {
        self.look_out.watch.queue.off
    }

    fn ready(&mut self) -> bool {
        let watch = &self.look_out.watch;
        if watch.stopped.load(Ordering::Acquire) {
            return true;
        }
        match watch.wanted {
            Wanted::Message if watch.shows_message() => true,
            // Without the latches that shows nothing, or that somebody is to look.
            Wanted::Message if !watch.queue.something_returned() => false,
            _ => watch.queue.alone_until(Deadline::at(0)).is_some_and(|_latches| watch.is_there()),
        }
    }

    fn announce(&mut self) -> Option<u32> {
        let value = self.look_out.announce();
        let patience = if self.unsure { Deadline::at(0) } else { soon(Deadline::NEVER) };
        if self.look_for(patience) { None } else { Some(value) }
    }
}

impl Selectable for SelectQueue<'_> {
    fn look(&mut self) -> bool {
        self.look_for(soon(Deadline::NEVER))
    }

    fn woken(&mut self) {
        self.look_out.hand_on();
    }

    fn is_unsure(&self) -> bool {
        self.unsure
    }
}
