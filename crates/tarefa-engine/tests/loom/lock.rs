//! The lock: its word with the owner's generation, the sleepers' bit, the successor and the
//! hand-over, waits that end without the lock, and an owner, waiter or releaser that dies anywhere.
//!
//! A clock that leaps makes every thread that was overtaken once ask to be the next.

use tarefa_engine::atomic::Ordering;
use tarefa_engine::atomic::model::{Model, give_up_at};
use tarefa_engine::os::clock::{Deadline, now_ns};
use tarefa_engine::os::process;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::arena::offset::Off;
use tarefa_engine::sync::lock::handoff::PATIENCE_NS;
use tarefa_engine::sync::lock::word::{LockWord, Recursion};
use tarefa_engine::sync::lock::{self, Acquired};
use tarefa_engine::sync::wait::{self, BlockingHooks, Plain};

use crate::support::{World, at_each_step, join};

const FREE: Recursion = Recursion::Forbidden;

#[derive(Clone, Copy)]
struct Lock {
    off: Off,
    recursion: Recursion,
}

impl Lock {
    fn new(root: &Member, recursion: Recursion) -> Self {
        Self { off: lock::create(root, recursion).unwrap(), recursion }
    }

    fn word(self, me: &Member) -> &'static LockWord {
        lock::cell(me, self.off)
    }

    fn acquire(self, me: &Member, hooks: &mut dyn BlockingHooks, deadline: Deadline) -> Acquired {
        self.word(me).acquire(me, self.recursion, self.off, hooks, deadline)
    }

    /// Until the thread has it; how often it was told of a death.
    fn take(self, me: &Member) -> u32 {
        let mut told = 0;
        loop {
            match self.acquire(me, &mut Plain, Deadline::NEVER) {
                Acquired::Yes => return told,
                Acquired::OwnerDied(_) => told += 1,
                other => unreachable!("{other:?}"),
            }
        }
    }

    fn release(self, me: &Member) {
        self.word(me).release(me, self.recursion).unwrap();
    }

    fn turn(self, me: &Member) -> u32 {
        let told = self.take(me);
        section(me);
        self.release(me);
        told
    }
}

/// What the lock guards: only the lock makes it right that nobody's change is lost.
fn section(me: &Member) {
    let count = &me.header().roots[0];
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

fn sections(me: &Member) -> u64 {
    me.header().roots[0].load(Ordering::Relaxed)
}

fn model(preemptions: usize) -> Model {
    Model::new().preemptions(preemptions).tick(2 * PATIENCE_NS)
}

/// One takes the lock `times` times, two others once each.
fn turns(times: u64, preemptions: usize, recursion: Recursion) {
    let world = World::<3>::new();
    let lock = Lock::new(&world.root, recursion);
    model(preemptions).check(move |run| {
        world.begin();
        let others = [1, 2].map(|i| world.spawn(run, i, move |me| lock.turn(me)));
        let told = world.spawn(run, 0, move |me| (0..times).map(|_| lock.turn(me)).sum::<u32>());
        assert_eq!(told.join() + join(others).iter().sum::<u32>(), 0);
        let root = world.root;
        run.afterwards(move || {
            assert_eq!(sections(&root), times + 2);
            assert!(!lock.word(&root).locked(&root, recursion));
            assert_eq!(lock.word(&root).try_acquire(&root, recursion), Some(Acquired::Yes));
        });
    });
}

#[test]
pub(crate) fn by_turns() {
    turns(1, 2, FREE);
    turns(2, 1, FREE);
}

#[test]
pub(crate) fn a_recursive_one_by_turns() {
    turns(1, 1, Recursion::Allowed);
}

/// Interrupts the wait as soon as it has slept.
struct Interrupts {
    slept: bool,
}

impl BlockingHooks for Interrupts {
    fn release(&mut self, sleep: &mut dyn FnMut()) {
        sleep();
        self.slept = true;
    }

    fn interrupted(&mut self) -> bool {
        self.slept
    }
}

/// One of those who wait gives up, another goes on waiting: what was reserved for the first is
/// the second's.
fn without_the_lock(times_out: bool, preemptions: usize) {
    let world = World::<3>::new();
    let lock = Lock::new(&world.root, FREE);
    model(preemptions).check(move |run| {
        world.begin();
        let gives_up = world.spawn(run, 1, move |me| {
            let got = if times_out {
                give_up_at(1);
                lock.acquire(me, &mut Plain, Deadline::at(1))
            } else {
                lock.acquire(me, &mut Interrupts { slept: false }, Deadline::NEVER)
            };
            if got == Acquired::Yes {
                section(me);
                lock.release(me);
            }
        });
        let waits = world.spawn(run, 2, move |me| lock.turn(me));
        let interrupted = world.members[1].index();
        let me = world.spawn(run, 0, move |me| {
            lock.turn(me);
            if !times_out {
                wait::wake(me, interrupted);
            }
            lock.turn(me);
        });
        me.join();
        gives_up.join();
        waits.join();
        let root = world.root;
        run.afterwards(move || assert!(!lock.word(&root).locked(&root, FREE)));
    });
}

#[test]
pub(crate) fn a_wait_that_times_out() {
    without_the_lock(true, 1);
}

#[test]
pub(crate) fn a_wait_that_is_interrupted() {
    without_the_lock(false, 1);
}

/// Anybody may let go of a plain lock: as often as that happens, somebody else comes to take it.
#[test]
pub(crate) fn let_go_by_another() {
    let world = World::<3>::new();
    let lock = Lock::new(&world.root, FREE);
    lock.take(&world.members[0]);
    model(1).check(move |run| {
        world.begin();
        let others = [1, 2].map(|i| world.spawn(run, i, move |me| lock.take(me)));
        let me = world.spawn(run, 0, move |me| {
            for _ in 0..2 {
                while lock.word(me).release(me, FREE).is_err() {
                    process::yield_now();
                }
            }
        });
        me.join();
        join(others);
        let root = world.root;
        run.afterwards(move || assert!(lock.word(&root).locked(&root, FREE)));
    });
}

/// One waits for the lock to be free without taking it, another to take it.
#[test]
pub(crate) fn waiting_until_it_is_free() {
    for times_out in [false, true] {
        let world = World::<3>::new();
        let lock = Lock::new(&world.root, Recursion::Allowed);
        model(1).check(move |run| {
            world.begin();
            let waits = world.spawn(run, 1, move |me| {
                let deadline = if times_out { Deadline::at(1) } else { Deadline::NEVER };
                give_up_at(u64::from(times_out));
                let (word, began) = (lock.word(me), now_ns());
                let done = word.wait_unlocked(me, lock.off, &mut Plain, deadline, began, || ());
                assert!(done.is_ok() || times_out);
            });
            let takes = world.spawn(run, 2, move |me| lock.turn(me));
            let me = world.spawn(run, 0, move |me| lock.turn(me) + lock.turn(me));
            me.join();
            waits.join();
            takes.join();
            let root = world.root;
            run.afterwards(move || {
                assert_eq!(sections(&root), 3);
                assert!(!lock.word(&root).locked(&root, Recursion::Allowed));
            });
        });
    }
}

/// One is killed, in its first or second turn: its death is told once, if it had the lock, and
/// never otherwise.
fn killed<const N: usize>(times: u32, preemptions: usize) {
    let world = World::<N>::new();
    let lock = Lock::new(&world.root, FREE);
    at_each_step(|fate| {
        let fate = fate.clone();
        model(preemptions).check(move |run| {
            world.begin();
            let others: Vec<_> =
                (1..N).map(|i| world.spawn(run, i, move |me| lock.turn(me))).collect();
            let had_it = move |me: &Member| lock.word(me).is_mine(me);
            let (held, result) = world
                .spawn_mortal_and(run, &fate, had_it, move |me| {
                    (0..times).map(|_| lock.turn(me)).sum::<u32>()
                })
                .join();
            let told = result.unwrap_or(0) + join(others).iter().sum::<u32>();
            let root = world.root;
            run.afterwards(move || {
                let told = told + lock.turn(&root);
                assert_eq!(told, u32::from(held), "the death of an owner is told once");
                assert!(!lock.word(&root).locked(&root, FREE));
            });
        });
    });
}

#[test]
pub(crate) fn killed_beside_one() {
    killed::<2>(2, 2);
}

#[test]
pub(crate) fn killed_beside_two() {
    killed::<3>(1, 1);
}
