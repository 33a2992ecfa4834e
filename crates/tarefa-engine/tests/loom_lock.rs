//! A model of `sync::cell` and `sync::wait`: the word with its owner's generation, the slot that says
//! whose it is, the sleepers' bit, the heir and the reservation, the notes of what a thread sleeps on and would take, waits
//! that end without the lock, and an owner, waiter or releaser that dies at any step.
//!
//! Time is left out: a thread that was overtaken once asks to be the next at once.

#![cfg(loom)]
#![allow(missing_docs)]

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use loom::sync::{Arc, Mutex};
use loom::thread::{self, Thread};

const HANDED: u32 = 1 << 30;
const SLEEPERS: u32 = 1 << 31;
const FLAGS: u32 = HANDED | SLEEPERS;
const THREADS: usize = 3;

/// Each is a process of its own, with one thread.
#[derive(Default)]
struct Slot {
    generation: AtomicU32,
    /// The name of its thread, once that has the slot.
    name: AtomicU32,
    interrupt: AtomicU32,
    waiting_on: AtomicBool,
    taking: AtomicBool,
}

struct Lock {
    word: AtomicU32,
    heir: AtomicU32,
    slots: [Slot; THREADS],
    /// The kernel's part: who sleeps on the word, in order, each on its `interrupt` as well.
    asleep: Mutex<Vec<(usize, Thread)>>,
    /// What the lock guards.
    data: UnsafeCell<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ended {
    Yes,
    OwnerDied,
    /// The deadline passed, or an interrupt came.
    Without,
}

/// How long a thread is ready to wait.
#[derive(Clone, Copy, PartialEq)]
enum Waits {
    Long,
    /// It is to sleep, but the deadline has passed.
    TimesOut,
    /// It is woken, and then interrupted.
    Interrupted,
}

/// The thread was killed: it does nothing more.
#[derive(Debug)]
struct Killed;

/// One of the threads, and how many steps it has left to live.
struct Member<'a> {
    lock: &'a Lock,
    index: usize,
    left: Option<u32>,
    announced: bool,
    slept: bool,
    overtaken: bool,
}

fn is_held(word: u32) -> bool {
    word & !SLEEPERS != 0 && word & HANDED == 0
}

impl Lock {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            word: AtomicU32::new(0),
            heir: AtomicU32::new(0),
            slots: [(); THREADS].map(|()| Slot::default()),
            asleep: Mutex::new(Vec::new()),
            data: UnsafeCell::new(0),
        })
    }

    /// The calling thread has that slot from now on: `slots::settle_thread`.
    fn member(&self, index: usize) -> Member<'_> {
        let lock = self;
        self.slots[index].name.store(self.name(index), Ordering::Release);
        Member { lock, index, left: None, announced: false, slept: false, overtaken: false }
    }

    /// `slots::lock_owner`.
    fn name(&self, index: usize) -> u32 {
        self.slots[index].generation.load(Ordering::Acquire) << 8 | (index as u32 + 1)
    }

    fn index_of(name: u32) -> usize {
        (name & 0xff) as usize - 1
    }

    /// `LockCell::lives` of a recursive lock, which asks the thread's slot too.
    fn lives(&self, name: u32) -> bool {
        let (index, name) = (Self::index_of(name), name & !FLAGS);
        self.name(index) == name && self.slots[index].name.load(Ordering::Acquire) == name
    }

    /// `LockCell::waits`.
    fn waits(&self, name: u32) -> bool {
        let slot = &self.slots[Self::index_of(name)];
        self.lives(name)
            && slot.waiting_on.load(Ordering::Acquire)
            && slot.taking.load(Ordering::Acquire)
    }

    fn cas(&self, from: u32, to: u32, order: Ordering) -> bool {
        self.word.compare_exchange(from, to, order, Ordering::Relaxed).is_ok()
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

    /// The supervisor's part: the generation, pokes, and the wake-up the dead may have owed.
    fn clean_up(&self, index: usize) {
        self.slots[index].generation.fetch_add(1, Ordering::AcqRel);
        if self.slots[index].waiting_on.load(Ordering::Acquire) {
            self.wake(THREADS);
        }
        fence(Ordering::SeqCst);
        for (other, slot) in self.slots.iter().enumerate() {
            if other != index && slot.waiting_on.load(Ordering::Acquire) {
                self.poke(other);
            }
        }
    }
}

impl Member<'_> {
    fn slot(&self) -> &Slot {
        &self.lock.slots[self.index]
    }

    fn mine(&self) -> u32 {
        self.lock.name(self.index)
    }

    /// A crash point.
    fn step(&mut self) -> Result<(), Killed> {
        match &mut self.left {
            Some(0) => return Err(Killed),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(())
    }

    /// `futex::wait_two`: compares and sleeps as one step.
    fn sleep(&self, expected: u32, interrupt: u32) {
        {
            let mut asleep = self.lock.asleep.lock().unwrap();
            if self.lock.word.load(Ordering::Relaxed) != expected
                || self.slot().interrupt.load(Ordering::Relaxed) != interrupt
            {
                return;
            }
            asleep.push((self.index, thread::current()));
        }
        while self.lock.asleep.lock().unwrap().iter().any(|(i, _)| *i == self.index) {
            thread::park();
        }
    }

    /// `wait::waking`.
    fn waking<T>(
        &mut self,
        change: impl FnOnce(&mut Self) -> Result<T, Killed>,
    ) -> Result<T, Killed> {
        let before = self.slot().waiting_on.load(Ordering::Relaxed);
        self.slot().waiting_on.store(true, Ordering::Release);
        self.step()?;
        let result = change(self)?;
        self.slot().waiting_on.store(before, Ordering::Release);
        self.step()?;
        Ok(result)
    }

    /// `Taking::attempt`: what was seen where somebody alive has it.
    fn attempt(&mut self) -> Result<Result<Ended, u32>, Killed> {
        loop {
            let seen = self.lock.word.load(Ordering::Acquire);
            let owner = seen & !SLEEPERS;
            let mine = self.mine();
            let new = if owner == 0 {
                mine | if self.slept { SLEEPERS } else { seen & SLEEPERS }
            } else if owner & HANDED != 0 {
                if owner != mine | HANDED && self.lock.waits(owner) {
                    return Ok(Err(seen));
                }
                mine | SLEEPERS
            } else if self.lock.lives(owner) {
                return Ok(Err(seen));
            } else {
                let freed = self.waking(|me| {
                    let freed = me.lock.cas(seen, 0, Ordering::AcqRel);
                    me.step()?;
                    if freed {
                        me.lock.wake(THREADS);
                    }
                    Ok(freed)
                })?;
                if freed {
                    return Ok(Ok(Ended::OwnerDied));
                }
                thread::yield_now();
                continue;
            };
            let taken = self.lock.cas(seen, new, Ordering::AcqRel);
            self.step()?;
            if taken {
                return Ok(Ok(Ended::Yes));
            }
            thread::yield_now();
        }
    }

    /// `Taking::announce`, and `Passing::announce` where `passes`.
    fn announce(&mut self, passes: bool) -> Result<Result<Ended, u32>, Killed> {
        self.announced = true;
        self.slot().taking.store(true, Ordering::Release);
        self.step()?;
        loop {
            let seen = match self.look(passes)? {
                Ok(ended) => return Ok(Ok(ended)),
                Err(seen) => seen,
            };
            if self.overtaken {
                let mine = self.mine();
                let heir = &self.lock.heir;
                let _ = heir.compare_exchange(0, mine, Ordering::Release, Ordering::Relaxed);
                self.step()?;
            }
            self.overtaken = true;
            self.slept = true;
            let marked = self.lock.cas(seen, seen | SLEEPERS, Ordering::Relaxed);
            self.step()?;
            if marked {
                return Ok(Err(seen | SLEEPERS));
            }
            thread::yield_now();
        }
    }

    fn look(&mut self, passes: bool) -> Result<Result<Ended, u32>, Killed> {
        if !passes {
            return self.attempt();
        }
        let seen = self.lock.word.load(Ordering::Acquire);
        let owner = seen & !SLEEPERS;
        let reserved = owner & HANDED != 0;
        let held = owner != 0
            && owner & !HANDED != self.mine()
            && self.lock.lives(owner)
            && (!reserved || self.lock.waits(owner));
        Ok(if held { Err(seen) } else { Ok(Ended::Yes) })
    }

    /// `wait::wait`, without spinning.
    fn wait(&mut self, waits: Waits, passes: bool) -> Result<Ended, Killed> {
        (self.announced, self.slept, self.overtaken) = (false, false, false);
        loop {
            let interrupt = self.slot().interrupt.load(Ordering::Acquire);
            if waits == Waits::Interrupted && self.slept {
                return Ok(Ended::Without);
            }
            self.slot().waiting_on.store(true, Ordering::Release);
            self.step()?;
            fence(Ordering::SeqCst);
            let result = loop {
                let value = match self.announce(passes)? {
                    Ok(ended) => break Some(ended),
                    Err(value) => value,
                };
                if waits == Waits::TimesOut {
                    thread::yield_now();
                    break Some(self.look(passes)?.unwrap_or(Ended::Without));
                }
                self.sleep(value, interrupt);
                self.step()?;
                if waits == Waits::Interrupted
                    || self.slot().interrupt.load(Ordering::Acquire) != interrupt
                {
                    break self.announce(passes)?.ok();
                }
            };
            self.slot().waiting_on.store(false, Ordering::Release);
            self.step()?;
            if let Some(result) = result {
                return Ok(result);
            }
        }
    }

    /// `Turn::leave`.
    fn leave(&mut self) -> Result<(), Killed> {
        if !self.announced {
            return Ok(());
        }
        self.slot().taking.store(false, Ordering::Release);
        self.step()?;
        fence(Ordering::SeqCst);
        let (mine, heir) = (self.mine(), &self.lock.heir);
        if heir.load(Ordering::Relaxed) == mine {
            let _ = heir.compare_exchange(mine, 0, Ordering::Relaxed, Ordering::Relaxed);
            self.step()?;
        }
        if self.lock.word.load(Ordering::Acquire) == mine | FLAGS {
            self.waking(|me| {
                let back = me.lock.cas(mine | FLAGS, 0, Ordering::AcqRel);
                me.step()?;
                if back {
                    me.lock.wake(1);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// `LockCell::acquire`.
    fn acquire(&mut self, waits: Waits) -> Result<Ended, Killed> {
        self.slept = false;
        // `LockCell::try_acquire`.
        let free = self.lock.cas(0, self.mine(), Ordering::AcqRel);
        self.step()?;
        if free {
            return Ok(Ended::Yes);
        }
        if let Ok(ended) = self.attempt()? {
            return Ok(ended);
        }
        let ended = self.wait(waits, false)?;
        self.leave()?;
        Ok(ended)
    }

    /// `LockCell::pass`; whether `act` was done.
    fn pass(&mut self, waits: Waits, act: impl FnOnce()) -> Result<bool, Killed> {
        let ended = self.wait(waits, true)?;
        if ended == Ended::Yes && self.lock.word.load(Ordering::Acquire) == self.mine() | FLAGS {
            self.waking(|_| {
                act();
                Ok(())
            })?;
            self.leave()?;
            return Ok(true);
        }
        let slept = self.slept;
        self.leave()?;
        if slept {
            self.waking(|me| {
                me.lock.wake(1);
                Ok(())
            })?;
        }
        if ended == Ended::Yes {
            act();
        }
        Ok(ended == Ended::Yes)
    }

    /// `LockCell::release`; false if nobody held it.
    fn release(&mut self) -> Result<bool, Killed> {
        let seen = self.lock.word.load(Ordering::Relaxed);
        if !is_held(seen) {
            return Ok(false);
        }
        if seen & FLAGS == 0 {
            let released = self.lock.cas(seen, 0, Ordering::Release);
            self.step()?;
            if released {
                return Ok(true);
            }
        }
        self.waking(|me| {
            loop {
                let seen = me.lock.word.load(Ordering::Relaxed);
                if !is_held(seen) {
                    return Ok(false);
                }
                let heir = me.lock.heir.load(Ordering::Acquire);
                let mut next = 0;
                if heir != 0 {
                    if me.lock.waits(heir) {
                        next = heir | FLAGS;
                    } else {
                        let order = Ordering::Relaxed;
                        let _ = me.lock.heir.compare_exchange(heir, 0, order, order);
                        me.step()?;
                    }
                }
                let released = me.lock.cas(seen, next, Ordering::SeqCst);
                me.step()?;
                if !released {
                    thread::yield_now();
                    continue;
                }
                if next == 0 {
                    me.lock.wake(1);
                } else {
                    me.wake_heir(heir)?;
                }
                return Ok(true);
            }
        })
    }

    fn wake_heir(&mut self, heir: u32) -> Result<(), Killed> {
        fence(Ordering::SeqCst);
        if self.lock.waits(heir) {
            self.lock.poke(Lock::index_of(heir));
            return Ok(());
        }
        let back = self.lock.cas(heir | FLAGS, 0, Ordering::AcqRel);
        self.step()?;
        if back {
            self.lock.wake(1);
        }
        Ok(())
    }

    /// Changes what the lock guards; loom finds two who do at once.
    fn section(&self) {
        self.lock.data.with_mut(|data| {
            // SAFETY: the lock is held; loom checks that nobody else is here.
            unsafe { *data += 1 };
        });
    }

    /// Until it has had the lock; how often it was told of a death.
    fn turn(&mut self) -> u32 {
        let mut told = 0;
        loop {
            match self.acquire(Waits::Long).unwrap() {
                Ended::OwnerDied => told += 1,
                Ended::Yes => break,
                Ended::Without => unreachable!(),
            }
        }
        self.section();
        assert!(self.release().unwrap());
        told
    }
}

fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Nobody is left waiting, and nothing of those who waited.
fn at_rest(lock: &Lock, held: bool) {
    assert_eq!(lock.word.load(Ordering::Relaxed) & !SLEEPERS != 0, held);
    assert_eq!(lock.heir.load(Ordering::Relaxed), 0);
    assert!(lock.asleep.lock().unwrap().is_empty());
}

fn spawn<T: 'static>(
    lock: &Arc<Lock>,
    index: usize,
    act: impl FnOnce(Member<'_>) -> T + 'static,
) -> thread::JoinHandle<T> {
    let lock = lock.clone();
    thread::spawn(move || act(lock.member(index)))
}

/// One takes the lock `times` times, two others once each.
#[test]
fn taken_by_turns() {
    for times in [1, 2] {
        check(3 - times, move || {
            let lock = Lock::new();
            let others = [1, 2].map(|i| spawn(&lock, i, |mut me| me.turn()));
            let mut me = lock.member(0);
            for _ in 0..times {
                assert_eq!(me.turn(), 0);
            }
            others.into_iter().for_each(|t| assert_eq!(t.join().unwrap(), 0));
            at_rest(&lock, false);
        });
    }
}

/// One of those who wait gives up, another goes on waiting: what was reserved for the first is
/// the second's.
#[test]
fn a_wait_that_ends_without_the_lock() {
    for waits in [Waits::TimesOut, Waits::Interrupted] {
        check(2, move || {
            let lock = Lock::new();
            let gives_up = spawn(&lock, 1, move |mut me| {
                if me.acquire(waits).unwrap() == Ended::Yes {
                    me.section();
                    assert!(me.release().unwrap());
                }
            });
            let waits = spawn(&lock, 2, |mut me| me.turn());
            let mut me = lock.member(0);
            me.turn();
            me.turn();
            gives_up.join().unwrap();
            waits.join().unwrap();
            at_rest(&lock, false);
        });
    }
}

/// Anybody may let go of a plain lock: as often as that happens, somebody else comes to take it.
#[test]
fn let_go_by_another() {
    check(2, || {
        let lock = Lock::new();
        let mut me = lock.member(0);
        assert_eq!(me.acquire(Waits::Long).unwrap(), Ended::Yes);
        let others = [1, 2].map(|i| {
            spawn(&lock, i, |mut me| assert_eq!(me.acquire(Waits::Long).unwrap(), Ended::Yes))
        });
        for _ in 0..2 {
            while !me.release().unwrap() {
                thread::yield_now();
            }
        }
        others.into_iter().for_each(|t| t.join().unwrap());
        at_rest(&lock, true);
    });
}

/// One waits for the lock to be free without taking it, another to take it.
#[test]
fn passing() {
    for waits in [Waits::Long, Waits::TimesOut] {
        check(2, move || {
            let lock = Lock::new();
            let passes = spawn(&lock, 1, move |mut me| {
                assert!(me.pass(waits, || ()).unwrap() || waits == Waits::TimesOut);
            });
            let takes = spawn(&lock, 2, |mut me| me.turn());
            let mut me = lock.member(0);
            me.turn();
            me.turn();
            passes.join().unwrap();
            takes.join().unwrap();
            at_rest(&lock, false);
        });
    }
}

/// What the one that is killed does, and whether it holds the lock meanwhile.
fn lives(me: &mut Member<'_>, twice: bool, told: &mut u32) -> Result<(), Killed> {
    for _ in 0..=u32::from(twice) {
        while me.acquire(Waits::Long)? == Ended::OwnerDied {
            *told += 1;
        }
        me.section();
        me.step()?;
        me.release()?;
    }
    Ok(())
}

/// The lock is let go once; each of the three threads may be the one that is killed.
fn killed_at(step: u32, twice: bool, rivals: usize) -> bool {
    let ended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = ended.clone();
    check(if rivals == 1 { 3 } else { 1 }, move || {
        let lock = Lock::new();
        let others: Vec<_> = (1..=rivals).map(|i| spawn(&lock, i, |mut me| me.turn())).collect();
        let mut me = lock.member(0);
        me.left = Some(step);
        let mut told = 0;
        let killed = lives(&mut me, twice, &mut told).is_err();
        if !killed {
            seen.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        let word = lock.word.load(Ordering::Relaxed) & !SLEEPERS;
        let held = word == lock.name(0);
        if killed {
            lock.clean_up(0);
        }
        let told: u32 = told + others.into_iter().map(|t| t.join().unwrap()).sum::<u32>();
        // The others may all have had it before the owner that dies.
        let told = told + lock.member(1).turn();
        assert_eq!(told, u32::from(killed && held), "the death of an owner is told once");
        let heir = lock.heir.load(Ordering::Relaxed);
        assert!(heir == 0 || !lock.lives(heir));
        assert_eq!(lock.word.load(Ordering::Relaxed) & !SLEEPERS, 0);
    });
    ended.load(std::sync::atomic::Ordering::Relaxed)
}

/// At every step, until it gets to the end in all interleavings.
fn killed_at_each(twice: bool, rivals: usize) {
    let mut whole = 0;
    for step in 0.. {
        whole = if killed_at(step, twice, rivals) { whole + 1 } else { 0 };
        if whole > 12 || step > 60 {
            return;
        }
    }
}

#[test]
fn killed_at_each_step_beside_one() {
    killed_at_each(true, 1);
}

#[test]
fn killed_at_each_step_beside_two() {
    killed_at_each(false, 2);
}
