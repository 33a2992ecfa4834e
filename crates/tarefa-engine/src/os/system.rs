//! What the engine's algorithms take from the system while they run: time, sleep and wake-ups.
//!
//! Everything else that they do is loads and stores in the arena. So whoever gives these in the
//! system's place can run the very same algorithms elsewhere: Miri, which has one process, and the
//! models, where sleep and wake-ups are part of what is explored.

use crate::atomic::AtomicU32;

/// How a sleep on a futex ended. A wake-up may be spurious: look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::enum_variant_names)]
pub enum Woken {
    /// Somebody woke the word, or its value was already another one.
    Woken,
    /// A signal handler ran in this thread.
    Signal,
    /// The deadline passed.
    TimedOut,
}

/// See the module.
pub(super) trait System {
    /// Nanoseconds of the monotonic clock.
    fn now_ns() -> u64;

    /// The same clock at its last tick.
    fn coarse_ns() -> u64;

    /// Sleeps while all words, of which there are a few, hold their expected values, and the
    /// clock is before `until`.
    fn wait(words: &[(&AtomicU32, u32)], until: Option<u64>) -> Woken;

    /// Wakes up to `count` of those who sleep on the word; how many there were.
    fn wake(word: &AtomicU32, count: i32) -> i32;

    /// Lets others run.
    fn yield_now();
}
