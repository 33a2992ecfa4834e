//! Results that a worker keeps at its seat until it tells several at once.
//!
//! A result that is a word (see `collections::value`) commits by two stores of its worker: the word, then
//! the seat's `kept`, which says how many there are. So tasks of nanoseconds need no message each, and
//! what a dead or a busy worker has finished is read where it lies, by whoever wants to know.

use super::board::{Board, MOST_KEPT};
use crate::atomic::Ordering;

/// Bits of the count in a seat's `kept`; the first task is above them.
const COUNT: u32 = 16;

/// Results of tasks that follow each other in their batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The place of the first one's task in the batch.
    pub first: u32,
    /// The results: words, little-endian.
    pub bytes: Vec<u8>,
}

fn parts(kept: u64) -> (u32, u32) {
    ((kept >> COUNT) as u32, kept as u32 & ((1 << COUNT) - 1))
}

impl Board<'_> {
    /// The seat's worker has told all results that it kept.
    pub fn told(&self, seat: u32) {
        self.seat(seat).kept.store(0, Ordering::Release);
        crash_point!("board.told");
    }

    /// Keeps the result of the task that the seat's worker runs. False if there is no room, or if the
    /// task does not follow those whose results are kept: tell them first.
    #[inline]
    pub fn keep(&self, seat: u32, task: u32, word: u64) -> bool {
        let it = self.seat(seat);
        let (first, count) = parts(it.kept.load(Ordering::Relaxed));
        let first = if count == 0 { task } else { first };
        if count >= MOST_KEPT || task != first + count {
            return false;
        }
        // SYNC POINT: pairs with the loads of `read`, which sees of a later use of this place also
        // that `kept` was set back before.
        self.results(seat).0[count as usize].store(word, Ordering::Release);
        crash_point!("board.result");
        it.kept.store(u64::from(first) << COUNT | u64::from(count + 1), Ordering::Release);
        crash_point!("board.kept");
        true
    }

    /// Whether another result can be kept.
    #[inline]
    #[must_use]
    pub fn has_room(&self, seat: u32) -> bool {
        parts(self.seat(seat).kept.load(Ordering::Relaxed)).1 < MOST_KEPT
    }

    /// The results that the seat's worker keeps of that batch. Any process may ask, while the worker
    /// goes on: what it tells in the meantime is not there any more.
    #[must_use]
    pub fn kept(&self, seat: u32, batch: u64) -> Option<Kept> {
        let it = self.seat(seat);
        if it.batch.load(Ordering::Acquire) != batch {
            return None;
        }
        let (first, count) = parts(it.kept.load(Ordering::Acquire));
        if count == 0 || count > MOST_KEPT {
            return None;
        }
        let words = &self.results(seat).0[..count as usize];
        let mut bytes = vec![0; words.len() * 8];
        for (to, from) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&from.load(Ordering::Acquire).to_le_bytes());
        }
        // Within a batch results are kept in the order of their tasks: the same first one is the same use.
        let (still, now) = parts(it.kept.load(Ordering::Acquire));
        let same = still == first && now >= count && it.batch.load(Ordering::Acquire) == batch;
        same.then_some(Kept { first, bytes })
    }

    /// The same of all seats: what their workers have finished of a batch and not told.
    #[must_use]
    pub fn kept_of(&self, batch: u64) -> Vec<Kept> {
        (0..self.seats()).filter_map(|seat| self.kept(seat, batch)).collect()
    }
}
