//! A model of the dict's reads without the latch: beside new keys, replaced values, deletions, a
//! move to another store whose old one is freed and used by somebody else, groups, and a writer
//! that dies.

#![cfg(loom)]
#![allow(missing_docs)]

use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use loom::sync::{Arc, Mutex};
use loom::thread;

const SLOTS: usize = 2;
const DUMMY: u64 = u64::MAX;
const NONSENSE: u64 = 999;

/// A slot is an entry's position plus 1; a key hashes to itself.
struct Store {
    slots: [AtomicU64; SLOTS],
    keys: [AtomicU64; SLOTS],
    values: [AtomicU64; SLOTS],
}

struct Dict {
    latch: Mutex<()>,
    version: AtomicU64,
    /// Which store; the engine keeps its bits in the same word.
    store: AtomicU64,
    len: AtomicU64,
    grouped: AtomicBool,
    stores: [Store; 2],
}

fn words() -> [AtomicU64; SLOTS] {
    [(); SLOTS].map(|()| AtomicU64::new(0))
}

impl Dict {
    /// Key 0 with the value 10.
    fn new() -> Arc<Self> {
        let stores = [(); 2].map(|()| Store { slots: words(), keys: words(), values: words() });
        let dict = Self {
            latch: Mutex::new(()),
            version: AtomicU64::new(0),
            store: AtomicU64::new(0),
            len: AtomicU64::new(1),
            grouped: AtomicBool::new(false),
            stores,
        };
        dict.stores[0].slots[0].store(1, Ordering::Relaxed);
        dict.stores[0].keys[0].store(100, Ordering::Relaxed);
        dict.stores[0].values[0].store(10, Ordering::Relaxed);
        Arc::new(dict)
    }

    fn current(&self) -> &Store {
        &self.stores[self.store.load(Ordering::Acquire) as usize]
    }

    /// `probe::find`, of a key that may be anywhere; 0 if it is not there.
    fn find(&self, key: u64) -> u64 {
        let store = self.current();
        for step in 0..SLOTS {
            let seen = store.slots[(key as usize + step) % SLOTS].load(Ordering::Acquire);
            if seen == 0 {
                return 0;
            }
            let position = seen.wrapping_sub(1) as usize;
            if position < SLOTS && store.keys[position].load(Ordering::Relaxed) == 100 + key {
                return store.values[position].load(Ordering::Acquire);
            }
        }
        0
    }

    /// `Dict::glance`, one look; `None` sends the reader to the latch.
    fn peek(&self, key: u64) -> Option<u64> {
        let version = self.version.load(Ordering::Acquire);
        if self.grouped.load(Ordering::Acquire) || version & 1 != 0 {
            return None;
        }
        let value = self.find(key);
        fence(Ordering::Acquire);
        (self.version.load(Ordering::Relaxed) == version).then_some(value)
    }

    /// `None` while another groups its operations.
    fn get(&self, key: u64) -> Option<u64> {
        if let Some(value) = self.peek(key) {
            return Some(value);
        }
        let _latch = self.latch.lock().unwrap();
        if self.grouped.load(Ordering::Acquire) {
            return None;
        }
        let version = self.version.load(Ordering::Relaxed);
        if version & 1 != 0 {
            self.version.store(version + 1, Ordering::Release);
        }
        Some(self.find(key))
    }

    fn changing(&self, change: impl FnOnce()) {
        let odd = self.version.load(Ordering::Relaxed) | 1;
        self.version.store(odd, Ordering::Relaxed);
        fence(Ordering::Release);
        change();
        self.version.store(odd + 1, Ordering::Release);
    }

    /// `Dict::replace` of a word by a word.
    fn replace(&self, value: u64) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 2, Ordering::Release);
        self.current().values[0].store(value, Ordering::Release);
    }

    /// Key 1 at position 1: the entry first, which nothing leads to.
    fn insert(&self, value: u64) {
        let _latch = self.latch.lock().unwrap();
        let store = self.current();
        store.keys[1].store(101, Ordering::Relaxed);
        store.values[1].store(value, Ordering::Relaxed);
        self.changing(|| {
            store.slots[1].store(2, Ordering::Release);
            self.len.store(2, Ordering::Release);
        });
    }

    /// Key 0.
    fn delete(&self) {
        let _latch = self.latch.lock().unwrap();
        let store = self.current();
        self.changing(|| {
            store.slots[0].store(DUMMY, Ordering::Release);
            store.keys[0].store(0, Ordering::Release);
            store.values[0].store(0, Ordering::Release);
            self.len.store(0, Ordering::Release);
        });
    }

    /// To the other store, in which key 0 is at position 1; the old one is somebody else's then.
    fn move_away(&self) {
        let _latch = self.latch.lock().unwrap();
        let (old, new) = (&self.stores[0], &self.stores[1]);
        new.keys[1].store(old.keys[0].load(Ordering::Relaxed), Ordering::Relaxed);
        new.values[1].store(old.values[0].load(Ordering::Relaxed), Ordering::Relaxed);
        new.slots[0].store(2, Ordering::Relaxed);
        self.changing(|| self.store.store(1, Ordering::Release));
        for word in old.slots.iter().chain(&old.keys).chain(&old.values) {
            word.store(NONSENSE, Ordering::Release);
        }
    }
}

fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(run);
}

/// Two reads of a key beside `write`: each is one of `may`, in that order.
fn reads(key: u64, may: &'static [u64], write: fn(&Dict)) {
    model(move || {
        let dict = Dict::new();
        let writer = {
            let dict = dict.clone();
            thread::spawn(move || write(&dict))
        };
        let (one, two) = (dict.get(key).unwrap(), dict.get(key).unwrap());
        let order = |value| may.iter().position(|m| *m == value);
        assert!(order(one).is_some() && order(two).is_some(), "{one}, {two}");
        assert!(order(one) <= order(two), "{one}, then {two}");
        writer.join().unwrap();
        assert_eq!(dict.get(key), may.last().copied());
    });
}

#[test]
fn a_new_key_beside_a_reader() {
    reads(1, &[0, 11], |dict| dict.insert(11));
}

#[test]
fn a_replaced_value_beside_a_reader() {
    reads(0, &[10, 12], |dict| {
        let _latch = dict.latch.lock().unwrap();
        dict.replace(12);
    });
}

#[test]
fn a_deletion_beside_a_reader() {
    reads(0, &[10, 0], Dict::delete);
}

#[test]
fn a_move_beside_a_reader() {
    reads(0, &[10], Dict::move_away);
}

#[test]
fn a_key_that_is_not_there_beside_a_move() {
    reads(1, &[0], Dict::move_away);
}

#[test]
fn what_was_deleted_and_put_in_again() {
    reads(0, &[10, 0, 13], |dict| {
        dict.delete();
        let _latch = dict.latch.lock().unwrap();
        let store = dict.current();
        store.keys[1].store(100, Ordering::Relaxed);
        store.values[1].store(13, Ordering::Relaxed);
        dict.changing(|| store.slots[0].store(2, Ordering::Release));
    });
}

#[test]
fn a_version_tells_of_every_change() {
    // Who has read a version and finds it again has missed nothing.
    model(|| {
        let dict = Dict::new();
        let writer = {
            let dict = dict.clone();
            thread::spawn(move || {
                let _latch = dict.latch.lock().unwrap();
                dict.replace(12);
            })
        };
        let (version, seen) = {
            let _latch = dict.latch.lock().unwrap();
            (dict.version.load(Ordering::Relaxed), dict.find(0))
        };
        {
            let _latch = dict.latch.lock().unwrap();
            if dict.version.load(Ordering::Relaxed) == version {
                assert_eq!(dict.find(0), seen);
            }
        }
        writer.join().unwrap();
    });
}

#[test]
fn nothing_is_seen_of_the_middle_of_a_group() {
    model(|| {
        let dict = Dict::new();
        let writer = {
            let dict = dict.clone();
            thread::spawn(move || {
                dict.grouped.store(true, Ordering::SeqCst);
                for value in [20, 21] {
                    let _latch = dict.latch.lock().unwrap();
                    dict.replace(value);
                }
                dict.grouped.store(false, Ordering::Release);
            })
        };
        // Waiting is not modelled: who is told to wait has seen nothing.
        let seen = [dict.get(0), dict.get(0)];
        for value in seen.into_iter().flatten() {
            assert!(value == 10 || value == 21, "{value}");
        }
        writer.join().unwrap();
        assert_eq!(dict.get(0), Some(21));
    });
}

#[test]
fn a_writer_dies() {
    model(|| {
        let dict = Dict::new();
        let writer = {
            let dict = dict.clone();
            thread::spawn(move || {
                let _latch = dict.latch.lock().unwrap();
                let store = dict.current();
                dict.version.store(1, Ordering::Relaxed);
                fence(Ordering::Release);
                store.values[0].store(NONSENSE, Ordering::Release);
                // Killed before its commit: undone before the latch is free.
                store.values[0].store(10, Ordering::Release);
            })
        };
        assert_eq!(dict.get(0), Some(10), "what was not committed is never seen");
        writer.join().unwrap();
        assert_eq!(dict.get(0), Some(10));
        assert_eq!(dict.version.load(Ordering::Relaxed), 2);
    });
}
