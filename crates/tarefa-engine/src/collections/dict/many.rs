//! Changes of many keys at one instant.

use std::collections::HashMap;

use super::change::sum;
use super::key::{Canonical, Key};
use super::probe::{self, Found, Probe};
use super::store::{self, DUMMY, Store};
use super::{Dict, DictError};
use crate::atomic::Ordering;
use crate::collections::deferred_elements;
use crate::collections::value::{self, Item, Small};
use crate::shm::arena::layout::JOURNAL;
use crate::shm::arena::offset::Off;
use crate::shm::heap::journal_room;
use crate::shm::heap::journal_room::JournalRoom;
use crate::shm::heap::{self, OutOfMemory};

/// What is to be done with one key of many.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// As [`Dict::set`].
    Put(Item<'a>),
    /// As [`Dict::remove`]; a key that is not there is left out.
    Remove,
    /// A key that is there is taken out, another is put in with `None` for its value.
    Toggle,
    /// As [`Dict::add`].
    Add(Small),
}

/// When, and on what besides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    /// Only if the dict is still as it was when a snapshot had that version.
    pub version: Option<u64>,
    /// All other keys are taken out.
    pub only: bool,
}

/// What [`Dict::apply`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// All was done.
    Yes,
    /// The dict has changed since the snapshot; nothing was done.
    Changed,
    /// A value or a sum is not a number that a word holds; nothing was done.
    NotSmall,
}

/// What is to be done with one key, now that it is known where it is.
enum Step {
    Insert(usize, u64),
    Replace(u64, u64),
    Delete(Found),
}

/// Undo records that a change has beside those of its steps.
const BESIDE: usize = 10;
/// A change of more than one key of so many copies the others to a new store instead of keeping
/// undo records.
const COPY_FROM: u64 = 8;

impl Dict<'_> {
    /// Makes all `changes`, of which the last of a key counts, at one instant or none. Those that
    /// only take keys out do so whatever is full.
    ///
    /// # Errors
    /// [`DictError`]; the dict is as it was.
    pub fn apply(
        &self,
        changes: &[(Key<'_>, Change<'_>)],
        terms: Terms,
    ) -> Result<Applied, DictError> {
        let applied = self.apply_within_limit(changes, terms);
        let is_there = |key: &Key<'_>| self.get(key.canonical()).is_ok_and(|there| there.is_some());
        let frees = || {
            changes.iter().all(|(key, change)| match change {
                Change::Remove => true,
                // It may be there, and then only changes.
                Change::Put(Item::Word(_)) | Change::Add(_) => terms.only && is_there(key),
                Change::Toggle => is_there(key),
                Change::Put(_) => false,
            })
        };
        if matches!(applied, Err(DictError::Memory(_))) && frees() {
            return heap::overdrawn(|| self.apply_within_limit(changes, terms));
        }
        applied
    }

    fn apply_within_limit(
        &self,
        changes: &[(Key<'_>, Change<'_>)],
        terms: Terms,
    ) -> Result<Applied, DictError> {
        let savepoint = heap::savepoint(self.me);
        let chosen = last_of_each(changes);
        let stored = chosen
            .iter()
            .map(|i| match changes[*i].1 {
                Change::Put(item) => value::store(self.me, item),
                _ => Ok(value::NONE),
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(DictError::from);
        let result = stored.and_then(|words| {
            let hashes: Vec<_> =
                chosen.iter().map(|i| changes[*i].0.canonical().hash(self.me)).collect();
            let _latch = self.enter()?;
            if terms.version.is_some_and(|v| v != self.it.version.load(Ordering::Relaxed)) {
                return Ok(Applied::Changed);
            }
            let todo: Vec<_> = chosen
                .iter()
                .zip(&words)
                .zip(&hashes)
                .map(|((i, word), hash)| Todo {
                    key: &changes[*i].0,
                    change: changes[*i].1,
                    word: *word,
                    hash: *hash,
                })
                .collect();
            self.apply_latched(&todo, terms.only, savepoint)
        });
        heap::free_deferred(self.me, savepoint);
        result
    }

    fn apply_latched(
        &self,
        todo: &[Todo<'_>],
        only: bool,
        savepoint: Off,
    ) -> Result<Applied, DictError> {
        let Some(mut steps) = self.plan(todo, only) else { return Ok(Applied::NotSmall) };
        if steps.is_empty() {
            return Ok(Applied::Yes);
        }
        let new = steps.iter().filter(|step| matches!(step, Step::Insert(..))).count() as u64;
        let records: usize = steps
            .iter()
            .map(|step| match step {
                Step::Insert(..) | Step::Replace(..) => 1,
                Step::Delete(_) => 3,
            })
            .sum();
        let many = records + BESIDE > JOURNAL;
        if many && records as u64 > self.it.len.load(Ordering::Relaxed) / COPY_FROM {
            return Ok(self.apply_aside(todo, &steps, new, savepoint).map(|()| Applied::Yes)?);
        }
        if new > 0 {
            let before = self.it.store.load(Ordering::Relaxed);
            self.reserve(new)?;
            if self.it.store.load(Ordering::Relaxed) != before {
                // They are elsewhere now.
                steps = self.plan(todo, only).unwrap_or_default();
            }
        }
        let room = journal_room::reserve(self.me, records + BESIDE)?;
        self.apply_in_place(todo, &steps, savepoint, &room)?;
        Ok(Applied::Yes)
    }

    /// Where all keys are; `None` for a sum that a word cannot hold. The latch is held.
    fn plan(&self, todo: &[Todo<'_>], only: bool) -> Option<Vec<Step>> {
        let store = self.current();
        let end = store.as_ref().map_or(0, Store::end);
        let mut kept = if only { vec![false; end as usize] } else { Vec::new() };
        let mut steps = Vec::with_capacity(todo.len());
        for (i, one) in todo.iter().enumerate() {
            let found = store
                .as_ref()
                .and_then(|store| probe::find(self.me, store, one.hash, one.key.canonical()))
                .zip(store);
            if let (Some((found, _)), true) = (found, only) {
                kept[found.position as usize] = true;
            }
            let now = |(found, store): (Found, Store)| {
                store.entry(found.position).value.load(Ordering::Relaxed)
            };
            match (one.change, found) {
                (Change::Put(_), Some((found, _))) => {
                    steps.push(Step::Replace(found.position, one.word));
                }
                (Change::Put(_) | Change::Toggle, None) => steps.push(Step::Insert(i, one.word)),
                (Change::Remove | Change::Toggle, Some((found, _))) => {
                    steps.push(Step::Delete(found));
                }
                (Change::Remove, None) => {}
                (Change::Add(n), Some(there)) => {
                    steps.push(Step::Replace(there.0.position, sum(now(there), n)?.1));
                }
                (Change::Add(n), None) => {
                    let zero = value::int_word(0).unwrap_or_default();
                    steps.push(Step::Insert(i, sum(zero, n)?.1));
                }
            }
        }
        if let (Some(store), true) = (store, only) {
            for slot in 0..=store.mask() {
                let word = store.slot(slot).load(Ordering::Relaxed);
                let position = (word & DUMMY).wrapping_sub(1);
                if word != 0 && position < end && !kept[position as usize] {
                    steps.push(Step::Delete(Found { slot, position }));
                }
            }
        }
        Some(steps)
    }

    /// The blobs that the steps let go of, as words.
    fn dropped(&self, steps: &[Step]) -> Vec<u64> {
        let mut words = Vec::new();
        let Some(store) = self.current() else { return words };
        for step in steps {
            match step {
                Step::Insert(..) => {}
                Step::Replace(position, _) => {
                    words.push(store.entry(*position).value.load(Ordering::Relaxed));
                }
                Step::Delete(found) => {
                    let entry = store.entry(found.position);
                    words.push(entry.key.load(Ordering::Relaxed));
                    words.push(entry.value.load(Ordering::Relaxed));
                }
            }
        }
        words.retain(|word| value::blob_of(*word).is_some());
        words
    }

    /// By one change of the words there are. There is room.
    fn apply_in_place(
        &self,
        todo: &[Todo<'_>],
        steps: &[Step],
        savepoint: Off,
        room: &JournalRoom<'_>,
    ) -> Result<(), OutOfMemory> {
        let Some(store) = self.current() else { return Ok(()) };
        let dropped = self.dropped(steps);
        let (mut end, mut number) = (store.end(), self.it.next.load(Ordering::Relaxed));
        for step in steps {
            if let Step::Insert(i, word) = step {
                let key = todo[*i].key.make(self.me)?;
                store.write(end, todo[*i].hash, key, *word, number);
                (end, number) = (end + 1, number + 1);
            }
        }
        let deferred_elements = deferred_elements::create(self.me, &dropped)?;
        let mut position = store.end();
        self.changing(|| {
            let (mut used, mut len) = (store.used(), self.it.len.load(Ordering::Relaxed));
            let mut tx = room.begin();
            for step in steps {
                match step {
                    Step::Insert(i, _) => {
                        let Todo { key, hash, .. } = &todo[*i];
                        let free = probe::probe(self.me, &store, *hash, key.canonical());
                        let Probe::Free(slot) = free else { unreachable!("looked for before") };
                        let slot = store.slot(slot);
                        used += u64::from(slot.load(Ordering::Relaxed) == 0);
                        tx.set(slot, store::slot_word(*hash, position));
                        (position, len) = (position + 1, len + 1);
                    }
                    Step::Replace(position, word) => tx.set(&store.entry(*position).value, *word),
                    Step::Delete(found) => {
                        let entry = store.entry(found.position);
                        tx.set(store.slot(found.slot), DUMMY);
                        tx.set(&entry.key, 0);
                        tx.set(&entry.value, 0);
                        len -= 1;
                    }
                }
            }
            tx.set(&store.header().end, end);
            tx.set(&store.header().used, used);
            tx.set(&self.it.len, len);
            tx.set(&self.it.next, number);
            tx.set(&deferred_elements::at(self.me, deferred_elements).len, dropped.len() as u64);
            heap::release_to(self.me, &mut tx, savepoint);
            heap::defer_free(self.me, &mut tx, deferred_elements);
            crash_point!("dict.apply");
            tx.commit();
            crash_point!("dict.apply_done");
        });
        Ok(())
    }

    /// In a new store, which then takes the place of the old one.
    fn apply_aside(
        &self,
        todo: &[Todo<'_>],
        steps: &[Step],
        new: u64,
        savepoint: Off,
    ) -> Result<(), OutOfMemory> {
        let gone = steps.iter().filter(|step| matches!(step, Step::Delete(_))).count() as u64;
        let len = self.it.len.load(Ordering::Relaxed) + new - gone;
        let dropped = self.dropped(steps);
        let old_end = self.current().map_or(0, |store| store.end()) as usize;
        let mut values: Vec<Option<u64>> = vec![None; old_end];
        for step in steps {
            match step {
                Step::Insert(..) => {}
                Step::Replace(position, word) => values[*position as usize] = Some(*word),
                Step::Delete(found) => values[found.position as usize] = Some(0),
            }
        }
        let store = Store::create(self.me, store::bits_for(len), len)?;
        let mut end = self.refill(&store, |position, value| match values[position as usize] {
            None => Some(value),
            Some(0) => None,
            replaced => replaced,
        });
        let mut number = self.it.next.load(Ordering::Relaxed);
        for step in steps {
            if let Step::Insert(i, word) = step {
                let key = todo[*i].key.make(self.me)?;
                store.write(end, todo[*i].hash, key, *word, number);
                store.index(todo[*i].hash, end);
                (end, number) = (end + 1, number + 1);
            }
        }
        let deferred_elements = deferred_elements::create(self.me, &dropped)?;
        self.move_to(&store, end, savepoint, |tx| {
            tx.set(&self.it.len, end);
            tx.set(&self.it.next, number);
            tx.set(&deferred_elements::at(self.me, deferred_elements).len, dropped.len() as u64);
            heap::defer_free(self.me, tx, deferred_elements);
            crash_point!("dict.applied_aside");
        });
        Ok(())
    }
}

/// A change, ready to be made.
struct Todo<'a> {
    key: &'a Key<'a>,
    change: Change<'a>,
    /// Of the value that is put.
    word: u64,
    hash: u64,
}

/// Which changes count: the last of each key, in the order in which the keys came first.
fn last_of_each(changes: &[(Key<'_>, Change<'_>)]) -> Vec<usize> {
    let mut place: HashMap<&Canonical<'_>, usize> = HashMap::with_capacity(changes.len());
    let mut chosen: Vec<usize> = Vec::with_capacity(changes.len());
    for (i, (key, _)) in changes.iter().enumerate() {
        match place.entry(key.canonical()) {
            std::collections::hash_map::Entry::Occupied(there) => chosen[*there.get()] = i,
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(chosen.len());
                chosen.push(i);
            }
        }
    }
    chosen
}
