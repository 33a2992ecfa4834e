//! The one way to block: spin for a little, then sleep on a shared futex.

pub mod wait_record;

use std::cell::Cell;

use crate::atomic::{AtomicU32, Ordering};
use crate::os::clock::{Deadline, now_ns};
use crate::os::futex::{self, Woken};
use crate::os::process;
use crate::shm::Member;
use crate::shm::arena::offset::Off;
use crate::shm::member::report_request;
use crate::sync::wait::wait_record::{How, Wanted};

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What was waited for has come.
    Ready,
    /// The deadline passed first.
    TimedOut,
    /// [`BlockingHooks::interrupted`] said so.
    Interrupted,
}

/// What a language does around a wait.
pub trait BlockingHooks {
    /// Runs `sleep` with everything released that others need to get on (the interpreter's
    /// lock, say).
    fn release(&mut self, sleep: &mut dyn FnMut());

    /// Whether the wait must end: an interrupt or a signal's exception is due. Called before
    /// each sleep and whenever the thread was made to look around.
    fn interrupted(&mut self) -> bool;

    /// Notes where in the program the thread stands ([`wait_record::place`]), for it is about to sleep.
    /// Called with all still held that [`BlockingHooks::release`] lets go.
    fn place(&mut self, _me: &Member) {}
}

/// Hooks for the engine's own threads: nothing to release, nothing interrupts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl BlockingHooks for Plain {
    fn release(&mut self, sleep: &mut dyn FnMut()) {
        sleep();
    }

    fn interrupted(&mut self) -> bool {
        false
    }
}

/// What is waited for.
pub trait Awaited {
    /// The word to sleep on.
    fn word(&self) -> &'static AtomicU32;

    /// The object that is waited for, where the wait knows it: for those who look at who waits
    /// for what.
    fn object(&self) -> Off {
        Off::NONE
    }

    /// Whether nobody is waited for: the wait is meant to end by its deadline.
    fn is_pause(&self) -> bool {
        false
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
pub struct AdaptiveSpin {
    spin: Cell<u64>,
    most: u64,
}

impl AdaptiveSpin {
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
    static ADAPTIVE_SPIN: AdaptiveSpin = const { AdaptiveSpin::new(20_000, SPIN_MOST) };
}

/// Waits for `condition`.
pub fn wait(
    me: &Member,
    hooks: &mut dyn BlockingHooks,
    condition: &mut dyn Awaited,
    deadline: Deadline,
) -> Outcome {
    ADAPTIVE_SPIN.with(|spinning| wait_spinning(me, hooks, condition, deadline, spinning))
}

/// Waits for `condition`, with a spinning of the caller's.
pub fn wait_spinning(
    me: &Member,
    hooks: &mut dyn BlockingHooks,
    condition: &mut dyn Awaited,
    deadline: Deadline,
    spinning: &AdaptiveSpin,
) -> Outcome {
    if condition.ready() {
        return Outcome::Ready;
    }
    let start = now_ns();
    let mut spin = if me.runtime().spins(1) == 0 { 0 } else { spinning.spin.get() };
    let learns = spin > 0;
    let overdue = Overdue::new();
    loop {
        let seen = me.slot().interrupt.load(Ordering::Acquire);
        // A signal's handler that forks goes on in two processes, and the wait is the parent's.
        if hooks.interrupted() || !me.is_here() {
            return Outcome::Interrupted;
        }
        let mut outcome = None;
        if spin == 0 {
            hooks.place(me);
        }
        hooks.release(&mut || {
            outcome = if spin > 0 {
                spin_once(me, condition, deadline, seen, spin, start)
            } else {
                sleep_once(me, condition, deadline, seen, start, &overdue)
            };
        });
        // The hooks decide again, then the wait goes on without spinning.
        spin = 0;
        if let Some(outcome) = outcome {
            if learns && outcome == Outcome::Ready {
                spinning.learn(now_ns() - start);
            }
            return outcome;
        }
    }
}

/// One spin; `None` when the thread is to look around.
fn spin_once(
    me: &Member,
    condition: &mut dyn Awaited,
    deadline: Deadline,
    seen: u32,
    spin: u64,
    since: u64,
) -> Option<Outcome> {
    let slot = me.slot();
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
    // A signal that came meanwhile has ended no sleep: the hooks look once more.
    deadline.passed().then(|| if condition.ready() { Outcome::Ready } else { Outcome::TimedOut })
}

/// The report that is made of a wait which lasts, once.
#[derive(Debug, Default)]
pub struct Overdue(Cell<bool>);

impl Overdue {
    /// Of a wait that begins.
    #[must_use]
    pub const fn new() -> Self {
        Self(Cell::new(false))
    }

    /// When it is due, of a wait since `since`; never, if it was made.
    #[must_use]
    pub fn due(&self, me: &Member, since: u64) -> Deadline {
        let after = if self.0.get() { None } else { report_request::report_after(me) };
        let at = after.and_then(|a| since.checked_add(u64::try_from(a.as_nanos()).ok()?));
        at.map_or(Deadline::NEVER, Deadline::at)
    }

    /// Asks for it. The wait must be noted, for the report shows it.
    pub fn ask(&self, me: &Member) {
        self.0.set(true);
        report_request::ask_overdue(me);
    }
}

/// One sleep; `None` when the thread is to look around.
fn sleep_once(
    me: &Member,
    condition: &mut dyn Awaited,
    deadline: Deadline,
    seen: u32,
    since: u64,
    overdue: &Overdue,
) -> Option<Outcome> {
    let slot = me.slot();
    let word = condition.word();
    let object = condition.object();
    let pause = condition.is_pause();
    let how = if pause { How::Pause } else { How::One };
    let objects = if object.is_none() { &[][..] } else { &[object][..] };
    let _noted = wait_record::note(me, word, Wanted { how, objects }, since, deadline);
    loop {
        let Some(value) = condition.announce() else { break Some(Outcome::Ready) };
        let due = if pause { Deadline::NEVER } else { overdue.due(me, since) };
        let until = deadline.min(due);
        let woken = futex::wait_two((word, value), (&slot.interrupt, seen), until);
        crash_point!("wait.slept");
        if woken == Woken::TimedOut {
            if condition.ready() {
                break Some(Outcome::Ready);
            }
            if until != deadline && !deadline.passed() {
                overdue.ask(me);
                continue;
            }
            break Some(Outcome::TimedOut);
        }
        if woken == Woken::Signal || slot.interrupt.load(Ordering::Acquire) != seen {
            // The sleep may have taken a wake-up meant for one of several: announce, so that
            // the next release wakes the others.
            break condition.announce().is_none().then_some(Outcome::Ready);
        }
    }
}

/// Runs `change`, which may wake sleepers of `word`, so that they are woken even if this
/// process dies between the change and the wake-up.
pub fn waking<T>(me: &Member, word: &'static AtomicU32, change: impl FnOnce() -> T) -> T {
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

/// Makes the thread in slot `index` look around: it asks its hooks whether to go on.
pub fn wake(me: &Member, index: u32) {
    let slot = crate::shm::member::slots::thread_slot(me.runtime(), index);
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
pub fn word(me: &Member, off: Off) -> &'static AtomicU32 {
    me.arena().at(off)
}
