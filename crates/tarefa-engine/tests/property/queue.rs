//! The queue against a `VecDeque`, whose messages begin at every offset of the ring; several producers
//! and consumers; and that nothing is left behind.

#![allow(clippy::needless_for_each, clippy::format_push_string)]

#[path = "../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use proptest::prelude::*;
use support::{full, whole};
use tarefa_engine::channel::queue;
use tarefa_engine::channel::{
    Content, GetError, Joined, MAX_BYTES, NotHeld, Order, PutError, Queue, Taken, TooManyDone,
    keyed, unkeyed,
};
use tarefa_engine::collections::flat::{self, Part};
use tarefa_engine::collections::value::{self, Item, Small, tag};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, Off};
use tarefa_engine::sync::wait::{BlockingHooks, Plain};
use tarefa_engine::task;

/// The heap is looked at as a whole, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> (MutexGuard<'static, ()>, Member) {
    let alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let me = task::runtime().unwrap().me();
    support::ready(&me);
    (alone, me)
}

/// Runs `test` on a new queue; nothing may be left of it.
fn with(order: Order, test: impl FnOnce(&Member, &Queue<'_>)) {
    let (_alone, me) = alone();
    // What a process keeps for its references is made now.
    refcount::release(&me, queue::create(&me, order).unwrap());
    let before = whole(&me).unwrap();
    let off = queue::create(&me, order).unwrap();
    test(&me, &Queue::at(&me, off));
    refcount::release(&me, off);
    let after = whole(&me).unwrap();
    assert_eq!((before.blocks, before.objects), (after.blocks, after.objects));
}

fn bytes_of(n: u64) -> Vec<u8> {
    (0..n % 300).map(|i| (i * 7 + n) as u8).collect()
}

/// A number as a message: even ones as words, odd ones as blobs.
fn with_item<T>(n: u64, act: impl FnOnce(Item<'_>) -> T) -> T {
    if n % 2 == 0 {
        return act(Item::Word(value::int_word(n as i64).unwrap()));
    }
    let bytes = bytes_of(n);
    act(Item::Parts(tag::BYTES, &[&n.to_le_bytes(), &bytes], &[]))
}

fn number(content: Content<'_>) -> u64 {
    match content {
        Content::Word(word) => match value::small(word) {
            Small::Int(n) => n as u64,
            other => panic!("{other:?}"),
        },
        Content::Blob(how, bytes, _) => {
            let n = u64::from_le_bytes(bytes[..8].try_into().unwrap());
            assert_eq!((how, &bytes[8..]), (tag::BYTES, &bytes_of(n)[..]));
            n
        }
    }
}

fn numbers(taken: &Taken) -> Vec<u64> {
    taken.contents().map(number).collect()
}

fn put(queue: &Queue<'_>, n: u64) -> Result<(), PutError> {
    with_item(n, |item| queue.try_put(item))
}

fn get(queue: &Queue<'_>) -> Result<u64, GetError> {
    queue.try_get().map(|taken| numbers(&taken)[0])
}

#[derive(Clone, Debug)]
enum Do {
    Put(u64),
    PutMany(Vec<u64>),
    Get,
    GetMany(usize),
    Bounds(u64),
    Done,
    /// Takes so many to be acknowledged.
    Hold(usize),
    /// Acknowledges what was taken first, or gives it back.
    Ack,
    GiveBack,
}

fn operations() -> impl Strategy<Value = Vec<Do>> {
    let one = prop_oneof![
        4 => (0..1000u64).prop_map(Do::Put),
        2 => proptest::collection::vec(0..1000u64, 0..90).prop_map(Do::PutMany),
        5 => Just(Do::Get),
        2 => (1..100usize).prop_map(Do::GetMany),
        1 => (0..40u64).prop_map(Do::Bounds),
        2 => Just(Do::Done),
        3 => (1..40usize).prop_map(Do::Hold),
        2 => Just(Do::Ack),
        2 => Just(Do::GiveBack),
    ];
    proptest::collection::vec(one, 0..120)
}

/// What a queue or a stack holds.
#[derive(Debug)]
struct Model {
    order: Order,
    queued: VecDeque<u64>,
    /// Messages that came back, by when they were handed out first.
    back: BTreeMap<u64, u64>,
    handed_out: u64,
}

impl Default for Model {
    fn default() -> Self {
        Self { order: Order::Fifo, queued: VecDeque::new(), back: BTreeMap::new(), handed_out: 0 }
    }
}

impl Model {
    fn len(&self) -> usize {
        self.queued.len() + self.back.len()
    }

    /// The next message, and when it was handed out first, if it was.
    fn take(&mut self) -> Option<(Option<u64>, u64)> {
        if let Some((when, n)) = self.back.pop_first() {
            return Some((Some(when), n));
        }
        let next = match self.order {
            Order::Fifo => self.queued.pop_front(),
            Order::Lifo | Order::Priority => self.queued.pop_back(),
        };
        next.map(|n| (None, n))
    }

    /// When a message was handed out first.
    fn number(&mut self, when: Option<u64>) -> u64 {
        self.handed_out += 1;
        when.unwrap_or(self.handed_out)
    }
}

/// Does the same to the queue and to the model.
fn compare(order: Order, offset: u64, operations: &[Do]) {
    with(order, |_, queue| {
        for _ in 0..offset {
            put(queue, 2).unwrap();
            get(queue).unwrap();
            queue.task_done().unwrap();
        }
        let mut model = Model { order, ..Model::default() };
        let (mut bound, mut pending, mut held) = (0, 0, VecDeque::new());
        // Those that were taken and are not done, as far as the queue knows.
        let mut noted = 0;
        for operation in operations {
            match operation {
                Do::Put(n) => {
                    let fits = bound == 0 || model.len() < bound;
                    assert_eq!(put(queue, *n), if fits { Ok(()) } else { Err(PutError::Full) });
                    if fits {
                        model.queued.push_back(*n);
                        pending += 1;
                    }
                }
                Do::PutMany(all) => {
                    let stored: Vec<Vec<u8>> = all
                        .iter()
                        .map(|n| [&n.to_le_bytes()[..], &bytes_of(*n)].concat())
                        .collect();
                    let items: Vec<Item<'_>> = all
                        .iter()
                        .zip(&stored)
                        .map(|(n, bytes)| match n % 2 {
                            0 => Item::Word(value::int_word(*n as i64).unwrap()),
                            _ => Item::Blob(tag::BYTES, bytes, &[]),
                        })
                        .collect();
                    let room = if bound == 0 { usize::MAX } else { bound - bound.min(model.len()) };
                    let now = Deadline::after(Some(Duration::ZERO));
                    let result = queue.put_many(&items, &mut Plain, now);
                    let fits = room.min(all.len());
                    let full = Err((fits, PutError::Full));
                    assert_eq!(result, if fits == all.len() { Ok(()) } else { full });
                    model.queued.extend(&all[..fits]);
                    pending += fits;
                }
                Do::Get => {
                    let wanted = model.take();
                    noted += usize::from(wanted.is_some());
                    assert_eq!(get(queue).ok(), wanted.map(|(_, n)| n));
                }
                Do::GetMany(most) | Do::Hold(most) => {
                    let to_ack = matches!(operation, Do::Hold(_));
                    let wanted: Vec<_> = (0..*most).map_while(|_| model.take()).collect();
                    noted += wanted.len();
                    let taken = if to_ack {
                        queue.try_get_to_ack(*most)
                    } else {
                        queue.try_get_many(*most)
                    };
                    let taken = match taken {
                        Ok(taken) => taken,
                        Err(e) => {
                            assert!(e == GetError::Empty && wanted.is_empty());
                            continue;
                        }
                    };
                    assert!(numbers(&taken).into_iter().eq(wanted.iter().map(|(_, n)| *n)));
                    assert_eq!(taken.redelivered(), wanted.iter().any(|(when, _)| when.is_some()));
                    if to_ack {
                        let wanted = wanted.into_iter().map(|(when, n)| (model.number(when), n));
                        held.push_back((taken.deliveries().to_vec(), wanted.collect::<Vec<_>>()));
                    }
                }
                Do::Ack => {
                    if let Some((deliveries, _)) = held.pop_front() {
                        queue.ack(&deliveries).unwrap();
                        assert_eq!(queue.ack(&deliveries), Err(NotHeld(deliveries.len())));
                        assert_eq!(queue.give_back(&deliveries), Err(NotHeld(deliveries.len())));
                    }
                }
                Do::GiveBack => {
                    if let Some((deliveries, messages)) = held.pop_front() {
                        queue.give_back(&deliveries).unwrap();
                        assert_eq!(queue.ack(&deliveries), Err(NotHeld(deliveries.len())));
                        // It is to be done again, if it was said to be done.
                        pending += messages.len().saturating_sub(noted);
                        noted = noted.saturating_sub(messages.len());
                        model.back.extend(messages);
                    }
                }
                Do::Bounds(n) => {
                    queue.set_bounds(*n, MAX_BYTES);
                    bound = *n as usize;
                }
                Do::Done => {
                    let done = queue.task_done();
                    assert_eq!(done, if pending == 0 { Err(TooManyDone) } else { Ok(()) });
                    noted -= usize::from(pending > 0 && noted > 0);
                    pending -= usize::from(pending > 0);
                }
            }
            assert_eq!(queue.len(), model.len() as u64);
            assert_eq!(queue.pending(), pending as u64);
            let unacknowledged: usize = held.iter().map(|(d, _)| d.len()).sum();
            assert_eq!(queue.unacknowledged(), unacknowledged as u64);
            assert_eq!(queue.is_full(), bound != 0 && model.len() >= bound);
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_is_as_the_model(offset in 0..200u64, operations in operations()) {
        compare(Order::Fifo, offset, &operations);
    }

    #[test]
    fn a_stack_is_as_the_model(operations in operations()) {
        compare(Order::Lifo, 0, &operations);
    }
}

/// What a message of a priority queue is for the test: its key, and in which order it was put.
fn keyed_item<T>(key: u64, n: u64, act: impl FnOnce(Item<'_>) -> T) -> T {
    let mut bytes = Vec::new();
    flat::put(&mut bytes, Part::Tuple(1));
    flat::put(&mut bytes, Part::Word(value::int_word(key as i64).unwrap()));
    let bytes = keyed(&bytes, tag::BYTES, &[key.to_le_bytes(), n.to_le_bytes()].concat());
    act(Item::Blob(tag::KEYED, &bytes, &[]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn the_least_comes_first_and_equals_in_their_order(
        operations in proptest::collection::vec((0..20u64, any::<bool>()), 0..300)
    ) {
        with(Order::Priority, |_, queue| {
            let mut model = std::collections::BTreeSet::new();
            for (n, (key, puts)) in operations.iter().enumerate() {
                let n = n as u64;
                if *puts {
                    keyed_item(*key, n, |item| queue.try_put(item)).unwrap();
                    model.insert((*key, n));
                } else {
                    let got = queue.try_get().ok().map(|taken| {
                        let Some(Content::Blob(how, bytes, _)) = taken.contents().next() else {
                            panic!("no blob");
                        };
                        assert_eq!(how, tag::KEYED);
                        let (how, rest) = unkeyed(bytes).unwrap();
                        assert_eq!(how, tag::BYTES);
                        let number = |i: usize| {
                            u64::from_le_bytes(rest[i..i + 8].try_into().unwrap())
                        };
                        (number(0), number(8))
                    });
                    assert_eq!(got, model.pop_first());
                }
                assert_eq!(queue.len(), model.len() as u64);
            }
        });
    }

    #[test]
    fn words_come_out_sorted(mut numbers in proptest::collection::vec(0..1000u64, 0..500)) {
        with(Order::Priority, |_, queue| {
            for n in &numbers {
                put(queue, n * 2).unwrap();
            }
            numbers.sort_unstable();
            for n in &numbers {
                assert_eq!(get(queue), Ok(n * 2));
            }
        });
    }
}

#[test]
fn messages_begin_at_every_offset() {
    for offset in 0..130 {
        with(Order::Fifo, |_, queue| {
            for n in 0..offset {
                put(queue, n).unwrap();
                assert_eq!(get(queue), Ok(n));
            }
            // Over the end of the first ring, and into larger ones.
            for count in [1, 63, 64, 65, 127, 300] {
                (0..count).for_each(|n| put(queue, n).unwrap());
                assert_eq!(queue.len(), count);
                (0..count).for_each(|n| assert_eq!(get(queue), Ok(n)));
                assert_eq!(get(queue), Err(GetError::Empty));
            }
        });
    }
}

#[test]
fn a_ring_that_held_much_becomes_small_again() {
    with(Order::Fifo, |me, queue| {
        (0..100_000).for_each(|n| put(queue, n * 2).unwrap());
        (0..100_000).for_each(|n| assert_eq!(get(queue), Ok(n * 2)));
        let large = whole(me).unwrap().bytes;
        for n in 0..400_000 {
            put(queue, n * 2).unwrap();
            assert_eq!(get(queue), Ok(n * 2));
        }
        assert!(whole(me).unwrap().bytes + 500_000 < large);
    });
}

#[test]
fn bytes_are_bounded_too() {
    with(Order::Fifo, |_, queue| {
        queue.set_bounds(0, 1000);
        let blob = |n: usize| queue.try_put(Item::Blob(tag::BYTES, &vec![7; n], &[]));
        assert_eq!(blob(1001), Err(PutError::TooLarge { size: 1001, most: 1000 }));
        let text = blob(1001).unwrap_err().to_string();
        assert!(text.contains("1001 bytes") && text.contains("1000 bytes"), "{text}");
        blob(1000).unwrap();
        assert_eq!((blob(1), put(queue, 2)), (Err(PutError::Full), Err(PutError::Full)));
        assert!(queue.is_full());
        drop(queue.try_get().unwrap());
        blob(500).unwrap();
        assert_eq!((blob(500), queue.used_bytes()), (Err(PutError::Full), 508));
        blob(400).unwrap();
        (0..10).for_each(|_| put(queue, 2).unwrap());
        assert_eq!(put(queue, 2), Err(PutError::Full));
        drop(queue.try_get_many(100).unwrap());
        (0..125).for_each(|_| put(queue, 2).unwrap());
        assert_eq!((put(queue, 2), queue.used_bytes()), (Err(PutError::Full), 1000));
    });
}

#[test]
#[cfg_attr(miri, ignore = "long")]
fn messages_are_taken_whatever_is_full() {
    for order in [Order::Fifo, Order::Lifo, Order::Priority] {
        with(order, |me, queue| {
            (0..300).for_each(|n| put(queue, n).unwrap());
            full(me, || {
                assert!(matches!(put(queue, 301), Err(PutError::Memory(_))));
                // A note of what was taken, and a table that grows again and again.
                let held = queue.try_get_to_ack(200).unwrap();
                assert_eq!((held.len(), queue.unacknowledged()), (200, 200));
                queue.give_back(&held.deliveries()[..50]).unwrap();
                queue.ack(&held.deliveries()[50..]).unwrap();
                assert_eq!(queue.try_get_many(1000).unwrap().len(), 150);
                assert_eq!(queue.task_done(), Ok(()));
            });
        });
    }
}

#[test]
fn the_end_of_a_queue() {
    with(Order::Fifo, |me, queue| {
        (0..5).for_each(|n| put(queue, n).unwrap());
        queue.shut_down(false);
        assert!(queue.is_shut());
        assert_eq!(put(queue, 1), Err(PutError::ShutDown));
        assert_eq!((get(queue), get(queue)), (Ok(0), Ok(1)));
        queue.shut_down(true);
        queue.shut_down(false);
        assert_eq!((queue.len(), queue.pending()), (0, 2));
        assert_eq!(get(queue), Err(GetError::ShutDown));
        let waited = queue.get(&mut Plain, Deadline::NEVER);
        assert_eq!(waited.map(|_| ()), Err(GetError::ShutDown));
        queue.task_done().unwrap();
        queue.task_done().unwrap();
        assert_eq!(queue.join(&mut Plain, Deadline::NEVER), Joined::Yes);
        assert!(me.is_between_operations());
    });
}

/// Interrupts a wait when it looks around for the `left`th time.
struct Nag(u32);

impl BlockingHooks for Nag {
    fn release(&mut self, sleep: &mut dyn FnMut()) {
        sleep();
    }

    fn interrupted(&mut self) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 == 0
    }
}

#[test]
fn waits_that_end_without_a_message() {
    with(Order::Fifo, |_, queue| {
        let soon = || Deadline::after(Some(Duration::from_millis(3)));
        // Who is interrupted does not come to the end of this, however busy the machine is.
        let late = || Deadline::after(Some(Duration::from_secs(20)));
        let get = |hooks: &mut dyn BlockingHooks, until| queue.get(hooks, until).map(|_| ());
        assert_eq!(get(&mut Plain, soon()), Err(GetError::Empty));
        assert_eq!(get(&mut Nag(1), late()), Err(GetError::Interrupted));
        assert_eq!(queue.join(&mut Plain, soon()), Joined::Yes);
        queue.set_bounds(1, MAX_BYTES);
        put(queue, 2).unwrap();
        let put =
            |hooks: &mut dyn BlockingHooks, until| with_item(3, |i| queue.put(i, hooks, until));
        assert_eq!(put(&mut Plain, soon()), Err(PutError::Full));
        assert_eq!(put(&mut Nag(2), late()), Err(PutError::Interrupted));
        assert_eq!(queue.join(&mut Plain, soon()), Joined::TimedOut);
        assert_eq!(queue.join(&mut Nag(1), late()), Joined::Interrupted);
    });
}

/// `producers` and `consumers` at once: each message comes out once, those of one producer in order.
fn at_once(order: Order, maxsize: u64, producers: u64, consumers: u64, each: u64) {
    with(order, |me, queue| {
        let (runtime, off) = (me.runtime(), queue.offset());
        queue.set_bounds(maxsize, 20_000);
        let all: Vec<Vec<u64>> = std::thread::scope(|scope| {
            let produce = |p| {
                scope.spawn(move || {
                    let me = runtime.me();
                    for n in 0..each {
                        let number = p << 32 | n;
                        let it = Queue::at(&me, off);
                        with_item(number, |i| it.put(i, &mut Plain, Deadline::NEVER)).unwrap();
                    }
                })
            };
            let producers: Vec<_> = (0..producers).map(produce).collect();
            let consume = |c: u64| {
                scope.spawn(move || {
                    let me = runtime.me();
                    let (it, mut got) = (Queue::at(&me, off), Vec::new());
                    let most = if c % 2 == 0 { 1 } else { 5 };
                    while let Ok(taken) = it.get_many(most, &mut Plain, Deadline::NEVER) {
                        for n in numbers(&taken) {
                            got.push(n);
                            it.task_done().unwrap();
                        }
                    }
                    got
                })
            };
            let consumers: Vec<_> = (0..consumers).map(consume).collect();
            producers.into_iter().for_each(|t| t.join().unwrap());
            assert_eq!(queue.join(&mut Plain, Deadline::NEVER), Joined::Yes);
            queue.shut_down(false);
            consumers.into_iter().map(|t| t.join().unwrap()).collect()
        });
        if order == Order::Fifo {
            for got in &all {
                for p in 0..producers {
                    let its: Vec<_> = got.iter().filter(|n| *n >> 32 == p).collect();
                    assert!(its.is_sorted());
                }
            }
        }
        let mut sum: Vec<u64> = all.concat();
        sum.sort_unstable();
        let wanted = (0..producers).flat_map(|p| (0..each).map(move |n| p << 32 | n));
        assert!(sum.into_iter().eq(wanted));
        assert_eq!((queue.len(), queue.used_bytes()), (0, 0));
    });
}

#[test]
fn many_at_once() {
    for (maxsize, producers, consumers) in
        [(0, 1, 1), (1, 1, 1), (1, 3, 3), (0, 4, 1), (7, 1, 4), (64, 3, 3), (0, 16, 16)]
    {
        at_once(Order::Fifo, maxsize, producers, consumers, 20_000 / producers);
    }
    at_once(Order::Lifo, 5, 3, 3, 3000);
}

#[test]
fn a_queue_with_messages_is_freed_with_them() {
    with(Order::Fifo, |_, queue| {
        (0..500).for_each(|n| put(queue, n).unwrap());
        assert_eq!(get(queue), Ok(0));
    });
    with(Order::Lifo, |me, queue| {
        let inner: Off = queue::create(me, Order::Fifo).unwrap();
        let mention = Item::Blob(tag::OBJECT, &[0; 16], &[inner]);
        queue.try_put(mention).unwrap();
        refcount::release(me, inner);
        put(queue, 5).unwrap();
    });
}
