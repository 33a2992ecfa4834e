//! Waiting for the first of several things: objects of any kind, and descriptors.
//!
//! Contract:
//! - nothing is taken: what is said to be ready can be taken by whoever is faster;
//! - all that are ready at one look are told, in an order that begins somewhere else each time, so
//!   that who serves only the first serves all of them alike;
//! - a wake-up that was meant for one who takes is handed on;
//! - nobody polls: there is one sleep on the words of all objects. What one call of the system cannot
//!   sleep on, which are many words, or descriptors beside them, helper threads sleep on, for as long
//!   as that sleep lasts (`helpers.rs`);
//! - whoever dies has all waiters look around, and whoever is stopped with a latch delays what he
//!   holds: the others are looked at all the same.
//!
//! Checked by `tests/channel/select.rs` and `tests/python/channel/test_select.py`.

mod helpers;

use std::cell::Cell;
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use super::wait::wait_record::{self, How, Wanted};
use super::wait::{Awaited, BlockingHooks, Overdue};
use crate::atomic::{AtomicU32, Ordering};
use crate::os::clock::{Deadline, now_ns};
use crate::os::futex::Woken;
use crate::os::{poll, process};
use crate::shm::Member;
use crate::shm::arena::offset::Off;

/// How soon a thread looks again at what it could not look at, for somebody is stopped who has it.
const AGAIN: Duration = Duration::from_millis(100);
/// How often a thread of a forked member looks, while it sleeps, whether the root has ended: nobody
/// would wake it for a death then.
const LOOK_FOR_ROOT: Duration = Duration::from_secs(1);
/// How long it looks before it sleeps, in nanoseconds.
const SPIN: u64 = 20_000;

/// What can be waited for beside other things. [`Awaited::ready`] looks without waiting for anybody,
/// and may overlook what the dead have left.
pub trait Selectable: Awaited {
    /// Looks at that, too, and waits for a moment if it must.
    fn look(&mut self) -> bool {
        self.ready()
    }

    /// The thread has slept: hands a wake-up on that was meant for somebody who takes what there is.
    fn woken(&mut self) {}

    /// Whether the last look could not see everything, for somebody else is in the middle of something.
    fn is_unsure(&self) -> bool {
        false
    }
}

/// One of the things that are waited for.
pub enum Source<'a> {
    /// An object's state.
    Object(&'a mut dyn Selectable),
    /// A descriptor that becomes readable; what the system always has ready, as files, is ready.
    Descriptor(RawFd),
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Object(it) => f.debug_tuple("Object").field(&it.object()).finish(),
            Self::Descriptor(fd) => f.debug_tuple("Descriptor").field(fd).finish(),
        }
    }
}

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// The hooks ended the wait.
    #[error("interrupted while nothing was ready")]
    Interrupted,
    /// The source of that number is a descriptor that is not open.
    #[error("descriptor {1}, number {0} of what is waited for, is not open")]
    Closed(usize, RawFd),
    /// The system cannot look at the descriptors, or has no thread or descriptor for the wait.
    #[error("cannot wait for several things at once: {0}")]
    System(#[from] io::Error),
}

/// Waits until something is ready: the numbers of all that are. None when the deadline has passed.
///
/// # Errors
/// [`SelectError`].
pub fn select(
    me: &Member,
    hooks: &mut dyn BlockingHooks,
    sources: &mut [Source<'_>],
    deadline: Deadline,
) -> Result<Vec<usize>, SelectError> {
    let mut wait = Wait { me, deadline, since: 0, overdue: Overdue::new(), sources };
    let found = wait.run(hooks)?;
    Ok(from_somewhere(found))
}

/// The same in a ring, from a random place on.
fn from_somewhere(mut found: Vec<usize>) -> Vec<usize> {
    if found.len() > 1 {
        let turns = random() % found.len() as u64;
        found.rotate_left(turns as usize);
    }
    found
}

/// A number of no meaning: two threads, or two places of a program, must not meet in a rhythm.
fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = const { Cell::new(0) };
    }
    STATE.with(|state| {
        let mut x = state.get();
        if x == 0 {
            x = now_ns() | 1;
        }
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        state.set(x);
        x >> 11
    })
}

/// How a sleep ended.
enum Slept {
    Ready(Vec<usize>),
    TimedOut,
    /// The hooks are to be asked.
    LookAround,
}

struct Wait<'w, 'a> {
    me: &'w Member,
    deadline: Deadline,
    since: u64,
    overdue: Overdue,
    sources: &'w mut [Source<'a>],
}

impl Wait<'_, '_> {
    fn run(&mut self, hooks: &mut dyn BlockingHooks) -> Result<Vec<usize>, SelectError> {
        let mut found = self.ready(|it| it.ready())?;
        if found.is_empty() {
            found = self.ready(|it| it.look())?;
        }
        if !found.is_empty() || self.deadline.passed() {
            return Ok(found);
        }
        self.since = now_ns();
        let mut spins = self.me.runtime().spins(1) != 0;
        loop {
            let me = self.me;
            let seen = me.slot().interrupt.load(Ordering::Acquire);
            // A signal's handler that forks goes on in two processes, and the wait is the parent's.
            if hooks.interrupted() || !me.is_here() {
                return Err(SelectError::Interrupted);
            }
            if !spins {
                me.runtime().look_for_root();
                hooks.place(me);
            }
            let mut slept = Ok(Slept::LookAround);
            hooks.release(&mut || {
                slept = if spins { self.spin(seen) } else { self.sleep(seen) };
            });
            spins = false;
            match slept? {
                Slept::Ready(found) => return Ok(found),
                Slept::TimedOut => return Ok(Vec::new()),
                Slept::LookAround => {}
            }
        }
    }

    /// The numbers of what is ready.
    fn ready(
        &mut self,
        mut is_ready: impl FnMut(&mut dyn Selectable) -> bool,
    ) -> Result<Vec<usize>, SelectError> {
        let mut found = Vec::new();
        let (mut fds, mut numbers) = (Vec::new(), Vec::new());
        for (i, source) in self.sources.iter_mut().enumerate() {
            match source {
                Source::Object(it) => found.extend(is_ready(*it).then_some(i)),
                Source::Descriptor(fd) => {
                    fds.push(*fd);
                    numbers.push(i);
                }
            }
        }
        if !fds.is_empty() {
            for ((level, i), fd) in poll::look(&fds)?.into_iter().zip(numbers).zip(fds) {
                match level {
                    poll::Level::Closed => return Err(SelectError::Closed(i, fd)),
                    poll::Level::Readable => found.push(i),
                    poll::Level::Nothing => {}
                }
            }
            found.sort_unstable();
        }
        Ok(found)
    }

    /// Looks for a while. Descriptors are not worth a call of the system each time.
    fn spin(&mut self, seen: u32) -> Result<Slept, SelectError> {
        let me = self.me;
        while now_ns() - self.since < SPIN {
            for _ in 0..16 {
                let mut any = false;
                for source in self.sources.iter_mut() {
                    any |= if let Source::Object(it) = source { it.ready() } else { false };
                }
                if any {
                    return self.ready(|it| it.ready()).map(Slept::Ready);
                }
                std::hint::spin_loop();
            }
            if me.slot().interrupt.load(Ordering::Relaxed) != seen || self.deadline.passed() {
                break;
            }
            process::yield_now();
        }
        Ok(Slept::LookAround)
    }

    fn sleep(&mut self, seen: u32) -> Result<Slept, SelectError> {
        let interrupt = &self.me.slot().interrupt;
        let mut objects = Vec::new();
        let mut fds = Vec::new();
        for source in self.sources.iter() {
            match source {
                Source::Object(it) => objects.push(it.object()),
                Source::Descriptor(fd) => fds.push(*fd),
            }
        }
        let (how, named): (How, &[Off]) =
            if fds.is_empty() { (How::Any, &objects) } else { (How::One, &[]) };
        let wanted = Wanted { how, objects: named };
        let _noted = wait_record::note(self.me, interrupt, wanted, self.since, self.deadline);
        loop {
            let mut words: Vec<(&'static AtomicU32, u32)> = Vec::with_capacity(objects.len());
            let mut is_over = false;
            for source in self.sources.iter_mut() {
                let Source::Object(it) = source else { continue };
                let Some(value) = it.announce() else {
                    is_over = true;
                    break;
                };
                words.push((it.word(), value));
            }
            let found = self.ready(|it| it.ready())?;
            if is_over || !found.is_empty() {
                return Ok(if found.is_empty() {
                    // Somebody was faster.
                    Slept::LookAround
                } else {
                    Slept::Ready(found)
                });
            }
            let unsure =
                self.sources.iter().any(|s| matches!(s, Source::Object(it) if it.is_unsure()));
            let soon = |yes: bool, after| {
                if yes { Deadline::after(Some(after)) } else { Deadline::NEVER }
            };
            let due = self.overdue.due(self.me, self.since);
            let until = (self.deadline.min(due))
                .min(soon(unsure, AGAIN))
                .min(soon(self.me.runtime().depends_on_root(), LOOK_FOR_ROOT));
            let woken = helpers::sleep(&words, &fds, (interrupt, seen), until)?;
            for source in self.sources.iter_mut() {
                if let Source::Object(it) = source {
                    it.woken();
                }
            }
            let found = self.ready(|it| it.ready())?;
            if !found.is_empty() {
                return Ok(Slept::Ready(found));
            }
            if woken == Woken::Signal || interrupt.load(Ordering::Acquire) != seen {
                return Ok(Slept::LookAround);
            }
            if woken == Woken::TimedOut {
                if self.deadline.passed() {
                    return Ok(Slept::TimedOut);
                }
                if due.passed() {
                    self.overdue.ask(self.me);
                } else {
                    self.me.runtime().look_for_root();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_first_equally_often() {
        let mut first = [0; 3];
        for _ in 0..3000 {
            let found = from_somewhere(vec![0, 1, 2]);
            first[found[0]] += 1;
            let mut sorted = found;
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2]);
        }
        assert!(first.iter().all(|n| (700..1300).contains(n)), "{first:?}");
    }
}
