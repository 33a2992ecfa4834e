//! A model of `sync::queue` with the semaphore and the condition on it: grants that are final
//! before they are told, words that are slept on, and a thread that dies at any step.
//!
//! The latch is a mutex: what a thread does inside and does not commit is rolled back before the
//! latch is free again, so a death in there is a death before it or one after its commit.

#![cfg(loom)]
#![allow(missing_docs)]

use loom::sync::atomic::{AtomicU32, Ordering, fence};
use loom::sync::{Arc, Mutex, MutexGuard};
use loom::thread::{self, Thread};

const THREADS: usize = 3;

const AWAKE: u32 = 0;
const DONE: u32 = 1;
const ASLEEP: u32 = 2;

#[derive(Clone, Copy, PartialEq, Debug)]
enum State {
    Waiting,
    Granted,
}

/// A thread's slot: each is a process of its own.
struct Slot {
    /// Whether the node is in use: its thread alone stores 0.
    object: AtomicU32,
    word: AtomicU32,
    interrupt: AtomicU32,
    waiting_on: AtomicU32,
}

/// What the latch guards.
struct Inside {
    /// Free permits; of a condition always 0.
    value: u32,
    queue: Vec<usize>,
    state: [State; THREADS],
    /// Of a condition: each waiter's ticket, or the horizon of its notification.
    detail: [u32; THREADS],
    tickets: u32,
    /// Who holds a permit that comes back.
    holds: [bool; THREADS],
}

struct Queue {
    latch: Mutex<Inside>,
    slots: [Slot; THREADS],
    /// The kernel's part: who sleeps, each on the word of its node and on its `interrupt`.
    asleep: Mutex<Vec<(usize, Thread)>>,
}

/// Where thread 0 is killed.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Death {
    Never,
    /// In the queue, before it sleeps.
    Queued,
    /// Woken, or made to look around.
    Woken,
    /// Granted, and seen so, but not taken.
    Granted,
    /// With what it waited for.
    Holding,
    /// It has made a permit free, and given it to nobody.
    Released,
    /// A grant is final, and not told.
    Committed,
    /// Told, and not woken.
    Told,
}

struct Killed;

impl Queue {
    fn new(value: u32) -> Arc<Self> {
        let slot = |()| Slot {
            object: AtomicU32::new(0),
            word: AtomicU32::new(AWAKE),
            interrupt: AtomicU32::new(0),
            waiting_on: AtomicU32::new(0),
        };
        let inside = Inside {
            value,
            queue: Vec::new(),
            state: [State::Waiting; THREADS],
            detail: [0; THREADS],
            tickets: 0,
            holds: [false; THREADS],
        };
        Arc::new(Self {
            latch: Mutex::new(inside),
            slots: [(); THREADS].map(slot),
            asleep: Mutex::new(Vec::new()),
        })
    }

    /// `FUTEX_WAKE` on the word of `index`, or on its `interrupt`.
    fn wake(&self, index: usize) {
        let woken = {
            let mut asleep = self.asleep.lock().unwrap();
            let at = asleep.iter().position(|(i, _)| *i == index);
            at.map(|at| asleep.remove(at))
        };
        woken.iter().for_each(|(_, thread)| thread.unpark());
    }

    /// `futex::wait_two`: compares and sleeps as one step.
    fn sleep(&self, index: usize, interrupt: u32) {
        let slot = &self.slots[index];
        {
            let mut asleep = self.asleep.lock().unwrap();
            if slot.word.load(Ordering::Relaxed) != ASLEEP
                || slot.interrupt.load(Ordering::Relaxed) != interrupt
            {
                return;
            }
            asleep.push((index, thread::current()));
        }
        while self.asleep.lock().unwrap().iter().any(|(i, _)| *i == index) {
            thread::park();
        }
    }

    /// `Waiter::tell`.
    fn tell(&self, index: usize, wakes: &mut Vec<usize>) {
        if self.slots[index].word.swap(DONE, Ordering::AcqRel) == ASLEEP {
            wakes.push(index);
        }
    }

    /// `Queued::settle` of a semaphore. False if the thread dies in there.
    fn settle(&self, inside: &mut Inside, wakes: &mut Vec<usize>, death: Death) -> bool {
        while inside.value > 0 && !inside.queue.is_empty() {
            inside.value -= 1;
            let next = inside.queue.remove(0);
            inside.state[next] = State::Granted;
            inside.holds[next] = true;
            if death == Death::Committed {
                return false;
            }
            self.tell(next, wakes);
        }
        true
    }

    /// `queue::locked`.
    fn locked<T>(&self, change: impl FnOnce(&mut Inside, &mut Vec<usize>) -> T) -> T {
        let mut wakes = Vec::new();
        let mut inside = self.latch.lock().unwrap();
        let result = change(&mut inside, &mut wakes);
        self.settle(&mut inside, &mut wakes, Death::Never);
        drop(inside);
        wakes.into_iter().for_each(|index| self.wake(index));
        result
    }

    fn enter(&self, inside: &mut Inside, index: usize) {
        self.slots[index].word.store(AWAKE, Ordering::Relaxed);
        self.slots[index].object.store(1, Ordering::Release);
        inside.state[index] = State::Waiting;
        inside.detail[index] = inside.tickets;
        inside.tickets += 1;
        inside.queue.push(index);
    }

    /// `wait::wait`, without spinning, on a node that has entered.
    fn wait(&self, index: usize, death: Death) -> Result<(), Killed> {
        let slot = &self.slots[index];
        if death == Death::Queued {
            return Err(Killed);
        }
        while slot.word.load(Ordering::Acquire) != DONE {
            let interrupt = slot.interrupt.load(Ordering::Acquire);
            slot.waiting_on.store(1, Ordering::Release);
            fence(Ordering::SeqCst);
            let over = loop {
                let waits = self.locked(|inside, wakes| {
                    self.settle(inside, wakes, Death::Never);
                    let waits = inside.state[index] == State::Waiting;
                    if waits {
                        slot.word.store(ASLEEP, Ordering::Release);
                    }
                    waits
                });
                if !waits {
                    break true;
                }
                self.sleep(index, interrupt);
                if death == Death::Woken {
                    return Err(Killed);
                }
                if slot.interrupt.load(Ordering::Acquire) != interrupt {
                    break false;
                }
            };
            slot.waiting_on.store(0, Ordering::Release);
            if over {
                break;
            }
        }
        if death == Death::Granted { Err(Killed) } else { Ok(()) }
    }

    /// `semaphore::acquire` of a permit that is held.
    fn acquire(&self, index: usize, death: Death) -> Result<(), Killed> {
        let taken = self.locked(|inside, _| {
            if inside.value > 0 && inside.queue.is_empty() {
                inside.value -= 1;
                inside.holds[index] = true;
                return true;
            }
            self.enter(inside, index);
            false
        });
        if !taken {
            self.wait(index, death)?;
            self.slots[index].object.store(0, Ordering::Release);
        }
        if death == Death::Holding { Err(Killed) } else { Ok(()) }
    }

    /// `semaphore::release_held`.
    fn release(&self, index: usize, death: Death) {
        let mut wakes = Vec::new();
        let mut inside = self.latch.lock().unwrap();
        inside.value += 1;
        inside.holds[index] = false;
        if death == Death::Released || !self.settle(&mut inside, &mut wakes, death) {
            return;
        }
        drop(inside);
        if death != Death::Told {
            wakes.into_iter().for_each(|index| self.wake(index));
        }
    }

    /// The cleaner: the node, the hold, and pokes for all who wait.
    fn clean_up(
        &self,
        index: usize,
        abandon: impl FnOnce(&mut MutexGuard<'_, Inside>, &mut Vec<usize>),
    ) {
        let mut wakes = Vec::new();
        let mut inside = self.latch.lock().unwrap();
        if self.slots[index].object.load(Ordering::Acquire) != 0 {
            abandon(&mut inside, &mut wakes);
            inside.queue.retain(|i| *i != index);
            self.slots[index].object.store(0, Ordering::Release);
        }
        if std::mem::take(&mut inside.holds[index]) {
            inside.value += 1;
        }
        self.settle(&mut inside, &mut wakes, Death::Never);
        drop(inside);
        wakes.into_iter().for_each(|index| self.wake(index));
        fence(Ordering::SeqCst);
        for (other, slot) in self.slots.iter().enumerate() {
            if other != index && slot.waiting_on.load(Ordering::Acquire) != 0 {
                slot.interrupt.fetch_add(1, Ordering::AcqRel);
                self.wake(other);
            }
        }
    }
}

fn check(run: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(run);
}

/// One permit, and all want it: at the end it is free.
fn semaphore(death: Death) {
    check(move || {
        let queue = Queue::new(1);
        let threads: Vec<_> = (1..THREADS)
            .map(|index| {
                let queue = queue.clone();
                thread::spawn(move || {
                    assert!(queue.acquire(index, Death::Never).is_ok());
                    queue.release(index, Death::Never);
                })
            })
            .collect();
        if queue.acquire(0, death).is_ok() {
            queue.release(0, death);
        }
        if death != Death::Never {
            // A permit that was granted is a hold by then.
            queue.clean_up(0, |_, _| ());
        }
        threads.into_iter().for_each(|t| t.join().unwrap());
        let inside = queue.latch.lock().unwrap();
        assert_eq!((inside.value, inside.queue.len()), (1, 0));
        assert_eq!(inside.holds, [false; THREADS]);
    });
}

#[test]
fn permits_when_nobody_dies() {
    semaphore(Death::Never);
}

#[test]
fn permits_of_one_that_dies_in_the_queue() {
    semaphore(Death::Queued);
    semaphore(Death::Woken);
}

#[test]
fn permits_of_one_that_dies_with_them() {
    semaphore(Death::Granted);
    semaphore(Death::Holding);
}

#[test]
fn permits_of_one_that_dies_giving_them_back() {
    semaphore(Death::Released);
    semaphore(Death::Committed);
    semaphore(Death::Told);
}

impl Queue {
    /// `condition::notify` of one.
    fn notify(&self, horizon: Option<u32>) {
        let mut wakes = Vec::new();
        let mut inside = self.latch.lock().unwrap();
        self.notify_in(&mut inside, horizon, &mut wakes);
        drop(inside);
        wakes.into_iter().for_each(|index| self.wake(index));
    }

    /// Notifies the first who came before `horizon`; `None` is now.
    fn notify_in(&self, inside: &mut Inside, horizon: Option<u32>, wakes: &mut Vec<usize>) {
        let horizon = horizon.unwrap_or(inside.tickets);
        let Some(first) = inside.queue.first().copied() else { return };
        if inside.detail[first] < horizon {
            inside.queue.remove(0);
            inside.state[first] = State::Granted;
            inside.detail[first] = horizon;
            self.tell(first, wakes);
        }
    }
}

/// Thread 0 waits first and dies; thread 1 waited as well (`two`) when one of them was notified;
/// thread 2 comes after that, and is notified by nobody.
fn condition(death: Death, two: bool) {
    check(move || {
        let queue = Queue::new(0);
        {
            let mut inside = queue.latch.lock().unwrap();
            queue.enter(&mut inside, 0);
            if two {
                queue.enter(&mut inside, 1);
            }
        }
        let second = two.then(|| {
            let queue = queue.clone();
            thread::spawn(move || {
                assert!(queue.wait(1, Death::Never).is_ok());
                queue.slots[1].object.store(0, Ordering::Release);
            })
        });
        let other = {
            let queue = queue.clone();
            thread::spawn(move || {
                queue.notify(None);
                let mut inside = queue.latch.lock().unwrap();
                queue.enter(&mut inside, 2);
            })
        };
        match queue.wait(0, death) {
            Ok(()) => {
                // It has the lock, and notifies the next.
                queue.slots[0].object.store(0, Ordering::Release);
                if two {
                    queue.notify(None);
                }
            }
            Err(Killed) => queue.clean_up(0, |inside, wakes| {
                if inside.state[0] == State::Granted {
                    let horizon = inside.detail[0];
                    queue.notify_in(inside, Some(horizon), wakes);
                }
            }),
        }
        second.map(|t| t.join().unwrap());
        other.join().unwrap();
        let inside = queue.latch.lock().unwrap();
        assert_eq!(inside.queue, [2], "who came later is left");
    });
}

#[test]
fn a_notification_is_passed_on() {
    for death in [Death::Never, Death::Queued, Death::Woken, Death::Granted] {
        condition(death, true);
    }
}

#[test]
fn a_notification_is_not_for_who_came_later() {
    // Killed once it was notified: nobody who waited then is left.
    condition(Death::Never, false);
    condition(Death::Granted, false);
}
