//! Reading what threads have written, while they go on.

use super::chunks::{self, Progress};
use super::event::{Event, WORDS};
use super::names::name_of;
use super::switch;
use crate::atomic::{Ordering, fence};
use crate::os::clock;
use crate::shm::arena::Arena;
use crate::shm::member::Member;
use crate::shm::member::runtime::{Runtime, forks};

/// How often a chunk that changes is looked at again.
const LOOKS: u32 = 8;

/// An event, and who has written it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The thread, as locks call it: see [`crate::shm::member::slots::parse_name`].
    pub thread: u64,
    /// Its process.
    pub pid: i32,
    /// Its number in the system.
    pub tid: i32,
    /// The event.
    pub event: Event,
}

/// Reads a trace from the moment on when this is made. It keeps the trace on until it is dropped.
///
/// A chunk is copied without a latch, and its `progress` looked at before and after: if events were dropped
/// meanwhile the copy may be of both, and is thrown away.
#[derive(Debug)]
pub struct Reader {
    runtime: &'static Runtime,
    forks: u32,
    since_ns: u64,
    /// Of each chunk, how many of the events that were ever written to it are read, or are none of ours.
    read: Vec<u64>,
    refused: u64,
    lost: u64,
}

impl Reader {
    /// Switches the trace on, for this process.
    ///
    /// # Errors
    /// [`switch::NoRoom`].
    pub fn start(me: &Member) -> Result<Self, switch::NoRoom> {
        let refused = me.header().trace.refused.load(Ordering::Relaxed);
        // Before it is on: what others write as soon as they see that is of this time.
        let since_ns = clock::now_ns();
        switch::start(me)?;
        let arena = me.arena();
        let before = |index| {
            let seen = Progress::of(chunks::header(arena, index));
            // One thread's events, in the order of time.
            let is_older = |at: &u64| event(arena, index, *at).is_none_or(|e| e.at_ns < since_ns);
            seen.dropped + (0..seen.count).take_while(is_older).count() as u64
        };
        let read = (0..chunks::count(arena)).map(before).collect();
        let (runtime, forks) = (me.runtime(), forks());
        Ok(Self { runtime, forks, since_ns, read, refused, lost: 0 })
    }

    /// When it began, in nanoseconds of the monotonic clock.
    #[must_use]
    pub fn since_ns(&self) -> u64 {
        self.since_ns
    }

    /// Events that were written since then and dropped before they were read.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let refused = self.runtime.header().trace.refused.load(Ordering::Relaxed);
        self.lost + refused.saturating_sub(self.refused)
    }

    /// Appends all that was written since the last time, of each thread in its order.
    pub fn read(&mut self, into: &mut Vec<Written>) {
        let arena = self.runtime.arena();
        let top = self.runtime.header().trace.next.load(Ordering::Relaxed);
        for index in 0..top.min(self.read.len() as u64) {
            for _ in 0..LOOKS {
                let before = into.len();
                let chunk = chunks::header(arena, index);
                let seen = Progress::of(chunk);
                let read = self.read[index as usize];
                if seen.total() <= read {
                    break;
                }
                let (thread, who) =
                    (chunk.thread.load(Ordering::Relaxed), chunk.who.load(Ordering::Relaxed));
                let first = read.max(seen.dropped);
                for at in first - seen.dropped..seen.count {
                    let Some(event) = event(arena, index, at) else { continue };
                    if event.at_ns >= self.since_ns {
                        let (pid, tid) = ((who >> 32) as i32, who as i32);
                        into.push(Written { thread, pid, tid, event });
                    }
                }
                fence(Ordering::Acquire);
                if Progress::of(chunk).dropped == seen.dropped {
                    self.lost += first - read;
                    self.read[index as usize] = seen.total();
                    break;
                }
                into.truncate(before);
            }
        }
    }

    /// The name with that number, as an event has it.
    #[must_use]
    pub fn name_of(&self, number: u16) -> Option<String> {
        name_of(self.runtime.arena(), number)
    }

    /// The runtime whose trace it is.
    #[must_use]
    pub fn runtime(&self) -> &'static Runtime {
        self.runtime
    }
}

/// An event of a chunk; `None` where what stands there is none, or no more.
fn event(arena: &'static Arena, index: u64, at: u64) -> Option<Event> {
    let words = chunks::event(arena, index, at);
    let words: [u64; WORDS] =
        std::array::from_fn(|i| words.get(i).map_or(0, |w| w.load(Ordering::Relaxed)));
    Event::unpack(words)
}

impl Drop for Reader {
    fn drop(&mut self) {
        // The child of a fork has a copy of this, and wants nothing.
        if self.forks == forks() {
            self.runtime.with_me(switch::stop);
        }
    }
}
