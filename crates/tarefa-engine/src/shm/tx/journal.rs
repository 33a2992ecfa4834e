//! Changes of several words that happen wholly or not at all.
//!
//! An undo journal in the thread's slot: before a word changes, its offset and old value are
//! written there. Committing is one store (`journal_len = 0`). Whoever cleans up after a
//! killed thread stores the old values back, last first, before it releases the latches the
//! thread held. The stores of a killed thread are a prefix of its program order, so a record
//! is always complete before the change it undoes; compiler and processor may not reorder
//! them because every store here is a release.
//!
//! The slot has room for [`JOURNAL`] words. A change of more takes a block beforehand:
//!
//! ```text
//! let more = journal::reserve(me, words)?;    // all the words the change sets, helpers' too
//! let _latch = it.latch.lock(me);             // before or after, as the caller likes
//! let mut tx = Tx::begin_with(&more);
//! ...                                         // up to `words` times tx.set
//! tx.commit();                                // `more` is good for another change, or dropped
//! ```
//!
//! - The block belongs to the slot (`journal_more`), not to the chain: [`heap::savepoint`] and
//!   [`heap::release_to`] of the caller neither see it nor let go of it, whatever their order.
//! - It goes back to the heap when [`More`] is dropped, or from the slot of a dead thread.
//! - Dropping it takes latches of the heap: not inside a reference latch.
//!
//! `tests/property/journal.rs` holds changes of any size against a model; the crash table kills in the
//! middle of one.

use std::marker::PhantomData;

use crate::atomic::{AtomicU64, Ordering};
use crate::shm::arena::layout::{JOURNAL, ThreadSlot};
use crate::shm::arena::offset::Off;
use crate::shm::heap;
use crate::shm::heap::{Kind, OutOfMemory};
use crate::shm::member::Member;

/// Bytes of an entry: an offset and the old value.
const ENTRY: u64 = 16;

/// Room in the thread's journal for a large change, as long as it lives.
#[derive(Debug)]
pub struct More<'a> {
    me: &'a Member,
    /// The block with the entries past the slot's own; none if those are enough.
    block: Off,
    /// Words a change may set.
    words: usize,
    /// The slot is the thread's.
    stays: PhantomData<*const ()>,
}

/// Makes room for a change that sets `words` words, counting what [`heap::defer_free`],
/// [`heap::release_to`] and the like set in it.
///
/// Up to [`JOURNAL`] words need no memory. A second reservation while the first lives is
/// another block; the newest must be dropped first.
///
/// # Errors
/// [`OutOfMemory`]; nothing has changed then.
pub fn reserve(me: &Member, words: usize) -> Result<More<'_>, OutOfMemory> {
    let past = words.saturating_sub(JOURNAL) as u64;
    let mut more = More { me, block: Off::NONE, words: words.max(JOURNAL), stays: PhantomData };
    if past > 0 {
        let savepoint = heap::savepoint(me);
        let size = past.saturating_mul(ENTRY).saturating_add(heap::HEADER);
        let block = heap::alloc(me, Kind::Raw, size)?;
        let top = &me.slot().journal_more;
        let mut tx = Tx::begin(me);
        heap::release_to(me, &mut tx, savepoint);
        tx.set(&heap::header(me, block).next, top.load(Ordering::Relaxed));
        tx.set(top, block.0);
        crash_point!("journal.reserved");
        tx.commit();
        crash_point!("journal.reserved_done");
        more.block = block;
    }
    Ok(more)
}

impl Drop for More<'_> {
    fn drop(&mut self) {
        if self.block.is_none() {
            return;
        }
        debug_assert_eq!(self.me.slot().journal_more.load(Ordering::Relaxed), self.block.0);
        let savepoint = heap::savepoint(self.me);
        hook_more(self.me);
        heap::free_deferred(self.me, savepoint);
    }
}

/// Moves the newest block of entries to the thread's chain; false if there is none. No change
/// is under way.
pub(in crate::shm) fn hook_more(me: &Member) -> bool {
    let top = &me.slot().journal_more;
    let block = Off(top.load(Ordering::Relaxed));
    if block.is_none() {
        return false;
    }
    let mut tx = Tx::begin(me);
    tx.set(top, heap::header(me, block).next.load(Ordering::Relaxed));
    heap::defer_free(me, &mut tx, block);
    crash_point!("journal.returned");
    tx.commit();
    crash_point!("journal.returned_done");
    true
}

/// The entry `i` of a thread's journal, whose newest block is `more`.
#[inline]
fn entry(me: &Member, slot: &'static ThreadSlot, more: Off, i: usize) -> [&'static AtomicU64; 2] {
    if let Some([off, old]) = slot.journal.get(i) {
        return [off, old];
    }
    let at = more.plus(heap::HEADER + (i - JOURNAL) as u64 * ENTRY);
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

    /// Starts a change of as many words as `more`, the newest reservation, was made for.
    #[must_use]
    pub fn begin_with(more: &'a More<'_>) -> Self {
        let newest = more.me.slot().journal_more.load(Ordering::Relaxed);
        assert!(more.block.is_none() || more.block.0 == newest, "not the newest reservation");
        Self { words: more.words, more: more.block, ..Self::begin(more.me) }
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
