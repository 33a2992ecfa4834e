//! What is waited for, what a language does around a wait, and how a wait ends.

use crate::atomic::AtomicU32;
use crate::os::clock::Deadline;
use crate::shm::Member;
use crate::shm::arena::offset::Off;

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

    /// Notes where in the program the thread stands ([`super::wait_record::place`]), for it is about to sleep.
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

    /// When a sleep that was announced is to be announced anew, if nobody ends it before.
    fn look_again(&self) -> Deadline {
        Deadline::NEVER
    }
}
