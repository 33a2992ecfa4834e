//! Sleeping on a 32-bit word that several processes share.

use super::clock::Deadline;
use super::current::Current;
use super::system::System;
use crate::atomic::AtomicU32;

pub use super::system::Woken;

/// Sleeps while `word` holds `expected`.
pub fn wait(word: &AtomicU32, expected: u32, deadline: Deadline) -> Woken {
    Current::wait(&[(word, expected)], deadline.at_ns())
}

/// Sleeps while `first` and `second` both hold their expected values.
///
/// On a kernel without `futex_waitv` it sleeps on `first` alone, at most 20 ms,
/// so that a change of `second` is still seen.
pub fn wait_two(first: (&AtomicU32, u32), second: (&AtomicU32, u32), deadline: Deadline) -> Woken {
    Current::wait(&[first, second], deadline.at_ns())
}

/// Words that [`wait_many`] can sleep on at once.
pub const MANY: usize = 128;

/// Sleeps while all words hold their expected values: at most [`MANY`] of them.
///
/// On a kernel without `futex_waitv` it sleeps for 20 ms at most, on the first word.
pub fn wait_many(words: &[(&AtomicU32, u32)], deadline: Deadline) -> Woken {
    Current::wait(words, deadline.at_ns())
}

/// Wakes up to `count` sleepers of `word`; how many there were.
#[allow(clippy::must_use_candidate, reason = "most wake whoever is there")]
pub fn wake(word: &AtomicU32, count: i32) -> i32 {
    Current::wake(word, count)
}

/// Wakes every sleeper of `word`.
pub fn wake_all(word: &AtomicU32) {
    wake(word, i32::MAX);
}
