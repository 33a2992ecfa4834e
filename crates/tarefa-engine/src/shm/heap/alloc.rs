//! Giving blocks out.

use super::backed_pages;
use super::backed_pages::STEP;
use super::blocks::{HEADER, defer_free, header, kind, savepoint, size};
use super::destroy::free_deferred;
use super::kind::Kind;
use super::nth_call::fails_here;
use super::size_classes::class_of;
use super::usage::OutOfMemory;
use super::{limit, slab, unit_table, units};
use crate::atomic::{AtomicU64, Ordering};
use crate::shm::arena::layout::{UNIT, heap_at, unit_state};
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;
use crate::shm::tx::journal::Tx;

/// A block of `size` bytes (its header included), all of it backed by memory.
///
/// The bytes behind the header are not cleared.
///
/// # Errors
/// [`OutOfMemory`]; nothing has changed then.
#[inline]
pub fn alloc(me: &Member, kind: Kind, size: u64) -> Result<Off, OutOfMemory> {
    alloc_sparse(me, kind, size, size)
}

/// Does it, and once more if it fails and there were empty slabs to give back.
fn pressing<T>(
    me: &Member,
    mut act: impl FnMut() -> Result<T, OutOfMemory>,
) -> Result<T, OutOfMemory> {
    act().or_else(|e| if !e.is_held_up() && slab::give_back_empty(me) { act() } else { Err(e) })
}

/// A raw block of `size` bytes, all of it backed by memory and zero behind the header.
///
/// What comes from the system is zero, and is not written to here: so a large block costs what
/// claiming it costs.
///
/// # Errors
/// [`OutOfMemory`]; nothing has changed then.
pub fn alloc_cleared(me: &Member, size: u64) -> Result<Off, OutOfMemory> {
    fails_here!(me, size);
    let clear = |from: u64, to: u64| me.arena().clear(Off(from), to.saturating_sub(from) as usize);
    if let Some(class) = class_of(size) {
        let off = pressing(me, || slab::alloc(me, Kind::RAW, class, size))?;
        clear(off.0 + HEADER, off.0 + size);
        crash_point!("heap.cleared_small");
        return Ok(off);
    }
    let mut used = Vec::new();
    let off = pressing(me, || {
        used.clear();
        large(me, Kind::RAW, size, size, &mut |at, len| used.push((at.0, at.0 + len)))
    })?;
    for (from, to) in used {
        clear(from.max(off.0 + HEADER), to.min(off.0 + size));
        crash_point!("heap.cleared_large");
    }
    Ok(off)
}

/// A block whose words 2 to 7 are zero from the moment it is owned: for a kind whose step looks at
/// counts in a block that is half made.
///
/// # Errors
/// [`OutOfMemory`]; nothing has changed then.
pub(in crate::shm) fn alloc_fresh(me: &Member, kind: Kind, size: u64) -> Result<Off, OutOfMemory> {
    // Raw first, for a raw block refers to nothing; its kind is the store that publishes.
    let off = alloc(me, Kind::RAW, size)?;
    for at in (HEADER..size.min(64)).step_by(8) {
        if at + 8 <= size {
            let word: &AtomicU64 = me.arena().at(off.plus(at));
            word.store(0, Ordering::Release);
            crash_point!("heap.cleared");
        }
    }
    header(me, off).info.store(kind.info(size), Ordering::Release);
    crash_point!("heap.kind_set");
    Ok(off)
}

/// A block of `size` bytes of which only the first `backed` are backed by memory; the rest
/// is claimed later by [`back`].
///
/// # Errors
/// [`OutOfMemory`]; nothing has changed then.
pub fn alloc_sparse(me: &Member, kind: Kind, size: u64, backed: u64) -> Result<Off, OutOfMemory> {
    fails_here!(me, size);
    if let Some(class) = class_of(size) {
        return pressing(me, || slab::alloc(me, kind, class, size));
    }
    pressing(me, || large(me, kind, size, backed.max(HEADER), &mut |_, _| {}))
}

fn large(
    me: &Member,
    kind: Kind,
    size: u64,
    backed: u64,
    kept: &mut dyn FnMut(Off, u64),
) -> Result<Off, OutOfMemory> {
    backed_pages::fits(me, backed)?;
    let savepoint = savepoint(me);
    let first = backed.min(STEP);
    let latch = limit::lock(&me.header().units_latch, me, size)?;
    let count = size.div_ceil(UNIT);
    let unit = units::take_backed(me, count, first, backed - first, kept)?;
    let off = Off(heap_at(me.arena().len()) + unit * UNIT);
    let (entry, block) = (unit_table::entry(me, unit), header(me, off));
    let mut tx = Tx::begin(me);
    tx.set(&entry.state, unit_table::large(count));
    tx.set(&entry.head, size);
    // Raw as long as not all of it is backed.
    tx.set(&block.info, Kind::RAW.info(size));
    defer_free(me, &mut tx, off);
    tx.set(&me.slot().run, 0);
    crash_point!("heap.large_hooked");
    tx.commit();
    crash_point!("heap.large_done");
    drop(latch);
    if let Err(e) = back_in_steps(me, off, first, backed, kept) {
        free_deferred(me, savepoint);
        return Err(e);
    }
    // crash: nothing is in it yet, whatever it is called.
    block.info.store(kind.info(size), Ordering::Release);
    Ok(off)
}

/// Gives back to the system all memory that is free: what free runs and empty slabs keep for the
/// next user. The thread holds no latch of the heap.
pub fn trim(me: &Member) {
    slab::give_back_empty(me);
    let _latch = me.header().units_latch.lock(me);
    units::trim(me);
}

/// Backs the bytes `from..to` of a block of [`alloc_sparse`] with memory.
///
/// # Errors
/// [`OutOfMemory`]; some of it may be backed then, which is no harm.
pub fn back(me: &Member, block: Off, from: u64, to: u64) -> Result<(), OutOfMemory> {
    if class_of(size(me, block)).is_some() {
        return Ok(());
    }
    fails_here!(me, to - from);
    pressing(me, || {
        backed_pages::fits(me, to - from)?;
        back_in_steps(me, block, from, to, &mut |_, _| {})
    })
}

/// Gives the memory behind the bytes `from..to` of a large block back to the system: whole pages of
/// it, that nobody uses any more.
pub fn unback(me: &Member, block: Off, from: u64, to: u64) {
    for at in (from..to).step_by(STEP as usize) {
        let _latch = me.header().units_latch.lock(me);
        backed_pages::release(me, block.plus(at), STEP.min(to - at), 0);
    }
}

fn back_in_steps(
    me: &Member,
    block: Off,
    from: u64,
    to: u64,
    kept: &mut dyn FnMut(Off, u64),
) -> Result<(), OutOfMemory> {
    // Whole pages, so that none is seen twice, but for the one that holds `from`.
    for at in (from..to).step_by(STEP as usize) {
        let len = STEP.min(to - at);
        let _latch = limit::lock(&me.header().units_latch, me, len)?;
        let mut claim = || backed_pages::claim(me, block.plus(at), len, 0, kept);
        claim().or_else(|e| if units::trim(me) { claim() } else { Err(e) })?;
    }
    Ok(())
}

/// Whether a block of that size is backed as a whole from the start.
#[must_use]
pub fn is_small(size: u64) -> bool {
    class_of(size).is_some()
}

/// Whether a block of that kind starts at `block`: for offsets that come from outside.
#[must_use]
pub fn is_block(me: &Member, block: Off, wanted: Kind) -> bool {
    let start = heap_at(me.arena().len());
    if block.0 < start || block.0 % 16 != 0 || block.0 > me.arena().len() - UNIT {
        return false;
    }
    let unit = (block.0 - start) / UNIT;
    if unit >= me.header().frontier.load(Ordering::Acquire) {
        return false;
    }
    let state = |unit: u64| unit_table::entry(me, unit).state.load(Ordering::Acquire);
    let in_place = match state(unit) & 0xff {
        unit_state::LARGE => block.0 == start + unit * UNIT,
        _ => slab::holds(me, block, unit),
    };
    in_place && kind(me, block) == Some(wanted)
}
