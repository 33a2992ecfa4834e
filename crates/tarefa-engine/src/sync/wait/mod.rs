//! The one way to block: spin for a little, then sleep on a shared futex.

mod awaited;
mod sleep;
mod spin;
pub mod wait_record;

use crate::atomic::{AtomicU32, Ordering};
use crate::os::clock::{Deadline, now_ns};
use crate::os::futex;
use crate::shm::Member;
use crate::shm::arena::offset::Off;

pub use awaited::{Awaited, BlockingHooks, Outcome, Plain};
pub use sleep::Overdue;
pub use spin::AdaptiveSpin;

/// Waits for `condition`.
pub fn wait(
    me: &Member,
    hooks: &mut dyn BlockingHooks,
    condition: &mut dyn Awaited,
    deadline: Deadline,
) -> Outcome {
    spin::ADAPTIVE_SPIN.with(|spinning| wait_spinning(me, hooks, condition, deadline, spinning))
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
            me.runtime().look_for_root();
            hooks.place(me);
        }
        hooks.release(&mut || {
            outcome = if spin > 0 {
                spin::spin_once(me, condition, deadline, seen, spin, start)
            } else {
                sleep::sleep_once(me, condition, deadline, seen, start, &overdue)
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
    let slot = crate::shm::member::slots::thread_slot(me.arena(), index);
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
