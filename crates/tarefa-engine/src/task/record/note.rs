//! What a process is to have of its starter, noted behind its record: see
//! [`starter`](crate::task::process::starter) for what that is.
//!
//! A spare that is woken takes its time, so the task is handed over first and the note written
//! meanwhile:
//!
//! ```text
//!  starter                                    spare
//!  record.noted = OPEN
//!  gives it the task, wakes it
//!  writes the note                            wakes up, finds the task
//!  record.noted = NOTED            ------->   reads the note (or waits: record.noted = AWAITED)
//!  start() returns                            runs the target
//! ```
//!
//! | word | who changes it | what a death or a stop leaves |
//! |---|---|---|
//! | the note | the starter, until `noted` is `NOTED`; nobody reads it before | words that nobody reads: what a process has started ends with it |
//! | `record.noted` | the starter, `OPEN` before it hands the task over (`NONE` until then) and then `NOTED`, which publishes; the task's process, from `OPEN` to `AWAITED` | a task that waits for its starter, and is killed with it; stopped, it is not started yet |

use super::layout::{Record, note_words};
use super::task::Task;
use crate::atomic::{AtomicU64, Ordering};
use crate::os::clock::Deadline;
use crate::os::futex;
use crate::task::process::rouse;

/// Values of a record's `noted`.
const NONE: u32 = 0;
const OPEN: u32 = 1;
const NOTED: u32 = 2;
const AWAITED: u32 = 3;

impl Task<'_> {
    fn note_word(&self, i: usize) -> &'static AtomicU64 {
        self.me.arena().at(self.off.plus(size_of::<Record>() as u64 + 8 * i as u64))
    }

    /// In the starter, before the task is handed over.
    pub(in crate::task) fn open_note(&self) {
        self.it.noted.store(OPEN, Ordering::Relaxed);
        crash_point!("task.note_opened");
    }

    /// In the starter, once.
    pub(in crate::task) fn write_note<'a>(&self, note: impl Iterator<Item = &'a u64>) {
        for (i, word) in note.enumerate().take(note_words()) {
            self.note_word(i).store(*word, Ordering::Relaxed);
            crash_point!("task.note_word");
        }
        // SYNC POINT: publishes the note; pairs with the acquire load in `read_note`.
        let before = self.it.noted.swap(NOTED, Ordering::AcqRel);
        crash_point!("task.noted");
        if before == AWAITED {
            futex::wake_all(&self.it.noted);
        }
    }

    /// In the task's process: waits until it is written. If the starter dies before that, so does
    /// this process. `None` for a task that is run without having been handed over.
    pub(in crate::task) fn read_note(&self) -> Option<Vec<u64>> {
        let noted = &self.it.noted;
        if noted.load(Ordering::Acquire) == NONE {
            return None;
        }
        // Its starter is about to write it.
        rouse::look(self.me.runtime(), || noted.load(Ordering::Acquire) == NOTED);
        while noted.load(Ordering::Acquire) != NOTED {
            let swap = noted.compare_exchange(OPEN, AWAITED, Ordering::AcqRel, Ordering::Acquire);
            crash_point!("task.note_awaited");
            if swap != Err(NOTED) {
                futex::wait(noted, AWAITED, Deadline::NEVER);
            }
        }
        Some((0..note_words()).map(|i| self.note_word(i).load(Ordering::Relaxed)).collect())
    }
}
