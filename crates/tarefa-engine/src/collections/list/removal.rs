//! Taking elements out of a list: in place, so that it never needs memory, whatever is full.
//!
//! What goes is every `step`-th element, `count` of them, from `first` on. Many words change, more
//! than a journal holds, so this is not undone but gone on with:
//!
//! ```text
//! version odd
//!   Tx: cut_first, cut_step, cut_at = first, cut_count = count     from here on it will happen
//!   for each position from `first` on:
//!     one that goes:  Tx: its blob to the thread's chain, cut_at + 1
//!     one that stays: store it further down; store cut_at + 1      in that order
//!   Tx: len, cut_count = 0
//! version even
//! ```
//!
//! - An element is only stored over a position before `cut_at`, so whoever goes on finds all that
//!   are still to come as they were.
//! - A thread that is killed in between leaves `cut_count`. Whoever has the latch next finishes the
//!   removal before anything else ([`List::finish_cut`]); readers without the latch see an odd
//!   version and take it. `len` is the old one until the end: to those who look at it alone the
//!   removal happens then.
//! - What is stored in the place of elements, of which the rest goes ([`List::splice`]), comes with
//!   the first of these changes.

use super::{Cut, List, ListError};
use crate::atomic::{AtomicU64, Ordering};
use crate::collections::segments;
use crate::collections::value::{self, Item};
use crate::shm::arena::offset::Off;
use crate::shm::heap::{self, journal_room};
use crate::shm::tx::journal::Tx;

/// Words of a splice besides those of its elements: the chain, twice, and what makes a cut.
const BESIDE: usize = 6;

impl Cut {
    fn last(self) -> u64 {
        self.first.saturating_add((self.count - 1).saturating_mul(self.step))
    }

    fn takes(self, index: u64) -> bool {
        index >= self.first && index <= self.last() && (index - self.first) % self.step == 0
    }

    /// How many of those before `index` go.
    fn before(self, index: u64) -> u64 {
        if index <= self.first {
            0
        } else {
            (index - self.first).div_ceil(self.step).min(self.count)
        }
    }
}

impl List<'_> {
    /// Takes out what `cut` says, at one instant; if `expected` is given, only if the list is still
    /// as it was when a snapshot had that version and length. Needs no memory.
    ///
    /// # Errors
    /// [`ListError::Changed`], [`ListError::OutOfRange`], [`ListError::Locked`]; the list is as it
    /// was.
    pub fn cut(&self, cut: Cut, expected: Option<(u64, u64)>) -> Result<(), ListError> {
        let savepoint = heap::savepoint(self.me);
        let result = self.enter().map_err(ListError::from).and_then(|_latch| {
            let now = (self.it.version.load(Ordering::Relaxed), self.len());
            if expected.is_some_and(|expected| expected != now) {
                return Err(ListError::Changed);
            }
            if cut.count > 0 {
                self.check(cut.last())?;
                self.cut_latched(cut);
            }
            Ok(())
        });
        heap::free_deferred(self.me, savepoint);
        result
    }

    /// Stores `items` in the place of every `step`-th element from `first` on, and takes out the
    /// `gone` behind the last of those, all at one instant; if the list is still as it was when a
    /// snapshot had `version` and `len`. Needs memory for what is stored in blobs, and no other,
    /// whatever is full.
    ///
    /// # Errors
    /// [`ListError::Changed`], [`ListError::OutOfRange`], [`ListError::Memory`],
    /// [`ListError::Locked`]; the list is as it was.
    pub fn splice(
        &self,
        expected: (u64, u64),
        at: (u64, u64),
        items: &[Item<'_>],
        gone: u64,
    ) -> Result<(), ListError> {
        let spliced = self.splice_within_limit(expected, at, items, gone);
        let frees = || items.iter().all(|item| matches!(item, Item::Word(_)));
        if matches!(spliced, Err(ListError::Memory(_))) && frees() {
            // Undo records of many words take some for a moment.
            return heap::overdrawn(|| self.splice_within_limit(expected, at, items, gone));
        }
        spliced
    }

    fn splice_within_limit(
        &self,
        (version, len): (u64, u64),
        (first, step): (u64, u64),
        items: &[Item<'_>],
        gone: u64,
    ) -> Result<(), ListError> {
        let savepoint = heap::savepoint(self.me);
        let result = self.store_all(items).map_err(ListError::from).and_then(|words| {
            let _latch = self.enter()?;
            if (version, len) != (self.it.version.load(Ordering::Relaxed), self.len()) {
                return Err(ListError::Changed);
            }
            let stored = Cut { first, step, count: words.len() as u64 };
            if stored.count > 0 {
                self.check(stored.last())?;
            }
            let behind = if stored.count > 0 { stored.last() + 1 } else { first };
            let cut = Cut { first: behind, step: 1, count: gone };
            if gone > 0 {
                self.check(cut.last())?;
            }
            self.splice_latched(stored, &words, cut, savepoint)
        });
        heap::free_deferred(self.me, savepoint);
        result
    }

    /// The words' blobs hang on the chain above `savepoint`; all fits.
    fn splice_latched(
        &self,
        stored: Cut,
        words: &[u64],
        cut: Cut,
        savepoint: Off,
    ) -> Result<(), ListError> {
        let me = self.me;
        let places = || (0..stored.count).map(|i| self.word(stored.first + i * stored.step));
        let blob_in = |place: &AtomicU64| value::blob_of(place.load(Ordering::Relaxed));
        let blobs = places().filter(|place| blob_in(place).is_some()).count();
        let room = journal_room::reserve(me, words.len() + 2 * blobs + BESIDE)?;
        self.changing(|| {
            let mut tx = room.begin();
            heap::release_to(me, &mut tx, savepoint);
            for (place, word) in places().zip(words) {
                let old = blob_in(place);
                tx.set(place, *word);
                if let Some(blob) = old {
                    heap::defer_free(me, &mut tx, blob);
                }
            }
            if cut.count > 0 {
                self.begin_cut(&mut tx, cut);
            }
            crash_point!("list.spliced");
            tx.commit();
            crash_point!("list.spliced_done");
            if cut.count > 0 {
                self.go_on_with_cut();
            }
        });
        Ok(())
    }

    // crash: part of the caller's change.
    fn begin_cut(&self, tx: &mut Tx<'_>, cut: Cut) {
        let it = self.it;
        tx.set(&it.cut_first, cut.first);
        tx.set(&it.cut_step, cut.step);
        tx.set(&it.cut_at, cut.first);
        tx.set(&it.cut_count, cut.count);
    }

    /// Takes the element at `index` out, without returning it. Needs no memory.
    ///
    /// # Errors
    /// [`ListError::OutOfRange`], [`ListError::Locked`]; the list is as it was.
    pub fn discard(&self, index: u64) -> Result<(), ListError> {
        self.cut(Cut { first: index, step: 1, count: 1 }, None)
    }

    /// Takes everything out. Needs no memory.
    ///
    /// # Errors
    /// [`ListError::Locked`]; the list is as it was.
    pub fn clear(&self) -> Result<(), ListError> {
        let savepoint = heap::savepoint(self.me);
        let result = self.enter().map(|_latch| self.clear_latched());
        heap::free_deferred(self.me, savepoint);
        Ok(result?)
    }

    /// Leaves the table, with all it holds, on the chain: it is taken apart without the latch.
    fn clear_latched(&self) {
        let (me, it) = (self.me, self.it);
        let old = Off(it.table.load(Ordering::Relaxed));
        if old.is_none() {
            return;
        }
        self.changing(|| {
            let mut tx = Tx::begin(me);
            segments::give_words(
                me,
                &mut tx,
                old,
                it.start.load(Ordering::Relaxed),
                it.len.load(Ordering::Relaxed),
            );
            for word in [&it.table, &it.start, &it.len, &it.backed] {
                tx.set(word, 0);
            }
            heap::defer_free(me, &mut tx, old);
            crash_point!("list.cleared");
            tx.commit();
            crash_point!("list.cleared_done");
        });
    }

    /// The latch is held, and `cut` fits.
    pub(super) fn cut_latched(&self, cut: Cut) {
        if cut.count == self.len() {
            return self.clear_latched();
        }
        self.changing(|| {
            let mut tx = Tx::begin(self.me);
            self.begin_cut(&mut tx, cut);
            crash_point!("list.cut");
            tx.commit();
            crash_point!("list.cut_begun");
            self.go_on_with_cut();
        });
    }

    /// Somebody died in a removal: it is finished, with the latch held.
    #[cold]
    pub(super) fn finish_cut(&self) {
        let savepoint = heap::savepoint(self.me);
        self.changing(|| self.go_on_with_cut());
        heap::free_deferred(self.me, savepoint);
    }

    fn go_on_with_cut(&self) {
        let (me, it) = (self.me, self.it);
        let cut = Cut {
            first: it.cut_first.load(Ordering::Relaxed),
            step: it.cut_step.load(Ordering::Relaxed),
            count: it.cut_count.load(Ordering::Relaxed),
        };
        let len = it.len.load(Ordering::Relaxed);
        // Behind the last that goes of a tail nothing moves.
        let end = if cut.step == 1 && cut.last() + 1 == len { cut.last() + 1 } else { len };
        for index in it.cut_at.load(Ordering::Relaxed)..end {
            let word = self.word(index).load(Ordering::Relaxed);
            if !cut.takes(index) {
                self.word(index - cut.before(index)).store(word, Ordering::Relaxed);
                crash_point!("list.cut_moved");
                it.cut_at.store(index + 1, Ordering::Release);
                crash_point!("list.cut_went_on");
            } else if let Some(blob) = value::blob_of(word) {
                let mut tx = Tx::begin(me);
                tx.set(&it.cut_at, index + 1);
                heap::defer_free(me, &mut tx, blob);
                crash_point!("list.cut_dropping");
                tx.commit();
                crash_point!("list.cut_dropped");
            } else {
                // What is stored over it is not to be taken for it.
                it.cut_at.store(index + 1, Ordering::Release);
                crash_point!("list.cut_passed");
            }
        }
        let mut tx = Tx::begin(me);
        tx.set(&it.len, len - cut.count);
        tx.set(&it.cut_count, 0);
        crash_point!("list.cut_ending");
        tx.commit();
        crash_point!("list.cut_ended");
        self.shrink(cut.count > 1);
    }

    /// Gives segments back that the list does not need: those behind the one after its last, or,
    /// where `many` elements have gone at once, all behind that, and its pages behind the end.
    fn shrink(&self, many: bool) {
        let (me, it) = (self.me, self.it);
        let table = Off(it.table.load(Ordering::Relaxed));
        let end = it.start.load(Ordering::Relaxed) + it.len.load(Ordering::Relaxed);
        while let Some((k, backed, segment)) = segments::spare(me, table, end, usize::from(!many)) {
            let mut tx = Tx::begin(me);
            segments::take(me, &mut tx, table, k);
            tx.set(&it.backed, backed.min(it.backed.load(Ordering::Relaxed)));
            heap::defer_free(me, &mut tx, segment);
            crash_point!("list.shrunk");
            tx.commit();
            crash_point!("list.shrunk_done");
        }
        let backed = it.backed.load(Ordering::Relaxed);
        if let (Some((segment, from, to, left)), true) =
            (segments::excess(me, table, end, backed), many)
        {
            // First: what is backed and not noted so is backed again without harm.
            it.backed.store(left, Ordering::Release);
            crash_point!("list.unbacked");
            heap::unback(me, segment, from, to);
        }
    }
}
