//! The references a process holds, where a survivor finds them.
//!
//! A process counts its own handles of an object in its own memory; the first takes one
//! reference in the arena and the last gives it back. Each such reference is also an entry in
//! a block that hangs on the process's slot, changed in the same [`Tx`] as the object's count,
//! so that [`crate::shm::recovery`] returns exactly what a dead process held.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::atomic::{AtomicU64, Ordering};
use crate::shm::arena::layout::BlockHeader;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap;
use crate::shm::heap::{Kind, OutOfMemory};
use crate::shm::member::Member;
use crate::shm::object;
use crate::shm::object::robust_list;
use crate::shm::object::robust_list::Spread;
use crate::shm::tx::journal::Tx;

const ENTRIES: usize = 59;
/// All entries of a block, as bits.
const ALL: u64 = (1 << ENTRIES) - 1;
/// Empty blocks that a process keeps, whatever it holds.
const KEPT: usize = 4;

/// A block of entries. The list of a process's blocks is changed by one [`Tx`]; which entries are
/// free is the process's own business, for a survivor reads the entries.
#[repr(C)]
#[derive(Debug)]
pub(in crate::shm) struct References {
    block: BlockHeader,
    pub(in crate::shm) next: AtomicU64,
    prev: AtomicU64,
    /// Bits of the entries that are free.
    free: AtomicU64,
    pub(in crate::shm) entries: [AtomicU64; ENTRIES],
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for References {}

// A class of its own, whose blocks start at multiples of their size: so an entry tells its block.
const SIZE: u64 = 512;
const _: () = assert!(size_of::<References>() as u64 == SIZE);

/// A process's own view of what it holds.
#[derive(Debug, Default)]
pub(in crate::shm) struct ProcessReferences {
    objects: HashMap<Off, Holding, BuildHasherDefault<Spread>>,
    pub(in crate::shm) holds: robust_list::Table,
    entries: Entries,
}

#[derive(Clone, Copy, Debug)]
struct Holding {
    handles: u64,
    entry: Off,
    id: u64,
}

impl ProcessReferences {
    /// Objects held, with their ids: what a forked process takes over.
    pub(in crate::shm) fn all(&self) -> Vec<(Off, u64, u64)> {
        self.objects.iter().map(|(off, h)| (*off, h.id, h.handles)).collect()
    }

    /// An entry that is free, and 0; more are made when there is none.
    pub(in crate::shm) fn take_entry(&mut self, me: &Member) -> Result<Off, OutOfMemory> {
        self.entries.take(me)
    }

    /// Gives an entry back, which is 0.
    pub(in crate::shm) fn give_entry(&mut self, me: &Member, entry: Off) {
        self.entries.give(me, entry);
    }
}

/// The blocks of a process that have free entries.
#[derive(Debug, Default)]
struct Entries {
    /// Each of them once; entries are taken from the last.
    with_room: Vec<Off>,
    /// Of all blocks.
    blocks: usize,
    /// Blocks without a reference.
    empty: usize,
}

impl Entries {
    fn take(&mut self, me: &Member) -> Result<Off, OutOfMemory> {
        let block = match self.with_room.last() {
            Some(block) => *block,
            None => self.grow(me)?,
        };
        let refs: &References = me.arena().at(block);
        let free = refs.free.load(Ordering::Relaxed);
        // not shared: the process alone looks at it.
        refs.free.store(free & (free - 1), Ordering::Relaxed);
        self.empty -= usize::from(free == ALL);
        if free.is_power_of_two() {
            self.with_room.pop();
        }
        Ok(me.arena().offset_of(&refs.entries[free.trailing_zeros() as usize]))
    }

    fn grow(&mut self, me: &Member) -> Result<Off, OutOfMemory> {
        let savepoint = heap::savepoint(me);
        let block = heap::alloc_cleared(me, SIZE)?;
        debug_assert_eq!(block.0 % SIZE, 0);
        let refs: &References = me.arena().at(block);
        refs.free.store(ALL, Ordering::Relaxed);
        crash_point!("refcount.cleared");
        let first = &me.runtime().process_slot().references;
        let next = Off(first.load(Ordering::Relaxed));
        let mut tx = Tx::begin(me);
        tx.set(&refs.next, next.0);
        if !next.is_none() {
            tx.set(&me.arena().at::<References>(next).prev, block.0);
        }
        let info = &heap::header(me, block).info;
        tx.set(info, info.load(Ordering::Relaxed) & !0xff | Kind::References as u64);
        tx.set(first, block.0);
        heap::release_to(me, &mut tx, savepoint);
        crash_point!("refcount.block");
        tx.commit();
        crash_point!("refcount.block_done");
        self.with_room.push(block);
        (self.blocks, self.empty) = (self.blocks + 1, self.empty + 1);
        Ok(block)
    }

    fn give(&mut self, me: &Member, entry: Off) {
        let block = Off(entry.0 / SIZE * SIZE);
        let refs: &References = me.arena().at(block);
        let index = (entry.0 - me.arena().offset_of(&refs.entries[0]).0) / 8;
        let before = refs.free.load(Ordering::Relaxed);
        let free = before | 1 << index;
        // not shared: the process alone looks at it.
        refs.free.store(free, Ordering::Relaxed);
        if before == 0 {
            self.with_room.push(block);
        }
        self.empty += usize::from(free == ALL);
        if self.empty > KEPT.max(self.blocks / 2) {
            self.shrink(me);
        }
    }

    /// Gives empty blocks back but for a few. Seldom, for who glimpses at the list of another
    /// process's blocks loses its way when they go.
    fn shrink(&mut self, me: &Member) {
        let savepoint = heap::savepoint(me);
        let mut keep = KEPT / 2;
        let (blocks, empty) = (&mut self.blocks, &mut self.empty);
        self.with_room.retain(|block| {
            let refs: &References = me.arena().at(*block);
            if refs.free.load(Ordering::Relaxed) != ALL {
                return true;
            }
            if keep > 0 {
                keep -= 1;
                return true;
            }
            unhang(me, *block, refs);
            heap::free_deferred(me, savepoint);
            (*blocks, *empty) = (*blocks - 1, *empty - 1);
            false
        });
    }
}

/// Takes a block without references out of its process's list and hooks it on the chain.
fn unhang(me: &Member, block: Off, refs: &References) {
    let (next, prev) =
        (Off(refs.next.load(Ordering::Relaxed)), Off(refs.prev.load(Ordering::Relaxed)));
    let mut tx = Tx::begin(me);
    if prev.is_none() {
        tx.set(&me.runtime().process_slot().references, next.0);
    } else {
        tx.set(&me.arena().at::<References>(prev).next, next.0);
    }
    if !next.is_none() {
        tx.set(&me.arena().at::<References>(next).prev, prev.0);
    }
    heap::defer_free(me, &mut tx, block);
    crash_point!("refcount.unneeded");
    tx.commit();
    crash_point!("refcount.unneeded_done");
}

/// Takes over the object just made, the first block of the thread's chain, as this process's.
///
/// # Errors
/// [`OutOfMemory`]: the object is still on the chain.
pub fn adopt(me: &Member, off: Off, savepoint: Off) -> Result<(), OutOfMemory> {
    let mut held = me.runtime().held();
    let entry = held.take_entry(me)?;
    let word: &AtomicU64 = me.arena().at(entry);
    let _latch = object::latch(me, off).lock(me);
    let mut tx = Tx::begin(me);
    tx.set(word, off.0);
    object::add(me, &mut tx, off);
    heap::release_to(me, &mut tx, savepoint);
    crash_point!("refcount.adopted");
    tx.commit();
    crash_point!("refcount.adopted_done");
    let id = object::header(me, off).id.load(Ordering::Relaxed);
    held.objects.insert(off, Holding { handles: 1, entry, id });
    Ok(())
}

/// Takes one more handle of the object `off` with `id`; false when it is gone.
///
/// # Errors
/// [`OutOfMemory`].
pub fn acquire(me: &Member, off: Off, id: u64) -> Result<bool, OutOfMemory> {
    acquire_many(me, off, id, 1)
}

pub(in crate::shm) fn acquire_many(
    me: &Member,
    off: Off,
    id: u64,
    n: u64,
) -> Result<bool, OutOfMemory> {
    let mut held = me.runtime().held();
    if let Some(h) = held.objects.get_mut(&off) {
        if h.id == id {
            h.handles += n;
        }
        return Ok(h.id == id);
    }
    let entry = held.take_entry(me)?;
    let word: &AtomicU64 = me.arena().at(entry);
    let latch = object::latch(me, off).lock(me);
    if !object::exists(me, off, id) {
        drop(latch);
        held.give_entry(me, entry);
        return Ok(false);
    }
    let mut tx = Tx::begin(me);
    tx.set(word, off.0);
    object::add(me, &mut tx, off);
    crash_point!("refcount.acquired");
    tx.commit();
    crash_point!("refcount.acquired_done");
    held.objects.insert(off, Holding { handles: n, entry, id });
    Ok(true)
}

/// Gives one handle back; with the last one the object may be freed.
pub fn release(me: &Member, off: Off) {
    let savepoint = heap::savepoint(me);
    {
        let mut held = me.runtime().held();
        let Some(h) = held.objects.get_mut(&off) else { return };
        h.handles -= 1;
        if h.handles > 0 {
            return;
        }
        let entry = h.entry;
        let word: &AtomicU64 = me.arena().at(entry);
        let latch = object::latch(me, off).lock(me);
        let mut tx = Tx::begin(me);
        tx.set(word, 0);
        object::remove(me, &mut tx, off);
        crash_point!("refcount.released");
        tx.commit();
        crash_point!("refcount.released_done");
        drop(latch);
        held.objects.remove(&off);
        held.give_entry(me, entry);
    }
    heap::free_deferred(me, savepoint);
}

/// How many handles of the object at `off` this process has.
#[must_use]
pub fn handles(me: &Member, off: Off) -> u64 {
    me.runtime().held().objects.get(&off).map_or(0, |h| h.handles)
}

/// Whether the process in slot `process` holds a reference to the object at `off`: what it takes or
/// gives back meanwhile may be seen or not.
#[must_use]
pub fn is_held_by(me: &Member, process: u32, off: Off) -> bool {
    let mut found = false;
    inspect(me, process, &mut |entry| {
        found |= entry == off.0;
        !found
    });
    found
}

/// Blocks of references that are looked at, of one process.
const BLOCKS: usize = 1 << 16;

/// Looks at what the process in slot `process` refers to and holds, without a latch: entries (an
/// object's offset, or what [`crate::shm::object::robust_list`] makes of a hold) that may be gone by now, and not all
/// of those that come and go meanwhile. Ends when `see` says so with false; true if it has seen
/// them all.
pub fn inspect(me: &Member, process: u32, see: &mut dyn FnMut(u64) -> bool) -> bool {
    let slot = crate::shm::member::slots::process_slot(me.runtime(), process);
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
pub(in crate::shm) fn destroy_step(me: &Member, block: Off) -> bool {
    let refs: &References = me.arena().at(block);
    for entry in &refs.entries {
        let word = entry.load(Ordering::Relaxed);
        if word == 0 || robust_list::Hold::unpack(word).is_some() {
            continue;
        }
        let off = Off(word);
        let _latch = object::latch(me, off).lock(me);
        let mut tx = Tx::begin(me);
        tx.set(entry, 0);
        object::remove(me, &mut tx, off);
        crash_point!("refcount.returned");
        tx.commit();
        crash_point!("refcount.returned_done");
        return false;
    }
    true
}

/// Hooks the next block of references of a dead process on the thread's chain.
pub(in crate::shm) fn hook_next(me: &Member, references: &AtomicU64) -> bool {
    let block = Off(references.load(Ordering::Acquire));
    if block.is_none() {
        return false;
    }
    let refs: &References = me.arena().at(block);
    let mut tx = Tx::begin(me);
    tx.set(references, refs.next.load(Ordering::Relaxed));
    heap::defer_free(me, &mut tx, block);
    crash_point!("refcount.unhung");
    tx.commit();
    crash_point!("refcount.unhung_done");
    true
}
