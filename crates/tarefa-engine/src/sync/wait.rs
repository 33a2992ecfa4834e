//! The one way to block: spin for a little, then sleep on a shared futex.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use crate::os::clock::{Deadline, now_ns};
use crate::os::futex::{self, Woken};
use crate::os::process;
use crate::shm::Me;
use crate::shm::offset::Off;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What was waited for has come.
    Ready,
    /// The deadline passed first.
    TimedOut,
    /// [`Parker::interrupted`] said so.
    Interrupted,
}

/// What a language does around a wait.
pub trait Parker {
    /// Runs `sleep` with everything released that others need to get on (the interpreter's
    /// lock, say).
    fn release(&mut self, sleep: &mut dyn FnMut());

    /// Whether the wait must end: an interrupt or a signal's exception is due. Called before
    /// each sleep and whenever the thread was made to look around.
    fn interrupted(&mut self) -> bool;
}

/// A parker for the engine's own threads: nothing to release, nothing interrupts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Parker for Plain {
    fn release(&mut self, sleep: &mut dyn FnMut()) {
        sleep();
    }

    fn interrupted(&mut self) -> bool {
        false
    }
}

/// What is waited for.
pub trait Condition {
    /// The word to sleep on.
    fn word(&self) -> &'static AtomicU32;

    /// The object that is waited for, where the wait knows it: for those who look at who waits
    /// for what.
    fn object(&self) -> Off {
        Off::NONE
    }

    /// Tries once; true when the wait is over. Does not announce a sleeper.
    fn ready(&mut self) -> bool;

    /// Tries once more and else announces a sleeper: `None` when the wait is over, or the
    /// word's value to sleep on.
    fn announce(&mut self) -> Option<u32>;
}

/// The longest time to spin. A wake-up through the kernel costs about as much.
const SPIN_MOST: u64 = 50_000;
const SPIN_LEAST: u64 = 1_500;

/// How long a thread spins in waits of one sort: long where they turn out short, and the other
/// way round.
#[derive(Debug)]
pub struct Patience {
    spin: Cell<u64>,
    most: u64,
}

impl Patience {
    /// Spins `first` nanoseconds at first, and never more than `most`.
    #[must_use]
    pub const fn new(first: u64, most: u64) -> Self {
        Self { spin: Cell::new(first), most }
    }

    /// A wait was over after `waited` nanoseconds.
    fn learn(&self, waited: u64) {
        let spin = if waited < self.most + self.most / 2 {
            self.most
        } else {
            (self.spin.get() / 2).max(SPIN_LEAST)
        };
        self.spin.set(spin);
    }
}

thread_local! {
    static PATIENCE: Patience = const { Patience::new(20_000, SPIN_MOST) };
}

/// Waits for `condition`.
pub fn wait(
    me: &Me,
    parker: &mut dyn Parker,
    condition: &mut dyn Condition,
    deadline: Deadline,
) -> Outcome {
    PATIENCE.with(|patience| wait_spinning(me, parker, condition, deadline, patience))
}

/// Waits for `condition`, with a patience of the caller's.
pub fn wait_spinning(
    me: &Me,
    parker: &mut dyn Parker,
    condition: &mut dyn Condition,
    deadline: Deadline,
    patience: &Patience,
) -> Outcome {
    if condition.ready() {
        return Outcome::Ready;
    }
    let start = now_ns();
    let mut spin = if me.runtime().spins(1) == 0 { 0 } else { patience.spin.get() };
    let learns = spin > 0;
    loop {
        let seen = me.slot().interrupt.load(Ordering::Acquire);
        if parker.interrupted() {
            return Outcome::Interrupted;
        }
        let mut outcome = None;
        parker.release(&mut || {
            outcome = once(me, condition, deadline, seen, spin, start);
        });
        // The parker decides again, then the wait goes on without spinning.
        spin = 0;
        if let Some(outcome) = outcome {
            if learns && outcome == Outcome::Ready {
                patience.learn(now_ns() - start);
            }
            return outcome;
        }
    }
}

/// One spin, or one sleep; `None` when the thread is to look around.
fn once(
    me: &Me,
    condition: &mut dyn Condition,
    deadline: Deadline,
    seen: u32,
    spin: u64,
    since: u64,
) -> Option<Outcome> {
    let slot = me.slot();
    if spin > 0 {
        loop {
            for _ in 0..16 {
                if condition.ready() {
                    return Some(Outcome::Ready);
                }
                std::hint::spin_loop();
            }
            if slot.interrupt.load(Ordering::Relaxed) != seen || deadline.passed() {
                break;
            }
            if now_ns() - since > spin {
                break;
            }
            // What is waited for may be queued for this very processor.
            process::yield_now();
        }
        // A signal that came meanwhile has ended no sleep: the parker looks once more.
        if !deadline.passed() {
            return None;
        }
    }
    // A survivor wakes this word's sleepers if this thread dies: a wake-up may have been its.
    let word = condition.word();
    slot.waiting_for.store(condition.object().0, Ordering::Relaxed);
    slot.waiting_since.store(since, Ordering::Relaxed);
    slot.waiting_on.store(me.arena().offset_of(word).0, Ordering::Release);
    crash_point!("wait.noted");
    // Either a cleaner sees the note and pokes this thread, or this thread sees its owner dead.
    fence(Ordering::SeqCst);
    let outcome = loop {
        let Some(value) = condition.announce() else { break Some(Outcome::Ready) };
        let woken = futex::wait_two((word, value), (&slot.interrupt, seen), deadline);
        if woken == Woken::TimedOut {
            break Some(if condition.ready() { Outcome::Ready } else { Outcome::TimedOut });
        }
        if woken == Woken::Signal || slot.interrupt.load(Ordering::Acquire) != seen {
            // The sleep may have taken a wake-up meant for one of several: announce, so that
            // the next release wakes the others.
            break condition.announce().is_none().then_some(Outcome::Ready);
        }
    };
    slot.waiting_on.store(0, Ordering::Release);
    slot.waiting_for.store(0, Ordering::Relaxed);
    crash_point!("wait.over");
    outcome
}

/// Runs `change`, which may wake sleepers of `word`, so that they are woken even if this
/// process dies between the change and the wake-up.
pub fn waking<T>(me: &Me, word: &'static AtomicU32, change: impl FnOnce() -> T) -> T {
    let slot = me.slot();
    // The thread may be in a wait already.
    let before = slot.waiting_on.load(Ordering::Relaxed);
    slot.waiting_on.store(me.arena().offset_of(word).0, Ordering::Release);
    crash_point!("wait.waking");
    let result = change();
    slot.waiting_on.store(before, Ordering::Release);
    crash_point!("wait.woken");
    result
}

/// Makes the thread in slot `index` look around: it asks its parker whether to go on waiting.
pub fn poke(me: &Me, index: u32) {
    let slot = crate::shm::slots::thread_slot(me.runtime(), index);
    poke_word(&slot.interrupt);
}

/// The same for a thread's word itself; async-signal-safe.
pub fn poke_word(interrupt: &AtomicU32) {
    interrupt.fetch_add(1, Ordering::AcqRel);
    crash_point!("wait.poked");
    futex::wake_all(interrupt);
}

/// The 32-bit word at `off`.
#[must_use]
pub fn word(me: &Me, off: Off) -> &'static AtomicU32 {
    me.arena().at(off)
}
