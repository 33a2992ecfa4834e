//! *The n-th call fails*: each allocation of an operation fails once, at every n. The operation then says
//! that there is no memory, with everything as it was, or does without; it works the next time, and
//! nothing is left behind.

#![allow(clippy::wildcard_imports, clippy::needless_for_each, clippy::format_push_string)]
#![allow(clippy::format_collect, clippy::naive_bytecount)]

#[path = "../../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use support::{int, whole};
use tarefa_engine::channel::{Order, Queue, pipe, queue};
use tarefa_engine::collections::array::{self, Array, Form};
use tarefa_engine::collections::dict::{self, Dict, Key};
use tarefa_engine::collections::list::{self, List};
use tarefa_engine::collections::value::{Item, tag};
use tarefa_engine::kinds;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::heap::check::Report;
use tarefa_engine::shm::heap::nth_call;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, Off};
use tarefa_engine::sync::wait::Plain;
use tarefa_engine::sync::{barrier, condition, event, lock, rwlock, semaphore};
use tarefa_engine::task;

type Answer = Result<(), String>;

/// An operation on an object that is made for it.
struct Case {
    name: &'static str,
    make: fn(&Member) -> Off,
    act: fn(&Member, Off) -> Answer,
    /// What must be the same when it has failed.
    state: fn(&Member, Off) -> String,
}

fn said(e: impl std::fmt::Display) -> String {
    e.to_string()
}

fn drop_all(me: &Member, objects: impl IntoIterator<Item = Off>) {
    objects.into_iter().for_each(|off| refcount::release(me, off));
}

// Making things.

fn nothing(me: &Member) -> Off {
    event::create(me).unwrap()
}

fn unchanged(_: &Member, _: Off) -> String {
    String::new()
}

const fn making(name: &'static str, act: fn(&Member, Off) -> Answer) -> Case {
    Case { name, make: nothing, act, state: unchanged }
}

fn make_simple(me: &Member, _: Off) -> Answer {
    type Make = fn(&Member) -> Result<Off, tarefa_engine::shm::heap::OutOfMemory>;
    let makes: [Make; 8] = [
        event::create,
        condition::create,
        rwlock::create,
        semaphore::create,
        barrier::create,
        list::create,
        |me| dict::create(me, kinds::DICT),
        |me| lock::create(me, tarefa_engine::sync::lock::word::Recursion::Allowed),
    ];
    let mut made = Vec::new();
    for make in makes {
        match make(me) {
            Ok(off) => made.push(off),
            Err(e) => {
                drop_all(me, made);
                return Err(said(e));
            }
        }
    }
    drop_all(me, made);
    Ok(())
}

fn make_arrays(me: &Member, _: Off) -> Answer {
    let form = Form { format: b"d", item: 8, extents: &[30_000], guarded: true };
    let off = array::create(me, form).map_err(said)?;
    let noted = Array::at(me, off).set_note(20, b"note", &[]).map_err(said);
    refcount::release(me, off);
    noted
}

fn make_buffers(me: &Member, _: Off) -> Answer {
    for len in [50, 200_000] {
        let content = vec![1; len];
        let off = array::create_buffer(me, len as u64, Some(&content), true).map_err(said)?;
        refcount::release(me, off);
    }
    Ok(())
}

fn make_queue(me: &Member, _: Off) -> Answer {
    for order in [Order::Fifo, Order::Lifo, Order::Priority] {
        refcount::release(me, queue::create(me, order).map_err(said)?);
    }
    Ok(())
}

fn make_pipe(me: &Member, _: Off) -> Answer {
    let (a, b) = pipe::create(me, true).map_err(said)?;
    drop_all(me, [a, b]);
    Ok(())
}

/// So many that the notes of what the process holds need a new block.
fn hold_many(me: &Member, _: Off) -> Answer {
    let mut held = Vec::new();
    for _ in 0..300 {
        match event::create(me) {
            Ok(off) => held.push(Handle::adopt(me, off)),
            Err(e) => return Err(said(e)),
        }
    }
    Ok(())
}

// Queues.

/// Full to the brim of its ring, with words and blobs.
fn full_queue(me: &Member) -> Off {
    let off = queue::create(me, Order::Fifo).unwrap();
    let it = Queue::at(me, off);
    for n in 0..64 {
        let put = if n % 2 == 0 {
            it.try_put(int(n))
        } else {
            it.try_put(Item::Blob(tag::BYTES, &[n as u8; 40], &[]))
        };
        put.unwrap();
    }
    off
}

fn queue_state(me: &Member, off: Off) -> String {
    let it = Queue::at(me, off);
    format!("{} {} {}", it.len(), it.used_bytes(), it.unacknowledged())
}

const fn queueing(name: &'static str, act: fn(&Member, Off) -> Answer) -> Case {
    Case { name, make: full_queue, act, state: queue_state }
}

fn put_word(me: &Member, off: Off) -> Answer {
    Queue::at(me, off).try_put(int(7)).map_err(said)
}

fn put_blob(me: &Member, off: Off) -> Answer {
    let bytes = vec![7; 100_000];
    Queue::at(me, off).try_put(Item::Blob(tag::BYTES, &bytes, &[])).map_err(said)
}

fn put_waiting(me: &Member, off: Off) -> Answer {
    let message = Item::Blob(tag::BYTES, b"a message", &[]);
    Queue::at(me, off).put(message, &mut Plain, Deadline::at(0)).map_err(said)
}

fn put_many(me: &Member, off: Off) -> Answer {
    let bytes = [[1; 20], [2; 20], [3; 20]];
    let items: Vec<_> = bytes.iter().map(|b| Item::Blob(tag::BYTES, b, &[])).collect();
    let put = Queue::at(me, off).put_many(&items, &mut Plain, Deadline::at(0));
    put.map_err(|(n, e)| format!("after {n}: {e}"))
}

fn put_what_mentions(me: &Member, off: Off) -> Answer {
    let object = event::create(me).map_err(said)?;
    let put = Queue::at(me, off).try_put(Item::Blob(tag::OBJECT, b"event", &[object]));
    refcount::release(me, object);
    put.map_err(said)
}

fn take(me: &Member, off: Off) -> Answer {
    Queue::at(me, off).try_get_many(3).map(drop).map_err(said)
}

fn take_to_ack(me: &Member, off: Off) -> Answer {
    let it = Queue::at(me, off);
    let taken = it.try_get_to_ack(1).map_err(said)?;
    it.ack(taken.deliveries()).map_err(said)
}

fn give_back(me: &Member, off: Off) -> Answer {
    let it = Queue::at(me, off);
    let taken = it.try_get_to_ack(1).map_err(said)?;
    it.give_back(taken.deliveries()).map_err(said)
}

/// What takes and frees needs no memory.
#[allow(clippy::unnecessary_wraps)]
fn shut_down(me: &Member, off: Off) -> Answer {
    Queue::at(me, off).shut_down(true);
    Ok(())
}

fn full_heap(me: &Member) -> Off {
    let off = queue::create(me, Order::Priority).unwrap();
    let it = Queue::at(me, off);
    (0..64).for_each(|n| it.try_put(int(n)).unwrap());
    off
}

// Containers.

fn some_list(me: &Member) -> Off {
    let off = list::create(me).unwrap();
    let it = List::at(me, off);
    for n in 0..64 {
        it.append(if n % 2 == 0 { int(n) } else { Item::Blob(tag::BYTES, b"element", &[]) })
            .unwrap();
    }
    off
}

fn list_state(me: &Member, off: Off) -> String {
    let it = List::at(me, off);
    (0..it.len()).map(|i| format!("{:?};", it.get(i).map(|f| support::value_of(me, &f)))).collect()
}

const fn listing(name: &'static str, act: fn(&Member, Off) -> Answer) -> Case {
    Case { name, make: some_list, act, state: list_state }
}

fn append(me: &Member, off: Off) -> Answer {
    List::at(me, off).append(Item::Blob(tag::BYTES, b"new", &[])).map_err(said)
}

fn extend(me: &Member, off: Off) -> Answer {
    let bytes = vec![1; 70_000];
    let items = [int(1), Item::Blob(tag::BYTES, &bytes, &[]), int(3)];
    List::at(me, off).extend(&items).map_err(said)
}

fn insert(me: &Member, off: Off) -> Answer {
    List::at(me, off).insert(3, Item::Blob(tag::BYTES, b"between", &[])).map_err(said)
}

fn set(me: &Member, off: Off) -> Answer {
    List::at(me, off).set(3, Item::Blob(tag::BYTES, b"instead", &[])).map_err(said)
}

fn some_dict(me: &Member) -> Off {
    let off = dict::create(me, kinds::DICT).unwrap();
    let it = Dict::at(me, off);
    (0..60).for_each(|n| it.set(&Key::plain(int(n)).unwrap(), int(n)).unwrap());
    off
}

fn dict_state(me: &Member, off: Off) -> String {
    let shot = Dict::at(me, off).snapshot(dict::What::Pairs).unwrap();
    let value = |it: Option<_>| it.map(|f| support::value_of(me, &f));
    shot.pairs.into_iter().map(|p| format!("{:?}:{:?};", value(p.key), value(p.value))).collect()
}

/// Until the table must grow.
fn set_keys(me: &Member, off: Off) -> Answer {
    let it = Dict::at(me, off);
    let key = Key::plain(Item::Blob(tag::BYTES, b"a key of bytes", &[])).unwrap();
    it.set(&key, Item::Blob(tag::BYTES, b"value", &[])).map_err(said)
}

const CASES: &[Case] = &[
    making("locks and the like are made", make_simple),
    making("arrays are made", make_arrays),
    making("buffers are made", make_buffers),
    making("queues are made", make_queue),
    making("a pipe is made", make_pipe),
    making("many are held", hold_many),
    queueing("a word is put", put_word),
    queueing("a blob is put", put_blob),
    queueing("a blob is put by one who waits", put_waiting),
    queueing("several are put", put_many),
    queueing("what mentions an object is put", put_what_mentions),
    queueing("messages are taken", take),
    queueing("one is taken and acknowledged", take_to_ack),
    queueing("one is taken and given back", give_back),
    queueing("a queue is shut down", shut_down),
    Case { make: full_heap, ..queueing("a heap grows", put_word) },
    Case { make: full_heap, ..queueing("the least is taken", take) },
    listing("an element is appended", append),
    listing("elements are appended", extend),
    listing("an element is inserted", insert),
    listing("an element is replaced", set),
    Case { name: "a key is set", make: some_dict, act: set_keys, state: dict_state },
];

/// The heap once nobody changes it: the runtime has threads of its own.
fn quiet(me: &Member) -> Report {
    let start = Instant::now();
    loop {
        let [first, second] = [(); 2].map(|()| whole(me));
        match (first, second) {
            (Ok(first), Ok(second)) if first == second => return first,
            (_, Err(e)) if start.elapsed() > PATIENCE => panic!("{e}"),
            _ => assert!(start.elapsed() < PATIENCE, "somebody changes the heap all the time"),
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

/// Whether the `n`-th allocation failed, and what there was before and afterwards.
fn fail_at(me: &Member, case: &Case, n: u64) -> (bool, Report, Report) {
    let before = quiet(me);
    let off = (case.make)(me);
    let state = (case.state)(me, off);
    nth_call::fail_at(n);
    let answer = (case.act)(me, off);
    let failed = nth_call::has_failed();
    let name = format!("{}, allocation {n}", case.name);
    match answer {
        Ok(()) => {}
        Err(e) if failed => {
            assert!(e.contains("the shared memory is full"), "{name}: {e}");
            assert_eq!((case.state)(me, off), state, "{name} has changed something");
            (case.act)(me, off).unwrap_or_else(|e| panic!("{name}, and once more: {e}"));
        }
        Err(e) => panic!("{name}: {e}"),
    }
    refcount::release(me, off);
    (failed, before, quiet(me))
}

/// How often an allocation failed.
fn run(me: &Member, case: &Case) -> u64 {
    for n in 1.. {
        let (mut failed, mut before, mut after) = fail_at(me, case, n);
        // What is made once for good, by this thread or one of the runtime's, is there the next time; what
        // an operation leaves behind is left each time.
        for _ in 0..8 {
            if after == before {
                break;
            }
            (failed, before, after) = fail_at(me, case, n);
        }
        assert_eq!(after, before, "{}, allocation {n} leaves something behind", case.name);
        if !failed {
            return n - 1;
        }
    }
    unreachable!("it fails at last")
}

#[test]
fn each_allocation_fails_once() {
    let runtime = task::runtime().unwrap();
    let me = runtime.me();
    support::ready(&me);
    let failures: u64 = CASES
        .iter()
        .map(|case| {
            let n = run(&me, case);
            println!("{}: {n} allocations", case.name);
            n
        })
        .sum();
    assert!(failures > 40, "{failures} allocations failed");
}
