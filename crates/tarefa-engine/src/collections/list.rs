//! The shared list: a sequence of words and blobs.
//!
//! - Who changes it holds its latch. An append of a small value is two stores, of which the
//!   second (`len`) publishes; elements go in place, by a removal that whoever comes next
//!   finishes (`removal`); everything else is one [`Tx`], or builds a new table aside and swaps
//!   it in by one.
//! - Who reads a small value takes no latch: `version` is odd while the structure changes, and
//!   even and larger afterwards (Lameter, "Effective synchronization on Linux/NUMA systems",
//!   2005: sequence locks). What it reads in between is thrown away. A writer that dies leaves
//!   it odd, and readers take the latch until the next change.
//! - Positions start at `start`, so taking from the front is one change as well.

mod removal;

use super::updating;
use super::value::{self, Expected, Fetched, Item};
use crate::atomic::{AtomicU64, Ordering, fence};
use crate::collections::deferred_elements;
use crate::collections::object_lock;
use crate::collections::object_lock::{Locked, MaybeGuarded};
use crate::collections::segments;
use crate::kinds;
use crate::shm::Member;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::object::refcount;
use crate::shm::object::{self, ObjectHeader};
use crate::shm::tx::journal::Tx;
use crate::shm::tx::latch::{Latch, Latched};
use crate::sync::lock::word::{Holder, LockWord, Recursion};

/// Positions that are left unused at the start of a table before its elements move.
const MOVE_FROM: u64 = 1024;

/// What lies in the arena.
#[repr(C)]
#[derive(Debug)]
pub struct ListObject {
    object: ObjectHeader,
    latch: Latch,
    version: AtomicU64,
    /// Position of the first element.
    start: AtomicU64,
    /// Elements.
    len: AtomicU64,
    /// The table of segments, 0 while the list never held anything.
    table: AtomicU64,
    /// Positions that are backed by memory.
    backed: AtomicU64,
    /// A removal that is under way: see `removal`. 0 for none.
    cut_count: AtomicU64,
    cut_first: AtomicU64,
    cut_step: AtomicU64,
    /// The first element that it has not come to.
    cut_at: AtomicU64,
    object_lock: LockWord,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for ListObject {}

/// Where an element of a rebuilt list comes from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// The old list's element at that index. One with a blob may be kept only once.
    Keep(u64),
    /// A new one.
    New(Item<'a>),
}

/// Which elements go: every `step`-th from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The first.
    pub first: u64,
    /// From one to the next; at least 1.
    pub step: u64,
    /// How many.
    pub count: u64,
}

/// What a list looked like at one instant.
#[derive(Debug)]
pub struct Snapshot {
    /// For [`List::rebuild`].
    pub version: u64,
    /// The elements.
    pub items: Vec<Fetched>,
}

/// Why a list stayed as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// No such element.
    #[error("index {index} is out of range: the list has {len} elements")]
    OutOfRange {
        /// The index asked for.
        index: u64,
        /// The list's length.
        len: u64,
    },
    /// The list changed since the snapshot.
    #[error("the list was changed meanwhile")]
    Changed,
    /// See [`Locked`].
    #[error(transparent)]
    Locked(#[from] Locked),
    /// See [`OutOfMemory`].
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
}

impl MaybeGuarded for ListError {
    fn is_guarded(&self) -> bool {
        match self {
            Self::Locked(_) => true,
            Self::Memory(e) => e.is_held_up(),
            _ => false,
        }
    }
}

/// A list, for a thread that holds a reference to it.
#[derive(Clone, Copy, Debug)]
pub struct List<'a> {
    me: &'a Member,
    off: Off,
    it: &'static ListObject,
}

/// Makes an empty list; this process holds a reference to it.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create(me: &Member) -> Result<Off, OutOfMemory> {
    let savepoint = heap::savepoint(me);
    let made = object::create(me, kinds::LIST, size_of::<ListObject>() as u64)
        .and_then(|off| refcount::adopt(me, off, savepoint).map(|()| off));
    if made.is_err() {
        heap::free_deferred(me, savepoint);
    }
    made
}

/// Who has the list at `off` for itself; for [`crate::sync::object_kinds`].
pub(super) fn holders(me: &Member, off: Off) -> Vec<Holder> {
    List::at(me, off).object_lock().taken_by(me, Recursion::Allowed).into_iter().collect()
}

impl<'a> List<'a> {
    /// The list at `off`.
    #[must_use]
    #[inline]
    pub fn at(me: &'a Member, off: Off) -> Self {
        Self { me, off, it: me.arena().at(off) }
    }

    /// Elements at this very moment, whoever groups operations: see [`List::count`].
    #[must_use]
    #[inline]
    pub fn len(&self) -> u64 {
        self.it.len.load(Ordering::Acquire)
    }

    /// Elements.
    ///
    /// # Errors
    /// [`ListError::Locked`].
    #[inline]
    pub fn count(&self) -> Result<u64, ListError> {
        if !self.it.object_lock.grouped(self.me) {
            let len = self.len();
            fence(Ordering::Acquire);
            if !self.it.object_lock.grouped(self.me) {
                return Ok(len);
            }
        }
        let _latch = self.enter()?;
        Ok(self.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn word(&self, index: u64) -> &'static AtomicU64 {
        let table = segments::at(self.me, Off(self.it.table.load(Ordering::Relaxed)));
        segments::word(self.me, table, self.it.start.load(Ordering::Relaxed) + index)
    }

    /// Takes the latch, unless another thread groups its operations.
    #[inline]
    fn enter(&self) -> Result<Latched<'a>, Locked> {
        let latched = object_lock::enter(self.me, &self.it.latch, &self.it.object_lock)?;
        if self.it.cut_count.load(Ordering::Relaxed) != 0 {
            self.finish_cut();
        }
        Ok(latched)
    }

    /// The lock of whoever groups operations on the list.
    #[must_use]
    pub fn object_lock(&self) -> &'static LockWord {
        &self.it.object_lock
    }

    fn check(&self, index: u64) -> Result<u64, ListError> {
        let len = self.len();
        if index < len { Ok(len) } else { Err(ListError::OutOfRange { index, len }) }
    }

    /// The element's word, if it can be had without the latch: `None` for blobs and for a list
    /// that changes at this moment; `Some(Err)` past the end.
    #[must_use]
    #[inline]
    pub fn read_optimistic(&self, index: u64) -> Option<Result<u64, ListError>> {
        let it = self.it;
        // SYNC POINT: pairs with the release stores of `changing`.
        let version = it.version.load(Ordering::Acquire);
        if version & 1 != 0 || it.object_lock.grouped(self.me) {
            return None;
        }
        let len = it.len.load(Ordering::Acquire);
        // The guard again: an append leaves the version alone.
        let same = || {
            fence(Ordering::Acquire);
            it.version.load(Ordering::Relaxed) == version && !it.object_lock.grouped(self.me)
        };
        if index >= len {
            // Somebody may group operations since, and have taken out what he is about to put back.
            return same().then_some(Err(ListError::OutOfRange { index, len }));
        }
        let position = it.start.load(Ordering::Relaxed) + index;
        let word =
            segments::word_optimistic(self.me, Off(it.table.load(Ordering::Acquire)), position)?;
        (same() && word != 0 && value::blob_of(word).is_none()).then_some(Ok(word))
    }

    /// The element at `index`.
    ///
    /// # Errors
    /// [`ListError::OutOfRange`], [`ListError::Memory`], [`ListError::Locked`].
    pub fn get(&self, index: u64) -> Result<Fetched, ListError> {
        if let Some(word) = self.read_optimistic(index) {
            return word.map(Fetched::Word);
        }
        let _latch = self.enter()?;
        self.mend_version();
        self.check(index)?;
        Ok(value::fetch(self.me, self.word(index).load(Ordering::Relaxed))?)
    }

    /// Runs `change` with the version odd. The latch is held.
    fn changing<T>(&self, change: impl FnOnce() -> T) -> T {
        let odd = self.it.version.load(Ordering::Relaxed) | 1;
        self.it.version.store(odd, Ordering::Relaxed);
        crash_point!("list.odd");
        fence(Ordering::Release);
        let result = change();
        self.it.version.store(odd + 1, Ordering::Release);
        crash_point!("list.even");
        updating::changed(self.me, self.off);
        result
    }

    /// A writer died in `changing`: its change is undone, so the version can be even again.
    fn mend_version(&self) {
        let version = self.it.version.load(Ordering::Relaxed);
        if version & 1 != 0 {
            self.it.version.store(version + 1, Ordering::Release);
            crash_point!("list.mended");
        }
    }

    /// Makes room for `more` elements at the end. The latch is held.
    #[inline]
    fn reserve(&self, more: u64) -> Result<(), OutOfMemory> {
        let it = self.it;
        let end = it.start.load(Ordering::Relaxed) + it.len.load(Ordering::Relaxed);
        if end + more <= it.backed.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.make_room(end, more)
    }

    #[cold]
    fn make_room(&self, end: u64, more: u64) -> Result<(), OutOfMemory> {
        let it = self.it;
        // Taken from at the front, as a queue is: move to the start of a new table before the
        // old one grows. At least as many elements were taken as are moved.
        let start = it.start.load(Ordering::Relaxed);
        if start >= MOVE_FROM && start >= it.len.load(Ordering::Relaxed) {
            let savepoint = heap::savepoint(self.me);
            let keep: Vec<_> = (0..self.len()).map(Source::Keep).collect();
            let moved = self.rebuild_latched(&keep, savepoint);
            heap::free_deferred(self.me, savepoint);
            moved?;
            return self.reserve(more);
        }
        if it.table.load(Ordering::Relaxed) == 0 {
            let savepoint = heap::savepoint(self.me);
            let table = segments::create(self.me)?;
            let mut tx = Tx::begin(self.me);
            tx.set(&it.table, table.0);
            heap::release_to(self.me, &mut tx, savepoint);
            crash_point!("list.table");
            tx.commit();
            crash_point!("list.table_done");
        }
        let table = Off(it.table.load(Ordering::Relaxed));
        let backed = it.backed.load(Ordering::Relaxed);
        let now = segments::grow(self.me, table, backed, end + more, Some(&it.backed))?;
        it.backed.store(now, Ordering::Release);
        crash_point!("list.backed");
        Ok(())
    }

    /// Adds an element at the end.
    ///
    /// # Errors
    /// [`ListError::Memory`], [`ListError::Locked`]; the list is as it was.
    #[inline]
    pub fn append(&self, item: Item<'_>) -> Result<(), ListError> {
        if let Item::Word(word) = item {
            let _latch = self.enter()?;
            let len = self.it.len.load(Ordering::Relaxed);
            self.reserve(1)?;
            self.word(len).store(word, Ordering::Relaxed);
            crash_point!("list.append_word");
            // SYNC POINT: publishes the word; pairs with the acquire load in `len`.
            self.it.len.store(len + 1, Ordering::Release);
            crash_point!("list.append_done");
            updating::changed(self.me, self.off);
            return Ok(());
        }
        self.extend(&[item])
    }

    /// Adds elements at the end, all at one instant.
    ///
    /// # Errors
    /// [`ListError::Memory`], [`ListError::Locked`]; the list is as it was.
    pub fn extend(&self, items: &[Item<'_>]) -> Result<(), ListError> {
        let savepoint = heap::savepoint(self.me);
        let result = self.store_all(items).map_err(ListError::from).and_then(|words| {
            let _latch = self.enter()?;
            Ok(self.extend_latched(&words, savepoint)?)
        });
        if result.is_err() {
            heap::free_deferred(self.me, savepoint);
        }
        result
    }

    /// Adds words whose blobs hang on the chain above `savepoint`.
    fn extend_latched(&self, words: &[u64], savepoint: Off) -> Result<(), OutOfMemory> {
        self.reserve(words.len() as u64)?;
        let len = self.it.len.load(Ordering::Relaxed);
        for (i, word) in words.iter().enumerate() {
            self.word(len + i as u64).store(*word, Ordering::Relaxed);
            crash_point!("list.extend_word");
        }
        let mut tx = Tx::begin(self.me);
        tx.set(&self.it.len, len + words.len() as u64);
        heap::release_to(self.me, &mut tx, savepoint);
        crash_point!("list.extend");
        tx.commit();
        crash_point!("list.extend_done");
        updating::changed(self.me, self.off);
        Ok(())
    }

    fn store_all(&self, items: &[Item<'_>]) -> Result<Vec<u64>, OutOfMemory> {
        items.iter().map(|item| value::store(self.me, *item)).collect()
    }

    /// Replaces the element at `index`.
    ///
    /// # Errors
    /// [`ListError::OutOfRange`], [`ListError::Memory`], [`ListError::Locked`]; the list is as it
    /// was.
    pub fn set(&self, index: u64, item: Item<'_>) -> Result<(), ListError> {
        let savepoint = heap::savepoint(self.me);
        let result = value::store(self.me, item).map_err(ListError::from).and_then(|new| {
            let _latch = self.enter()?;
            self.check(index)?;
            self.set_latched(index, new, savepoint);
            Ok(())
        });
        heap::free_deferred(self.me, savepoint);
        result
    }

    /// Replaces an element; its blob, if any, hangs on the chain above `savepoint`.
    fn set_latched(&self, index: u64, new: u64, savepoint: Off) {
        let word = self.word(index);
        let old = value::blob_of(word.load(Ordering::Relaxed));
        self.changing(|| {
            let mut tx = Tx::begin(self.me);
            tx.set(word, new);
            heap::release_to(self.me, &mut tx, savepoint);
            if let Some(blob) = old {
                heap::defer_free(self.me, &mut tx, blob);
            }
            crash_point!("list.set");
            tx.commit();
            crash_point!("list.set_done");
        });
    }

    /// Replaces the element at `index` if it is still what was `expected`; false if it is not.
    ///
    /// # Errors
    /// As [`List::set`].
    pub fn replace_if(
        &self,
        index: u64,
        expected: Expected<'_>,
        item: Item<'_>,
    ) -> Result<bool, ListError> {
        let savepoint = heap::savepoint(self.me);
        let result = value::store(self.me, item).map_err(ListError::from).and_then(|new| {
            let _latch = self.enter()?;
            self.check(index)?;
            let same = expected.is(self.me, self.word(index).load(Ordering::Relaxed));
            if same {
                self.set_latched(index, new, savepoint);
            }
            Ok(same)
        });
        heap::free_deferred(self.me, savepoint);
        result
    }

    /// Takes the element at `index` out and returns it. At either end it costs the same
    /// however long the list; in between those behind it move down.
    ///
    /// # Errors
    /// [`ListError::OutOfRange`], [`ListError::Memory`], [`ListError::Locked`]; the list is as it
    /// was.
    pub fn remove(&self, index: u64) -> Result<Fetched, ListError> {
        let savepoint = heap::savepoint(self.me);
        let taken = {
            let _latch = self.enter()?;
            let len = self.check(index)?;
            self.remove_latched(index, len)
        };
        heap::free_deferred(self.me, savepoint);
        taken
    }

    /// Takes the last element out.
    ///
    /// # Errors
    /// As [`List::remove`].
    pub fn pop(&self) -> Result<Fetched, ListError> {
        let savepoint = heap::savepoint(self.me);
        let taken = {
            let _latch = self.enter()?;
            let len = self.len();
            let last = len.checked_sub(1).ok_or(ListError::OutOfRange { index: 0, len })?;
            self.remove_latched(last, len)
        };
        heap::free_deferred(self.me, savepoint);
        taken
    }

    fn remove_latched(&self, index: u64, len: u64) -> Result<Fetched, ListError> {
        let word = self.word(index).load(Ordering::Relaxed);
        let taken = value::fetch_last(self.me, word)?;
        if index != 0 && index + 1 != len {
            self.cut_latched(Cut { first: index, step: 1, count: 1 });
            return Ok(taken);
        }
        self.changing(|| {
            let mut tx = Tx::begin(self.me);
            if len == 1 {
                tx.set(&self.it.start, 0);
            } else if index + 1 != len {
                tx.set(&self.it.start, self.it.start.load(Ordering::Relaxed) + 1);
            }
            tx.set(&self.it.len, len - 1);
            if let Some(blob) = value::blob_of(word) {
                heap::defer_free(self.me, &mut tx, blob);
            }
            crash_point!("list.remove");
            tx.commit();
            crash_point!("list.remove_done");
        });
        Ok(taken)
    }

    /// Puts an element before the one at `index`; past the end it is an append.
    ///
    /// # Errors
    /// [`ListError::Memory`], [`ListError::Locked`]; the list is as it was.
    pub fn insert(&self, index: u64, item: Item<'_>) -> Result<(), ListError> {
        let savepoint = heap::savepoint(self.me);
        let result = value::store(self.me, item).map_err(ListError::from).and_then(|word| {
            let _latch = self.enter()?;
            let len = self.len();
            if index >= len {
                return Ok(self.extend_latched(&[word], savepoint)?);
            }
            let mut sources: Vec<_> = (0..len).map(Source::Keep).collect();
            sources.insert(index as usize, Source::New(Item::Word(word)));
            Ok(self.rebuild_latched(&sources, savepoint)?)
        });
        heap::free_deferred(self.me, savepoint);
        result
    }

    /// What the list is at this instant, from `from` to `to` (cut at the end).
    ///
    /// # Errors
    /// [`ListError::Memory`] when the objects it mentions cannot be held, [`ListError::Locked`].
    pub fn snapshot(&self, from: u64, to: u64) -> Result<Snapshot, ListError> {
        let _latch = self.enter()?;
        self.mend_version();
        let to = to.min(self.len());
        let mut items = Vec::with_capacity(to.saturating_sub(from) as usize);
        for i in from..to {
            items.push(value::fetch(self.me, self.word(i).load(Ordering::Relaxed))?);
        }
        Ok(Snapshot { version: self.it.version.load(Ordering::Relaxed), items })
    }

    /// Makes the list what `sources` say, at one instant, if it is still as it was when a
    /// snapshot had `version` and `len` elements.
    ///
    /// # Errors
    /// [`ListError::Changed`], [`ListError::Memory`], [`ListError::Locked`]; the list is as it was.
    pub fn rebuild(&self, version: u64, len: u64, sources: &[Source<'_>]) -> Result<(), ListError> {
        let savepoint = heap::savepoint(self.me);
        let mut stored = Vec::with_capacity(sources.len());
        let mut failed = None;
        for source in sources {
            stored.push(match source {
                Source::Keep(i) => Source::Keep(*i),
                Source::New(item) => match value::store(self.me, *item) {
                    Ok(word) => Source::New(Item::Word(word)),
                    Err(e) => {
                        failed = Some(ListError::from(e));
                        break;
                    }
                },
            });
        }
        let result = if let Some(e) = failed {
            Err(e)
        } else {
            self.enter().map_err(ListError::from).and_then(|_latch| {
                let same = self.it.version.load(Ordering::Relaxed) == version && self.len() == len;
                if same {
                    Ok(self.rebuild_latched(&stored, savepoint)?)
                } else {
                    Err(ListError::Changed)
                }
            })
        };
        heap::free_deferred(self.me, savepoint);
        result
    }

    /// Builds a new table of `sources` (whose new words' blobs hang on the chain above
    /// `savepoint`), swaps it in, and leaves the old table and dropped blobs on the chain.
    fn rebuild_latched(&self, sources: &[Source<'_>], savepoint: Off) -> Result<(), OutOfMemory> {
        let (me, it) = (self.me, self.it);
        let len = self.len();
        let mut kept = vec![false; len as usize];
        let new_table = segments::create(me)?;
        let backed = segments::grow(me, new_table, 0, sources.len() as u64, None)?;
        for (position, source) in sources.iter().enumerate() {
            let word = match source {
                Source::Keep(i) => {
                    kept[*i as usize] = true;
                    self.word(*i).load(Ordering::Relaxed)
                }
                Source::New(Item::Word(word)) => *word,
                Source::New(Item::Blob(..) | Item::Parts(..)) => unreachable!("stored before"),
            };
            let target = segments::word(me, segments::at(me, new_table), position as u64);
            target.store(word, Ordering::Relaxed);
            crash_point!("list.rebuild_word");
        }
        let dropped: Vec<u64> = (0..len)
            .filter(|i| !kept[*i as usize])
            .map(|i| self.word(i).load(Ordering::Relaxed))
            .filter(|word| value::blob_of(*word).is_some())
            .collect();
        let deferred_elements = deferred_elements::create(me, &dropped)?;
        let old_table = Off(it.table.load(Ordering::Relaxed));
        self.changing(|| {
            let mut tx = Tx::begin(me);
            tx.set(&it.table, new_table.0);
            tx.set(&it.start, 0);
            tx.set(&it.len, sources.len() as u64);
            tx.set(&it.backed, backed);
            tx.set(&deferred_elements::at(me, deferred_elements).len, dropped.len() as u64);
            heap::release_to(me, &mut tx, savepoint);
            heap::defer_free(me, &mut tx, deferred_elements);
            if !old_table.is_none() {
                heap::defer_free(me, &mut tx, old_table);
            }
            crash_point!("list.rebuild");
            tx.commit();
            crash_point!("list.rebuild_done");
        });
        Ok(())
    }

    /// The list's offset.
    #[must_use]
    pub fn offset(&self) -> Off {
        self.off
    }
}

/// One step of taking a list apart: its last blob, then its table.
pub(super) fn destroy_step(me: &Member, off: Off) -> bool {
    let list = List::at(me, off);
    let it = list.it;
    if it.cut_count.load(Ordering::Relaxed) != 0 {
        // Some stand there twice.
        list.finish_cut();
    }
    let len = it.len.load(Ordering::Relaxed);
    let last = (0..len)
        .rev()
        .find_map(|i| value::blob_of(list.word(i).load(Ordering::Relaxed)).map(|blob| (i, blob)));
    let table = Off(it.table.load(Ordering::Relaxed));
    if table.is_none() {
        return !it.object_lock.drop_repair(me);
    }
    let mut tx = Tx::begin(me);
    if let Some((i, blob)) = last {
        tx.set(&it.len, i);
        heap::defer_free(me, &mut tx, blob);
    } else {
        tx.set(&it.len, 0);
        tx.set(&it.table, 0);
        heap::defer_free(me, &mut tx, table);
    }
    crash_point!("list.dismantled");
    tx.commit();
    crash_point!("list.dismantled_done");
    false
}
