//! The dict: probes without the latch beside new keys, replaced values, deletions and a move to
//! another store whose old one is freed and used by others; groups; and a writer that dies
//! anywhere.

use tarefa_engine::atomic::model::Model;
use tarefa_engine::collections::dict::{self, Canonical, Dict, Key, What};
use tarefa_engine::collections::value::{self, Fetched, Item, Small};
use tarefa_engine::kinds;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::arena::offset::Off;
use tarefa_engine::sync::lock::word::{Acquired, Recursion};
use tarefa_engine::sync::wait::Plain;

use crate::support::{World, at_each_step, join};

fn item(n: i64) -> Item<'static> {
    Item::Word(value::int_word(n).unwrap())
}

fn number(fetched: Option<Fetched>) -> i64 {
    match fetched {
        None => 0,
        Some(Fetched::Word(word)) => match value::small(word) {
            Small::Int(n) => n,
            other => panic!("nobody stored {other:?}"),
        },
        Some(other) => panic!("nobody stored {other:?}"),
    }
}

/// The key's value, 0 if it is not there.
fn get(dict: &Dict<'_>, key: i64) -> i64 {
    number(dict.get(&Canonical::of(item(key)).unwrap()).unwrap())
}

fn set(dict: &Dict<'_>, key: i64, value: i64) {
    dict.set(&Key::plain(item(key)).unwrap(), item(value)).unwrap();
}

fn remove(dict: &Dict<'_>, key: i64) {
    dict.remove(&Canonical::of(item(key)).unwrap()).unwrap();
}

/// Keys from 0 on, with 10, 11 and so on for values.
fn with(root: &Member, keys: i64) -> Off {
    let off = dict::create(root, kinds::DICT).unwrap();
    (0..keys).for_each(|key| set(&Dict::at(root, off), key, 10 + key));
    off
}

/// As many as fit into a store of the smallest size.
const FULL: i64 = 5;

/// Makes another dict of the same keys, whose store lies where the freed one was: who goes astray
/// there finds what looks right.
fn use_what_was_freed(me: &Member) {
    let off = dict::create(me, kinds::DICT).unwrap();
    (0..FULL).for_each(|key| set(&Dict::at(me, off), key, 70 + key));
}

/// Two reads of a key beside `write`: each is one of `may`, in that order.
fn reads(
    preemptions: usize,
    keys: i64,
    key: i64,
    may: &'static [i64],
    write: fn(&Member, &Dict<'_>),
) {
    let world = World::<2>::new();
    let off = with(&world.root, keys);
    Model::new().preemptions(preemptions).check(move |run| {
        world.begin();
        let writer = world.spawn(run, 0, move |me| write(me, &Dict::at(me, off)));
        let reader = world.spawn(run, 1, move |me| {
            let dict = Dict::at(me, off);
            let (one, two) = (get(&dict, key), get(&dict, key));
            let order = |value| may.iter().position(|m| *m == value);
            assert!(order(one).is_some() && order(two).is_some(), "{one}, {two}");
            assert!(order(one) <= order(two), "{one}, then {two}");
        });
        reader.join();
        writer.join();
        let root = world.root;
        run.afterwards(move || {
            assert_eq!(get(&Dict::at(&root, off), key), *may.last().unwrap());
        });
    });
}

#[test]
pub(crate) fn a_new_key_beside_a_reader() {
    reads(2, 1, 1, &[0, 31], |_, dict| set(dict, 1, 31));
}

#[test]
pub(crate) fn a_replaced_value_beside_a_reader() {
    reads(2, 1, 0, &[10, 12], |_, dict| set(dict, 0, 12));
}

#[test]
pub(crate) fn a_deletion_beside_a_reader() {
    reads(2, 2, 0, &[10, 0], |_, dict| remove(dict, 0));
}

#[test]
pub(crate) fn a_move_beside_a_reader() {
    reads(1, FULL, 0, &[10], |me, dict| {
        set(dict, FULL, 1);
        use_what_was_freed(me);
    });
}

#[test]
pub(crate) fn a_clear_beside_a_reader() {
    reads(1, 2, 0, &[10, 0], |me, dict| {
        dict.clear().unwrap();
        use_what_was_freed(me);
    });
}

#[test]
pub(crate) fn a_key_that_is_not_there_beside_a_move() {
    reads(1, FULL, 99, &[0], |me, dict| {
        set(dict, FULL, 1);
        use_what_was_freed(me);
    });
}

#[test]
pub(crate) fn what_was_deleted_and_put_in_again() {
    reads(2, 2, 0, &[10, 0, 13], |_, dict| {
        remove(dict, 0);
        set(dict, 0, 13);
    });
}

/// Two changes, one after the other, beside a reader: who sees the second one (`later`) sees the first
/// one as well.
fn in_order(
    preemptions: usize,
    keys: i64,
    write: fn(&Dict<'_>),
    later: fn(&Dict<'_>) -> bool,
    earlier: fn(&Dict<'_>) -> bool,
) {
    let world = World::<2>::new();
    let off = with(&world.root, keys);
    Model::new().preemptions(preemptions).check(move |run| {
        world.begin();
        let writer = world.spawn(run, 0, move |me| write(&Dict::at(me, off)));
        let reader = world.spawn(run, 1, move |me| {
            let dict = Dict::at(me, off);
            assert!(!later(&dict) || earlier(&dict), "the later change alone is seen");
        });
        join([writer, reader]);
    });
}

#[test]
pub(crate) fn replaced_values_are_seen_in_order() {
    let write = |dict: &Dict<'_>| {
        set(dict, 0, 20);
        set(dict, 1, 21);
    };
    in_order(2, 2, write, |dict| get(dict, 1) == 21, |dict| get(dict, 0) == 20);
}

#[test]
pub(crate) fn a_new_key_is_not_seen_before_an_earlier_value() {
    let write = |dict: &Dict<'_>| {
        set(dict, 0, 20);
        set(dict, 1, 21);
    };
    in_order(2, 1, write, |dict| get(dict, 1) != 0, |dict| get(dict, 0) == 20);
}

#[test]
pub(crate) fn a_deletion_is_not_seen_before_an_earlier_value() {
    let write = |dict: &Dict<'_>| {
        set(dict, 0, 20);
        remove(dict, 1);
    };
    in_order(2, 2, write, |dict| get(dict, 1) == 0, |dict| get(dict, 0) == 20);
}

#[test]
pub(crate) fn a_length_is_not_seen_before_its_keys() {
    let write = |dict: &Dict<'_>| set(dict, 1, 21);
    in_order(2, 1, write, |dict| dict.len() == Ok(2), |dict| get(dict, 1) == 21);
}

/// Who has read a version and finds it again has missed nothing.
#[test]
pub(crate) fn a_version_tells_of_every_change() {
    let world = World::<2>::new();
    let off = with(&world.root, 1);
    Model::new().preemptions(3).check(move |run| {
        world.begin();
        let writer = world.spawn(run, 0, move |me| set(&Dict::at(me, off), 0, 12));
        let reader = world.spawn(run, 1, move |me| {
            let look = || {
                let mut snapshot = Dict::at(me, off).snapshot(What::Values).unwrap();
                (snapshot.version, number(snapshot.pairs.remove(0).value))
            };
            let (one, two) = (look(), look());
            assert_eq!(one.0 == two.0, one.1 == two.1);
        });
        join([writer, reader]);
    });
}

#[test]
pub(crate) fn a_group_beside_a_reader() {
    let world = World::<2>::new();
    let off = with(&world.root, 1);
    Model::new().preemptions(2).check(move |run| {
        world.begin();
        let groups = world.spawn(run, 0, move |me| {
            let dict = Dict::at(me, off);
            let lock = dict.object_lock();
            let got = lock.acquire(me, Recursion::Allowed, off, &mut Plain, Deadline::NEVER);
            assert_eq!(got, Acquired::Yes);
            set(&dict, 0, 20);
            set(&dict, 0, 21);
            lock.release(me, Recursion::Allowed).unwrap();
        });
        let reads = world.spawn(run, 1, move |me| {
            let dict = Dict::at(me, off);
            // Waiting is not part of this: who is told to wait has seen nothing.
            let look = || dict.get(&Canonical::of(item(0)).unwrap()).map(number).ok();
            for seen in [look(), look()].into_iter().flatten() {
                assert!(seen == 10 || seen == 21, "{seen}");
            }
        });
        join([groups, reads]);
        let root = world.root;
        run.afterwards(move || assert_eq!(get(&Dict::at(&root, off), 0), 21));
    });
}

/// A writer is killed: what it did not commit is never seen.
fn killed(keys: i64, key: i64, preemptions: usize) {
    let world = World::<2>::new();
    let off = with(&world.root, keys);
    at_each_step(|fate| {
        let fate = fate.clone();
        let before = if key < keys { 10 + key } else { 0 };
        Model::new().preemptions(preemptions).check(move |run| {
            world.begin();
            let reader = world.spawn(run, 1, move |me| {
                let dict = Dict::at(me, off);
                [get(&dict, key), get(&dict, key)]
            });
            let lived = world
                .spawn_mortal(run, &fate, move |me| set(&Dict::at(me, off), key, 44))
                .join()
                .is_some();
            let (seen, root) = (reader.join(), world.root);
            run.afterwards(move || {
                let dict = Dict::at(&root, off);
                let now = get(&dict, key);
                assert!(now == 44 || !lived && now == before, "{now}");
                assert!(seen == [before; 2] || now == 44 && seen[1] == 44, "{seen:?}, {now}");
                set(&dict, key, 45);
                assert_eq!(get(&dict, key), 45);
            });
        });
    });
}

#[test]
pub(crate) fn killed_replacing_a_value() {
    killed(1, 0, 2);
}

#[test]
pub(crate) fn killed_putting_in_a_key() {
    killed(1, 1, 1);
}

#[test]
pub(crate) fn killed_moving() {
    killed(FULL, FULL, 1);
}
