//! What the members do that die, what their rivals do, and what must then be found.
//!
//! A message is a number: even ones are words, odd ones blobs. A member acknowledges each that it has
//! put or taken.

use std::time::Duration;

use tarefa_engine::atomic::Ordering;
use tarefa_engine::channel::{
    Content, GetError, Joined, MAX_BYTES, Order, PutError, Queue, Taken, keyed, queue,
};
use tarefa_engine::collections::value::{self, Item, Small, tag};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::sync::wait::Plain;

use crate::Rivalry;
use crate::support::traced::{GAVE_UP, mark};
use crate::support::{Handle, acknowledge, int};

/// What a member acknowledges: one more message, several, and its end.
pub(crate) const ONE: u8 = 1;
const BATCH: u8 = 7;
pub(crate) const ENDED: u8 = 255;

/// How many messages a byte stands for.
pub(crate) fn count(written: &[u8]) -> u64 {
    written.iter().filter(|b| ![ENDED, GAVE_UP].contains(b)).map(|b| u64::from(*b)).sum()
}

pub(crate) fn soon(micros: u64) -> Deadline {
    Deadline::after(Some(Duration::from_micros(micros)))
}

pub(crate) fn patient() -> Deadline {
    Deadline::after(Some(Duration::from_secs(15)))
}

fn bytes_of(n: u64) -> Vec<u8> {
    n.to_le_bytes().iter().copied().chain((0..n % 90).map(|i| i as u8)).collect()
}

pub(crate) fn put(it: &Queue<'_>, n: u64, until: Deadline) -> Result<(), PutError> {
    if n % 2 == 0 {
        return it.put(int(n as i64), &mut Plain, until);
    }
    it.put(Item::Blob(tag::BYTES, &bytes_of(n), &[]), &mut Plain, until)
}

fn number(content: Content<'_>) -> u64 {
    match content {
        Content::Word(word) => match value::small(word) {
            Small::Int(n) => n as u64,
            other => panic!("a message that nobody put: {other:?}"),
        },
        Content::Blob(_, bytes, _) => {
            let n = u64::from_le_bytes(bytes[..8].try_into().unwrap());
            assert_eq!(bytes, bytes_of(n), "a message that nobody put");
            n
        }
    }
}

pub(crate) fn numbers(taken: &Taken) -> Vec<u64> {
    taken.contents().map(number).collect()
}

pub(crate) fn rest(it: &Queue<'_>) -> Vec<u64> {
    std::iter::from_fn(|| it.try_get_many(50).ok()).flat_map(|taken| numbers(&taken)).collect()
}

/// What every queue must be in the end: without messages, and of use unless it is shut.
pub(crate) fn empty_and_usable(me: &Member, queue: Handle) -> Result<(), String> {
    let it = Queue::at(me, queue.0);
    let (len, bytes) = (it.len(), it.used_bytes());
    if (len, bytes) != (0, 0) {
        return Err(format!("{len} messages and {bytes} bytes are left"));
    }
    it.set_bounds(0, MAX_BYTES);
    if it.is_shut() {
        return match (put(&it, 2, soon(0)), it.try_get().map(|_| ())) {
            (Err(PutError::ShutDown), Err(GetError::ShutDown)) => Ok(()),
            other => Err(format!("a queue that was shut: {other:?}")),
        };
    }
    for n in [2, 3, 4, 5] {
        put(&it, n, soon(0)).map_err(|e| format!("a put afterwards: {e}"))?;
    }
    let got = rest(&it);
    // In a heap numbers come before bytes.
    let wanted = match it.order() {
        Order::Fifo => [2, 3, 4, 5],
        Order::Lifo => [5, 4, 3, 2],
        Order::Priority => [2, 4, 3, 5],
    };
    if got != wanted {
        return Err(format!("afterwards came {got:?}"));
    }
    while it.task_done().is_ok() {}
    match it.join(&mut Plain, soon(0)) {
        Joined::Yes | Joined::Lost(..) => Ok(()),
        other => Err(format!("all is done, and join says {other:?}")),
    }
}

// Producers.

pub(crate) fn puts(me: &Member, queue: Handle) {
    let it = Queue::at(me, queue.0);
    it.set_bounds(3, 300);
    for n in 0..60 {
        put(&it, n, Deadline::NEVER).unwrap();
        acknowledge(ONE);
        if n % 20 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        // Full, most of the time, and in vain.
        let _ = it.put(Item::Blob(tag::BYTES, &[0; 301], &[]), &mut Plain, Deadline::NEVER);
    }
}

pub(crate) fn take(me: &Member, queue: Handle, rivalry: &Rivalry) -> Result<(), String> {
    let it = Queue::at(me, queue.0);
    while rivalry.goes_on() {
        match it.get(&mut Plain, soon(3000)) {
            Ok(taken) => rivalry.got.lock().unwrap().extend(numbers(&taken)),
            Err(GetError::Empty) => {}
            Err(GetError::ShutDown) => return Ok(()),
            Err(e) => return Err(e.to_string()),
        }
        // So that the queue is full, now and then.
        std::thread::sleep(Duration::from_micros(30));
    }
    Ok(())
}

pub(crate) fn all_came(
    me: &Member,
    queue: Handle,
    rivalry: &Rivalry,
    written: &[u8],
) -> Result<(), String> {
    let mut got = rivalry.got.lock().unwrap().clone();
    got.extend(rest(&Queue::at(me, queue.0)));
    put_in_order(&got, count(written), 1)
}

/// `got` is the first numbers: all that were acknowledged, and at most `more`.
pub(crate) fn put_in_order(got: &[u64], acknowledged: u64, more: u64) -> Result<(), String> {
    let len = got.len() as u64;
    let in_order = got.iter().copied().eq(0..len);
    if !in_order || !(acknowledged..=acknowledged + more).contains(&len) {
        return Err(format!("{acknowledged} were acknowledged, {got:?} came"));
    }
    Ok(())
}

pub(crate) fn puts_many(me: &Member, queue: Handle) {
    let it = Queue::at(me, queue.0);
    for batch in 0..20 {
        let numbers = batch * 7..batch * 7 + 7;
        let stored: Vec<Vec<u8>> = numbers.clone().map(bytes_of).collect();
        let items: Vec<Item<'_>> = numbers
            .zip(&stored)
            .map(|(n, b)| if n % 2 == 0 { int(n as i64) } else { Item::Blob(tag::BYTES, b, &[]) })
            .collect();
        it.put_many(&items, &mut Plain, Deadline::NEVER).unwrap();
        acknowledge(BATCH);
    }
}

pub(crate) fn all_are_there(
    me: &Member,
    queue: Handle,
    _: &Rivalry,
    written: &[u8],
) -> Result<(), String> {
    let got = rest(&Queue::at(me, queue.0));
    if got.len() % usize::from(BATCH) != 0 {
        return Err(format!("a batch is in two: {got:?}"));
    }
    put_in_order(&got, count(written), u64::from(BATCH))
}

// Consumers.

pub(crate) fn bring(me: &Member, queue: Handle, rivalry: &Rivalry) -> Result<(), String> {
    let it = Queue::at(me, queue.0);
    it.set_bounds(4, MAX_BYTES);
    while rivalry.goes_on() {
        match put(&it, rivalry.next.load(Ordering::Relaxed), soon(3000)) {
            Ok(()) => drop(rivalry.next.fetch_add(1, Ordering::Relaxed)),
            Err(PutError::Full) => {}
            Err(PutError::ShutDown) => return Ok(()),
            Err(e) => return Err(e.to_string()),
        }
        std::thread::sleep(Duration::from_micros(20));
    }
    Ok(())
}

pub(crate) fn gets(me: &Member, queue: Handle) {
    let it = Queue::at(me, queue.0);
    for i in 0..40 {
        let most = if i % 4 == 3 { 3 } else { 1 };
        if let Ok(taken) = it.get_many(most, &mut Plain, patient()) {
            let numbers = numbers(&taken);
            drop(taken);
            numbers.iter().for_each(|_| acknowledge(ONE));
        }
        while it.try_get().map(|_| acknowledge(ONE)).is_ok() {}
        let _ = it.get(&mut Plain, soon(40)).map(|_| acknowledge(ONE));
    }
}

/// The member's are gone, with at most three that it did not come to acknowledge; the others are there,
/// each once.
pub(crate) fn none_twice(
    me: &Member,
    queue: Handle,
    rivalry: &Rivalry,
    written: &[u8],
) -> Result<(), String> {
    let mut left = rest(&Queue::at(me, queue.0));
    left.sort_unstable();
    let all = rivalry.next.load(Ordering::Relaxed);
    let gone = all - left.len() as u64;
    let acknowledged = count(written);
    let in_order = left.windows(2).all(|w| w[0] < w[1]) && left.iter().all(|n| *n < all);
    if !in_order || !(acknowledged..=acknowledged + 3).contains(&gone) {
        return Err(format!("{acknowledged} of {all} were taken, {left:?} are left"));
    }
    Ok(())
}

pub(crate) fn stacks(me: &Member, queue: Handle) {
    let it = Queue::at(me, queue.0);
    for _ in 0..30 {
        if it.get(&mut Plain, patient()).is_ok() {
            acknowledge(ONE);
        }
    }
}

pub(crate) fn heaps(me: &Member, queue: Handle) {
    let it = Queue::at(me, queue.0);
    for _ in 0..30 {
        if it.get(&mut Plain, patient()).is_ok() {
            acknowledge(ONE);
        }
    }
    let own = queue::create(me, Order::Priority).unwrap();
    let it = Queue::at(me, own);
    for n in (0..40).rev() {
        let bytes = keyed(&7_u64.to_le_bytes(), tag::BYTES, b"");
        it.try_put(Item::Blob(tag::KEYED, &bytes, &[])).unwrap();
        mark();
        put(&it, n, soon(0)).unwrap();
    }
    mark();
    while it.try_get().is_ok() {
        mark();
    }
    refcount::release(me, own);
}

// The ring, and queues as a whole.

pub(crate) fn grows(me: &Member, queue: Handle) {
    let it = Queue::at(me, queue.0);
    for count in [70, 10, 200, 9000] {
        mark();
        (0..count).for_each(|n| put(&it, n, soon(0)).unwrap());
        mark();
        let got = rest(&it);
        assert!(got.into_iter().eq(0..count));
    }
    mark();
    for n in 0..40_000 {
        put(&it, n * 2, soon(0)).unwrap();
        assert_eq!(numbers(&it.try_get().unwrap()), [n * 2]);
    }
    mark();
    it.set_bounds(5, 100);
    it.set_label(3);
    it.set_bounds(0, MAX_BYTES);
}

pub(crate) fn all_are_gone(
    me: &Member,
    queue: Handle,
    _: &Rivalry,
    _: &[u8],
) -> Result<(), String> {
    let it = Queue::at(me, queue.0);
    let left = rest(&it);
    // In their order: a run of numbers, or every other one.
    if left.windows(2).all(|w| w[1] == w[0] + 1 || w[1] == w[0] + 2) {
        Ok(())
    } else {
        Err(format!("{left:?} are left"))
    }
}

pub(crate) fn drops(me: &Member, _: Handle) {
    for order in [Order::Fifo, Order::Lifo] {
        mark();
        let off = queue::create(me, order).unwrap();
        let it = Queue::at(me, off);
        (0..9).for_each(|n| put(&it, n, soon(0)).unwrap());
        mark();
        drop(it.try_get().unwrap());
        mark();
        refcount::release(me, off);
    }
}

pub(crate) fn shuts_down(me: &Member, queue: Handle) {
    let it = Queue::at(me, queue.0);
    std::thread::sleep(Duration::from_millis(1));
    it.set_bounds(0, MAX_BYTES);
    for n in 1_000_000..1_000_009 {
        mark();
        let _ = put(&it, n, soon(0));
    }
    mark();
    it.shut_down(true);
}

pub(crate) fn shuts_gently(me: &Member, queue: Handle) {
    let it = Queue::at(me, queue.0);
    (0..9).for_each(|n| put(&it, n, patient()).unwrap());
    mark();
    it.shut_down(false);
    mark();
    while it.get(&mut Plain, patient()).is_ok() {}
}

/// Whoever shut it: what is there is taken, and then it is over for all, if it is.
pub(crate) fn is_over(me: &Member, queue: Handle, _: &Rivalry, w: &[u8]) -> Result<(), String> {
    let it = Queue::at(me, queue.0);
    if w.contains(&ENDED) && !it.is_shut() {
        return Err("it is not shut".to_owned());
    }
    let _ = rest(&it);
    Ok(())
}

// What is done.

pub(crate) fn put_two(me: &Member, queue: Handle) {
    let it = Queue::at(me, queue.0);
    [1, 2].into_iter().for_each(|n| put(&it, n, soon(0)).unwrap());
}

pub(crate) fn takes_two(me: &Member, queue: Handle, to_ack: bool) {
    let it = Queue::at(me, queue.0);
    let taken = if to_ack { it.try_get_to_ack(2) } else { it.try_get_many(2) };
    assert_eq!(taken.unwrap().len(), 2);
}

pub(crate) fn does(me: &Member, queue: Handle) {
    let it = Queue::at(me, queue.0);
    for _ in 0..20 {
        if it.get(&mut Plain, patient()).is_ok() {
            acknowledge(ONE);
            it.task_done().unwrap();
        }
    }
}

pub(crate) fn join(me: &Member, queue: Handle, rivalry: &Rivalry) -> Result<(), String> {
    let it = Queue::at(me, queue.0);
    while rivalry.goes_on() {
        if it.join(&mut Plain, soon(2000)) == Joined::Interrupted {
            return Err("nobody interrupts".to_owned());
        }
        std::thread::sleep(Duration::from_micros(50));
    }
    Ok(())
}

pub(crate) fn finds_lost(me: &Member, queue: Handle) {
    let it = Queue::at(me, queue.0);
    put(&it, 4, soon(0)).unwrap();
    // Whoever has the slot of the process before counts what that had taken.
    assert_eq!(it.try_get().unwrap().len(), 1);
    mark();
    it.task_done().unwrap();
    mark();
    assert!(matches!(it.join(&mut Plain, patient()), Joined::Lost(2, _)));
}
