//! The one block behind a dict: its index and its entries.
//!
//! | bytes | what |
//! |---|---|
//! | 64 | [`StoreHeader`] |
//! | 8 a slot | the index, 2^bits slots: the hash's upper half, and the entry's position plus 1 |
//! | 32 an entry | [`Entry`], in the order in which they came; two for three slots |
//!
//! After the compact dict of CPython (R. Hettinger, "More compact dictionaries with faster
//! iteration", 2012). The index is probed linearly from the hash's lower half on. Entries are
//! backed by memory as they come.

use crate::atomic::{AtomicU64, Ordering};
use crate::collections::value;
use crate::kinds;
use crate::shm::Member;
use crate::shm::arena::layout::{BlockHeader, PAGE};
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, Kind, OutOfMemory};
use crate::shm::tx::journal::Tx;

/// Blocks that are stores.
pub(in crate::collections) const STORE: Kind = Kind::new(kinds::block::STORE);

/// Bits of the smallest index.
pub(super) const LEAST: u32 = 3;
/// Bits of the largest: positions have 32 bits.
const MOST: u32 = 32;
/// Where the bits of a store's index are in its word; its offset is below.
const BITS_AT: u32 = 56;
/// A slot whose entry was deleted. Its position is no entry's.
pub(super) const DUMMY: u64 = u32::MAX as u64;

/// What a store starts with.
#[repr(C)]
#[derive(Debug)]
pub(super) struct StoreHeader {
    block: BlockHeader,
    /// Positions in use, deleted entries among them. Nothing behind them counts.
    pub(super) end: AtomicU64,
    /// Slots in use, those of deleted entries among them.
    pub(super) used: AtomicU64,
    /// Bits of the index.
    bits: AtomicU64,
    /// Positions that are backed by memory.
    pub(super) backed: AtomicU64,
    reserved: [AtomicU64; 2],
}

/// One key and its value.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) hash: AtomicU64,
    /// The key's word; 0 once deleted.
    pub(super) key: AtomicU64,
    pub(super) value: AtomicU64,
    /// Grows with each key that is put into the dict: where an iteration stands.
    pub(super) number: AtomicU64,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for StoreHeader {}
// SAFETY: as above.
unsafe impl Shared for Entry {}

const HEADER: u64 = size_of::<StoreHeader>() as u64;
pub(super) const ENTRY: u64 = size_of::<Entry>() as u64;

/// Entries that an index of so many bits has room for.
pub(super) fn capacity(bits: u32) -> u64 {
    ((1 << bits) * 2 / 3).min(DUMMY - 1)
}

fn bytes(bits: u32, entries: u64) -> u64 {
    HEADER + (8 << bits) + entries * ENTRY
}

/// The bits of an index for `len` entries, with room for as many again.
pub(super) fn bits_for(len: u64) -> u32 {
    let mut bits = LEAST;
    while bits < MOST && capacity(bits) < len + len / 2 + 1 {
        bits += 1;
    }
    bits
}

/// A store, of whichever dict.
#[derive(Clone, Copy, Debug)]
pub(super) struct Store {
    me: Member,
    pub(super) off: Off,
    pub(super) bits: u32,
}

impl Store {
    /// The store that a dict's word names; `None` for none, and for nonsense.
    #[inline]
    pub(super) fn of_word(me: &Member, word: u64) -> Option<Self> {
        let (off, bits) = (word & ((1 << BITS_AT) - 1), (word >> BITS_AT) as u32);
        if !(LEAST..=MOST).contains(&bits) || off % 16 != 0 || off == 0 {
            return None;
        }
        (off + bytes(bits, capacity(bits)) <= me.arena().len()).then_some(Self {
            me: *me,
            off: Off(off),
            bits,
        })
    }

    /// What names it in a dict.
    pub(super) fn word(&self) -> u64 {
        u64::from(self.bits) << BITS_AT | self.off.0
    }

    pub(super) fn header(&self) -> &'static StoreHeader {
        self.me.arena().at(self.off)
    }

    /// Slots of the index, less one.
    #[inline]
    pub(super) fn mask(&self) -> u64 {
        (1 << self.bits) - 1
    }

    #[inline]
    pub(super) fn slot(&self, i: u64) -> &'static AtomicU64 {
        self.me.arena().at(self.off.plus(HEADER + i * 8))
    }

    #[inline]
    pub(super) fn entry(&self, position: u64) -> &'static Entry {
        self.me.arena().at(self.off.plus(HEADER + (8 << self.bits) + position * ENTRY))
    }

    pub(super) fn capacity(&self) -> u64 {
        capacity(self.bits)
    }

    pub(super) fn end(&self) -> u64 {
        self.header().end.load(Ordering::Relaxed)
    }

    pub(super) fn used(&self) -> u64 {
        self.header().used.load(Ordering::Relaxed)
    }

    /// Makes an empty store with room for at least `entries`, hooked on the thread's chain.
    pub(super) fn create(me: &Member, bits: u32, entries: u64) -> Result<Self, OutOfMemory> {
        let size = bytes(bits, capacity(bits));
        let backed = if heap::is_small(size) { capacity(bits) } else { 0 };
        let off = heap::alloc_sparse(me, Kind::RAW, size, bytes(bits, 0).min(size))?;
        let store = Self { me: *me, off, bits };
        let h = store.header();
        for word in [&h.end, &h.used, &h.reserved[0], &h.reserved[1]] {
            word.store(0, Ordering::Relaxed);
        }
        h.bits.store(u64::from(bits), Ordering::Relaxed);
        h.backed.store(backed, Ordering::Relaxed);
        crash_point!("dict.store_filled");
        me.arena().clear(off.plus(HEADER), 8 << bits);
        // Raw refers to nothing; from here on what its entries refer to is freed with it.
        let info = &heap::header(me, off).info;
        info.store(STORE.info(heap::size(me, off)), Ordering::Release);
        crash_point!("dict.store_made");
        store.back(entries)?;
        Ok(store)
    }

    /// Backs at least `wanted` positions. The store is the caller's, or its latch is held.
    pub(super) fn back(&self, wanted: u64) -> Result<(), OutOfMemory> {
        let noted = &self.header().backed;
        let backed = noted.load(Ordering::Relaxed);
        if wanted <= backed {
            return Ok(());
        }
        // An eighth more at a time, whole pages: few calls, little waste.
        let more = (wanted - backed).max(backed / 8).max(PAGE / ENTRY);
        let all = bytes(self.bits, self.capacity());
        let to = bytes(self.bits, backed + more).next_multiple_of(PAGE).min(all);
        heap::back(&self.me, self.off, bytes(self.bits, backed), to)?;
        noted.store((to - bytes(self.bits, 0)) / ENTRY, Ordering::Release);
        crash_point!("dict.store_backed");
        Ok(())
    }

    /// Writes an entry that is not in use yet.
    pub(super) fn write(&self, position: u64, hash: u64, key: u64, value: u64, number: u64) {
        let entry = self.entry(position);
        entry.hash.store(hash, Ordering::Relaxed);
        entry.key.store(key, Ordering::Relaxed);
        entry.value.store(value, Ordering::Relaxed);
        entry.number.store(number, Ordering::Relaxed);
        crash_point!("dict.entry_written");
    }

    /// Writes where an entry is that no equal key of the store stands before.
    pub(super) fn index(&self, hash: u64, position: u64) {
        let mut at = hash & self.mask();
        while self.slot(at).load(Ordering::Relaxed) != 0 {
            at = (at + 1) & self.mask();
        }
        self.slot(at).store(slot_word(hash, position), Ordering::Relaxed);
        crash_point!("dict.indexed");
    }

    /// The position of the first entry in use with that number or a larger one.
    pub(super) fn position_of(&self, number: u64) -> u64 {
        let (mut low, mut high) = (0, self.end());
        while low < high {
            let middle = low.midpoint(high);
            if self.entry(middle).number.load(Ordering::Relaxed) < number {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// What a slot says of an entry.
#[inline]
pub(super) fn slot_word(hash: u64, position: u64) -> u64 {
    hash & !DUMMY | (position + 1)
}

/// One step of taking a store apart: its last entry with a blob.
pub(in crate::collections) fn destroy_step(me: &Member, off: Off) -> bool {
    let h: &StoreHeader = me.arena().at(off);
    let store = Store { me: *me, off, bits: h.bits.load(Ordering::Relaxed) as u32 };
    let mut position = h.end.load(Ordering::Relaxed);
    while position > 0 {
        position -= 1;
        let entry = store.entry(position);
        let words = [&entry.key, &entry.value].map(|word| word.load(Ordering::Relaxed));
        if words.iter().all(|word| value::blob_of(*word).is_none()) {
            continue;
        }
        let mut tx = Tx::begin(me);
        tx.set(&h.end, position);
        for word in words {
            if let Some(blob) = value::blob_of(word) {
                heap::defer_free(me, &mut tx, blob);
            }
        }
        crash_point!("dict.store_emptied");
        tx.commit();
        crash_point!("dict.store_emptied_done");
        return false;
    }
    // Whoever comes here again need not look: the pages may be gone.
    h.end.store(0, Ordering::Relaxed);
    crash_point!("dict.store_empty");
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_has_a_third_of_its_slots_free() {
        for bits in LEAST..MOST {
            assert!(capacity(bits) < 1 << bits);
            assert!(capacity(bits) * 3 <= 2 << bits);
        }
        for len in [0, 1, 4, 5, 6, 100, 12_345] {
            assert!(capacity(bits_for(len)) > len + len / 2);
        }
    }

    #[test]
    fn a_slot_is_never_empty_and_never_a_dummy() {
        assert_ne!(slot_word(0, 0), 0);
        assert_ne!(slot_word(u64::MAX, capacity(MOST) - 1) & DUMMY, DUMMY);
    }
}
