//! Changes of several words that happen wholly or not at all.
//!
//! An undo journal in the thread's slot: before a word changes, its offset and old value are
//! written there. Committing is one store (`journal_len = 0`). Whoever cleans up after a
//! killed thread stores the old values back, last first, before it releases the latches the
//! thread held. The stores of a killed thread are a prefix of its program order, so a record
//! is always complete before the change it undoes; compiler and processor may not reorder
//! them because every store here is a release.

use std::sync::atomic::{AtomicU64, Ordering};

use super::layout::JOURNAL;
use super::me::Me;
use super::offset::Off;

/// One change in the making. Dropped without [`Tx::commit`], it is undone.
#[derive(Debug)]
pub struct Tx<'a> {
    me: &'a Me,
    len: usize,
}

impl<'a> Tx<'a> {
    /// Starts a change. The thread holds the latches of all it will touch.
    #[must_use]
    pub fn begin(me: &'a Me) -> Self {
        debug_assert_eq!(me.slot().journal_len.load(Ordering::Relaxed), 0, "nested change");
        Self { me, len: 0 }
    }

    /// Stores `value` in `word`, which lies in the arena.
    ///
    /// # Panics
    /// When the journal is full: a bug in the engine.
    pub fn set(&mut self, word: &AtomicU64, value: u64) {
        assert!(self.len < JOURNAL, "the journal is full");
        let slot = self.me.slot();
        let [off, old] = &slot.journal[self.len];
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
pub(super) fn rollback(me: &Me) {
    let slot = me.slot();
    let len = slot.journal_len.load(Ordering::Acquire).min(JOURNAL as u64) as usize;
    for [off, old] in slot.journal[..len].iter().rev() {
        let word: &AtomicU64 = me.arena().at(Off(off.load(Ordering::Relaxed)));
        word.store(old.load(Ordering::Relaxed), Ordering::Release);
        crash_point!("journal.restored");
    }
    slot.journal_len.store(0, Ordering::Release);
    crash_point!("journal.rolled_back");
}
