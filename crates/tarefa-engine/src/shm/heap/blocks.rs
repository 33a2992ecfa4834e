//! Blocks: what their header says, and the chain of those that a thread alone owns.

use super::kind::Kind;
use crate::atomic::Ordering;
use crate::shm::arena::layout::BlockHeader;
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;
use crate::shm::tx::journal::Tx;

/// Bytes in front of what a block is asked for.
pub const HEADER: u64 = size_of::<BlockHeader>() as u64;

/// A block's header.
#[must_use]
pub fn header(me: &Member, block: Off) -> &'static BlockHeader {
    me.arena().at(block)
}

/// A block's size in bytes, its header included.
#[must_use]
pub fn size(me: &Member, block: Off) -> u64 {
    header(me, block).info.load(Ordering::Relaxed) >> 8
}

/// A block's kind; `None` when it is free.
#[must_use]
pub fn kind(me: &Member, block: Off) -> Option<Kind> {
    Kind::of(header(me, block).info.load(Ordering::Relaxed))
}

/// Hooks `block` on the thread's chain: from the commit on the thread owns it.
pub fn defer_free(me: &Member, tx: &mut Tx<'_>, block: Off) {
    tx.set(&header(me, block).next, me.slot().chain.load(Ordering::Relaxed));
    tx.set(&me.slot().chain, block.0);
    crash_point!("heap.hooked");
}

/// The chain as it is now; later [`release_to`] it, or [`free_deferred`](super::free_deferred) down to it.
/// None where there is nothing on it but what is left over: that may change until then.
#[must_use]
#[inline]
pub fn savepoint(me: &Member) -> Off {
    let head = Off(me.slot().chain.load(Ordering::Relaxed));
    if head == left_over(me) { Off::NONE } else { head }
}

/// The first of the blocks at the end of the chain that are given back later.
#[inline]
pub(super) fn left_over(me: &Member) -> Off {
    Off(me.slot().left_over.load(Ordering::Relaxed))
}

/// The block that a savepoint names.
#[inline]
pub(super) fn end_of(me: &Member, savepoint: Off) -> Off {
    if savepoint.is_none() { left_over(me) } else { savepoint }
}

/// Unhooks all blocks hooked since `savepoint`: from the commit on a structure owns them.
pub fn release_to(me: &Member, tx: &mut Tx<'_>, savepoint: Off) {
    tx.set(&me.slot().chain, end_of(me, savepoint).0);
    crash_point!("heap.released");
}
