//! The references a process holds, where a survivor finds them.
//!
//! A process counts its own handles of an object in its own memory; the first takes one
//! reference in the arena and the last gives it back. Each such reference is also an entry in
//! a block that hangs on the process's slot, changed in the same [`Tx`] as the object's count,
//! so that [`super::reclaim`] returns exactly what a dead process held.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::heap::{self, Kind, OutOfMemory};
use super::holds;
use super::journal::Tx;
use super::layout::BlockHeader;
use super::me::Me;
use super::object;
use super::offset::{Off, Shared};

const ENTRIES: usize = 61;

#[repr(C)]
#[derive(Debug)]
pub(super) struct References {
    block: BlockHeader,
    pub(super) next: AtomicU64,
    pub(super) entries: [AtomicU64; ENTRIES],
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for References {}

/// A process's own view of what it holds.
#[derive(Debug, Default)]
pub(super) struct Held {
    objects: HashMap<Off, Holding>,
    pub(super) free: Vec<Off>,
    pub(super) holds: holds::Table,
}

#[derive(Clone, Copy, Debug)]
struct Holding {
    handles: u64,
    entry: Off,
    id: u64,
}

impl Held {
    /// Objects held, with their ids: what a forked process takes over.
    pub(super) fn all(&self) -> Vec<(Off, u64, u64)> {
        self.objects.iter().map(|(off, h)| (*off, h.id, h.handles)).collect()
    }
}

/// An entry that is free; more are made when there is none.
pub(super) fn free_entry(me: &Me, held: &mut Held) -> Result<Off, OutOfMemory> {
    if let Some(entry) = held.free.pop() {
        return Ok(entry);
    }
    let mark = heap::mark(me);
    let block = heap::alloc(me, Kind::Raw, size_of::<References>() as u64)?;
    let refs: &References = me.arena().at(block);
    for entry in &refs.entries {
        entry.store(0, Ordering::Relaxed);
        crash_point!("references.cleared");
    }
    let slot = me.runtime().process_slot();
    let mut tx = Tx::begin(me);
    tx.set(&refs.next, slot.references.load(Ordering::Relaxed));
    let info = &heap::header(me, block).info;
    tx.set(info, info.load(Ordering::Relaxed) & !0xff | Kind::References as u64);
    tx.set(&slot.references, block.0);
    heap::release_to(me, &mut tx, mark);
    crash_point!("references.block");
    tx.commit();
    crash_point!("references.block_done");
    held.free.extend(refs.entries.iter().map(|e| me.arena().offset_of(e)));
    Ok(held.free.pop().unwrap_or(Off::NONE))
}

/// Takes over the object just made, the first block of the thread's chain, as this process's.
///
/// # Errors
/// [`OutOfMemory`]: the object is still on the chain.
pub fn adopt(me: &Me, off: Off, mark: Off) -> Result<(), OutOfMemory> {
    let mut held = me.runtime().held();
    let entry = free_entry(me, &mut held)?;
    let word: &AtomicU64 = me.arena().at(entry);
    let _latch = object::latch(me, off).lock(me);
    let mut tx = Tx::begin(me);
    tx.set(word, off.0);
    object::add(me, &mut tx, off);
    heap::release_to(me, &mut tx, mark);
    crash_point!("references.adopted");
    tx.commit();
    crash_point!("references.adopted_done");
    let id = object::header(me, off).id.load(Ordering::Relaxed);
    held.objects.insert(off, Holding { handles: 1, entry, id });
    Ok(())
}

/// Takes one more handle of the object `off` with `id`; false when it is gone.
///
/// # Errors
/// [`OutOfMemory`].
pub fn acquire(me: &Me, off: Off, id: u64) -> Result<bool, OutOfMemory> {
    acquire_many(me, off, id, 1)
}

pub(super) fn acquire_many(me: &Me, off: Off, id: u64, n: u64) -> Result<bool, OutOfMemory> {
    let mut held = me.runtime().held();
    if let Some(h) = held.objects.get_mut(&off) {
        if h.id == id {
            h.handles += n;
        }
        return Ok(h.id == id);
    }
    let entry = free_entry(me, &mut held)?;
    let word: &AtomicU64 = me.arena().at(entry);
    let latch = object::latch(me, off).lock(me);
    if !object::exists(me, off, id) {
        drop(latch);
        held.free.push(entry);
        return Ok(false);
    }
    let mut tx = Tx::begin(me);
    tx.set(word, off.0);
    object::add(me, &mut tx, off);
    crash_point!("references.acquired");
    tx.commit();
    crash_point!("references.acquired_done");
    held.objects.insert(off, Holding { handles: n, entry, id });
    Ok(true)
}

/// Gives one handle back; with the last one the object may be freed.
pub fn release(me: &Me, off: Off) {
    let mark = heap::mark(me);
    {
        let mut held = me.runtime().held();
        let Some(h) = held.objects.get_mut(&off) else { return };
        h.handles -= 1;
        if h.handles > 0 {
            return;
        }
        let entry = h.entry;
        let word: &AtomicU64 = me.arena().at(entry);
        let _latch = object::latch(me, off).lock(me);
        let mut tx = Tx::begin(me);
        tx.set(word, 0);
        object::remove(me, &mut tx, off);
        crash_point!("references.released");
        tx.commit();
        crash_point!("references.released_done");
        held.objects.remove(&off);
        held.free.push(entry);
    }
    heap::drain(me, mark);
}

/// Blocks of references that are looked at, of one process.
const BLOCKS: usize = 1 << 16;

/// Looks at what the process in slot `process` refers to and holds, without a latch: entries (an
/// object's offset, or what [`super::holds`] makes of a hold) that may be gone by now, and not all
/// of those that come and go meanwhile. Ends when `see` says so with false; true if it has seen
/// them all.
pub fn glimpse(me: &Me, process: u32, see: &mut dyn FnMut(u64) -> bool) -> bool {
    let slot = super::slots::process_slot(me.runtime(), process);
    let mut block = Off(slot.references.load(Ordering::Acquire));
    for _ in 0..BLOCKS {
        if block.is_none() {
            return true;
        }
        if !heap::is_block(me, block, Kind::References) {
            return false;
        }
        let refs: &References = me.arena().at(block);
        for entry in &refs.entries {
            let entry = entry.load(Ordering::Acquire);
            if entry != 0 && !see(entry) {
                return false;
            }
        }
        block = Off(refs.next.load(Ordering::Acquire));
    }
    false
}

/// One step of returning a dead process's references: true once none is left.
pub(super) fn take_apart(me: &Me, block: Off) -> bool {
    let refs: &References = me.arena().at(block);
    for entry in &refs.entries {
        let word = entry.load(Ordering::Relaxed);
        if word == 0 || holds::Hold::unpack(word).is_some() {
            continue;
        }
        let off = Off(word);
        let _latch = object::latch(me, off).lock(me);
        let mut tx = Tx::begin(me);
        tx.set(entry, 0);
        object::remove(me, &mut tx, off);
        crash_point!("references.returned");
        tx.commit();
        crash_point!("references.returned_done");
        return false;
    }
    true
}

/// Hooks the next block of references of a dead process on the thread's chain.
pub(super) fn hook_next(me: &Me, references: &AtomicU64) -> bool {
    let block = Off(references.load(Ordering::Acquire));
    if block.is_none() {
        return false;
    }
    let refs: &References = me.arena().at(block);
    let mut tx = Tx::begin(me);
    tx.set(references, refs.next.load(Ordering::Relaxed));
    heap::hook(me, &mut tx, block);
    crash_point!("references.unhung");
    tx.commit();
    crash_point!("references.unhung_done");
    true
}
