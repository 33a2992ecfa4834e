//! Changes of several words that happen wholly or not at all.
//!
//! An undo journal in the thread's slot: before a word changes, its offset and old value are
//! written there. Committing is one store (`journal_len = 0`). Whoever cleans up after a
//! killed thread stores the old values back, last first, before it releases the latches the
//! thread held. The stores of a killed thread are a prefix of its program order, so a record
//! is always complete before the change it undoes; compiler and processor may not reorder
//! them because every store here is a release.
//!
//! The slot has room for [`JOURNAL`] words. For a change of more,
//! [`journal_room`](crate::shm::heap::journal_room) takes a block beforehand.
//!
//! `tests/property/journal.rs` holds changes of any size against a model; the crash table kills in the
//! middle of one.

use crate::atomic::{AtomicU64, Ordering};
use crate::shm::arena::layout::{BlockHeader, JOURNAL, ThreadSlot};
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;

/// Bytes of an entry: an offset and the old value.
pub(in crate::shm) const ENTRY: u64 = 16;

/// The entry `i` of a thread's journal, whose newest block is `more`.
#[inline]
fn entry(me: &Member, slot: &'static ThreadSlot, more: Off, i: usize) -> [&'static AtomicU64; 2] {
    if let Some([off, old]) = slot.journal.get(i) {
        return [off, old];
    }
    let at = more.plus(size_of::<BlockHeader>() as u64 + (i - JOURNAL) as u64 * ENTRY);
    [me.arena().at(at), me.arena().at(at.plus(8))]
}

/// One change in the making. Dropped without [`Tx::commit`], it is undone.
#[derive(Debug)]
pub struct Tx<'a> {
    me: &'a Member,
    len: usize,
    /// Words it may set, and the block with the entries past the slot's.
    words: usize,
    more: Off,
}

impl<'a> Tx<'a> {
    /// Starts a change of up to [`JOURNAL`] words. The thread holds the latches of all it
    /// will touch.
    #[must_use]
    pub fn begin(me: &'a Member) -> Self {
        debug_assert_eq!(me.slot().journal_len.load(Ordering::Relaxed), 0, "nested change");
        Self { me, len: 0, words: JOURNAL, more: Off::NONE }
    }

    /// Starts a change of up to `words` words; `more` is the block with room for those past
    /// [`JOURNAL`], the newest that the slot has.
    #[must_use]
    pub(in crate::shm) fn begin_with(me: &'a Member, words: usize, more: Off) -> Self {
        let newest = me.slot().journal_more.load(Ordering::Relaxed);
        assert!(more.is_none() || more.0 == newest, "not the newest reservation");
        Self { words, more, ..Self::begin(me) }
    }

    /// Stores `value` in `word`, which lies in the arena.
    ///
    /// # Panics
    /// When the journal is full: a bug in the engine.
    pub fn set(&mut self, word: &AtomicU64, value: u64) {
        assert!(self.len < self.words, "the journal is full");
        let slot = self.me.slot();
        let [off, old] = entry(self.me, slot, self.more, self.len);
        off.store(self.me.arena().offset_of(word).0, Ordering::Release);
        old.store(word.load(Ordering::Relaxed), Ordering::Release);
        self.len += 1;
        slot.journal_len.store(self.len as u64, Ordering::Release);
        crash_point!("journal.recorded");
        word.store(value, Ordering::Release);
        crash_point!("journal.changed");
    }

    /// Makes the change final.
    pub fn commit(self) {
        crash_point!("journal.before_commit");
        // SYNC POINT: the one store that publishes the whole change.
        self.me.slot().journal_len.store(0, Ordering::Release);
        crash_point!("journal.committed");
        std::mem::forget(self);
    }
}

impl Drop for Tx<'_> {
    fn drop(&mut self) {
        rollback(self.me);
    }
}

/// Undoes the change `me` has in its journal, if any.
pub(in crate::shm) fn rollback(me: &Member) {
    let slot = me.slot();
    let len = slot.journal_len.load(Ordering::Acquire) as usize;
    let more = Off(slot.journal_more.load(Ordering::Acquire));
    for i in (0..len).rev() {
        let [off, old] = entry(me, slot, more, i);
        let word: &AtomicU64 = me.arena().at(Off(off.load(Ordering::Relaxed)));
        word.store(old.load(Ordering::Relaxed), Ordering::Release);
        crash_point!("journal.restored");
    }
    slot.journal_len.store(0, Ordering::Release);
    crash_point!("journal.rolled_back");
}
