//! The latch, and the journal below it: one thread at a time, nobody sleeps for ever, nothing is
//! seen half, and a death at any step is repaired.

use tarefa_engine::atomic::model::Model;
use tarefa_engine::atomic::{AtomicU64, Ordering};
use tarefa_engine::shm::Member;
use tarefa_engine::shm::tx::journal::Tx;
use tarefa_engine::shm::tx::latch::Latch;

use crate::support::{World, at_each_step, join};

/// What the latch guards: two words that are equal whenever it is free.
fn guarded(me: &Member) -> (&'static Latch, [&'static AtomicU64; 2]) {
    let header = me.header();
    (&header.roots_latch, [&header.roots[0], &header.roots[1]])
}

/// Adds one to both.
fn section(me: &Member) {
    let (latch, words) = guarded(me);
    let _latch = latch.lock(me);
    let [one, two] = words.map(|word| word.load(Ordering::Relaxed));
    assert_eq!(one, two, "a change is seen half");
    let mut tx = Tx::begin(me);
    tx.set(words[0], one + 1);
    tx.set(words[1], two + 1);
    tx.commit();
}

/// The latch is free, and so often were the words changed.
fn at_rest(root: &Member) -> u64 {
    let (latch, words) = guarded(root);
    assert_eq!(latch.holder(), None);
    section(root);
    words[0].load(Ordering::Relaxed) - 1
}

#[test]
pub(crate) fn by_turns() {
    let world = World::<3>::new();
    Model::new().preemptions(3).check(move |run| {
        world.begin();
        join([0, 1, 2].map(|i| world.spawn(run, i, section)));
        let root = world.root;
        run.afterwards(move || assert_eq!(at_rest(&root), 3));
    });
}

/// One dies, beside others that must get through.
fn killed<const N: usize>(preemptions: usize) {
    let world = World::<N>::new();
    at_each_step(|fate| {
        let fate = fate.clone();
        Model::new().preemptions(preemptions).check(move |run| {
            world.begin();
            let others: Vec<_> = (1..N).map(|i| world.spawn(run, i, section)).collect();
            let survived = world.spawn_mortal(run, &fate, section).join().is_some();
            join(others);
            let (root, others) = (world.root, N as u64 - 1);
            run.afterwards(move || {
                let all = at_rest(&root);
                assert!(all == others + 1 || (all == others && !survived), "{all}");
            });
        });
    });
}

#[test]
pub(crate) fn killed_beside_one() {
    killed::<2>(4);
}

#[test]
pub(crate) fn killed_beside_two() {
    killed::<3>(2);
}
