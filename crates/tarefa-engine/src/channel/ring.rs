//! The ring: a block of words, used round and round.
//!
//! Positions only grow; the word of a position is at its remainder. The number of words is a power of
//! two, at least [`LEAST`], whatever the bound: a queue that holds little keeps to few cache lines.

use crate::atomic::AtomicU64;
use crate::shm::Member;
use crate::shm::arena::offset::Off;
use crate::shm::heap;

/// Bytes of a word, which each message has one of.
pub(super) const WORD: u64 = 8;
/// Words of a ring that holds little.
pub(super) const LEAST: u64 = 64;
/// Words above which a ring that holds little is made smaller.
pub(super) const SHRINK_FROM: u64 = 4096;

/// The word of a position.
#[inline]
pub(super) fn word(me: &Member, ring: Off, mask: u64, position: u64) -> &'static AtomicU64 {
    me.arena().at(ring.plus(heap::HEADER + (position & mask) * WORD))
}
