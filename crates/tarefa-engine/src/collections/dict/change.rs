//! Changes of one key.

use super::key::{Canonical, Key};
use super::probe::{Found, Probe, probe};
use super::store::{self, DUMMY, Store};
use super::{Dict, DictError};
use crate::atomic::Ordering;
use crate::collections::value::{self, Expected, Fetched, Item, Small};
use crate::shm::arena::offset::Off;
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::tx::journal::Tx;

/// What [`Dict::add`] came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Added {
    /// The value now.
    Now(Small),
    /// The value or the sum is not a number that a word holds; nothing was changed.
    NotSmall,
}

impl Dict<'_> {
    /// Makes `value` the key's value. A key that is there stays as it was given first.
    ///
    /// # Errors
    /// [`DictError`]; the dict is as it was.
    #[inline]
    pub fn set(&self, key: &Key<'_>, value: Item<'_>) -> Result<(), DictError> {
        let hash = key.canonical().hash(self.me);
        self.with_value(value, |word, savepoint| {
            match self.place(key.canonical(), hash) {
                (Some(store), Probe::Found(found)) => self.replace(&store, found, word, savepoint),
                _ => self.insert(key, hash, word, savepoint)?,
            }
            Ok(())
        })
    }

    /// The key's value, which is `value` now if it had none: then `None`.
    ///
    /// # Errors
    /// [`DictError`]; the dict is as it was.
    pub fn set_default(
        &self,
        key: &Key<'_>,
        value: Item<'_>,
    ) -> Result<Option<Fetched>, DictError> {
        if let Some(there) = self.get(key.canonical())? {
            return Ok(Some(there));
        }
        let hash = key.canonical().hash(self.me);
        self.with_value(value, |word, savepoint| {
            if let (Some(store), Probe::Found(found)) = self.place(key.canonical(), hash) {
                let there = store.entry(found.position).value.load(Ordering::Relaxed);
                return Ok(Some(value::fetch(self.me, there)?));
            }
            self.insert(key, hash, word, savepoint)?;
            Ok(None)
        })
    }

    /// Makes `value` the key's value, or takes the key out for `None`, if its value is still
    /// what was `expected`; false if it is not.
    ///
    /// # Errors
    /// [`DictError`]; the dict is as it was.
    pub fn replace_if(
        &self,
        key: &Key<'_>,
        expected: Expected<'_>,
        value: Option<Item<'_>>,
    ) -> Result<bool, DictError> {
        let hash = key.canonical().hash(self.me);
        let absent = value.is_none();
        self.with_value(value.unwrap_or(Item::Word(value::NONE)), |word, savepoint| {
            let place = self.place(key.canonical(), hash);
            let (Some(store), Probe::Found(found)) = place else {
                let as_expected = matches!(expected, Expected::Absent);
                if as_expected && !absent {
                    self.insert(key, hash, word, savepoint)?;
                }
                return Ok(as_expected);
            };
            let there = store.entry(found.position).value.load(Ordering::Relaxed);
            let as_expected = expected.is(self.me, there);
            if as_expected && absent {
                self.delete(&store, found, found.position + 1 == store.end());
            } else if as_expected {
                self.replace(&store, found, word, savepoint);
            }
            Ok(as_expected)
        })
    }

    /// Adds `n` to the key's value, where a key that is not there counts as 0.
    ///
    /// Integers, booleans (as 0 and 1) and floats are added as in Python: a float and anything
    /// is a float.
    ///
    /// # Errors
    /// [`DictError`]; the dict is as it was.
    pub fn add(&self, key: &Key<'_>, n: Small) -> Result<Added, DictError> {
        let hash = key.canonical().hash(self.me);
        let savepoint = heap::savepoint(self.me);
        let result = self.enter().and_then(|_latch| {
            let place = self.place(key.canonical(), hash);
            let now = match &place {
                (Some(store), Probe::Found(found)) => {
                    store.entry(found.position).value.load(Ordering::Relaxed)
                }
                _ => value::int_word(0).unwrap_or_default(),
            };
            let Some((sum, word)) = sum(now, n) else { return Ok(Added::NotSmall) };
            match place {
                (Some(store), Probe::Found(found)) => self.replace(&store, found, word, savepoint),
                _ => self.insert(key, hash, word, savepoint)?,
            }
            Ok(Added::Now(sum))
        });
        heap::free_deferred(self.me, savepoint);
        result
    }

    /// Takes the key out and returns its value; `None` if it is not there.
    ///
    /// # Errors
    /// [`DictError`]; the dict is as it was.
    pub fn remove(&self, key: &Canonical<'_>) -> Result<Option<Fetched>, DictError> {
        let hash = key.hash(self.me);
        self.draining(|| {
            let Some((store, found)) = self.find(key, hash) else { return Ok(None) };
            let word = store.entry(found.position).value.load(Ordering::Relaxed);
            let taken = value::fetch_last(self.me, word)?;
            self.delete(&store, found, found.position + 1 == store.end());
            Ok(Some(taken))
        })
    }

    /// Takes out the key that came last, with its value.
    ///
    /// # Errors
    /// [`DictError`]; the dict is as it was.
    pub fn pop_last(&self) -> Result<Option<(Fetched, Fetched)>, DictError> {
        self.draining(|| {
            let Some(store) = self.current() else { return Ok(None) };
            let last = (0..store.end())
                .rev()
                .find(|position| store.entry(*position).key.load(Ordering::Relaxed) != 0);
            let Some(position) = last else { return Ok(None) };
            let entry = store.entry(position);
            let key = value::fetch_last(self.me, entry.key.load(Ordering::Relaxed))?;
            let taken = value::fetch_last(self.me, entry.value.load(Ordering::Relaxed))?;
            let mut slot = entry.hash.load(Ordering::Relaxed) & store.mask();
            while store.slot(slot).load(Ordering::Relaxed) & DUMMY != position + 1 {
                slot = (slot + 1) & store.mask();
            }
            self.delete(&store, Found { slot, position }, true);
            Ok(Some((key, taken)))
        })
    }

    /// Takes everything out.
    ///
    /// # Errors
    /// [`DictError`]; the dict is as it was.
    pub fn clear(&self) -> Result<(), DictError> {
        self.draining(|| {
            let Some(store) = self.current() else { return Ok(()) };
            self.changing(|| {
                let mut tx = Tx::begin(self.me);
                tx.set(&self.it.store, 0);
                tx.set(&self.it.len, 0);
                heap::defer_free(self.me, &mut tx, store.off);
                crash_point!("dict.clear");
                tx.commit();
                crash_point!("dict.clear_done");
            });
            Ok(())
        })
    }

    /// Runs `change` with the latch held, and frees afterwards what it has put on the chain.
    pub(super) fn draining<T>(
        &self,
        change: impl FnOnce() -> Result<T, DictError>,
    ) -> Result<T, DictError> {
        let savepoint = heap::savepoint(self.me);
        let result = self.enter().and_then(|_latch| change());
        heap::free_deferred(self.me, savepoint);
        result
    }

    /// Stores a value, and runs `change` with its word and the latch held.
    #[inline]
    fn with_value<T>(
        &self,
        value: Item<'_>,
        change: impl FnOnce(u64, Off) -> Result<T, DictError>,
    ) -> Result<T, DictError> {
        let savepoint = heap::savepoint(self.me);
        let stored = value::store(self.me, value).map_err(DictError::from);
        let result = stored.and_then(|word| {
            let _latch = self.enter()?;
            change(word, savepoint)
        });
        heap::free_deferred(self.me, savepoint);
        result
    }

    /// Where the key is or would go. The latch is held.
    #[inline]
    fn place(&self, key: &Canonical<'_>, hash: u64) -> (Option<Store>, Probe) {
        let store = self.current();
        let at = store.as_ref().map_or(Probe::Free(0), |s| probe(self.me, s, hash, key));
        (store, at)
    }

    /// Replaces a value; blobs of the new one hang on the chain above `savepoint`.
    #[inline]
    fn replace(&self, store: &Store, found: Found, word: u64, savepoint: Off) {
        let at = &store.entry(found.position).value;
        let old = value::blob_of(at.load(Ordering::Relaxed));
        if old.is_none() && value::blob_of(word).is_none() {
            // One store, so there is nothing to undo and nothing to be seen half. The version
            // first, for who relies on nothing having changed since a snapshot.
            let version = self.it.version.load(Ordering::Relaxed);
            self.it.version.store(version + 2, Ordering::Release);
            crash_point!("dict.replacing");
            at.store(word, Ordering::Release);
            crash_point!("dict.replaced");
            return;
        }
        self.changing(|| {
            let mut tx = Tx::begin(self.me);
            tx.set(at, word);
            heap::release_to(self.me, &mut tx, savepoint);
            if let Some(blob) = old {
                heap::defer_free(self.me, &mut tx, blob);
            }
            crash_point!("dict.set");
            tx.commit();
            crash_point!("dict.set_done");
        });
    }

    /// Puts in a key that is not there; blobs of the value hang on the chain above `savepoint`.
    fn insert(
        &self,
        key: &Key<'_>,
        hash: u64,
        word: u64,
        savepoint: Off,
    ) -> Result<(), OutOfMemory> {
        let it = self.it;
        let store = self.reserve(1)?;
        let stored = key.make(self.me)?;
        let (position, number) = (store.end(), it.next.load(Ordering::Relaxed));
        let Probe::Free(slot) = probe(self.me, &store, hash, key.canonical()) else {
            unreachable!("looked for before");
        };
        store.write(position, hash, stored, word, number);
        self.changing(|| {
            let h = store.header();
            let at = store.slot(slot);
            let mut tx = Tx::begin(self.me);
            if at.load(Ordering::Relaxed) == 0 {
                tx.set(&h.used, store.used() + 1);
            }
            tx.set(at, store::slot_word(hash, position));
            tx.set(&h.end, position + 1);
            tx.set(&it.len, it.len.load(Ordering::Relaxed) + 1);
            tx.set(&it.next, number + 1);
            heap::release_to(self.me, &mut tx, savepoint);
            crash_point!("dict.insert");
            tx.commit();
            crash_point!("dict.insert_done");
        });
        Ok(())
    }

    /// Takes an entry out, of which none comes behind if it is the `last`; its blobs hang on the
    /// chain then.
    fn delete(&self, store: &Store, found: Found, last: bool) {
        let (entry, it) = (store.entry(found.position), self.it);
        let words = [&entry.key, &entry.value].map(|word| word.load(Ordering::Relaxed));
        self.changing(|| {
            let mut tx = Tx::begin(self.me);
            tx.set(store.slot(found.slot), DUMMY);
            tx.set(&entry.key, 0);
            tx.set(&entry.value, 0);
            tx.set(&it.len, it.len.load(Ordering::Relaxed) - 1);
            if last {
                tx.set(&store.header().end, found.position);
            }
            for blob in words.into_iter().filter_map(value::blob_of) {
                heap::defer_free(self.me, &mut tx, blob);
            }
            crash_point!("dict.delete");
            tx.commit();
            crash_point!("dict.delete_done");
        });
    }

    /// A store with room for `more` keys. The latch is held.
    pub(super) fn reserve(&self, more: u64) -> Result<Store, OutOfMemory> {
        let len = self.it.len.load(Ordering::Relaxed);
        let Some(store) = self.current() else { return self.rebuild(len + more) };
        if store.end() + more > store.capacity() || store.used() + more > store.capacity() {
            return self.rebuild(len + more);
        }
        store.back(store.end() + more)?;
        Ok(store)
    }

    /// Moves everything to a new store for `len` keys, without what was deleted.
    fn rebuild(&self, len: u64) -> Result<Store, OutOfMemory> {
        let savepoint = heap::savepoint(self.me);
        let new = Store::create(self.me, store::bits_for(len), len)
            .inspect_err(|_| heap::free_deferred(self.me, savepoint))?;
        let end = self.refill(&new, |_, value| Some(value));
        self.move_to(&new, end, savepoint, |_| {});
        // The old store is empty now, and goes at once, for it may be large.
        heap::free_deferred(self.me, savepoint);
        Ok(new)
    }

    /// Copies the entries that `keep` says, of position and value's word, to a new store, with
    /// the words it gives for their values. Returns how many it has then.
    pub(super) fn refill(&self, new: &Store, mut keep: impl FnMut(u64, u64) -> Option<u64>) -> u64 {
        let Some(old) = self.current() else { return 0 };
        let mut end = 0;
        for position in 0..old.end() {
            let entry = old.entry(position);
            let [hash, key, value, number] = [&entry.hash, &entry.key, &entry.value, &entry.number]
                .map(|word| word.load(Ordering::Relaxed));
            if key == 0 {
                continue;
            }
            if let Some(value) = keep(position, value) {
                new.write(end, hash, key, value, number);
                new.index(hash, end);
                end += 1;
            }
        }
        end
    }

    /// Makes a store of `end` entries, which hangs on the chain above `savepoint` with whatever they
    /// need, the dict's, and runs `also` in the same change; the old one hangs on the chain
    /// then, empty.
    pub(super) fn move_to(
        &self,
        new: &Store,
        end: u64,
        savepoint: Off,
        also: impl FnOnce(&mut Tx<'_>),
    ) {
        let old = self.current();
        self.changing(|| {
            let mut tx = Tx::begin(self.me);
            tx.set(&self.it.store, new.word());
            tx.set(&new.header().end, end);
            tx.set(&new.header().used, end);
            heap::release_to(self.me, &mut tx, savepoint);
            if let Some(old) = old {
                tx.set(&old.header().end, 0);
                heap::defer_free(self.me, &mut tx, old.off);
            }
            also(&mut tx);
            crash_point!("dict.moved");
            tx.commit();
            crash_point!("dict.moved_done");
        });
    }
}

/// A number and another, and the sum's word.
pub(super) fn sum(word: u64, n: Small) -> Option<(Small, u64)> {
    if value::blob_of(word).is_some() {
        return None;
    }
    let whole = |small| match small {
        Small::Int(n) => Some(n),
        Small::Bool(b) => Some(i64::from(b)),
        _ => None,
    };
    let float = |small| match small {
        Small::Float(x) => Some(x),
        #[expect(clippy::cast_precision_loss, reason = "below 2^50")]
        other => whole(other).map(|n| n as f64),
    };
    let now = value::small(word);
    if let (Some(a), Some(b)) = (whole(now), whole(n)) {
        let sum = a.checked_add(b)?;
        return Some((Small::Int(sum), value::int_word(sum)?));
    }
    let sum = float(now)? + float(n)?;
    Some((Small::Float(sum), value::float_word(sum)?))
}
