//! The queue of messages: what one end publishes and the other reads without its latch, sleeps and
//! wake-ups at the gates, and a thread that dies anywhere.

use tarefa_engine::atomic::model::Model;
use tarefa_engine::channel::{Content, MAX_BYTES, Order, Queue, queue};
use tarefa_engine::collections::value::{self, Item, Small};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::arena::offset::Off;
use tarefa_engine::sync::wait::Plain;

use crate::support::{World, at_each_step, join};

/// A queue whose ring and notes are made.
fn made(root: &Member, maxsize: u64) -> Off {
    tarefa_engine::channel::register();
    let off = queue::create(root, Order::Fifo).unwrap();
    put(root, off, 0);
    assert_eq!(get(root, off), 0);
    Queue::at(root, off).task_done().unwrap();
    Queue::at(root, off).set_bounds(maxsize, MAX_BYTES);
    off
}

fn put(me: &Member, off: Off, n: i64) {
    let item = Item::Word(value::int_word(n).unwrap());
    Queue::at(me, off).put(item, &mut Plain, Deadline::NEVER).unwrap();
}

fn get(me: &Member, off: Off) -> i64 {
    let taken = Queue::at(me, off).get(&mut Plain, Deadline::NEVER).unwrap();
    match taken.contents().next() {
        Some(Content::Word(word)) => match value::small(word) {
            Small::Int(n) => n,
            other => panic!("a message that nobody put: {other:?}"),
        },
        other => panic!("a message that nobody put: {other:?}"),
    }
}

/// Who takes sleeps, or does not, until each message comes.
#[test]
pub(crate) fn a_producer_beside_a_consumer() {
    let world = World::<2>::new();
    let off = made(&world.root, 0);
    Model::new().preemptions(2).check(move |run| {
        world.begin();
        let puts = world.spawn(run, 0, move |me| (1..3).for_each(|n| put(me, off, n)));
        let got = world.spawn(run, 1, move |me| [get(me, off), get(me, off)]);
        puts.join();
        assert_eq!(got.join(), [1, 2]);
        let root = world.root;
        run.afterwards(move || assert!(Queue::at(&root, off).is_empty()));
    });
}

/// Each of them waits for the other.
#[test]
pub(crate) fn one_place_only() {
    let world = World::<2>::new();
    let off = made(&world.root, 1);
    Model::new().preemptions(1).check(move |run| {
        world.begin();
        let puts = world.spawn(run, 0, move |me| (1..4).for_each(|n| put(me, off, n)));
        let got = world.spawn(run, 1, move |me| [get(me, off), get(me, off), get(me, off)]);
        puts.join();
        assert_eq!(got.join(), [1, 2, 3]);
    });
}

/// Two sleep, and each is woken by one message.
#[test]
pub(crate) fn two_consumers() {
    let world = World::<3>::new();
    let off = made(&world.root, 0);
    Model::new().preemptions(1).check(move |run| {
        world.begin();
        let got = [1, 2].map(|i| world.spawn(run, i, move |me| get(me, off)));
        world.spawn(run, 0, move |me| (1..3).for_each(|n| put(me, off, n))).join();
        let mut got = join(got);
        got.sort_unstable();
        assert_eq!(got, [1, 2]);
    });
}

/// A producer dies; what another puts comes, and what the dead one put is there once or not at all.
#[test]
pub(crate) fn a_producer_is_killed() {
    let world = World::<2>::new();
    let off = made(&world.root, 0);
    at_each_step(|fate| {
        let fate = fate.clone();
        Model::new().preemptions(0).check(move |run| {
            world.begin();
            let got = world.spawn(run, 1, move |me| {
                put(me, off, 2);
                let first = get(me, off);
                if first == 2 { vec![2] } else { vec![first, get(me, off)] }
            });
            world.spawn_mortal(run, &fate, move |me| put(me, off, 1)).join();
            let got = got.join();
            assert!(got == [2] || got == [1, 2], "{got:?}");
            let root = world.root;
            run.afterwards(move || {
                let left = Queue::at(&root, off).len();
                assert!(left == 0 || (left == 1 && got == [2] && get(&root, off) == 1));
            });
        });
    });
}

/// A consumer dies; nobody waits for ever for its place or its wake-up, and what it took is gone at
/// most.
#[test]
pub(crate) fn a_consumer_is_killed() {
    let world = World::<2>::new();
    let off = made(&world.root, 1);
    at_each_step(|fate| {
        let fate = fate.clone();
        Model::new().preemptions(0).check(move |run| {
            world.begin();
            let other = world.spawn(run, 1, move |me| {
                put(me, off, 1);
                let taken = Queue::at(me, off).try_get().is_ok();
                put(me, off, 2);
                taken
            });
            let dead =
                world.spawn_mortal(run, &fate, move |me| Queue::at(me, off).try_get().is_ok());
            let _ = dead.join();
            let _ = other.join();
            let root = world.root;
            run.afterwards(move || {
                let left = Queue::at(&root, off).len();
                assert!(left <= 1 && (left == 0 || get(&root, off) == 2));
            });
        });
    });
}
