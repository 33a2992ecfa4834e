//! Tables of segments: how a list grows without moving what it holds.
//!
//! Segment k holds 16·2^k words, so the word at position p is in segment
//! log2(p + 16) - 4. Segments are reserved whole and backed by memory step by step.
//! After Brodnik et al., "Resizable Arrays in Optimal Time and Space" (WADS 1999).
//!
//! A table that a list has let go of with its elements owns those: it says where they are, and
//! frees their blobs before its segments.

use super::value;
use crate::atomic::{AtomicU64, Ordering};
use crate::kinds;
use crate::shm::Member;
use crate::shm::arena::layout::{BlockHeader, PAGE};
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, Kind, OutOfMemory};
use crate::shm::tx::journal::Tx;

/// Blocks that are tables of segments.
pub(super) const SEGMENTS: Kind = Kind::new(kinds::block::SEGMENTS);

const FIRST: u64 = 16;
/// As many as make a table a block of 256 bytes: for 4,294,967,280 words.
const MOST_SEGMENTS: usize = 28;
const _: () = assert!(size_of::<Table>() == 256);

/// A block of segment offsets.
#[repr(C)]
#[derive(Debug)]
pub struct Table {
    block: BlockHeader,
    /// Words that are the table's own, whose blobs are freed with it, and the position of the
    /// first. None while the table is a list's.
    own: AtomicU64,
    own_from: AtomicU64,
    segments: [AtomicU64; MOST_SEGMENTS],
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Table {}

/// The segment of a position, and the place in it.
#[inline]
fn place(position: u64) -> (usize, u64) {
    let k = (position + FIRST).ilog2() - FIRST.ilog2();
    (k as usize, position + FIRST - (FIRST << k))
}

/// Words before segment `k`.
fn before(k: usize) -> u64 {
    (FIRST << k) - FIRST
}

/// Makes an empty table, hooked on the thread's chain.
pub(super) fn create(me: &Member) -> Result<Off, OutOfMemory> {
    let off = heap::alloc(me, Kind::RAW, size_of::<Table>() as u64)?;
    let table = at(me, off);
    for word in [&table.own, &table.own_from].into_iter().chain(&table.segments) {
        word.store(0, Ordering::Relaxed);
        crash_point!("segments.cleared");
    }
    // Raw refers to nothing; from here on its segments are freed with it.
    let info = &heap::header(me, off).info;
    info.store(SEGMENTS.info(heap::size(me, off)), Ordering::Release);
    crash_point!("segments.made");
    Ok(off)
}

/// The table at `off`.
pub(super) fn at(me: &Member, off: Off) -> &'static Table {
    me.arena().at(off)
}

/// The word at `position`, which is backed.
#[inline]
pub(super) fn word(me: &Member, table: &Table, position: u64) -> &'static AtomicU64 {
    let (k, i) = place(position);
    let segment = table.segments[k].load(Ordering::Acquire);
    me.arena().at(Off(segment + heap::HEADER + i * 8))
}

/// The same for a reader that may see a table that was just freed: `None` for nonsense.
#[inline]
pub(super) fn word_optimistic(me: &Member, table: Off, position: u64) -> Option<u64> {
    let (k, i) = place(position);
    if k >= MOST_SEGMENTS || table.is_none() {
        return None;
    }
    let segment = at(me, table).segments[k].load(Ordering::Acquire);
    let off = segment.checked_add(heap::HEADER + i * 8)?;
    if segment == 0 || off % 8 != 0 || off >= me.arena().len() {
        return None;
    }
    Some(me.arena().at::<AtomicU64>(Off(off)).load(Ordering::Acquire))
}

/// Backs at least `wanted` positions where `backed` are, and returns how many are then.
///
/// The table belongs to the caller, or its structure's latch is held. Each step is committed
/// on its own: room without words is no harm.
///
/// `note`, if given, is kept up to date in the same change that adds a segment.
pub(super) fn grow(
    me: &Member,
    table: Off,
    backed: u64,
    wanted: u64,
    note: Option<&AtomicU64>,
) -> Result<u64, OutOfMemory> {
    let mut backed = backed;
    while backed < wanted {
        let (k, i) = place(backed);
        if k >= MOST_SEGMENTS {
            return Err(OutOfMemory::new(me, wanted.saturating_mul(8)));
        }
        let size = heap::HEADER + (FIRST << k) * 8;
        // An eighth more at a time, whole pages: few calls, little waste.
        let more = (wanted - backed).max(backed / 8).max(PAGE / 8);
        let whole = heap::is_small(size);
        let bytes = (heap::HEADER + (i + more) * 8).next_multiple_of(PAGE).min(size);
        let after = before(k) + if whole { FIRST << k } else { (bytes - heap::HEADER) / 8 };
        if i == 0 {
            let savepoint = heap::savepoint(me);
            let segment = heap::alloc_sparse(me, Kind::RAW, size, bytes)?;
            let mut tx = Tx::begin(me);
            tx.set(&at(me, table).segments[k], segment.0);
            heap::release_to(me, &mut tx, savepoint);
            if let Some(note) = note {
                tx.set(note, after);
            }
            crash_point!("segments.segment");
            tx.commit();
            crash_point!("segments.segment_done");
        } else {
            let segment = Off(at(me, table).segments[k].load(Ordering::Relaxed));
            heap::back(me, segment, heap::HEADER + i * 8, bytes)?;
        }
        backed = after;
    }
    Ok(backed)
}

/// From the commit on, `len` words from position `from` on are the table's own.
// crash: part of the caller's change.
pub(super) fn give_words(me: &Member, tx: &mut Tx<'_>, table: Off, from: u64, len: u64) {
    tx.set(&at(me, table).own_from, from);
    tx.set(&at(me, table).own, len);
}

/// The last segment of a table, if it is behind the `keep` that follow the one in which a list ends
/// at position `end`: its number, the words before it, and its offset.
pub(super) fn spare(me: &Member, table: Off, end: u64, keep: usize) -> Option<(usize, u64, Off)> {
    let k = at(me, table).segments.iter().rposition(|s| s.load(Ordering::Relaxed) != 0)?;
    let segment = Off(at(me, table).segments[k].load(Ordering::Relaxed));
    (k > place(end).0 + keep).then(|| (k, before(k), segment))
}

/// What is backed of the last segment, of `backed` positions in all, and not needed by a list that
/// ends in it at position `end`: the segment, from which of its bytes on to which, and how many
/// positions are backed without.
pub(super) fn excess(
    me: &Member,
    table: Off,
    end: u64,
    backed: u64,
) -> Option<(Off, u64, u64, u64)> {
    let (k, i) = place(end);
    let segment = Off(at(me, table).segments[k].load(Ordering::Relaxed));
    let size = heap::HEADER + (FIRST << k) * 8;
    if segment.is_none() || heap::is_small(size) {
        return None;
    }
    let pages = |words: u64| (heap::HEADER + words * 8).next_multiple_of(PAGE).min(size);
    let (needed, there) = (pages(i), pages(backed.checked_sub(before(k))?));
    (there > needed).then(|| (segment, needed, there, before(k) + (needed - heap::HEADER) / 8))
}

/// Takes segment `k` out of the table.
// crash: part of the caller's change.
pub(super) fn take(me: &Member, tx: &mut Tx<'_>, table: Off, k: usize) {
    tx.set(&at(me, table).segments[k], 0);
}

/// One step of taking a table apart: the last blob of those that are its own, or its last segment.
pub(super) fn destroy_step(me: &Member, off: Off) -> bool {
    let table = at(me, off);
    let (own, from) = (table.own.load(Ordering::Relaxed), table.own_from.load(Ordering::Relaxed));
    let blob_at = |i: u64| value::blob_of(word(me, table, from + i).load(Ordering::Relaxed));
    if own != 0 {
        let last = (0..own).rev().find_map(|i| blob_at(i).map(|blob| (i, blob)));
        let mut tx = Tx::begin(me);
        tx.set(&table.own, last.map_or(0, |(i, _)| i));
        if let Some((_, blob)) = last {
            heap::defer_free(me, &mut tx, blob);
        }
        crash_point!("segments.emptied");
        tx.commit();
        crash_point!("segments.emptied_done");
        return false;
    }
    let last = table.segments.iter().rposition(|s| s.load(Ordering::Relaxed) != 0);
    let Some(k) = last else { return true };
    let segment = Off(table.segments[k].load(Ordering::Relaxed));
    let mut tx = Tx::begin(me);
    tx.set(&table.segments[k], 0);
    heap::defer_free(me, &mut tx, segment);
    crash_point!("segments.shrunk");
    tx.commit();
    crash_point!("segments.shrunk_done");
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_dense() {
        let mut expected = (0, 0);
        for p in 0..10_000 {
            assert_eq!(place(p), expected, "{p}");
            expected.1 += 1;
            if expected.1 == FIRST << expected.0 {
                expected = (expected.0 + 1, 0);
            }
            assert_eq!(before(place(p).0) + place(p).1, p);
        }
    }
}
