//! A model of `sync::lock` and `sync::wait`: the word with its owner's generation, the sleepers'
//! bit, the note of what a thread sleeps on, and an owner that dies at any step.

#![cfg(loom)]
#![allow(missing_docs)]

use loom::sync::atomic::{AtomicU32, Ordering, fence};
use loom::sync::{Arc, Mutex};
use loom::thread::{self, Thread};

const SLEEPERS: u32 = 1 << 31;
const THREADS: usize = 3;

/// Each is a process of its own, with one thread.
#[derive(Default)]
struct Slot {
    generation: AtomicU32,
    interrupt: AtomicU32,
    waiting_on: AtomicU32,
}

struct Lock {
    word: AtomicU32,
    slots: [Slot; THREADS],
    /// The kernel's part: who sleeps on the word, in order, each on its `interrupt` as well.
    asleep: Mutex<Vec<(usize, Thread)>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Death {
    Never,
    Holding,
    Released,
    Noted,
    Woken,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Acquired {
    Yes,
    OwnerDied,
    /// The thread was killed.
    Killed,
}

impl Lock {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            word: AtomicU32::new(0),
            slots: [(); THREADS].map(|()| Slot::default()),
            asleep: Mutex::new(Vec::new()),
        })
    }

    /// `slots::lock_owner`.
    fn name(&self, index: usize) -> u32 {
        self.slots[index].generation.load(Ordering::Acquire) << 8 | (index as u32 + 1)
    }

    fn lives(&self, name: u32) -> bool {
        self.name((name & 0xff) as usize - 1) == name
    }

    fn wake(&self, count: usize) {
        let woken: Vec<_> = {
            let mut asleep = self.asleep.lock().unwrap();
            let count = count.min(asleep.len());
            asleep.drain(..count).collect()
        };
        woken.iter().for_each(|(_, thread)| thread.unpark());
    }

    /// `wait::poke`.
    fn poke(&self, index: usize) {
        self.slots[index].interrupt.fetch_add(1, Ordering::AcqRel);
        let woken = {
            let mut asleep = self.asleep.lock().unwrap();
            let at = asleep.iter().position(|(i, _)| *i == index);
            at.map(|at| asleep.remove(at))
        };
        woken.iter().for_each(|(_, thread)| thread.unpark());
    }

    /// `futex::wait_two`: compares and sleeps as one step.
    fn sleep(&self, index: usize, expected: u32, interrupt: u32) {
        {
            let mut asleep = self.asleep.lock().unwrap();
            if self.word.load(Ordering::Relaxed) != expected
                || self.slots[index].interrupt.load(Ordering::Relaxed) != interrupt
            {
                return;
            }
            asleep.push((index, thread::current()));
        }
        while self.asleep.lock().unwrap().iter().any(|(i, _)| *i == index) {
            thread::park();
        }
    }

    /// `Taking::attempt`: what was seen where somebody alive has it.
    fn attempt(&self, index: usize, slept: bool) -> Result<Acquired, u32> {
        loop {
            let seen = self.word.load(Ordering::Relaxed);
            let owner = seen & !SLEEPERS;
            if owner != 0 && !self.lives(owner) {
                let swap =
                    self.word.compare_exchange(seen, 0, Ordering::Acquire, Ordering::Relaxed);
                if swap.is_ok() {
                    self.wake(THREADS);
                    return Ok(Acquired::OwnerDied);
                }
                thread::yield_now();
                continue;
            }
            if owner != 0 {
                return Err(seen);
            }
            let bit = (seen & SLEEPERS) | if slept { SLEEPERS } else { 0 };
            let new = self.name(index) | bit;
            let swap = self.word.compare_exchange(seen, new, Ordering::Acquire, Ordering::Relaxed);
            if swap.is_ok() {
                return Ok(Acquired::Yes);
            }
            thread::yield_now();
        }
    }

    fn acquire(&self, index: usize, death: Death) -> Acquired {
        let slot = &self.slots[index];
        let mut slept = false;
        loop {
            let interrupt = slot.interrupt.load(Ordering::Acquire);
            slot.waiting_on.store(1, Ordering::Release);
            fence(Ordering::SeqCst);
            let result = loop {
                let seen = match self.attempt(index, slept) {
                    Ok(acquired) => break Some(acquired),
                    Err(seen) => seen,
                };
                slept = true;
                let marked = seen | SLEEPERS;
                let swap =
                    self.word.compare_exchange(seen, marked, Ordering::Relaxed, Ordering::Relaxed);
                if swap.is_err() {
                    thread::yield_now();
                    continue;
                }
                if death == Death::Noted {
                    return Acquired::Killed;
                }
                self.sleep(index, marked, interrupt);
                if death == Death::Woken {
                    return Acquired::Killed;
                }
                if slot.interrupt.load(Ordering::Acquire) != interrupt {
                    break None;
                }
            };
            if let Some(result) = result {
                slot.waiting_on.store(0, Ordering::Release);
                return result;
            }
        }
    }

    fn release(&self, index: usize, death: Death) {
        self.slots[index].waiting_on.store(1, Ordering::Release);
        let before = self.word.swap(0, Ordering::Release);
        if death == Death::Released {
            return;
        }
        if before & SLEEPERS != 0 {
            self.wake(1);
        }
        self.slots[index].waiting_on.store(0, Ordering::Release);
    }

    /// The supervisor's part: the generation, pokes, and the wake-up the dead may have owed.
    fn clean_up(&self, index: usize) {
        self.slots[index].generation.fetch_add(1, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        for (other, slot) in self.slots.iter().enumerate() {
            if other != index && slot.waiting_on.load(Ordering::Acquire) != 0 {
                self.poke(other);
            }
        }
        if self.slots[index].waiting_on.load(Ordering::Acquire) != 0 {
            self.wake(THREADS);
        }
    }

    /// Until it has the lock; how often it was told of a death.
    fn section(&self, index: usize) -> u32 {
        let mut told = 0;
        while self.acquire(index, Death::Never) == Acquired::OwnerDied {
            told += 1;
        }
        self.release(index, Death::Never);
        told
    }
}

fn model(rivals: usize, death: Death) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(move || {
        let lock = Lock::new();
        let threads: Vec<_> = (1..=rivals)
            .map(|index| {
                let lock = lock.clone();
                thread::spawn(move || lock.section(index))
            })
            .collect();
        let got = lock.acquire(0, death);
        let held = got == Acquired::Yes && death == Death::Holding;
        if got == Acquired::Yes && !held {
            lock.release(0, death);
        }
        if death != Death::Never {
            lock.clean_up(0);
        }
        let told: u32 = threads.into_iter().map(|t| t.join().unwrap()).sum();
        // The others may all have had it before the owner that dies.
        let told = told + lock.section(1);
        assert_eq!(told, u32::from(held), "each death of an owner is told once");
        assert_eq!(lock.word.load(Ordering::Relaxed) & !SLEEPERS, 0);
    });
}

#[test]
fn nobody_dies() {
    model(2, Death::Never);
}

#[test]
fn death_of_the_owner() {
    model(2, Death::Holding);
}

#[test]
fn death_before_the_wake_up() {
    model(2, Death::Released);
}

#[test]
fn death_of_a_sleeper() {
    model(2, Death::Noted);
}

#[test]
fn death_of_the_woken() {
    model(2, Death::Woken);
}
