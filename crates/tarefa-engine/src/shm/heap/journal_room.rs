//! Room in the journal for a change of more words than the slot has entries for.
//!
//! ```text
//! let room = journal_room::reserve(me, words)?;   // all the words the change sets, helpers' too
//! let _latch = it.latch.lock(me);                 // before or after, as the caller likes
//! let mut tx = room.begin();
//! ...                                             // up to `words` times tx.set
//! tx.commit();                                    // `room` is good for another change, or dropped
//! ```
//!
//! - The block belongs to the slot (`journal_more`), not to the chain: [`savepoint`] and
//!   [`release_to`] of the caller neither see it nor let go of it, whatever their order.
//! - It goes back to the heap when the room is dropped, or from the slot of a dead thread.
//! - Dropping it takes latches of the heap: not inside a reference latch.

use std::marker::PhantomData;

use super::alloc::alloc;
use super::blocks::{HEADER, defer_free, header, release_to, savepoint};
use super::destroy::free_deferred;
use super::kind::Kind;
use super::usage::OutOfMemory;
use crate::atomic::Ordering;
use crate::shm::arena::layout::JOURNAL;
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;
use crate::shm::tx::journal::{ENTRY, Tx};

/// Room in the thread's journal for a large change, as long as it lives.
#[derive(Debug)]
pub struct JournalRoom<'a> {
    me: &'a Member,
    /// The block with the entries past the slot's own; none if those are enough.
    block: Off,
    /// Words a change may set.
    words: usize,
    /// The slot is the thread's.
    stays: PhantomData<*const ()>,
}

/// Makes room for a change that sets `words` words, counting what [`defer_free`],
/// [`release_to`] and the like set in it.
///
/// Up to [`JOURNAL`] words need no memory. A second reservation while the first lives is
/// another block; the newest must be dropped first.
///
/// # Errors
/// [`OutOfMemory`]; nothing has changed then.
pub fn reserve(me: &Member, words: usize) -> Result<JournalRoom<'_>, OutOfMemory> {
    let past = words.saturating_sub(JOURNAL) as u64;
    let mut room =
        JournalRoom { me, block: Off::NONE, words: words.max(JOURNAL), stays: PhantomData };
    if past > 0 {
        let savepoint = savepoint(me);
        let size = past.saturating_mul(ENTRY).saturating_add(HEADER);
        let block = alloc(me, Kind::RAW, size)?;
        let top = &me.slot().journal_more;
        let mut tx = Tx::begin(me);
        release_to(me, &mut tx, savepoint);
        tx.set(&header(me, block).next, top.load(Ordering::Relaxed));
        tx.set(top, block.0);
        crash_point!("journal.reserved");
        tx.commit();
        crash_point!("journal.reserved_done");
        room.block = block;
    }
    Ok(room)
}

impl JournalRoom<'_> {
    /// Starts a change of as many words as this, the newest reservation, was made for.
    #[must_use]
    pub fn begin(&self) -> Tx<'_> {
        Tx::begin_with(self.me, self.words, self.block)
    }
}

impl Drop for JournalRoom<'_> {
    fn drop(&mut self) {
        if self.block.is_none() {
            return;
        }
        debug_assert_eq!(self.me.slot().journal_more.load(Ordering::Relaxed), self.block.0);
        let savepoint = savepoint(self.me);
        hook_more(self.me);
        free_deferred(self.me, savepoint);
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
    tx.set(top, header(me, block).next.load(Ordering::Relaxed));
    defer_free(me, &mut tx, block);
    crash_point!("journal.returned");
    tx.commit();
    crash_point!("journal.returned_done");
    true
}
