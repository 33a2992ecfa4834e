//! Random operations against simple models: the heap against its checker, the list against `Vec`.

#![allow(clippy::enum_glob_use, clippy::wildcard_imports, clippy::naive_bytecount)]
#![allow(clippy::needless_for_each, clippy::format_collect, clippy::format_push_string)]

#[path = "../support/mod.rs"]
mod support;

use std::sync::{Mutex, MutexGuard, mpsc};
use std::time::Duration;

use proptest::prelude::*;
use support::{Value, contents, int, whole};
use tarefa_engine::atomic::Ordering;
use tarefa_engine::channel::{GetError, Order, PutError, Queue, queue};
use tarefa_engine::collections::list::{self, List, Source};
use tarefa_engine::collections::value::{Item, tag};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Off;
use tarefa_engine::shm::arena::layout::Latch;
use tarefa_engine::shm::heap::{self, Kind, size_classes};
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, object};
use tarefa_engine::sync::wait::Plain;
use tarefa_engine::task;

/// The heap is looked at as a whole, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    let alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    support::ready(&task::runtime().unwrap().me());
    alone
}

#[derive(Clone, Debug)]
enum HeapStep {
    Alloc(u64),
    Sparse(u64, u64),
    /// Frees so many of the newest blocks.
    Free(usize),
}

fn heap_step() -> impl Strategy<Value = HeapStep> {
    prop_oneof![
        4 => (16..3000u64).prop_map(HeapStep::Alloc),
        2 => (3000..70_000u64).prop_map(HeapStep::Alloc),
        1 => (70_000..12_000_000u64).prop_map(HeapStep::Alloc),
        1 => (70_000..90_000_000u64, 0..100u64).prop_map(|(n, p)| HeapStep::Sparse(n, n / 100 * p)),
        3 => (1..12usize).prop_map(HeapStep::Free),
    ]
}

#[derive(Clone, Debug)]
enum ListStep {
    Append(i64),
    AppendBlob(Vec<u8>),
    Extend(Vec<i64>),
    Insert(prop::sample::Index, i64),
    InsertBlob(prop::sample::Index, Vec<u8>),
    Set(prop::sample::Index, i64),
    SetBlob(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index),
    Pop,
    PopFront,
    /// Keeps every nth, backwards, and adds one.
    Rebuild(usize, i64),
    Clear,
}

fn list_step() -> impl Strategy<Value = ListStep> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    let index = any::<prop::sample::Index>;
    let number = || -1000..1000i64;
    prop_oneof![
        4 => number().prop_map(ListStep::Append),
        2 => bytes().prop_map(ListStep::AppendBlob),
        2 => prop::collection::vec(number(), 0..60).prop_map(ListStep::Extend),
        2 => (index(), number()).prop_map(|(i, n)| ListStep::Insert(i, n)),
        2 => (index(), bytes()).prop_map(|(i, b)| ListStep::InsertBlob(i, b)),
        2 => (index(), number()).prop_map(|(i, n)| ListStep::Set(i, n)),
        2 => (index(), bytes()).prop_map(|(i, b)| ListStep::SetBlob(i, b)),
        3 => index().prop_map(ListStep::Remove),
        2 => Just(ListStep::Pop),
        3 => Just(ListStep::PopFront),
        1 => (1..4usize, number()).prop_map(|(n, x)| ListStep::Rebuild(n, x)),
        1 => Just(ListStep::Clear),
    ]
}

fn bytes(b: &[u8]) -> Item<'_> {
    Item::Blob(tag::BYTES, b, &[])
}

fn apply(list: List<'_>, model: &mut Vec<Value>, step: &ListStep) {
    let len = model.len();
    match step {
        ListStep::Append(n) => {
            list.append(int(*n)).unwrap();
            model.push(Value::Int(*n));
        }
        ListStep::AppendBlob(b) => {
            list.append(bytes(b)).unwrap();
            model.push(Value::Bytes(b.clone()));
        }
        ListStep::Extend(all) => {
            list.extend(&all.iter().map(|n| int(*n)).collect::<Vec<_>>()).unwrap();
            model.extend(all.iter().map(|n| Value::Int(*n)));
        }
        ListStep::Insert(i, n) => {
            let i = i.index(len + 1);
            list.insert(i as u64, int(*n)).unwrap();
            model.insert(i, Value::Int(*n));
        }
        ListStep::InsertBlob(i, b) => {
            let i = i.index(len + 1);
            list.insert(i as u64, bytes(b)).unwrap();
            model.insert(i, Value::Bytes(b.clone()));
        }
        ListStep::Set(i, n) if len > 0 => {
            let i = i.index(len);
            list.set(i as u64, int(*n)).unwrap();
            model[i] = Value::Int(*n);
        }
        ListStep::SetBlob(i, b) if len > 0 => {
            let i = i.index(len);
            list.set(i as u64, bytes(b)).unwrap();
            model[i] = Value::Bytes(b.clone());
        }
        ListStep::Remove(i) if len > 0 => {
            let i = i.index(len);
            list.remove(i as u64).unwrap();
            model.remove(i);
        }
        ListStep::PopFront if len > 0 => {
            list.remove(0).unwrap();
            model.remove(0);
        }
        ListStep::Pop => assert_eq!(list.pop().is_ok(), model.pop().is_some()),
        ListStep::Rebuild(n, x) => {
            let snapshot = list.snapshot(0, u64::MAX).unwrap();
            let kept: Vec<usize> = (0..len).step_by(*n).rev().collect();
            let mut sources: Vec<_> = kept.iter().map(|i| Source::Keep(*i as u64)).collect();
            sources.push(Source::New(int(*x)));
            list.rebuild(snapshot.version, len as u64, &sources).unwrap();
            *model = kept.iter().map(|i| model[*i].clone()).collect();
            model.push(Value::Int(*x));
        }
        ListStep::Clear => {
            list.clear().unwrap();
            model.clear();
        }
        _ => assert!(list.remove(0).is_err()),
    }
}

fn free(me: &Member, marks: &mut Vec<tarefa_engine::shm::Off>, count: usize) {
    for _ in 0..count {
        if let Some(savepoint) = marks.pop() {
            heap::free_deferred(me, savepoint);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn the_heap_stays_whole(steps in prop::collection::vec(heap_step(), 1..60)) {
        let _alone = alone();
        let me = task::runtime().unwrap().me();
        let before = whole(&me).unwrap();
        let mut marks = Vec::new();
        for step in &steps {
            match step {
                HeapStep::Alloc(size) => {
                    marks.push(heap::savepoint(&me));
                    let block = heap::alloc(&me, Kind::RAW, *size).unwrap();
                    let room = size - heap::HEADER.min(*size);
                    me.arena().write(block.plus(heap::HEADER), &vec![0xa5; room as usize]);
                }
                HeapStep::Sparse(size, backed) => {
                    marks.push(heap::savepoint(&me));
                    let block = heap::alloc_sparse(&me, Kind::RAW, *size, *backed).unwrap();
                    heap::back(&me, block, *backed, (*backed + 20_000).min(*size)).unwrap();
                }
                HeapStep::Free(count) => free(&me, &mut marks, *count),
            }
            // The chain is this thread's own, and not empty: all else must be in order.
            let faults = tarefa_engine::shm::heap::check::check(&me).faults;
            let own = |f: &&String| !f.starts_with("thread slot");
            prop_assert_eq!(faults.iter().find(own), None);
        }
        free(&me, &mut marks, 1000);
        prop_assert_eq!(whole(&me).unwrap(), before);
    }

    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn the_list_is_a_vec(steps in prop::collection::vec(list_step(), 1..120)) {
        let _alone = alone();
        let me = task::runtime().unwrap().me();
        let off = list::create(&me).unwrap();
        let before = whole(&me).unwrap();
        let mut model = Vec::new();
        for step in &steps {
            apply(List::at(&me, off), &mut model, step);
            prop_assert_eq!(contents(&me, off), model.clone());
        }
        List::at(&me, off).clear().unwrap();
        whole(&me).unwrap();
        refcount::release(&me, off);
        prop_assert_eq!(whole(&me).unwrap().objects, before.objects - 1);
    }
}

#[test]
#[cfg_attr(miri, ignore = "long")]
fn a_queue_does_not_grow() {
    let _alone = alone();
    let me = task::runtime().unwrap().me();
    let off = list::create(&me).unwrap();
    let list = List::at(&me, off);
    for n in 0..200_000 {
        list.append(int(n)).unwrap();
        if n >= 10 {
            assert_eq!(support::value_of(&me, &list.remove(0).unwrap()), Value::Int(n - 10));
        }
    }
    let claimed = me.header().claimed.load(Ordering::Relaxed);
    assert!(claimed < 64 << 20, "{claimed} bytes");
    refcount::release(&me, off);
    whole(&me).unwrap();
}

/// Where a block has been before and where none has, in steps and at once.
#[test]
#[cfg_attr(miri, ignore = "long")]
fn objects_are_clear_however_large() {
    let _alone = alone();
    let me = task::runtime().unwrap().me();
    let before = whole(&me).unwrap();
    let fixed = size_of::<object::ObjectHeader>() as u64;
    let mut sizes: Vec<u64> = (0..60).map(|i| fixed + i * 8).collect();
    sizes.extend([4096, 32_768, 32_776, 100_000, 1 << 20, (1 << 20) + 40, 5 << 20]);
    sizes.extend([(7 << 20) + 8, 9 << 20, 30 << 20, 64 << 20]);
    for size in sizes {
        for dirty in [0, size / 3, size] {
            let savepoint = heap::savepoint(&me);
            let block = heap::alloc_sparse(&me, Kind::RAW, size, dirty).unwrap();
            if dirty > heap::HEADER {
                let bytes = vec![0xa5; (dirty - heap::HEADER) as usize];
                me.arena().write(block.plus(heap::HEADER), &bytes);
            }
            heap::free_deferred(&me, savepoint);
            let off = object::create(&me, 0, size).unwrap();
            let mut bytes = vec![1; (size - fixed) as usize];
            me.arena().read(off.plus(fixed), &mut bytes);
            assert_eq!(bytes.iter().position(|b| *b != 0), None, "{size} bytes, {dirty} dirty");
            refcount::adopt(&me, off, savepoint).unwrap();
            whole(&me).unwrap();
            refcount::release(&me, off);
        }
    }
    assert_eq!(whole(&me).unwrap(), before);
}

fn claimed(me: &Member) -> u64 {
    me.header().claimed.load(Ordering::Relaxed)
}

/// Makes and frees one block many times: what is claimed must come to rest.
fn alternates(me: &Member, size: u64) {
    let once = || {
        let savepoint = heap::savepoint(me);
        heap::alloc(me, Kind::RAW, size).unwrap();
        let now = claimed(me);
        heap::free_deferred(me, savepoint);
        (now, claimed(me))
    };
    for _ in 0..40 {
        once();
    }
    let rests = once();
    for i in 0..200 {
        assert_eq!(once(), rests, "{size} bytes, {i} times");
    }
}

/// At the edge of a slab, and of what free runs may keep, a block that comes and goes moves no
/// memory to and from the system.
#[test]
#[cfg_attr(miri, ignore = "long")]
fn a_block_that_comes_and_goes_costs_no_memory() {
    let _alone = alone();
    let me = task::runtime().unwrap().me();
    for size in [16, 100, 1000, 2000, 5000, 20_000, 32_768, 33_000, 100_000, 1 << 20, 24 << 20] {
        let savepoint = heap::savepoint(&me);
        let full =
            size_classes::class_of(size).map_or(4, |class| 2 * size_classes::capacity(class));
        for _ in 0..full {
            heap::alloc(&me, Kind::RAW, size).unwrap();
            if size > 5000 {
                alternates(&me, size);
            }
        }
        alternates(&me, size);
        heap::free_deferred(&me, savepoint);
        alternates(&me, size);
    }
}

/// What is unused for longest is given back, so that a new size is as cheap as the old ones soon.
#[test]
#[cfg_attr(miri, ignore = "long")]
fn old_free_runs_make_room_for_new_ones() {
    let _alone = alone();
    let me = task::runtime().unwrap().me();
    heap::trim(&me);
    let before = whole(&me).unwrap();
    let off = list::create(&me).unwrap();
    let list = List::at(&me, off);
    // Every second block of many stays, so that free runs are many and small.
    let block = vec![5; 60_000];
    for _ in 0..2000 {
        list.append(Item::Blob(tag::BYTES, &block, &[])).unwrap();
    }
    for i in (0..2000).step_by(2) {
        list.set(i, int(0)).unwrap();
    }
    let most = me.header().retained.load(Ordering::Relaxed);
    assert!(most > 20 << 20, "{most} bytes retained");
    for mib in [1, 2, 7, 20] {
        alternates(&me, mib << 20);
    }
    refcount::release(&me, off);
    assert!(me.header().retained.load(Ordering::Relaxed) <= 32 << 20);
    assert_eq!(whole(&me).unwrap(), before);
    heap::trim(&me);
    assert_eq!(claimed(&me), heap::in_use(&me));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// What does not fit is an error and changes nothing; what fits once all that is free is
    /// counted is given.
    #[test]
    #[cfg_attr(miri, ignore = "long")]
    fn a_full_heap_stays_whole(
        steps in prop::collection::vec(heap_step(), 1..80),
        room in 1..40u64,
    ) {
        let _alone = alone();
        let me = task::runtime().unwrap().me();
        let before = whole(&me).unwrap();
        heap::trim(&me);
        let limit = &me.header().limit;
        let usual = limit.load(Ordering::Relaxed);
        limit.store(heap::in_use(&me) + (room << 20), Ordering::Relaxed);
        let (mut marks, mut errors) = (Vec::new(), 0);
        for step in &steps {
            let savepoint = heap::savepoint(&me);
            let made = match step {
                HeapStep::Alloc(size) => heap::alloc_cleared(&me, *size).map(|block| {
                    let room = size - heap::HEADER.min(*size);
                    me.arena().write(block.plus(heap::HEADER), &vec![0xa5; room as usize]);
                }),
                HeapStep::Sparse(size, backed) => {
                    let made = heap::alloc_sparse(&me, Kind::RAW, *size, *backed);
                    made.and_then(|block| {
                        heap::back(&me, block, *backed, (*backed + 20_000).min(*size))
                    })
                }
                HeapStep::Free(count) => {
                    free(&me, &mut marks, *count);
                    continue;
                }
            };
            if let Err(e) = made {
                errors += 1;
                prop_assert!(e.used + e.wanted > e.limit, "{e}");
                heap::free_deferred(&me, savepoint);
            } else {
                marks.push(savepoint);
            }
            prop_assert!(claimed(&me) <= limit.load(Ordering::Relaxed));
        }
        limit.store(usual, Ordering::Relaxed);
        free(&me, &mut marks, 1000);
        prop_assert_eq!(whole(&me).unwrap(), before, "{} errors", errors);
    }
}

/// A thread that has a latch of the heap until it is let go.
struct Holder(mpsc::Sender<()>, std::thread::JoinHandle<()>);

impl Holder {
    fn of(latch: &'static Latch) -> Self {
        let (release, released) = mpsc::channel::<()>();
        let (ready, is_ready) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let me = task::runtime().unwrap().me();
            let _latch = latch.lock(&me);
            ready.send(()).unwrap();
            let _ = released.recv();
        });
        is_ready.recv().unwrap();
        Self(release, thread)
    }

    fn end(self) {
        drop(self.0);
        self.1.join().unwrap();
    }
}

fn left_over(me: &Member) -> bool {
    me.slot().left_over.load(Ordering::Relaxed) != 0
}

#[test]
fn what_cannot_be_freed_now_is_freed_by_the_next_operation_that_can() {
    let _alone = alone();
    let me = task::runtime().unwrap().me();
    let latches = || {
        let small = size_classes::class_of(200).unwrap();
        [&me.header().classes[small].latch, &me.header().units_latch]
    };
    for (latch, size) in latches().into_iter().zip([200, 300_000]) {
        let used = heap::in_use(&me);
        let keep = list::create(&me).unwrap();
        let block = heap::alloc(&me, Kind::RAW, size).unwrap();
        assert_eq!(heap::savepoint(&me), block);
        let holder = Holder::of(latch);
        heap::free_deferred(&me, Off::NONE);
        assert!(left_over(&me) && heap::savepoint(&me).is_none());
        // What operations do above it is theirs: made, taken over, thrown away.
        for round in 0..3 {
            for n in 0..20 {
                List::at(&me, keep).append(int(n)).unwrap();
            }
            let mark = heap::savepoint(&me);
            assert!(mark.is_none(), "round {round}");
            let other = heap::alloc(&me, Kind::RAW, 40).unwrap();
            let above = heap::savepoint(&me);
            assert_eq!(above, other);
            let more = heap::alloc(&me, Kind::RAW, 48).unwrap();
            assert_ne!(more, other);
            heap::free_deferred(&me, above);
            assert_eq!(heap::savepoint(&me), other);
            heap::free_deferred(&me, mark);
            assert!(left_over(&me));
        }
        // It piles up without a wait for each.
        if size == 200 {
            let second = heap::alloc(&me, Kind::RAW, 64).unwrap();
            assert_eq!(heap::savepoint(&me), second);
        }
        holder.end();
        heap::free_deferred(&me, Off::NONE);
        assert!(!left_over(&me));
        assert!(heap::savepoint(&me).is_none());
        refcount::release(&me, keep);
        assert_eq!(heap::in_use(&me), used, "{size}");
        whole(&me).unwrap();
    }
}

#[test]
fn an_allocation_waits_no_longer_than_its_caller_does() {
    let _alone = alone();
    let me = task::runtime().unwrap().me();
    let used = heap::in_use(&me);
    let latches: Vec<&'static Latch> =
        me.header().classes.iter().map(|class| &class.latch).collect();
    let holders: Vec<Holder> = latches.iter().map(|latch| Holder::of(latch)).collect();
    for until in [Deadline::at(0), Deadline::after(Some(Duration::from_millis(5)))] {
        let refused = heap::within(until, || heap::alloc(&me, Kind::RAW, 100)).unwrap_err();
        assert!(refused.is_held_up() && refused.to_string().contains("stopped"), "{refused}");
    }
    // One that needs none of these is made.
    let large = heap::within(Deadline::at(0), || heap::alloc(&me, Kind::RAW, 100_000)).unwrap();
    assert_eq!(heap::savepoint(&me), large);
    heap::free_deferred(&me, Off::NONE);
    for holder in holders {
        holder.end();
    }
    assert_eq!(heap::in_use(&me), used);
}

#[test]
fn limits_of_a_queue_hold_beside_one_who_has_the_heap() {
    let _alone = alone();
    let me = task::runtime().unwrap().me();
    let used = heap::in_use(&me);
    let off = queue::create(&me, Order::Priority).unwrap();
    let queue = Queue::at(&me, off);
    let bytes = [7; 100];
    let message = || Item::Blob(tag::BYTES, &bytes, &[]);
    let soon = || Deadline::after(Some(Duration::from_millis(5)));
    queue.try_put(message()).unwrap();
    let single = [&me.header().units_latch];
    let latches: Vec<&'static Latch> =
        me.header().classes.iter().map(|class| &class.latch).chain(single).collect();
    let holders: Vec<Holder> = latches.iter().map(|latch| Holder::of(latch)).collect();
    assert_eq!(queue.try_put(message()), Err(PutError::Full));
    assert_eq!(queue.put(message(), &mut Plain, soon()), Err(PutError::Full));
    // What is there comes out, unless it is noted first who has it, which takes memory once.
    let first = queue.get(&mut Plain, soon());
    assert!(matches!(first, Err(GetError::Empty)), "{first:?}");
    drop(first);
    for holder in holders {
        holder.end();
    }
    drop(queue.get(&mut Plain, soon()).unwrap());
    queue.try_put(message()).unwrap();
    let holders: Vec<Holder> = latches.iter().map(|latch| Holder::of(latch)).collect();
    drop(queue.get(&mut Plain, soon()).unwrap());
    assert!(left_over(&me));
    let empty = queue.get(&mut Plain, soon());
    assert!(matches!(empty, Err(GetError::Empty)), "{empty:?}");
    drop(empty);
    for holder in holders {
        holder.end();
    }
    refcount::release(&me, off);
    heap::free_deferred(&me, Off::NONE);
    assert_eq!(heap::in_use(&me), used);
}
