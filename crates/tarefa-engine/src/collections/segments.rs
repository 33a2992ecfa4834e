//! Tables of segments: how a list grows without moving what it holds.
//!
//! Segment k holds 16·2^k words, so the word at position p is in segment
//! log2(p + 16) - 4. Segments are reserved whole and backed by memory step by step.
//! After Brodnik et al., "Resizable Arrays in Optimal Time and Space" (WADS 1999).

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
const MOST_SEGMENTS: usize = 30;

/// A block of segment offsets.
#[repr(C)]
#[derive(Debug)]
pub struct Table {
    block: BlockHeader,
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
    for segment in &at(me, off).segments {
        segment.store(0, Ordering::Relaxed);
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
            return Err(OutOfMemory { wanted: wanted * 8, used: backed * 8, limit: backed * 8 });
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

/// One step of taking a table apart: its last segment.
pub(super) fn destroy_step(me: &Member, off: Off) -> bool {
    let table = at(me, off);
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
