//! A few threads of one process at every structure that is shared, in small: what Miri can run
//! (`make miri`), and looks at for data races in any order that a processor may give to stores.

#![allow(missing_docs)]
#![allow(clippy::enum_glob_use, clippy::wildcard_imports, clippy::naive_bytecount)]
#![allow(clippy::needless_for_each, clippy::format_collect, clippy::format_push_string)]

#[path = "../support/mod.rs"]
mod support;

use support::{contents, int, value_of};
use tarefa_engine::atomic::{AtomicU64, Ordering};
use tarefa_engine::collections::array::pep3118::Scalar;
use tarefa_engine::collections::array::{self, Array, Form};
use tarefa_engine::collections::dict::{self, Dict, Key};
use tarefa_engine::collections::list::{self, List};
use tarefa_engine::collections::value::{Item, tag};
use tarefa_engine::kinds;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::heap::{self, Kind};
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, Off, Runtime};
use tarefa_engine::sync::barrier::{self, Passed};
use tarefa_engine::sync::condition::{self, Waited};
use tarefa_engine::sync::lock::word::{Acquired, Recursion};
use tarefa_engine::sync::rwlock::{self, Mode};
use tarefa_engine::sync::wait::{Outcome, Plain};
use tarefa_engine::sync::{event, lock, semaphore};
use tarefa_engine::task;

/// How often each thread does it.
const TIMES: u64 = if cfg!(miri) { 12 } else { 3000 };
const NEVER: Deadline = Deadline::NEVER;

fn runtime() -> &'static Runtime {
    task::runtime().unwrap()
}

/// Each of `threads` does `act` with its number.
fn each(threads: u64, act: impl Fn(&Member, u64) + Sync) {
    std::thread::scope(|scope| {
        for n in 0..threads {
            let act = &act;
            scope.spawn(move || act(&runtime().me(), n));
        }
    });
}

/// A counter that nothing but the lock guards.
struct Bare(std::cell::UnsafeCell<u64>);

// SAFETY: the tests take their lock around it; that they do is what is looked at.
unsafe impl Sync for Bare {}

impl Bare {
    fn new() -> Self {
        Self(std::cell::UnsafeCell::new(0))
    }

    fn get(&self) -> u64 {
        // SAFETY: as above.
        unsafe { *self.0.get() }
    }

    fn add(&self) {
        // SAFETY: as above.
        unsafe { *self.0.get() += 1 };
    }
}

#[test]
fn a_lock_orders_what_it_guards() {
    let me = runtime().me();
    for sort in [Recursion::Forbidden, Recursion::Allowed] {
        let (off, count) = (lock::create(&me, sort).unwrap(), Bare::new());
        each(3, |me, _| {
            let cell = lock::cell(me, off);
            for _ in 0..TIMES {
                assert_eq!(cell.acquire(me, sort, off, &mut Plain, NEVER), Acquired::Yes);
                count.add();
                cell.release(me, sort).unwrap();
            }
        });
        assert_eq!(count.get(), 3 * TIMES);
        refcount::release(&me, off);
    }
}

#[test]
fn a_read_write_lock_orders_what_it_guards() {
    let me = runtime().me();
    let (off, count) = (rwlock::create(&me).unwrap(), Bare::new());
    each(3, |me, n| {
        for _ in 0..TIMES {
            let mode = if n == 0 { Mode::Write } else { Mode::Read };
            let how = rwlock::acquire(me, off, mode, &mut Plain, NEVER).unwrap();
            assert_eq!(how, rwlock::Acquired::Yes);
            if mode == Mode::Write {
                count.add();
            } else {
                assert!(count.get() <= TIMES);
            }
            rwlock::release(me, off, mode).unwrap();
        }
    });
    assert_eq!(count.get(), TIMES);
    refcount::release(&me, off);
}

#[test]
fn a_semaphore_lets_so_many_in() {
    let me = runtime().me();
    let (off, count) = (semaphore::create(&me).unwrap(), Bare::new());
    semaphore::set_up(&me, off, 1, true);
    each(3, |me, n| {
        for _ in 0..TIMES {
            let held = n == 0;
            let how = semaphore::acquire(me, off, held, &mut Plain, NEVER).unwrap();
            assert_eq!(how, Outcome::Ready);
            count.add();
            if held {
                semaphore::release_held(me, off).unwrap();
            } else {
                semaphore::release(me, off, 1).unwrap();
            }
        }
    });
    assert_eq!(count.get(), 3 * TIMES);
    refcount::release(&me, off);
}

#[test]
fn a_condition_wakes_who_waits() {
    let me = runtime().me();
    let (off, mutex) =
        (condition::create(&me).unwrap(), lock::create(&me, Recursion::Forbidden).unwrap());
    assert!(condition::set_lock(&me, off, mutex));
    let (made, taken) = (Bare::new(), Bare::new());
    each(2, |me, n| {
        let lock = condition::Lock::at(me, mutex);
        for i in 0..TIMES {
            let how = lock.cell.acquire(me, Recursion::Forbidden, mutex, &mut Plain, NEVER);
            assert_eq!(how, Acquired::Yes);
            if n == 0 {
                made.add();
                condition::notify(me, off, lock, 1).unwrap();
            } else {
                while made.get() <= i {
                    let how = condition::wait(me, off, lock, &mut Plain, NEVER).unwrap();
                    assert_eq!(how, Waited::Notified);
                }
                taken.add();
            }
            lock.cell.release(me, Recursion::Forbidden).unwrap();
        }
    });
    assert_eq!(taken.get(), TIMES);
    refcount::release(&me, off);
    refcount::release(&me, mutex);
}

#[test]
fn a_barrier_and_an_event_publish_what_came_before() {
    let me = runtime().me();
    let (off, told) = (barrier::create(&me).unwrap(), event::create(&me).unwrap());
    barrier::set_up(&me, off, 2, None, false);
    let counts = [Bare::new(), Bare::new()];
    each(2, |me, n| {
        let meet = || {
            assert!(matches!(barrier::wait(me, off, &mut Plain, NEVER), Ok(Passed::Yes(_))));
        };
        for i in 1..=TIMES {
            counts[n as usize].add();
            meet();
            assert_eq!(counts[1 - n as usize].get(), i);
            meet();
        }
        if n == 0 {
            counts[0].add();
            event::set(me, told);
        } else {
            assert_eq!(event::wait(me, told, &mut Plain, NEVER), Outcome::Ready);
            assert_eq!(counts[0].get(), TIMES + 1);
        }
    });
    refcount::release(&me, off);
    refcount::release(&me, told);
}

#[test]
fn a_list_is_appended_to_read_and_emptied() {
    let me = runtime().me();
    let off = list::create(&me).unwrap();
    each(3, |me, n| {
        let list = List::at(me, off);
        for i in 0..TIMES {
            match n {
                0 => list.append(int(i as i64)).unwrap(),
                1 => list.append(Item::Blob(tag::BYTES, b"some bytes", &[])).unwrap(),
                _ => {
                    if let Ok(fetched) = list.get(i / 2) {
                        let _ = value_of(me, &fetched);
                    }
                    let _ = list.read_optimistic(i);
                    assert!(contents(me, off).len() as u64 <= 2 * TIMES);
                }
            }
        }
    });
    let list = List::at(&me, off);
    assert_eq!(list.len(), 2 * TIMES);
    each(2, |me, _| {
        for _ in 0..TIMES / 2 {
            let _ = List::at(me, off).pop().unwrap();
            let _ = List::at(me, off).remove(0).unwrap();
        }
    });
    assert_eq!(list.len(), 2 * TIMES - TIMES / 2 * 4);
    refcount::release(&me, off);
}

#[test]
fn a_dict_is_changed_and_read() {
    let me = runtime().me();
    let off = dict::create(&me, kinds::DICT).unwrap();
    let key = |n: u64| Key::plain(int(n as i64)).unwrap();
    each(3, |me, n| {
        let dict = Dict::at(me, off);
        for i in 0..TIMES {
            if n < 2 {
                dict.set(&key(i * 2 + n), int(i as i64)).unwrap();
                dict.set(&key(1_000_000 + n), Item::Blob(tag::BYTES, b"bytes", &[])).unwrap();
            } else {
                let _ = dict.read_optimistic(key(i).canonical());
                let _ = dict.get(key(1_000_000).canonical()).unwrap();
                assert!(dict.len().unwrap() <= 2 * TIMES + 2);
            }
        }
    });
    let dict = Dict::at(&me, off);
    assert_eq!(dict.len().unwrap(), 2 * TIMES + 2);
    each(2, |me, n| {
        for i in 0..TIMES {
            assert!(Dict::at(me, off).remove(key(i * 2 + n).canonical()).unwrap().is_some());
        }
    });
    assert_eq!(dict.len().unwrap(), 2);
    refcount::release(&me, off);
}

#[test]
fn an_array_is_counted_in_and_its_large_items_are_whole() {
    let me = runtime().me();
    let form = |item| Form { format: b"x", item, extents: &[2], guarded: true };
    let small = array::create(&me, form(8)).unwrap();
    let large = array::create(&me, form(24)).unwrap();
    each(3, |me, n| {
        let (small, pairs) = (Array::at(me, small), Array::at(me, large));
        for _ in 0..TIMES {
            small.add(1, Scalar::I64, 1).unwrap();
            let how = pairs.object_lock().acquire(me, Recursion::Allowed, large, &mut Plain, NEVER);
            assert_eq!(how, Acquired::Yes);
            pairs.apply_redo();
            let mut bytes = [0; 48];
            pairs.read(0, &mut bytes);
            assert!(bytes[24..].iter().all(|b| *b == bytes[24]));
            pairs.put(1, &[n as u8 + 1; 24]);
            pairs.object_lock().release(me, Recursion::Allowed).unwrap();
        }
    });
    assert_eq!(Array::at(&me, small).load(1), 3 * TIMES);
    refcount::release(&me, small);
    refcount::release(&me, large);
}

#[test]
fn blocks_of_all_sizes_come_and_go() {
    let total = AtomicU64::new(0);
    each(3, |me, n| {
        let savepoint = heap::savepoint(me);
        for i in 0..TIMES.min(200) {
            let size = 16 + (n + 1) * (i % 40) * 100;
            let block = heap::alloc(me, Kind::RAW, size + heap::HEADER).unwrap();
            me.arena().write(block.plus(heap::HEADER), &vec![n as u8; size as usize]);
            total.fetch_add(1, Ordering::Relaxed);
            if i % 7 == 6 {
                heap::free_deferred(me, savepoint);
            }
        }
        heap::free_deferred(me, savepoint);
    });
    assert_eq!(total.load(Ordering::Relaxed), 3 * TIMES.min(200));
}

#[test]
fn references_come_and_go() {
    let me = runtime().me();
    let off: Off = list::create(&me).unwrap();
    let (_, id) = support::handle(&me, off);
    each(3, |me, _| {
        for _ in 0..TIMES {
            assert!(refcount::acquire(me, off, id).unwrap());
            let own = list::create(me).unwrap();
            refcount::release(me, own);
            refcount::release(me, off);
        }
    });
    refcount::release(&me, off);
    assert!(!refcount::acquire(&me, off, id).unwrap());
}
