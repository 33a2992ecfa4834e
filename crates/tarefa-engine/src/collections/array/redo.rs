//! Items of several words that a death never leaves half written: a redo record.
//!
//! An array whose fronts take its guard, and whose items are no single words, has room for one
//! more item after its own, and a word:
//!
//! ```text
//! ... items | word: 0, or the item that is being written, plus 1 | its bytes, in whole words
//! ```
//!
//! | step of [`Array::put`] | a death after it leaves |
//! |---|---|
//! | the new bytes are in the record | the item as it was; nobody reads the record |
//! | **the word names the item: this store publishes** | the item to be written, by whoever is next |
//! | the item's words, one by one | the same |
//! | the word is 0 | the item, written |
//!
//! Whoever has the guard writes, and settles before anything else: it writes the item that the
//! record names once more. That may be done twice, and by several who read at a time, for all of
//! them store the same. It needs nobody to clean up first, so it does not matter whether the
//! news of the death or the supervisor is sooner there. Who writes the item without the guard, by a
//! view of the memory, say, after a death and before anybody has had the guard again, may have that
//! overwritten.

use super::{Array, WORD, has_record};
use crate::atomic::{AtomicU64, Ordering};
use crate::shm::arena::offset::Off;
use crate::sync::lock::word::{Acquired, Recursion};

impl Array<'_> {
    /// Where the record is, if there is one.
    #[inline]
    fn record(&self) -> Option<Off> {
        let there = has_record(self.item(), self.guarded(), self.len());
        there.then(|| Off(self.items_end()))
    }

    #[inline]
    fn named(&self, record: Off) -> &'static AtomicU64 {
        self.me.arena().at(record)
    }

    fn part(&self, record: Off, i: u64) -> &'static AtomicU64 {
        self.me.arena().at(record.plus(WORD + i * WORD))
    }

    /// Writes an item as a whole: a death leaves it as it was or as it is to be, for whoever
    /// is [applied](Array::apply_redo). The caller has the guard, and the array is settled.
    ///
    /// # Panics
    /// When there is no such item, or `bytes` are not one.
    pub fn put(&self, index: u64, bytes: &[u8]) {
        assert_eq!(bytes.len() as u64, self.item(), "not the bytes of one item");
        let _ = self.place(index);
        let Some(record) = self.record() else { return self.write(index, bytes) };
        for (i, from) in bytes.chunks(WORD as usize).enumerate() {
            let mut word = [0; WORD as usize];
            word[..from.len()].copy_from_slice(from);
            // Release, and so after the word says that the item before this one is written.
            self.part(record, i as u64).store(u64::from_le_bytes(word), Ordering::Release);
            crash_point!("redo.recorded");
        }
        // SYNC POINT: publishes the record to whoever settles. What is stored in the item later is
        // stored with release, so nobody sees that without this.
        self.named(record).store(index + 1, Ordering::Release);
        crash_point!("redo.published");
        self.write(index, bytes);
        self.named(record).store(0, Ordering::Release);
        crash_point!("redo.done");
    }

    /// Finishes what somebody died in who wrote an item. The caller has the guard, be it with
    /// others who only read.
    #[inline]
    pub fn apply_redo(&self) {
        if let Some(record) = self.record() {
            let named = self.named(record).load(Ordering::Acquire);
            if named != 0 {
                self.redo(record, named - 1);
            }
        }
    }

    /// The caller was told that an owner of the guard had died, and the guard is free: has the
    /// array settled for those who look at it without the guard now. If somebody else has it, he
    /// has done so.
    #[cold]
    pub fn redo_after_death(&self) {
        if self.record().is_some()
            && self.object_lock().try_acquire(self.me, Recursion::Allowed) == Some(Acquired::Yes)
        {
            self.apply_redo();
            let _ = self.object_lock().release(self.me, Recursion::Allowed);
        }
    }

    #[cold]
    fn redo(&self, record: Off, index: u64) {
        // In pieces: there may be no memory for a whole one.
        let (place, item) = (self.place(index), self.item());
        for i in 0..item.div_ceil(WORD) {
            let word = self.part(record, i).load(Ordering::Relaxed).to_le_bytes();
            let bytes = &word[..(item - i * WORD).min(WORD) as usize];
            self.write_at(place.plus(i * WORD), bytes);
        }
        crash_point!("redo.redone");
        self.named(record).store(0, Ordering::Release);
        crash_point!("redo.settled");
    }
}
