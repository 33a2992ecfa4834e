//! What the process of a task says before it dies, so that its death can be told with it.
//!
//! A language that gives up (a panic that cannot unwind, a fatal error) knows why, and has no result
//! to say it with. It leaves a note in the record, as a blob, which is the record's then.
//!
//! - There are two places. The process writes into the one that is not in force, by a [`Tx`], and one
//!   store puts it in force. A death in between leaves the note before it, or none: the cleaner undoes
//!   the change and frees what was not handed over.
//! - So what is in force was committed, and is never freed while somebody may read it: readers come
//!   after the task's end, when nobody writes any more. The front sees to that: one thread at a time
//!   writes, and none once the task has finished.
//! - A thread that is in the middle of an operation on shared memory leaves no note: the operation
//!   holds what writing needs.

use super::record::Task;
use crate::atomic::Ordering;
use crate::collections::value::tag;
use crate::shm::arena::offset::Off;
use crate::shm::object::blob;

/// Bits of the word that says which note is in force: 1 or 2 is a place plus 1, and this says that
/// the note tells why the process dies.
const IS_CAUSE: u64 = 4;

/// Bytes of a note that are kept.
const LONGEST: usize = 256 << 10;

impl Task<'_> {
    /// Leaves a note, in the place of the one before: by the process that runs it, before it has
    /// finished, one thread at a time. `is_cause` says that the process is about to die of that.
    /// False if it could not be written.
    #[must_use]
    pub fn leave_note(&self, text: &str, is_cause: bool) -> bool {
        if !self.me().is_between_operations() {
            return false;
        }
        let mut end = text.len().min(LONGEST);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let now = self.it().note_now.load(Ordering::Relaxed) & 3;
        let next = if now == 1 { 2 } else { 1 };
        let word = &self.it().notes[next as usize - 1];
        if self.set_blob(word, tag::STR, &[&text.as_bytes()[..end]], &[]).is_err() {
            return false;
        }
        // SYNC POINT: publishes the note; pairs with the acquire load in `note`.
        let cause = if is_cause { IS_CAUSE } else { 0 };
        self.it().note_now.store(next | cause, Ordering::Release);
        crash_point!("crash_note.left");
        true
    }

    /// The last note it has left, and whether that says why its process died: once it has ended.
    #[must_use]
    pub fn note(&self) -> Option<(String, bool)> {
        let now = self.it().note_now.load(Ordering::Acquire);
        let word = self.it().notes.get((now & 3).checked_sub(1)? as usize)?;
        let bytes = blob::read(self.me(), Off(word.load(Ordering::Acquire)));
        Some((String::from_utf8_lossy(&bytes).into_owned(), now & IS_CAUSE != 0))
    }
}
