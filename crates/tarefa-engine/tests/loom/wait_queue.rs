//! The queue of waiters, by what is made of it: a semaphore's permits and a condition's
//! notifications, which are final before they are told; and a thread that dies anywhere.

use tarefa_engine::atomic::Ordering;
use tarefa_engine::atomic::model::{Model, give_up_at};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::arena::offset::Off;
use tarefa_engine::sync::condition::{self, Waited};
use tarefa_engine::sync::lock::word::{Acquired, Recursion};
use tarefa_engine::sync::wait::{Outcome, Plain};
use tarefa_engine::sync::{lock, semaphore};

use crate::support::{World, at_each_step, join};

/// One permit.
fn permit(root: &Member) -> Off {
    let off = semaphore::create(root).unwrap();
    semaphore::set_up(root, off, 1, true);
    off
}

/// Takes the permit, changes what it guards, and gives it back; `held`: it comes back by itself
/// if the process dies.
fn turn(me: &Member, off: Off, held: bool) {
    let got = semaphore::acquire(me, off, held, &mut Plain, Deadline::NEVER);
    assert_eq!(got, Ok(Outcome::Ready));
    let count = &me.header().roots[0];
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    let back = if held { semaphore::release_held(me, off) } else { semaphore::release(me, off, 1) };
    assert_eq!(back, Ok(()));
}

#[test]
pub(crate) fn a_permit_by_turns() {
    let world = World::<3>::new();
    let off = permit(&world.root);
    Model::new().preemptions(1).check(move |run| {
        world.begin();
        join([0, 1, 2].map(|i| world.spawn(run, i, move |me| turn(me, off, false))));
        let root = world.root;
        run.afterwards(move || {
            assert_eq!((semaphore::value(&root, off), semaphore::waiting(&root, off)), (1, 0));
            assert_eq!(root.header().roots[0].load(Ordering::Relaxed), 3);
        });
    });
}

/// One who waits gives up, another goes on waiting.
#[test]
pub(crate) fn a_permit_and_a_wait_that_times_out() {
    let world = World::<3>::new();
    let off = permit(&world.root);
    Model::new().preemptions(1).check(move |run| {
        world.begin();
        let gives_up = world.spawn(run, 1, move |me| {
            give_up_at(1);
            let got = semaphore::acquire(me, off, false, &mut Plain, Deadline::at(1)).unwrap();
            if got == Outcome::Ready {
                semaphore::release(me, off, 1).unwrap();
            }
        });
        let others = [0, 2].map(|i| world.spawn(run, i, move |me| turn(me, off, false)));
        gives_up.join();
        join(others);
        let root = world.root;
        run.afterwards(move || {
            assert_eq!((semaphore::value(&root, off), semaphore::waiting(&root, off)), (1, 0));
        });
    });
}

/// All want the permit, and one of them is killed: at the end it is free.
fn killed<const N: usize>(preemptions: usize) {
    let world = World::<N>::new();
    let off = permit(&world.root);
    at_each_step(|fate| {
        let fate = fate.clone();
        Model::new().preemptions(preemptions).check(move |run| {
            world.begin();
            let others: Vec<_> =
                (1..N).map(|i| world.spawn(run, i, move |me| turn(me, off, false))).collect();
            world.spawn_mortal(run, &fate, move |me| turn(me, off, true)).join();
            join(others);
            let root = world.root;
            run.afterwards(move || {
                assert_eq!((semaphore::value(&root, off), semaphore::waiting(&root, off)), (1, 0));
            });
        });
    });
}

#[test]
pub(crate) fn killed_beside_one_who_wants_the_permit() {
    killed::<2>(1);
}

/// A condition with its lock.
#[derive(Clone, Copy)]
struct Gate {
    condition: Off,
    lock: Off,
}

impl Gate {
    fn new(root: &Member) -> Self {
        let lock = lock::create(root, Recursion::Forbidden).unwrap();
        Self { condition: condition::create(root).unwrap(), lock }
    }

    fn lock(self, me: &Member) -> condition::Lock {
        condition::Lock::at(me, self.lock)
    }

    fn acquire(self, me: &Member) {
        let lock = self.lock(me);
        loop {
            match lock.cell.acquire(me, lock.recursion, lock.off, &mut Plain, Deadline::NEVER) {
                Acquired::Yes => return,
                Acquired::OwnerDied(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn release(self, me: &Member) {
        self.lock(me).cell.release(me, Recursion::Forbidden).unwrap();
    }

    fn notify(self, me: &Member) {
        condition::notify(me, self.condition, self.lock(me), 1).unwrap();
    }

    fn wait(self, me: &Member, deadline: Deadline) -> Waited {
        condition::wait(me, self.condition, self.lock(me), &mut Plain, deadline).unwrap()
    }

    /// Whether it is open, by the lock.
    fn open(self, me: &Member) -> bool {
        me.header().roots[0].load(Ordering::Relaxed) != 0
    }

    /// Waits until it is open, and tells the next.
    fn pass(self, me: &Member) {
        self.acquire(me);
        while !self.open(me) {
            self.wait(me, Deadline::NEVER);
        }
        self.notify(me);
        self.release(me);
    }

    /// Opens it, and tells the first.
    fn unlock(self, me: &Member) {
        self.acquire(me);
        me.header().roots[0].store(1, Ordering::Relaxed);
        self.notify(me);
        self.release(me);
    }
}

/// Two wait, the first who is told tells the next.
#[test]
pub(crate) fn a_notification_goes_round() {
    let world = World::<3>::new();
    let gate = Gate::new(&world.root);
    Model::new().preemptions(1).check(move |run| {
        world.begin();
        let waiters = [0, 1].map(|i| world.spawn(run, i, move |me| gate.pass(me)));
        let opens = world.spawn(run, 2, move |me| gate.unlock(me));
        opens.join();
        join(waiters);
        let root = world.root;
        run.afterwards(move || assert_eq!(condition::waiting(&root, gate.condition), 0));
    });
}

/// The same, but one of the two is killed: what it was told goes to the other.
#[test]
pub(crate) fn a_notification_of_one_that_is_killed_is_passed_on() {
    let world = World::<3>::new();
    let gate = Gate::new(&world.root);
    at_each_step(|fate| {
        let fate = fate.clone();
        Model::new().preemptions(0).check(move |run| {
            world.begin();
            let other = world.spawn(run, 1, move |me| gate.pass(me));
            let opens = world.spawn(run, 2, move |me| gate.unlock(me));
            world.spawn_mortal(run, &fate, move |me| gate.pass(me)).join();
            opens.join();
            other.join();
            let root = world.root;
            run.afterwards(move || assert_eq!(condition::waiting(&root, gate.condition), 0));
        });
    });
}

/// Who comes after a notification is not told of it, also when the one who was dies.
#[test]
pub(crate) fn a_notification_is_not_for_who_came_later() {
    let world = World::<3>::new();
    let gate = Gate::new(&world.root);
    at_each_step(|fate| {
        let fate = fate.clone();
        Model::new().preemptions(1).check(move |run| {
            world.begin();
            let waits = world.spawn_mortal(run, &fate, move |me| {
                gate.acquire(me);
                if !gate.open(me) {
                    gate.wait(me, Deadline::NEVER);
                }
                gate.release(me);
            });
            world.spawn(run, 2, move |me| gate.unlock(me)).join();
            let late = world.spawn(run, 1, move |me| {
                gate.acquire(me);
                give_up_at(1);
                let waited = gate.wait(me, Deadline::at(1));
                gate.release(me);
                waited
            });
            waits.join();
            assert_ne!(late.join(), Waited::Notified);
        });
    });
}
