//! Members that make pipes, and members that have one end of a pipe while somebody else has the other.

use std::time::Duration;

use tarefa_engine::channel::pipe::{self, End};
use tarefa_engine::channel::{Content, GetError, MAX_BYTES, PutError, Queue};
use tarefa_engine::collections::value::{Item, tag};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::arena::offset::Off;
use tarefa_engine::shm::object::blob::{self, HeldBlob};
use tarefa_engine::shm::object::refcount;
use tarefa_engine::sync::wait::Plain;

use crate::Rivalry;
use crate::members::{ONE, count, numbers, patient, put, put_in_order, rest, soon};
use crate::support::traced::mark;
use crate::support::{Handle, acknowledge};

/// Makes pipes, and drops their ends in both orders, with messages in them.
pub(crate) fn makes_pipes(me: &Member, _: Handle) {
    for (duplex, first_goes_first) in [(true, true), (false, false), (true, false)] {
        mark();
        let (a, b) = pipe::create(me, duplex).unwrap();
        mark();
        let (reader, writer) = (End::at(me, a), End::at(me, b));
        assert_eq!(reader.writes().is_some(), duplex);
        let (to, from) = (writer.writes().unwrap(), reader.reads().unwrap());
        (0..5).for_each(|n| put(&to, n, soon(0)).unwrap());
        assert_eq!(numbers(&from.try_get_many(2).unwrap()), [0, 1]);
        mark();
        if first_goes_first {
            refcount::release(me, a);
            assert_eq!(put(&to, 9, soon(0)), Err(PutError::ShutDown));
            mark();
            refcount::release(me, b);
        } else {
            refcount::release(me, b);
            mark();
            assert_eq!(numbers(&from.try_get_many(9).unwrap()), [2, 3, 4]);
            assert_eq!(from.try_get().err(), Some(GetError::ShutDown));
            refcount::release(me, a);
        }
    }
}

/// Waits for the end that somebody hands over.
fn handed_over(me: &Member, queue: Handle) -> (HeldBlob, Off) {
    let taken = Queue::at(me, queue.0).get(&mut Plain, patient()).unwrap();
    let Some(Content::Blob(_, _, at)) = taken.contents().next() else { panic!("no end came") };
    let held = blob::hold(me, at).unwrap();
    let end = held.first().unwrap();
    (held, end)
}

/// Makes a pipe, and hands one end over; the other one.
fn hand_over(me: &Member, queue: Handle) -> Off {
    let (mine, theirs) = pipe::create(me, true).unwrap();
    End::at(me, mine).writes().unwrap().set_bounds(2, MAX_BYTES);
    let message = Item::Blob(tag::OBJECT, &[0; 16], &[theirs]);
    Queue::at(me, queue.0).put(message, &mut Plain, Deadline::NEVER).unwrap();
    refcount::release(me, theirs);
    mine
}

pub(crate) fn sends(me: &Member, queue: Handle) {
    let (_held, end) = handed_over(me, queue);
    let it = End::at(me, end).writes().unwrap();
    for n in 0..20 {
        put(&it, n, Deadline::NEVER).unwrap();
        acknowledge(ONE);
    }
}

pub(crate) fn receives(me: &Member, queue: Handle) {
    let (_held, end) = handed_over(me, queue);
    let it = End::at(me, end).reads().unwrap();
    for n in 0..20 {
        assert_eq!(numbers(&it.get(&mut Plain, patient()).unwrap()), [n]);
        acknowledge(ONE);
    }
}

/// Reads what the member sends, to its end, which comes however that ends.
pub(crate) fn hear_to_the_end(me: &Member, queue: Handle, rivalry: &Rivalry) -> Result<(), String> {
    let mine = hand_over(me, queue);
    let it = End::at(me, mine).reads().unwrap();
    loop {
        match it.get(&mut Plain, soon(3000)) {
            Ok(taken) => rivalry.got.lock().unwrap().extend(numbers(&taken)),
            Err(GetError::ShutDown) => break,
            Err(GetError::Empty) => take_back(me, queue, rivalry),
            Err(e) => return Err(e.to_string()),
        }
    }
    refcount::release(me, mine);
    Ok(())
}

/// Sends until nobody reads, which comes however the member ends.
pub(crate) fn speak_to_the_end(
    me: &Member,
    queue: Handle,
    rivalry: &Rivalry,
) -> Result<(), String> {
    let mine = hand_over(me, queue);
    let it = End::at(me, mine).writes().unwrap();
    let mut next = 0;
    loop {
        match put(&it, next, soon(3000)) {
            Ok(()) => next += 1,
            Err(PutError::ShutDown) => break,
            Err(PutError::Full) => take_back(me, queue, rivalry),
            Err(e) => return Err(e.to_string()),
        }
    }
    it.throw_away();
    if !it.is_empty() {
        return Err("what nobody reads is still there".to_owned());
    }
    refcount::release(me, mine);
    Ok(())
}

/// The end may have been taken by nobody: then it goes with its message.
fn take_back(me: &Member, queue: Handle, rivalry: &Rivalry) {
    if !rivalry.goes_on() {
        drop(Queue::at(me, queue.0).try_get());
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// What was sent came, in its order.
pub(crate) fn all_was_heard(
    me: &Member,
    queue: Handle,
    rivalry: &Rivalry,
    written: &[u8],
) -> Result<(), String> {
    let left = Queue::at(me, queue.0).len();
    if left != 0 {
        return Err(format!("{left} messages are left"));
    }
    put_in_order(&rivalry.got.lock().unwrap(), count(written), 1)
}

pub(crate) fn nothing_is_left(
    me: &Member,
    queue: Handle,
    _: &Rivalry,
    _: &[u8],
) -> Result<(), String> {
    let left = rest(&Queue::at(me, queue.0));
    if left.is_empty() { Ok(()) } else { Err(format!("{left:?} are left")) }
}
