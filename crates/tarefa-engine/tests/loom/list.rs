//! The list: readers without the latch beside appends, changes in place and tables that are
//! replaced, freed and used by others; groups of operations; and a writer that dies anywhere.

use tarefa_engine::atomic::model::Model;
use tarefa_engine::collections::list::{self, List, ListError, Source};
use tarefa_engine::collections::value::{self, Fetched, Item, Small};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::arena::offset::Off;
use tarefa_engine::shm::heap::{self, Kind};
use tarefa_engine::sync::lock::word::{Acquired, Recursion};
use tarefa_engine::sync::wait::Plain;

use crate::support::{World, at_each_step, join};

fn item(n: i64) -> Item<'static> {
    Item::Word(value::int_word(n).unwrap())
}

/// An element; `Err` with the length past the end.
fn get(list: &List<'_>, index: u64) -> Result<i64, u64> {
    match list.get(index) {
        Ok(Fetched::Word(word)) => match value::small(word) {
            Small::Int(n) => Ok(n),
            other => panic!("nobody stored {other:?}"),
        },
        Err(ListError::OutOfRange { len, .. }) => Err(len),
        other => panic!("{other:?}"),
    }
}

fn with(root: &Member, items: &[i64]) -> Off {
    let off = list::create(root).unwrap();
    let items: Vec<_> = items.iter().map(|n| item(*n)).collect();
    List::at(root, off).extend(&items).unwrap();
    off
}

fn all(list: &List<'_>) -> Vec<i64> {
    (0..list.len()).map(|i| get(list, i).unwrap()).collect()
}

/// Takes blocks of the size of a table and of a segment, and fills them with elements of nobody's:
/// who goes astray there finds what looks right.
fn use_what_was_freed(me: &Member) {
    let savepoint = heap::savepoint(me);
    let wrong = value::int_word(77).unwrap().to_ne_bytes();
    for size in [256, 144] {
        let off = heap::alloc(me, Kind::RAW, size).unwrap();
        let bytes = wrong.repeat((size - heap::HEADER) as usize / wrong.len());
        me.arena().write(off.plus(heap::HEADER), &bytes);
    }
    heap::free_deferred(me, savepoint);
}

/// Two reads beside `write`: each is one of `may`, in that order.
fn reads(
    preemptions: usize,
    first: &'static [i64],
    index: u64,
    may: &'static [Result<i64, u64>],
    write: fn(&Member, &List<'_>),
) {
    let world = World::<2>::new();
    let off = with(&world.root, first);
    Model::new().preemptions(preemptions).check(move |run| {
        world.begin();
        let writer = world.spawn(run, 0, move |me| write(me, &List::at(me, off)));
        let reader = world.spawn(run, 1, move |me| {
            let list = List::at(me, off);
            let (one, two) = (get(&list, index), get(&list, index));
            let order = |seen| may.iter().position(|m| *m == seen);
            assert!(order(one).is_some() && order(two).is_some(), "{one:?}, {two:?}");
            assert!(order(one) <= order(two), "{one:?}, then {two:?}");
        });
        reader.join();
        writer.join();
        let root = world.root;
        run.afterwards(move || {
            assert_eq!(get(&List::at(&root, off), index), *may.last().unwrap());
        });
    });
}

#[test]
pub(crate) fn append_beside_a_reader() {
    reads(3, &[1], 1, &[Err(1), Ok(2)], |_, list| list.append(item(2)).unwrap());
}

#[test]
pub(crate) fn set_beside_a_reader() {
    reads(3, &[1, 2], 0, &[Ok(1), Ok(3)], |_, list| list.set(0, item(3)).unwrap());
}

#[test]
pub(crate) fn taking_the_first_beside_a_reader() {
    reads(3, &[1, 2], 0, &[Ok(1), Ok(2)], |_, list| drop(list.remove(0).unwrap()));
}

#[test]
pub(crate) fn taking_the_last_but_one_and_an_append() {
    reads(2, &[1, 2], 1, &[Ok(2), Err(1), Ok(3)], |_, list| {
        list.remove(0).unwrap();
        list.append(item(3)).unwrap();
    });
}

#[test]
pub(crate) fn an_append_where_another_was() {
    reads(2, &[1, 2], 1, &[Ok(2), Err(1), Ok(3)], |_, list| {
        list.pop().unwrap();
        list.append(item(3)).unwrap();
    });
}

#[test]
pub(crate) fn a_new_table_beside_a_reader() {
    reads(1, &[1, 2], 1, &[Ok(2), Ok(5)], |me, list| {
        let version = list.snapshot(0, 0).unwrap().version;
        list.rebuild(version, 2, &[4, 5].map(|n| Source::New(item(n)))).unwrap();
        use_what_was_freed(me);
    });
}

#[test]
pub(crate) fn two_changes_beside_a_reader() {
    reads(1, &[1], 0, &[Ok(1), Ok(2), Ok(4)], |me, list| {
        list.set(0, item(2)).unwrap();
        let version = list.snapshot(0, 0).unwrap().version;
        list.rebuild(version, 1, &[Source::New(item(4))]).unwrap();
        use_what_was_freed(me);
    });
}

/// Two changes, one after the other, beside a reader: who sees the second one (`later`) sees the first
/// one as well.
fn in_order(
    preemptions: usize,
    write: fn(&List<'_>),
    later: fn(&List<'_>) -> bool,
    earlier: fn(&List<'_>) -> bool,
) {
    let world = World::<2>::new();
    let off = with(&world.root, &[1]);
    Model::new().preemptions(preemptions).check(move |run| {
        world.begin();
        let writer = world.spawn(run, 0, move |me| write(&List::at(me, off)));
        let reader = world.spawn(run, 1, move |me| {
            let list = List::at(me, off);
            assert!(!later(&list) || earlier(&list), "the later change alone is seen");
        });
        join([writer, reader]);
    });
}

#[test]
pub(crate) fn a_length_is_not_seen_before_its_elements() {
    let write = |list: &List<'_>| list.append(item(2)).unwrap();
    in_order(2, write, |list| list.len() == 2, |list| get(list, 1) == Ok(2));
}

#[test]
pub(crate) fn an_append_is_not_seen_before_an_earlier_change() {
    let write = |list: &List<'_>| {
        list.set(0, item(3)).unwrap();
        list.append(item(2)).unwrap();
    };
    in_order(2, write, |list| list.count() == Ok(2), |list| get(list, 0) == Ok(3));
}

#[test]
pub(crate) fn a_change_is_not_seen_before_an_earlier_append() {
    let write = |list: &List<'_>| {
        list.append(item(2)).unwrap();
        list.set(0, item(3)).unwrap();
    };
    in_order(2, write, |list| get(list, 0) == Ok(3), |list| get(list, 1) == Ok(2));
}

/// Two append, one of them is killed: what it had appended is there or not, and nothing else is
/// lost.
#[test]
pub(crate) fn appends_of_one_that_is_killed() {
    let world = World::<3>::new();
    let off = with(&world.root, &[1]);
    at_each_step(|fate| {
        let fate = fate.clone();
        Model::new().preemptions(1).check(move |run| {
            world.begin();
            let other = world.spawn(run, 1, move |me| List::at(me, off).append(item(3)).unwrap());
            let seen = world.spawn(run, 2, move |me| all(&List::at(me, off)));
            let lived = world
                .spawn_mortal(run, &fate, move |me| List::at(me, off).append(item(2)).unwrap())
                .join()
                .is_some();
            other.join();
            let (seen, root) = (seen.join(), world.root);
            run.afterwards(move || {
                let all = all(&List::at(&root, off));
                assert!(all.starts_with(&seen), "{seen:?}, then {all:?}");
                assert!(all.contains(&3));
                assert!(all.len() == 3 || !lived && all == [1, 3], "{all:?}");
            });
        });
    });
}

/// A writer is killed: what it did not commit is never seen.
#[test]
pub(crate) fn a_writer_is_killed() {
    let world = World::<2>::new();
    let off = with(&world.root, &[1, 2]);
    at_each_step(|fate| {
        let fate = fate.clone();
        Model::new().preemptions(2).check(move |run| {
            world.begin();
            let reader = world.spawn(run, 1, move |me| {
                let list = List::at(me, off);
                [get(&list, 0).unwrap(), get(&list, 0).unwrap()]
            });
            let lived = world
                .spawn_mortal(run, &fate, move |me| List::at(me, off).set(0, item(3)).unwrap())
                .join()
                .is_some();
            let (seen, root) = (reader.join(), world.root);
            run.afterwards(move || {
                let list = List::at(&root, off);
                let now = get(&list, 0).unwrap();
                assert!(now == 3 || !lived && now == 1, "{now}");
                assert!(seen == [1, 1] || now == 3 && [[1, 3], [3, 3]].contains(&seen));
                list.set(0, item(4)).unwrap();
                assert_eq!(all(&list), [4, 2]);
            });
        });
    });
}

/// Of a group of operations nothing is seen but its end.
#[test]
pub(crate) fn a_group_beside_a_reader() {
    let world = World::<2>::new();
    let off = with(&world.root, &[10]);
    Model::new().preemptions(1).check(move |run| {
        world.begin();
        let groups = world.spawn(run, 0, move |me| {
            let list = List::at(me, off);
            let lock = list.object_lock();
            let got = lock.acquire(me, Recursion::Allowed, off, &mut Plain, Deadline::NEVER);
            assert_eq!(got, Acquired::Yes);
            list.set(0, item(20)).unwrap();
            list.append(item(21)).unwrap();
            list.set(0, item(22)).unwrap();
            lock.release(me, Recursion::Allowed).unwrap();
        });
        let reads = world.spawn(run, 1, move |me| {
            let list = List::at(me, off);
            // Waiting is not part of this: who is told to wait has seen nothing.
            let count = list.count().ok();
            let seen = list.get(0).ok();
            assert!(count.is_none_or(|n| n == 1 || n == 2));
            if let Some(Fetched::Word(word)) = seen {
                let Small::Int(n) = value::small(word) else { panic!("no number") };
                assert!(n == 22 || n == 10 && count != Some(2), "{n}, {count:?}");
            }
        });
        join([groups, reads]);
        let root = world.root;
        run.afterwards(move || assert_eq!(all(&List::at(&root, off)), [22, 21]));
    });
}
