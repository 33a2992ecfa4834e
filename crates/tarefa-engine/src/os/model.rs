//! What stands in for the system in a model: the kernel's part of a sleep, and time.
//!
//! A word that is slept on has a bucket of sleepers with a lock of its own, as in the kernel. Who
//! sleeps compares the word with the lock taken, and who wakes takes it after the word has changed:
//! so one of the two sees the other. A sleep on several words is in several buckets, and ends by
//! the first wake-up in any.
//!
//! Nothing wakes a thread without cause, and no deadline passes, unless
//! [`model::give_up_at`] says so. A clock moves by being looked at.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use loom::sync::Mutex;

use super::linux::Linux;
use super::system::{System, Woken};
use crate::atomic::{AtomicU32, model};

pub(super) struct Model;

struct Sleeper {
    thread: loom::thread::Thread,
    woken: Cell<bool>,
}

type Bucket = Mutex<Vec<Rc<Sleeper>>>;

/// The buckets of one execution.
#[derive(Default)]
struct Kernel {
    execution: u64,
    buckets: HashMap<usize, Rc<Bucket>>,
}

thread_local! {
    static KERNEL: RefCell<Kernel> = RefCell::default();
}

fn bucket(word: &AtomicU32) -> Rc<Bucket> {
    KERNEL.with_borrow_mut(|kernel| {
        if kernel.execution != model::execution() {
            *kernel = Kernel { execution: model::execution(), ..Kernel::default() };
        }
        kernel.buckets.entry(word.as_ptr() as usize).or_default().clone()
    })
}

fn locked<T>(bucket: &Bucket, act: impl FnOnce(&mut Vec<Rc<Sleeper>>) -> T) -> T {
    let mut sleepers = model::switching(|| bucket.lock()).expect("nobody panics inside");
    let result = act(&mut sleepers);
    model::switching(|| drop(sleepers));
    result
}

impl System for Model {
    fn now_ns() -> u64 {
        if model::running() { model::now_ns() } else { Linux::now_ns() }
    }

    fn coarse_ns() -> u64 {
        Self::now_ns()
    }

    fn wait(words: &[(&AtomicU32, u32)], until: Option<u64>) -> Woken {
        if !model::running() {
            return Linux::wait(words, until);
        }
        if model::gone() {
            return Woken::Woken;
        }
        model::step();
        let thread = model::switching(loom::thread::current);
        let sleeper = Rc::new(Sleeper { thread, woken: Cell::new(false) });
        let buckets: Vec<_> = words.iter().map(|(word, _)| bucket(word)).collect();
        let holds = words.iter().zip(&buckets).all(|((word, expected), bucket)| {
            locked(bucket, |sleepers| {
                let holds = model::load_half(word.as_ptr()) == *expected;
                if holds {
                    sleepers.push(sleeper.clone());
                }
                holds
            })
        });
        let passes = until.is_some_and(model::gives_up);
        while holds && !passes && !sleeper.woken.get() {
            model::switching(loom::thread::park);
        }
        for bucket in buckets {
            locked(&bucket, |sleepers| sleepers.retain(|other| !Rc::ptr_eq(other, &sleeper)));
        }
        // Killed with the wake-up taken.
        model::step();
        if holds && !sleeper.woken.get() { Woken::TimedOut } else { Woken::Woken }
    }

    fn wake(word: &AtomicU32, count: i32) -> i32 {
        if !model::running() {
            return Linux::wake(word, count);
        }
        if model::gone() {
            return 0;
        }
        model::step();
        let woken: Vec<_> = locked(&bucket(word), |sleepers| {
            sleepers.drain(..sleepers.len().min(count as usize)).collect()
        });
        let count = woken.len() as i32;
        for sleeper in woken {
            sleeper.woken.set(true);
            model::switching(|| sleeper.thread.unpark());
        }
        count
    }

    fn yield_now() {
        if model::running() && !model::gone() {
            model::switching(loom::thread::yield_now);
        } else {
            Linux::yield_now();
        }
    }
}
