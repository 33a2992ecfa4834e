//! Which pages of the heap are backed by memory: a bit for each.

use crate::atomic::{AtomicU64, Ordering};
use crate::shm::arena::layout::{PAGE, claimed_at};
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;

/// The words of the bitmap for `len` bytes at `off`: (word, mask).
pub(super) fn words(
    me: &Member,
    off: Off,
    len: u64,
) -> impl Iterator<Item = (&'static AtomicU64, u64)> {
    let (first, last) = (off.0 / PAGE, (off.0 + len).div_ceil(PAGE));
    let (arena, start) = (me.arena(), claimed_at(me.arena().len()));
    (first / 64..last.div_ceil(64)).map(move |w| {
        let low = first.saturating_sub(w * 64).min(63);
        let high = (last - w * 64).min(64);
        let mask = (u64::MAX >> (64 - high)) & (u64::MAX << low);
        (arena.at::<AtomicU64>(Off(start + w * 8)), mask)
    })
}

/// Bytes that are claimed of `len` bytes at `off`.
pub(super) fn count(me: &Member, off: Off, len: u64) -> u64 {
    words(me, off, len)
        .map(|(word, mask)| u64::from((mask & word.load(Ordering::Relaxed)).count_ones()) * PAGE)
        .sum()
}
