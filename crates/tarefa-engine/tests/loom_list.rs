//! A model of the list's version: readers that take no latch, beside appends, changes in place
//! and tables that are replaced and freed; and a writer that dies with the version odd.

#![cfg(loom)]
#![allow(missing_docs)]

use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use loom::sync::{Arc, Mutex};
use loom::thread;

const POSITIONS: usize = 3;

/// A table that was freed may hold anything; readers still reach it.
type Table = [AtomicU64; POSITIONS];

struct List {
    latch: Mutex<()>,
    version: AtomicU64,
    len: AtomicU64,
    start: AtomicU64,
    table: AtomicUsize,
    tables: [Table; 2],
    /// The undo journal of a writer that died.
    undo: Mutex<Option<(usize, u64)>>,
    died: AtomicBool,
}

const NONSENSE: u64 = 999;

impl List {
    fn new(words: &[u64]) -> Arc<Self> {
        let list = Self {
            latch: Mutex::new(()),
            version: AtomicU64::new(0),
            len: AtomicU64::new(words.len() as u64),
            start: AtomicU64::new(0),
            table: AtomicUsize::new(0),
            tables: [(); 2].map(|()| [(); POSITIONS].map(|()| AtomicU64::new(0))),
            undo: Mutex::new(None),
            died: AtomicBool::new(false),
        };
        for (at, word) in list.tables[0].iter().zip(words) {
            at.store(*word, Ordering::Relaxed);
        }
        Arc::new(list)
    }

    /// `List::peek`: `None` sends the reader to the latch.
    fn peek(&self, index: u64) -> Option<Result<u64, u64>> {
        let version = self.version.load(Ordering::Acquire);
        if version & 1 != 0 {
            return None;
        }
        let len = self.len.load(Ordering::Acquire);
        if index >= len {
            return Some(Err(len));
        }
        let position = self.start.load(Ordering::Relaxed) + index;
        let table = &self.tables[self.table.load(Ordering::Acquire)];
        let word = table.get(position as usize)?.load(Ordering::Acquire);
        fence(Ordering::Acquire);
        let same = self.version.load(Ordering::Relaxed) == version;
        (same && word != 0).then_some(Ok(word))
    }

    fn get(&self, index: u64) -> Result<u64, u64> {
        if let Some(result) = self.peek(index) {
            return result;
        }
        let _latch = self.latch.lock().unwrap();
        self.recover();
        let len = self.len.load(Ordering::Relaxed);
        if index >= len {
            return Err(len);
        }
        let position = self.start.load(Ordering::Relaxed) + index;
        let table = &self.tables[self.table.load(Ordering::Relaxed)];
        Ok(table[position as usize].load(Ordering::Relaxed))
    }

    fn changing(&self, change: impl FnOnce() -> bool) {
        let odd = self.version.load(Ordering::Relaxed) | 1;
        self.version.store(odd, Ordering::Relaxed);
        fence(Ordering::Release);
        if change() {
            self.version.store(odd + 1, Ordering::Release);
        }
    }

    /// The cleaner's part, before it frees the latch, and `mend_version`.
    fn recover(&self) {
        if let Some((at, old)) = self.undo.lock().unwrap().take() {
            self.tables[0][at].store(old, Ordering::Release);
        }
        let version = self.version.load(Ordering::Relaxed);
        if version & 1 != 0 {
            self.version.store(version + 1, Ordering::Release);
        }
    }

    fn append(&self, word: u64) {
        let _latch = self.latch.lock().unwrap();
        let len = self.len.load(Ordering::Relaxed);
        let position = self.start.load(Ordering::Relaxed) + len;
        let table = &self.tables[self.table.load(Ordering::Relaxed)];
        table[position as usize].store(word, Ordering::Relaxed);
        self.len.store(len + 1, Ordering::Release);
    }

    /// With `dies`, the writer is killed between the change and its commit.
    fn set(&self, index: u64, word: u64, dies: bool) {
        let _latch = self.latch.lock().unwrap();
        let at = (self.start.load(Ordering::Relaxed) + index) as usize;
        let place = &self.tables[self.table.load(Ordering::Relaxed)][at];
        self.changing(|| {
            let old = place.load(Ordering::Relaxed);
            if dies {
                *self.undo.lock().unwrap() = Some((at, old));
            }
            place.store(word, Ordering::Release);
            !dies
        });
        if dies {
            self.died.store(true, Ordering::Relaxed);
            // Undone before the latch is free.
            if let Some((at, old)) = self.undo.lock().unwrap().take() {
                self.tables[0][at].store(old, Ordering::Release);
            }
        }
    }

    /// `remove(0)`.
    fn take_first(&self) {
        let _latch = self.latch.lock().unwrap();
        self.changing(|| {
            self.start.store(self.start.load(Ordering::Relaxed) + 1, Ordering::Release);
            self.len.store(self.len.load(Ordering::Relaxed) - 1, Ordering::Release);
            true
        });
    }

    /// `rebuild`: a new table, and the old one is freed and used by somebody else.
    fn rebuild(&self, words: &[u64]) {
        let _latch = self.latch.lock().unwrap();
        for (at, word) in self.tables[1].iter().zip(words) {
            at.store(*word, Ordering::Relaxed);
        }
        self.changing(|| {
            self.table.store(1, Ordering::Release);
            self.start.store(0, Ordering::Release);
            self.len.store(words.len() as u64, Ordering::Release);
            true
        });
        for at in &self.tables[0] {
            at.store(NONSENSE, Ordering::Release);
        }
    }
}

fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(run);
}

/// Reads beside `write`; each of the elements read must be one of `may`.
fn reads(first: &'static [u64], index: u64, may: &'static [Result<u64, u64>], write: fn(&List)) {
    model(move || {
        let list = List::new(first);
        let writer = {
            let list = list.clone();
            thread::spawn(move || write(&list))
        };
        let (one, two) = (list.get(index), list.get(index));
        assert!(may.contains(&one), "{one:?}");
        assert!(may.contains(&two), "{two:?}");
        let order = |r: Result<u64, u64>| may.iter().position(|m| *m == r);
        assert!(order(one) <= order(two), "{one:?}, then {two:?}");
        writer.join().unwrap();
        assert!(may.contains(&list.get(index)));
    });
}

#[test]
fn append_beside_a_reader() {
    reads(&[1], 1, &[Err(1), Ok(2)], |list| list.append(2));
}

#[test]
fn set_beside_a_reader() {
    reads(&[1, 2], 0, &[Ok(1), Ok(3)], |list| list.set(0, 3, false));
}

#[test]
fn taking_the_first_beside_a_reader() {
    reads(&[1, 2], 0, &[Ok(1), Ok(2)], List::take_first);
}

#[test]
fn taking_the_last_but_one_and_an_append() {
    reads(&[1, 2], 1, &[Ok(2), Err(1), Ok(3)], |list| {
        list.take_first();
        list.append(3);
    });
}

#[test]
fn a_new_table_beside_a_reader() {
    reads(&[1, 2], 1, &[Ok(2), Ok(5)], |list| list.rebuild(&[4, 5]));
}

#[test]
fn two_changes_beside_a_reader() {
    reads(&[1], 0, &[Ok(1), Ok(2), Ok(4)], |list| {
        list.set(0, 2, false);
        list.rebuild(&[4]);
    });
}

#[test]
fn a_writer_dies() {
    model(|| {
        let list = List::new(&[1, 2]);
        let writer = {
            let list = list.clone();
            thread::spawn(move || list.set(0, 3, true))
        };
        assert_eq!(list.get(0), Ok(1), "what was not committed is never seen");
        writer.join().unwrap();
        assert!(list.died.load(Ordering::Relaxed));
        assert_eq!(list.get(0), Ok(1));
        assert_eq!(list.version.load(Ordering::Relaxed), 2);
    });
}
