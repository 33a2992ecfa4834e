//! Changes of any size: the journal against a model.

#![allow(clippy::enum_glob_use, clippy::wildcard_imports, clippy::format_push_string)]

#[path = "../support/mod.rs"]
mod support;

use std::sync::{Mutex, MutexGuard};

use proptest::prelude::*;
use support::{Words, whole};
use tarefa_engine::atomic::{AtomicU64, Ordering};
use tarefa_engine::shm::Member;
use tarefa_engine::shm::arena::layout::JOURNAL;
use tarefa_engine::shm::heap::journal_room;
use tarefa_engine::shm::heap::{self, Kind};
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::tx::journal::Tx;
use tarefa_engine::task;

/// The heap is looked at as a whole, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    let alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    support::ready(&task::runtime().unwrap().me());
    alone
}

/// What becomes of a change.
#[derive(Clone, Copy, Debug)]
enum End {
    Committed,
    Dropped,
    /// A panic unwinds through it.
    Panic,
}

#[derive(Clone, Debug)]
struct Change {
    /// (word, value), in order; words come more than once.
    sets: Vec<(prop::sample::Index, u64)>,
    /// Words reserved beyond those set.
    spare: usize,
    /// A reservation around this one, for so many words.
    outer: Option<usize>,
    end: End,
}

fn change() -> impl Strategy<Value = Change> {
    let sets = prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 0..600);
    let end = prop_oneof![Just(End::Committed), Just(End::Dropped), Just(End::Panic)];
    (sets, 0..100usize, prop::option::of(0..20_000usize), end)
        .prop_map(|(sets, spare, outer, end)| Change { sets, spare, outer, end })
}

fn make(me: &Member, words: Words<'_>, change: &Change) {
    let _outer = change.outer.map(|n| journal_room::reserve(me, n).unwrap());
    let more = journal_room::reserve(me, change.sets.len() + change.spare).unwrap();
    let _latch = words.latch().lock(me);
    let mut tx = more.begin();
    for (i, value) in &change.sets {
        tx.set(words.word(i.index(Words::COUNT) as u64), *value);
    }
    match change.end {
        End::Committed => tx.commit(),
        End::Dropped => drop(tx),
        End::Panic => std::panic::resume_unwind(Box::new(())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, ..ProptestConfig::default() })]

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn a_change_is_whole_or_not_at_all(changes in prop::collection::vec(change(), 1..12)) {
        let _alone = alone();
        let me = task::runtime().unwrap().me();
        let before = whole(&me).unwrap();
        let off = support::words(&me);
        let words = Words::at(&me, off);
        let mut model = vec![0; Words::COUNT];
        for change in &changes {
            let made = std::panic::catch_unwind(|| make(&me, words, change));
            prop_assert_eq!(made.is_err(), matches!(change.end, End::Panic));
            if matches!(change.end, End::Committed) {
                for (i, value) in &change.sets {
                    model[i.index(Words::COUNT)] = *value;
                }
            }
            prop_assert_eq!(words.all(), model.clone());
        }
        refcount::release(&me, off);
        prop_assert_eq!(whole(&me).unwrap(), before);
    }
}

#[test]
fn small_changes_need_no_block() {
    let _alone = alone();
    let me = task::runtime().unwrap().me();
    let before = whole(&me).unwrap();
    let more = journal_room::reserve(&me, JOURNAL).unwrap();
    assert_eq!(whole(&me).unwrap().blocks, before.blocks);
    drop(more);
}

#[test]
fn a_block_handed_over_leaves_the_reservation_alone() {
    let _alone = alone();
    let me = task::runtime().unwrap().me();
    let before = whole(&me).unwrap();
    let off = support::words(&me);
    let words = Words::at(&me, off);
    for mark_first in [true, false] {
        let early = heap::savepoint(&me);
        let more = journal_room::reserve(&me, 300).unwrap();
        let savepoint = if mark_first { early } else { heap::savepoint(&me) };
        let block = heap::alloc(&me, Kind::RAW, 4000).unwrap();
        let mut tx = more.begin();
        for i in 0..200 {
            tx.set(words.word(i), block.0);
        }
        heap::release_to(&me, &mut tx, savepoint);
        tx.commit();
        drop(more);
        assert_eq!(heap::kind(&me, block), Some(Kind::RAW));
        let mut tx = Tx::begin(&me);
        heap::defer_free(&me, &mut tx, block);
        tx.commit();
        heap::free_deferred(&me, savepoint);
    }
    refcount::release(&me, off);
    assert_eq!(whole(&me).unwrap(), before);
}

#[test]
fn memory_that_is_not_there_is_an_error_and_changes_nothing() {
    let _alone = alone();
    let me = task::runtime().unwrap().me();
    let before = whole(&me).unwrap();
    for words in [1 << 34, 1 << 40, usize::MAX] {
        let error = journal_room::reserve(&me, words).unwrap_err();
        assert!(error.wanted > error.limit - error.used, "{error}");
    }
    assert_eq!(whole(&me).unwrap(), before);
}

#[test]
#[should_panic(expected = "the journal is full")]
fn more_words_than_reserved_are_refused() {
    let _alone = alone();
    let me = task::runtime().unwrap().me();
    let savepoint = heap::savepoint(&me);
    let block = heap::alloc(&me, Kind::RAW, 64).unwrap();
    let word: &AtomicU64 = me.arena().at(block.plus(heap::HEADER));
    word.store(1, Ordering::Relaxed);
    let more = journal_room::reserve(&me, 100).unwrap();
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut tx = more.begin();
        for n in 0..=100 {
            tx.set(word, n);
        }
    }));
    assert_eq!(word.load(Ordering::Relaxed), 1);
    drop(more);
    heap::free_deferred(&me, savepoint);
    std::panic::resume_unwind(refused.unwrap_err());
}
