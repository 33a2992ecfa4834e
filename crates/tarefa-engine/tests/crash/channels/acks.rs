//! Members that take messages to acknowledge them, and what must be found of those afterwards.

use std::time::Duration;

use tarefa_engine::atomic::Ordering;
use tarefa_engine::channel::{GetError, Order, Queue, queue};
use tarefa_engine::shm::Member;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::sync::wait::Plain;

use crate::Rivalry;
use crate::members::{ENDED, ONE, count, numbers, patient, put, rest, soon};
use crate::support::traced::mark;
use crate::support::{Handle, acknowledge};

/// Tells of each message once it is acknowledged.
pub(crate) fn acks(me: &Member, queue: Handle) {
    let it = Queue::at(me, queue.0);
    for i in 0..30 {
        let most = if i % 4 == 3 { 3 } else { 1 };
        let Ok(taken) = it.get_to_ack(most, &mut Plain, patient()) else { continue };
        let held = taken.deliveries().to_vec();
        mark();
        if i % 5 == 4 {
            it.give_back(&held).unwrap();
            continue;
        }
        if i % 7 == 6 {
            // Said to be done, and then not.
            held.iter().for_each(|_| it.task_done().unwrap());
            it.give_back(&held).unwrap();
            continue;
        }
        it.ack(&held).unwrap();
        held.iter().for_each(|_| acknowledge(ONE));
    }
    // What is left in its hands comes back with its end.
    let _ = it.get_to_ack(2, &mut Plain, soon(500));
}

pub(crate) fn take_and_ack(me: &Member, queue: Handle, rivalry: &Rivalry) -> Result<(), String> {
    let it = Queue::at(me, queue.0);
    while rivalry.goes_on() {
        match it.get_to_ack(2, &mut Plain, soon(3000)) {
            Ok(taken) => {
                rivalry.got.lock().unwrap().extend(numbers(&taken));
                it.ack(taken.deliveries()).map_err(|e| e.to_string())?;
            }
            Err(GetError::Empty) => {}
            Err(e) => return Err(e.to_string()),
        }
        std::thread::sleep(Duration::from_micros(60));
    }
    Ok(())
}

/// Each message was acknowledged by the member, or came to the other one, or is there: once.
pub(crate) fn none_is_lost(
    me: &Member,
    queue: Handle,
    rivalry: &Rivalry,
    written: &[u8],
) -> Result<(), String> {
    let it = Queue::at(me, queue.0);
    let all = rivalry.next.load(Ordering::Relaxed);
    let mut found = rivalry.got.lock().unwrap().clone();
    found.extend(rest(&it));
    found.sort_unstable();
    let once = found.windows(2).all(|w| w[0] < w[1]) && found.iter().all(|n| *n < all);
    let (acknowledged, gone) = (count(written), all - found.len() as u64);
    if !once || !(acknowledged..=acknowledged + 3).contains(&gone) {
        return Err(format!("{acknowledged} of {all} were acknowledged, {found:?} are there"));
    }
    Ok(())
}

/// How many a member holds that holds many.
const MANY: u64 = 300;

pub(crate) fn holds_many(me: &Member, queue: Handle) {
    let it = Queue::at(me, queue.0);
    (0..MANY).for_each(|n| put(&it, n, soon(0)).unwrap());
    for _ in 0..2 {
        mark();
        let taken = it.try_get_to_ack(MANY as usize).unwrap();
        mark();
        it.give_back(taken.deliveries()).unwrap();
    }
    let taken = it.try_get_to_ack(MANY as usize).unwrap();
    acknowledge(ONE);
    it.ack(taken.deliveries()).unwrap();
}

/// Before any is acknowledged all are there, in their order; afterwards the last ones are.
pub(crate) fn many_are_whole(
    me: &Member,
    queue: Handle,
    _: &Rivalry,
    written: &[u8],
) -> Result<(), String> {
    let left = rest(&Queue::at(me, queue.0));
    let in_order = left.windows(2).all(|w| w[1] == w[0] + 1);
    let ended = written.contains(&ENDED);
    let first = left.first().copied().unwrap_or(MANY);
    let is_whole = match (written.contains(&ONE), ended) {
        (_, true) => left.is_empty(),
        (true, false) => left.last().is_none_or(|n| *n == MANY - 1),
        (false, false) => first == 0 || left.is_empty(),
    };
    if in_order && is_whole { Ok(()) } else { Err(format!("{left:?} are left")) }
}

/// Two messages came back, 1 and 2, from a process that has ended.
pub(crate) fn takes_again(me: &Member, queue: Handle) {
    let it = Queue::at(me, queue.0);
    put(&it, 4, soon(0)).unwrap();
    put(&it, 5, soon(0)).unwrap();
    mark();
    let taken = it.get_to_ack(1, &mut Plain, patient()).unwrap();
    assert_eq!((numbers(&taken), taken.redelivered()), (vec![1], true));
    mark();
    // Said to be done before it is acknowledged: then it is not.
    it.task_done().unwrap();
    mark();
    it.give_back(taken.deliveries()).unwrap();
    mark();
    let taken = it.try_get_many(2).unwrap();
    assert_eq!((numbers(&taken), taken.redelivered()), (vec![1, 2], true));
    drop(taken);
    let taken = it.try_get().unwrap();
    assert_eq!((numbers(&taken), taken.redelivered()), (vec![4], false));
}

pub(crate) fn gives_back(me: &Member, queue: Handle) {
    let it = Queue::at(me, queue.0);
    (3..6).for_each(|n| put(&it, n, soon(0)).unwrap());
    let [two, three] = [2, 1].map(|most| it.try_get_to_ack(most).unwrap());
    mark();
    it.give_back(three.deliveries()).unwrap();
    mark();
    it.give_back(two.deliveries()).unwrap();
    mark();
    let all = it.try_get_to_ack(9).unwrap();
    assert_eq!(numbers(&all), [1, 2, 3, 4, 5]);
}

/// What is left is in its order.
pub(crate) fn as_left(me: &Member, queue: Handle, _: &Rivalry, _: &[u8]) -> Result<(), String> {
    let it = Queue::at(me, queue.0);
    let (held, left) = (it.unacknowledged(), rest(&it));
    if held == 0 && left.is_sorted() && left.iter().all(|n| (1..6).contains(n)) {
        Ok(())
    } else {
        Err(format!("{held} are held by nobody, {left:?} are left"))
    }
}

pub(crate) fn shuts_on(me: &Member, queue: Handle) {
    let it = Queue::at(me, queue.0);
    put(&it, 3, soon(0)).unwrap();
    let taken = it.try_get_to_ack(3).unwrap();
    mark();
    it.give_back(&taken.deliveries()[..2]).unwrap();
    mark();
    it.shut_down(true);
    mark();
    it.give_back(&taken.deliveries()[2..]).unwrap();
}

pub(crate) fn drops_held(me: &Member, _: Handle) {
    for order in [Order::Fifo, Order::Lifo] {
        let off = queue::create(me, order).unwrap();
        let it = Queue::at(me, off);
        (0..9).for_each(|n| put(&it, n, soon(0)).unwrap());
        let taken = it.try_get_to_ack(6).unwrap();
        it.give_back(&taken.deliveries()[..3]).unwrap();
        drop(taken);
        refcount::release(me, off);
    }
}
