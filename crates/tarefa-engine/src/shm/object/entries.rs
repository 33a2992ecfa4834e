//! Entries: where a process notes what it has of objects, so that a survivor finds it.
//!
//! An entry is a word in a block that hangs on the process's slot: an object's offset, or what
//! [`super::robust_list`] makes of a hold. The list of a process's blocks is changed by one [`Tx`];
//! which entries are free is the process's own business, for a survivor reads the entries.

use crate::atomic::{AtomicU64, Ordering};
use crate::kinds;
use crate::shm::arena::layout::BlockHeader;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap;
use crate::shm::heap::{Kind, OutOfMemory};
use crate::shm::member::Member;
use crate::shm::member::held::{Entries, ProcessReferences};
use crate::shm::member::slots;
use crate::shm::tx::journal::Tx;

/// Blocks of entries.
pub const REFERENCES: Kind = Kind::new(kinds::block::REFERENCES);

const ENTRIES: usize = 59;
/// All entries of a block, as bits.
const ALL: u64 = (1 << ENTRIES) - 1;
/// Empty blocks that a process keeps, whatever it holds.
const KEPT: usize = 4;

/// A block of entries.
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

impl ProcessReferences {
    /// An entry that is free, and 0; more are made when there is none.
    pub(in crate::shm) fn take_entry(&mut self, me: &Member) -> Result<Off, OutOfMemory> {
        self.entries.take(me)
    }

    /// Gives an entry back, which is 0.
    pub(in crate::shm) fn give_entry(&mut self, me: &Member, entry: Off) {
        self.entries.give(me, entry);
    }
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
        // What a message or an argument mentions is held before it is taken out, so that memory comes free.
        let block = heap::whatever_is_full(|| heap::alloc_cleared(me, SIZE))?;
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
        tx.set(info, REFERENCES.info(SIZE));
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

/// Blocks of references that are looked at, of one process.
const BLOCKS: usize = 1 << 16;

/// Looks at what the process in slot `process` refers to and holds, without a latch: entries (an
/// object's offset, or what [`super::robust_list`] makes of a hold) that may be gone by now, and not all
/// of those that come and go meanwhile. Ends when `see` says so with false; true if it has seen
/// them all.
pub fn inspect(me: &Member, process: u32, see: &mut dyn FnMut(u64) -> bool) -> bool {
    let slot = slots::process_slot(me.arena(), process);
    let mut block = Off(slot.references.load(Ordering::Acquire));
    for _ in 0..BLOCKS {
        if block.is_none() {
            return true;
        }
        if !heap::is_block(me, block, REFERENCES) {
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
