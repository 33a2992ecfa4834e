//! The heap: blocks of any size, given out and taken back by any process.
//!
//! A fresh block hangs on its thread's chain ([`crate::shm::arena::layout::ThreadSlot::chain`]): the
//! thread alone owns it, and if the thread's process dies the block is freed. A structure
//! takes the block over in the same [`Tx`] in which it unhooks it from the chain
//! ([`savepoint`], [`release_to`]); a block taken out of a structure is hooked on the same way
//! ([`defer_free`]) and then freed by [`free_deferred`].
//!
//! `README.md` beside this file says how memory is laid out, kept and wasted. Checked by
//! `tests/property/heap.rs` against [`check`], and by `tests/storm/churn.rs`.

pub mod backed_pages;
#[doc(hidden)]
pub mod check;
mod runs;
pub mod slab;
pub mod units;

use crate::atomic::{AtomicU64, Ordering};
use crate::shm::arena::layout::{BlockHeader, UNIT, heap_at, unit_state};
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;
use crate::shm::tx::journal::Tx;

/// What a block holds, which says how it is freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Bytes that refer to nothing.
    Raw = 1,
    /// A [`crate::shm::object::blob`]: bytes and the objects they refer to.
    Blob = 2,
    /// A block of a process's references.
    References = 3,
    /// An object, whose own kind says how it is taken apart.
    Object = 4,
    /// A table of segments of a list.
    Table = 5,
    /// Words that a container has let go of.
    DeferredElements = 6,
    /// Index and entries of a dict.
    Store = 7,
}

impl Kind {
    pub(super) fn from_bits(info: u64) -> Option<Self> {
        Some(match info & 0xff {
            1 => Self::Raw,
            2 => Self::Blob,
            3 => Self::References,
            4 => Self::Object,
            5 => Self::Table,
            6 => Self::DeferredElements,
            7 => Self::Store,
            _ => return None,
        })
    }
}

/// The number under which [`super::object::register`] takes the destructor of tables.
pub const SEGMENTS: u64 = super::object::KINDS as u64 - 1;
/// The same for trash.
pub const DEFERRED_ELEMENTS: u64 = super::object::KINDS as u64 - 2;
/// The same for the stores of dicts.
pub const STORE: u64 = super::object::KINDS as u64 - 3;

/// Bytes in front of what a block is asked for.
pub const HEADER: u64 = size_of::<BlockHeader>() as u64;

/// The arena has no room: neither panic nor signal, and nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the shared memory is full: {wanted} bytes were asked for, {used} of {limit} are in use; \
     free something, or raise TAREFA_ARENA_MAX"
)]
pub struct OutOfMemory {
    /// Bytes asked for.
    pub wanted: u64,
    /// Bytes in use.
    pub used: u64,
    /// Bytes that may be in use.
    pub limit: u64,
}

impl OutOfMemory {
    /// Of so many bytes, asked for just now.
    #[must_use]
    pub fn new(me: &Member, wanted: u64) -> Self {
        Self { wanted, used: in_use(me), limit: me.header().limit.load(Ordering::Relaxed) }
    }
}

/// What a request claims at a time, and so the longest that others wait for the units.
const STEP: u64 = 4 << 20;

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
    act().or_else(|e| if slab::give_back_empty(me) { act() } else { Err(e) })
}

/// A raw block of `size` bytes, all of it backed by memory and zero behind the header.
///
/// What comes from the system is zero, and is not written to here: so a large block costs what
/// claiming it costs.
///
/// # Errors
/// [`OutOfMemory`]; nothing has changed then.
pub fn alloc_cleared(me: &Member, size: u64) -> Result<Off, OutOfMemory> {
    let clear = |from: u64, to: u64| me.arena().clear(Off(from), to.saturating_sub(from) as usize);
    if let Some(class) = slab::class_of(size) {
        let off = pressing(me, || slab::alloc(me, Kind::Raw, class, size))?;
        clear(off.0 + HEADER, off.0 + size);
        crash_point!("heap.cleared_small");
        return Ok(off);
    }
    let mut used = Vec::new();
    let off = pressing(me, || {
        used.clear();
        large(me, Kind::Raw, size, size, &mut |at, len| used.push((at.0, at.0 + len)))
    })?;
    for (from, to) in used {
        clear(from.max(off.0 + HEADER), to.min(off.0 + size));
        crash_point!("heap.cleared_large");
    }
    Ok(off)
}

/// A block for a blob: as [`alloc`], but its count of references is zero from the first
/// moment on, since freeing a half-made blob looks at it.
///
/// # Errors
/// [`OutOfMemory`]; nothing has changed then.
pub(super) fn alloc_blob(me: &Member, size: u64) -> Result<Off, OutOfMemory> {
    alloc_fresh(me, Kind::Blob, size)
}

/// A block whose words 2 to 7 are zero from the moment it is owned.
pub(super) fn alloc_fresh(me: &Member, kind: Kind, size: u64) -> Result<Off, OutOfMemory> {
    // Raw first, for a raw block refers to nothing; its kind is the store that publishes.
    let off = alloc(me, Kind::Raw, size)?;
    for at in (HEADER..size.min(64)).step_by(8) {
        if at + 8 <= size {
            let word: &AtomicU64 = me.arena().at(off.plus(at));
            word.store(0, Ordering::Release);
            crash_point!("heap.cleared");
        }
    }
    header(me, off).info.store(size << 8 | kind as u64, Ordering::Release);
    crash_point!("heap.kind_set");
    Ok(off)
}

/// A block of `size` bytes of which only the first `backed` are backed by memory; the rest
/// is claimed later by [`back`].
///
/// # Errors
/// [`OutOfMemory`]; nothing has changed then.
pub fn alloc_sparse(me: &Member, kind: Kind, size: u64, backed: u64) -> Result<Off, OutOfMemory> {
    if let Some(class) = slab::class_of(size) {
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
    let latch = me.header().units_latch.lock(me);
    let count = size.div_ceil(UNIT);
    let unit = units::take_backed(me, count, first, backed - first, kept)?;
    let off = Off(heap_at(me.arena().len()) + unit * UNIT);
    let (entry, block) = (units::entry(me, unit), header(me, off));
    let mut tx = Tx::begin(me);
    tx.set(&entry.state, units::large(count));
    tx.set(&entry.head, size);
    // Raw as long as not all of it is backed.
    tx.set(&block.info, size << 8 | Kind::Raw as u64);
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
    block.info.store(size << 8 | kind as u64, Ordering::Release);
    Ok(off)
}

/// Gives back to the system all memory that is free: what free runs and empty slabs keep for the
/// next user. The thread holds no latch of the heap.
pub fn trim(me: &Member) {
    slab::give_back_empty(me);
    let _latch = me.header().units_latch.lock(me);
    units::trim(me);
}

/// Bytes claimed from the system that blocks are in: neither kept by free runs, which keep 32 MiB
/// at most, nor by empty slabs, of which there is one of each class at most.
#[must_use]
pub fn in_use(me: &Member) -> u64 {
    let [claimed, retained] =
        [&me.header().claimed, &me.header().retained].map(|word| word.load(Ordering::Relaxed));
    claimed.saturating_sub(retained).saturating_sub(slab::kept(me))
}

/// Backs the bytes `from..to` of a block of [`alloc_sparse`] with memory.
///
/// # Errors
/// [`OutOfMemory`]; some of it may be backed then, which is no harm.
pub fn back(me: &Member, block: Off, from: u64, to: u64) -> Result<(), OutOfMemory> {
    if slab::class_of(size(me, block)).is_some() {
        return Ok(());
    }
    pressing(me, || {
        backed_pages::fits(me, to - from)?;
        back_in_steps(me, block, from, to, &mut |_, _| {})
    })
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
        let _latch = me.header().units_latch.lock(me);
        let mut claim = || backed_pages::claim(me, block.plus(at), len, 0, kept);
        claim().or_else(|e| if units::trim(me) { claim() } else { Err(e) })?;
    }
    Ok(())
}

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

/// Whether a block of that size is backed as a whole from the start.
#[must_use]
pub fn is_small(size: u64) -> bool {
    slab::class_of(size).is_some()
}

/// A block's kind; `None` when it is free.
#[must_use]
pub fn kind(me: &Member, block: Off) -> Option<Kind> {
    Kind::from_bits(header(me, block).info.load(Ordering::Relaxed))
}

/// Hooks `block` on the thread's chain: from the commit on the thread owns it.
pub fn defer_free(me: &Member, tx: &mut Tx<'_>, block: Off) {
    tx.set(&header(me, block).next, me.slot().chain.load(Ordering::Relaxed));
    tx.set(&me.slot().chain, block.0);
    crash_point!("heap.hooked");
}

/// The chain as it is now; later [`release_to`] it, or [`free_deferred`] down to it.
#[must_use]
pub fn savepoint(me: &Member) -> Off {
    Off(me.slot().chain.load(Ordering::Relaxed))
}

/// Unhooks all blocks hooked since `savepoint`: from the commit on a structure owns them.
pub fn release_to(me: &Member, tx: &mut Tx<'_>, savepoint: Off) {
    tx.set(&me.slot().chain, savepoint.0);
    crash_point!("heap.released");
}

/// Frees all blocks hooked since `savepoint`, and whatever falls with them.
pub fn free_deferred(me: &Member, savepoint: Off) {
    loop {
        let head = Off(me.slot().chain.load(Ordering::Relaxed));
        if head == savepoint || head.is_none() {
            return;
        }
        let taken_apart = match kind(me, head) {
            Some(Kind::Blob) => crate::shm::object::blob::destroy_step(me, head),
            Some(Kind::References) => crate::shm::object::refcount::destroy_step(me, head),
            Some(Kind::Object) => super::object::destroy_step(me, head),
            Some(Kind::Table) => super::object::destructor(SEGMENTS)(me, head),
            Some(Kind::DeferredElements) => super::object::destructor(DEFERRED_ELEMENTS)(me, head),
            Some(Kind::Store) => super::object::destructor(STORE)(me, head),
            Some(Kind::Raw) | None => true,
        };
        if taken_apart {
            free_head(me, head);
        }
    }
}

/// Gives the chain's first block back to the heap.
fn free_head(me: &Member, block: Off) {
    if let Some(class) = slab::class_of(size(me, block)) {
        return slab::free_head(me, block, class);
    }
    give_up_pages(me, block);
    let latch = me.header().units_latch.lock(me);
    let unit = units::of(me, block);
    let entry = units::entry(me, unit);
    let mut tx = Tx::begin(me);
    let count = units::units_of(entry.state.load(Ordering::Relaxed));
    tx.set(&entry.state, units::in_flight(count));
    tx.set(&me.slot().run, unit + 1);
    tx.set(&me.slot().chain, header(me, block).next.load(Ordering::Relaxed));
    tx.set(&header(me, block).info, 0);
    crash_point!("heap.large_unhooked");
    tx.commit();
    crash_point!("heap.large_in_flight");
    units::give_back(me);
    drop(latch);
    units::shed(me);
}

/// Gives the pages of a very large block back a step at a time, but for the first step's: the
/// block is nothing any more but its header, which says how large it is.
fn give_up_pages(me: &Member, block: Off) {
    let size = size(me, block);
    if size <= backed_pages::most_retained(me) {
        return;
    }
    for at in (STEP..size).step_by(STEP as usize) {
        let _latch = me.header().units_latch.lock(me);
        // The same is done again if this is cut short: what is marked may be gone already.
        backed_pages::release(me, block.plus(at), STEP.min(size - at), 0);
    }
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
    let state = |unit: u64| units::entry(me, unit).state.load(Ordering::Acquire);
    let in_place = match state(unit) & 0xff {
        unit_state::LARGE => block.0 == start + unit * UNIT,
        _ => slab::holds(me, block, unit),
    };
    in_place && kind(me, block) == Some(wanted)
}
