//! What threads write down, and what a reader finds of it: every event once and in order, or counted as
//! lost; and no memory held once nobody wants it.

use std::collections::HashMap;
use std::sync::{Barrier, Mutex, MutexGuard};

use proptest::prelude::*;
use tarefa_engine::os::memfd;
use tarefa_engine::shm::trace::{self, Ended, Event, Reader, What, Written};
use tarefa_engine::shm::{Member, Runtime};
use tarefa_engine::task;

/// One trace at a time: they share the switch.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn member() -> Member {
    task::register();
    Runtime::default().unwrap().me()
}

fn call(batch: u64, index: u32) -> Event {
    let at_ns = tarefa_engine::os::clock::now_ns();
    let what = What::CallEnds { pool: 1, batch, index, how: Ended::Returned };
    Event { at_ns, name: 0, what }
}

/// Of each writer, the places that were read, in their order.
fn by_writer(read: &[Written]) -> HashMap<u64, Vec<u32>> {
    let mut found: HashMap<u64, Vec<u32>> = HashMap::new();
    for written in read {
        let What::CallEnds { batch, index, .. } = written.event.what else { panic!("{written:?}") };
        found.entry(batch).or_default().push(index);
    }
    found
}

#[test]
fn nothing_is_written_while_nobody_wants_it() {
    let _alone = alone();
    let me = member();
    let held = memfd::held(me.arena().fd()).unwrap();
    for i in 0..1000 {
        trace::emit(&me, || call(0, i));
    }
    assert_eq!(trace::intern(&me, b"name"), 0);
    assert_eq!(memfd::held(me.arena().fd()).unwrap(), held);
    let mut reader = Reader::start(&me).unwrap();
    let mut read = Vec::new();
    reader.read(&mut read);
    assert_eq!((read.len(), reader.lost()), (0, 0));
}

#[test]
fn names_are_kept_once_and_memory_is_given_back() {
    let _alone = alone();
    let me = member();
    let held = memfd::held(me.arena().fd()).unwrap();
    for _ in 0..3 {
        let mut reader = Reader::start(&me).unwrap();
        let another = Reader::start(&me).unwrap();
        let long = "n".repeat(300);
        let (one, two) = (trace::intern(&me, b"one"), trace::intern(&me, long.as_bytes()));
        assert!(one != 0 && two != 0 && one != two && one == trace::intern(&me, b"one"));
        for i in 0..5000 {
            trace::emit(&me, || call(7, i));
        }
        drop(another);
        trace::emit(&me, || call(7, 5000));
        let mut read = Vec::new();
        reader.read(&mut read);
        assert_eq!(by_writer(&read)[&7], (0..=5000).collect::<Vec<_>>());
        assert_eq!(reader.name_of(one).unwrap(), "one");
        assert_eq!(reader.name_of(two).unwrap(), long[..112]);
        assert_eq!((reader.name_of(0), reader.name_of(u16::MAX)), (None, None));
        assert!(memfd::held(me.arena().fd()).unwrap() > held);
        drop(reader);
        assert!(!trace::is_on(&me));
        assert_eq!(memfd::held(me.arena().fd()).unwrap(), held);
    }
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    let _alone = alone();
    let me = member();
    let mut reader = Reader::start(&me).unwrap();
    let most = 5_000_000;
    for i in 0..most {
        trace::emit(&me, || call(3, i));
    }
    let mut read = Vec::new();
    reader.read(&mut read);
    let found = &by_writer(&read)[&3];
    assert_eq!(found.len() as u64 + reader.lost(), u64::from(most));
    assert!(reader.lost() > 0 && found.len() > 2_000_000);
    // The latest are there.
    let mut sorted = found.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (most - found.len() as u32..most).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Writers of any number of events, and a reader that looks at any time.
    #[test]
    fn each_event_is_read_once_and_in_order(
        counts in prop::collection::vec(0u32..3000, 1..6),
        looks in 0usize..20,
    ) {
        let _alone = alone();
        let me = member();
        let mut reader = Reader::start(&me).unwrap();
        let begin = Barrier::new(counts.len() + 1);
        let mut read = Vec::new();
        std::thread::scope(|scope| {
            for (writer, count) in counts.iter().enumerate() {
                let begin = &begin;
                scope.spawn(move || {
                    let me = member();
                    begin.wait();
                    for i in 0..*count {
                        trace::emit(&me, || call(writer as u64, i));
                    }
                });
            }
            begin.wait();
            for _ in 0..looks {
                reader.read(&mut read);
                std::thread::yield_now();
            }
        });
        reader.read(&mut read);
        let found = by_writer(&read);
        prop_assert_eq!(reader.lost(), 0);
        for (writer, count) in counts.iter().enumerate() {
            let its = found.get(&(writer as u64)).cloned().unwrap_or_default();
            let mut sorted = its.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..*count).collect::<Vec<_>>());
        }
        // Of one thread, each in the order of its times.
        let mut last: HashMap<u64, u64> = HashMap::new();
        let mut by_time = read.clone();
        by_time.sort_by_key(|written| written.event.at_ns);
        for written in &by_time {
            let What::CallEnds { batch, index, .. } = written.event.what else { continue };
            let next = last.entry(batch).or_insert(0);
            prop_assert_eq!(u64::from(index), *next);
            *next += 1;
        }
    }
}
