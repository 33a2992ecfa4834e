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

use super::{Cut, List, ListError};
use crate::atomic::Ordering;
use crate::collections::segments;
use crate::collections::value;
use crate::shm::arena::offset::Off;
use crate::shm::heap;
use crate::shm::tx::journal::Tx;

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
        let (me, it) = (self.me, self.it);
        if cut.count == self.len() {
            return self.clear_latched();
        }
        self.changing(|| {
            let mut tx = Tx::begin(me);
            tx.set(&it.cut_first, cut.first);
            tx.set(&it.cut_step, cut.step);
            tx.set(&it.cut_at, cut.first);
            tx.set(&it.cut_count, cut.count);
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
