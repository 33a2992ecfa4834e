//! A model of `shm::latch`: the word, the sleepers' bit, and a holder that dies at any step.
//!
//! Loom tries all interleavings; a lost wake-up
//! shows as a deadlock.

#![cfg(loom)]
#![allow(missing_docs)]

use loom::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread::{self, Thread};

const SLEEPERS: u32 = 1 << 31;

/// The kernel's part: compares and sleeps as one step.
struct Futex(Mutex<Vec<Thread>>);

impl Futex {
    fn wait(&self, word: &AtomicU32, expected: u32) {
        let me = thread::current();
        {
            let mut asleep = self.0.lock().unwrap();
            if word.load(Ordering::Relaxed) != expected {
                return;
            }
            asleep.push(me.clone());
        }
        while self.0.lock().unwrap().iter().any(|t| t.id() == me.id()) {
            thread::park();
        }
    }

    fn wake(&self, count: usize) {
        let woken: Vec<_> = {
            let mut asleep = self.0.lock().unwrap();
            let count = count.min(asleep.len());
            asleep.drain(..count).collect()
        };
        woken.iter().for_each(Thread::unpark);
    }
}

struct Latch {
    word: AtomicU32,
    futex: Futex,
    /// What `held` says in each thread's slot.
    held: [AtomicU32; 4],
    inside: AtomicUsize,
    /// Changed without a read-modify-write: only the latch makes that right.
    count: AtomicUsize,
}

/// Where a thread is killed.
#[derive(Clone, Copy, PartialEq)]
enum Death {
    Never,
    Intending,
    Holding,
    Released,
    Marked,
    Woken,
}

impl Latch {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            word: AtomicU32::new(0),
            futex: Futex(Mutex::new(Vec::new())),
            held: [(); 4].map(|()| AtomicU32::new(0)),
            inside: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
        })
    }

    /// Takes the latch, adds one, lets go; true if the thread died on the way.
    fn section(&self, index: u32, death: Death) -> bool {
        self.held[index as usize].store(1, Ordering::Release);
        if death == Death::Intending {
            return true;
        }
        let mine = index + 1;
        if self.word.compare_exchange(0, mine, Ordering::AcqRel, Ordering::Relaxed).is_err()
            && self.lock_slow(mine, death)
        {
            return true;
        }
        assert_eq!(self.inside.fetch_add(1, Ordering::Relaxed), 0, "two are inside");
        if death == Death::Holding {
            return true;
        }
        self.count.store(self.count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.inside.fetch_sub(1, Ordering::Relaxed);
        let before = self.word.swap(0, Ordering::Release);
        if death == Death::Released {
            return true;
        }
        if before & SLEEPERS != 0 {
            self.futex.wake(1);
        }
        self.held[index as usize].store(0, Ordering::Release);
        false
    }

    fn lock_slow(&self, mine: u32, death: Death) -> bool {
        loop {
            let seen = self.word.load(Ordering::Relaxed);
            if seen == 0 {
                let taken = mine | SLEEPERS;
                let swap =
                    self.word.compare_exchange(0, taken, Ordering::AcqRel, Ordering::Relaxed);
                if swap.is_ok() {
                    return false;
                }
                thread::yield_now();
                continue;
            }
            if seen & SLEEPERS == 0 {
                let marked = seen | SLEEPERS;
                let swap =
                    self.word.compare_exchange(seen, marked, Ordering::Relaxed, Ordering::Relaxed);
                if swap.is_err() {
                    thread::yield_now();
                    continue;
                }
            }
            if death == Death::Marked {
                return true;
            }
            self.futex.wait(&self.word, seen | SLEEPERS);
            if death == Death::Woken {
                return true;
            }
        }
    }

    /// `reclaim::release_latches`.
    fn clean_up(&self, index: u32) {
        if self.held[index as usize].load(Ordering::Acquire) == 0 {
            return;
        }
        let seen = self.word.load(Ordering::Acquire);
        if seen & !SLEEPERS == index + 1 {
            // The journal's part: what the dead had begun is undone.
            self.inside.store(0, Ordering::Relaxed);
            self.word.swap(0, Ordering::Release);
        }
        self.futex.wake(4);
        self.held[index as usize].store(0, Ordering::Release);
    }
}

/// One thread dies as `death` says and is cleaned up after, beside `others` that must get through.
fn model(others: u32, death: Death) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let latch = Latch::new();
        let rivals: Vec<_> = (1..=others)
            .map(|index| {
                let latch = latch.clone();
                thread::spawn(move || assert!(!latch.section(index, Death::Never)))
            })
            .collect();
        let died = latch.section(0, death);
        if died {
            latch.clean_up(0);
        }
        rivals.into_iter().for_each(|t| t.join().unwrap());
        let all = latch.count.load(Ordering::Relaxed) as u32;
        assert!(all >= others && all <= others + 1);
        assert_eq!(latch.word.load(Ordering::Relaxed) & !SLEEPERS, 0);
    });
}

#[test]
fn nobody_dies() {
    model(2, Death::Never);
}

#[test]
fn death_after_the_intent() {
    model(2, Death::Intending);
}

#[test]
fn death_of_the_holder() {
    model(2, Death::Holding);
}

#[test]
fn death_before_the_wake_up() {
    model(2, Death::Released);
}

#[test]
fn death_of_a_sleeper() {
    model(2, Death::Marked);
}

#[test]
fn death_of_the_woken() {
    model(2, Death::Woken);
}
