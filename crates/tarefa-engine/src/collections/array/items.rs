//! The items of an array: each a word of the memory, or several.

// The conversions are of a type that a macro or a parameter gives; to one of them they are none.
#![allow(clippy::useless_conversion)]

use super::{Array, is_word};
use crate::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use crate::collections::array::pep3118::Scalar;
use crate::collections::updating;
use crate::shm::arena::offset::Off;

/// One item's word.
#[derive(Clone, Copy, Debug)]
enum Word {
    One(&'static AtomicU8),
    Two(&'static AtomicU16),
    Four(&'static AtomicU32),
    Eight(&'static AtomicU64),
}

macro_rules! each {
    ($word:expr, $it:ident: $type:ident => $act:expr) => {
        match $word {
            Word::One($it) => {
                type $type = u8;
                $act
            }
            Word::Two($it) => {
                type $type = u16;
                $act
            }
            Word::Four($it) => {
                type $type = u32;
                $act
            }
            Word::Eight($it) => {
                type $type = u64;
                $act
            }
        }
    };
}

impl Array<'_> {
    /// The word `part` of an item, `size` bytes long.
    #[inline(always)]
    fn word_at(&self, place: Off, size: u64) -> Word {
        let arena = self.me.arena();
        match size {
            1 => Word::One(arena.at(place)),
            2 => Word::Two(arena.at(place)),
            4 => Word::Four(arena.at(place)),
            _ => Word::Eight(arena.at(place)),
        }
    }

    /// The bytes that are read and written at once.
    #[inline]
    fn grain(&self) -> u64 {
        1 << self.item().trailing_zeros().min(3)
    }

    /// The only word of an item of 1, 2, 4 or 8 bytes.
    #[inline(always)]
    fn word(&self, index: u64) -> Word {
        let item = self.item();
        assert!(is_word(item), "an item of {item} bytes is no word");
        self.word_at(self.place(index), item)
    }

    /// Whether an item is one word, so that [`Array::load`] and the like may be used.
    #[must_use]
    #[inline]
    pub fn is_atomic(&self) -> bool {
        is_word(self.item())
    }

    /// The item's bits, at one instant.
    ///
    /// # Panics
    /// When there is no such item, or it is no word. So do the others below.
    #[must_use]
    #[inline]
    pub fn load(&self, index: u64) -> u64 {
        each!(self.word(index), it: T => T::into(it.load(Ordering::SeqCst)))
    }

    /// Stores the low bytes of `bits`, at one instant.
    #[inline]
    pub fn store(&self, index: u64, bits: u64) {
        each!(self.word(index), it: T => it.store(bits as T, Ordering::SeqCst));
        crash_point!("array.stored");
        updating::items_changed(self.me, self.off, index, 1);
    }

    /// Stores the low bytes of `bits` and returns what was there, at one instant.
    #[inline]
    #[must_use]
    pub fn swap(&self, index: u64, bits: u64) -> u64 {
        let old = each!(self.word(index), it: T => T::into(it.swap(bits as T, Ordering::SeqCst)));
        crash_point!("array.swapped");
        updating::items_changed(self.me, self.off, index, 1);
        old
    }

    /// Stores `new` where `old` is, at one instant; what is there instead, if it is not `old`.
    ///
    /// # Errors
    /// What the item is.
    #[inline]
    pub fn compare_exchange(&self, index: u64, old: u64, new: u64) -> Result<u64, u64> {
        let swap = each!(self.word(index), it: T => {
            it.compare_exchange(old as T, new as T, Ordering::SeqCst, Ordering::SeqCst)
                .map(T::into)
                .map_err(T::into)
        });
        crash_point!("array.exchanged");
        if swap.is_ok() {
            updating::items_changed(self.me, self.off, index, 1);
        }
        swap
    }

    /// Stores what `change` makes of the item, at one instant, and returns what was there; the
    /// item stays, and is returned, where `change` says `None`. It may be called several times.
    ///
    /// # Errors
    /// What the item is.
    #[inline]
    pub fn update(
        &self,
        index: u64,
        mut change: impl FnMut(u64) -> Option<u64>,
    ) -> Result<u64, u64> {
        let swap = each!(self.word(index), it: T => {
            it.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |old| {
                change(old.into()).map(|new| new as T)
            })
            .map(T::into)
            .map_err(T::into)
        });
        crash_point!("array.updated");
        if swap.is_ok() {
            updating::items_changed(self.me, self.off, index, 1);
        }
        swap
    }

    /// Adds to an integer of at most 63 bits and a sign, at one instant: what it is now.
    ///
    /// # Errors
    /// What it was and stays, if the sum is out of its range.
    #[inline]
    pub fn add_small(&self, index: u64, scalar: Scalar, n: i64) -> Result<i64, i64> {
        let sum = |was: i64| was.checked_add(n).filter(|sum| scalar.small(*sum as u64) == *sum);
        match self.update(index, |old| sum(scalar.small(old)).map(|sum| sum as u64)) {
            Ok(old) => Ok(scalar.small(old) + n),
            Err(old) => Err(scalar.small(old)),
        }
    }

    /// Adds to an integer, at one instant: what it is now.
    ///
    /// # Errors
    /// What it was and stays, if the sum is out of its range.
    #[inline]
    pub fn add(&self, index: u64, scalar: Scalar, n: i128) -> Result<i128, i128> {
        let (least, greatest) = scalar.range().unwrap_or((0, 0));
        let sum = |old: u64| {
            let sum = scalar.integer(old).checked_add(n)?;
            (least..=greatest).contains(&sum).then_some(sum)
        };
        match self.update(index, |old| sum(old).map(|sum| sum as u64)) {
            Ok(old) => Ok(scalar.integer(old) + n),
            Err(old) => Err(scalar.integer(old)),
        }
    }

    /// Copies the items from `first` on out, word by word: as many as `to` has room for.
    pub fn read(&self, first: u64, to: &mut [u8]) {
        let (place, grain) = self.run(first, to.len() as u64);
        for (i, to) in to.chunks_exact_mut(grain as usize).enumerate() {
            match self.word_at(place.plus(i as u64 * grain), grain) {
                Word::One(it) => to[0] = it.load(Ordering::Acquire),
                Word::Two(it) => to.copy_from_slice(&it.load(Ordering::Acquire).to_ne_bytes()),
                Word::Four(it) => to.copy_from_slice(&it.load(Ordering::Acquire).to_ne_bytes()),
                Word::Eight(it) => to.copy_from_slice(&it.load(Ordering::Acquire).to_ne_bytes()),
            }
        }
    }

    /// Stores items from `first` on, word by word.
    pub fn write(&self, first: u64, from: &[u8]) {
        let (place, _) = self.run(first, from.len() as u64);
        self.write_at(place, from);
        let count = (from.len() as u64).checked_div(self.item()).unwrap_or(0);
        updating::items_changed(self.me, self.off, first, count);
    }

    /// The same at a place of whole grains within the items.
    pub(super) fn write_at(&self, place: Off, from: &[u8]) {
        let grain = self.grain();
        for (i, from) in from.chunks_exact(grain as usize).enumerate() {
            let mut bits = [0; 8];
            bits[..from.len()].copy_from_slice(from);
            let bits = u64::from_le_bytes(bits);
            let word = self.word_at(place.plus(i as u64 * grain), grain);
            each!(word, it: T => it.store(bits as T, Ordering::Release));
            crash_point!("array.written");
        }
    }

    /// Where `bytes` of items from `first` on are, and how they are copied.
    ///
    /// # Panics
    /// When there are no such items: the front has checked.
    fn run(&self, first: u64, bytes: u64) -> (Off, u64) {
        let (item, len) = (self.item(), self.len());
        let room = len.checked_sub(first).map(|n| n * item);
        assert!(
            room.is_some_and(|room| bytes <= room) && bytes.checked_rem(item).unwrap_or(0) == 0,
            "no {bytes} bytes of items from {first} on"
        );
        (Off(self.it.data.load(Ordering::Relaxed) + first * item), self.grain())
    }

    /// Copies `from` over the items, all at once and without order: for the creator, who alone
    /// has a handle.
    pub fn fill(&self, from: &[u8]) {
        self.fill_at(0, from);
    }

    /// The same with the items from `first` on.
    pub fn fill_at(&self, first: u64, from: &[u8]) {
        let (place, _) = self.run(first, from.len() as u64);
        self.me.arena().write(place, from);
        crash_point!("array.filled");
    }
}
