//! Waiting for several things: which are told, and what wakes whom.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tarefa_engine::channel::{GetError, Order, Queue, Wanted, queue};
use tarefa_engine::collections::value::{Item, int_word};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::member::Member;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Off, Runtime};
use tarefa_engine::sync::event;
use tarefa_engine::sync::select::{SelectError, Selectable, Source, select};
use tarefa_engine::sync::wait::{BlockingHooks, Plain, wake};
use tarefa_engine::task;

fn runtime() -> &'static Runtime {
    task::runtime().unwrap()
}

fn soon(ms: u64) -> Deadline {
    Deadline::after(Some(Duration::from_millis(ms)))
}

fn put(me: &Member, queue: Off, n: i64) {
    Queue::at(me, queue).try_put(Item::Word(int_word(n).unwrap())).unwrap();
}

/// Waits for messages of these queues.
fn of(
    me: &Member,
    queues: &[Off],
    fds: &[i32],
    until: Deadline,
) -> Result<Vec<usize>, SelectError> {
    let mut made: Vec<_> =
        queues.iter().map(|off| Queue::at(me, *off).selectable(Wanted::Message)).collect();
    let objects = made.iter_mut().map(|it| Source::Object(it));
    let mut sources: Vec<_> = objects.chain(fds.iter().copied().map(Source::Descriptor)).collect();
    select(me, &mut Plain, &mut sources, until)
}

#[test]
fn room_and_emptiness_are_waited_for_like_messages() {
    let me = runtime().me();
    let (full, empty) =
        (queue::create(&me, Order::Fifo).unwrap(), queue::create(&me, Order::Fifo).unwrap());
    Queue::at(&me, full).set_bounds(1, 1 << 20);
    put(&me, full, 1);
    put(&me, empty, 1);
    for (queue, wanted) in [(full, Wanted::Room(8)), (empty, Wanted::Nothing)] {
        let wait = |until| {
            let mut it = Queue::at(&me, queue).selectable(wanted);
            select(&me, &mut Plain, &mut [Source::Object(&mut it)], until).unwrap()
        };
        assert_eq!(wait(soon(30)), [0; 0]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                let me = runtime().me();
                drop(Queue::at(&me, queue).try_get().unwrap());
            });
            assert_eq!(wait(Deadline::NEVER), [0]);
        });
        assert_eq!(wait(soon(0)), [0]);
    }
    refcount::release(&me, full);
    refcount::release(&me, empty);
}

#[test]
fn more_than_one_call_can_sleep_on_are_waited_for_without_a_look_from_time_to_time() {
    let me = runtime().me();
    let queues: Vec<_> = (0..400).map(|_| queue::create(&me, Order::Fifo).unwrap()).collect();
    let (mut mine, theirs) = UnixStream::pair().unwrap();
    for chosen in [0, 127, 128, 399] {
        for fds in [&[][..], &[theirs.as_raw_fd()]] {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_millis(30));
                    put(&runtime().me(), queues[chosen], 1);
                });
                assert_eq!(of(&me, &queues, fds, Deadline::NEVER).unwrap(), [chosen]);
            });
            drop(Queue::at(&me, queues[chosen]).try_get().unwrap());
        }
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(30));
            mine.write_all(b"x").unwrap();
        });
        let found = of(&me, &queues, &[theirs.as_raw_fd()], Deadline::NEVER).unwrap();
        assert_eq!(found, [400]);
    });
    for queue in queues {
        refcount::release(&me, queue);
    }
}

/// Ends a wait once it has slept.
struct Once(bool);

impl BlockingHooks for Once {
    fn release(&mut self, sleep: &mut dyn FnMut()) {
        sleep();
    }

    fn interrupted(&mut self) -> bool {
        std::mem::replace(&mut self.0, false)
    }
}

/// Asked before the spinning, before the sleep, and after it.
struct Waked(u32);

impl BlockingHooks for Waked {
    fn release(&mut self, sleep: &mut dyn FnMut()) {
        sleep();
    }

    fn interrupted(&mut self) -> bool {
        self.0 += 1;
        self.0 == 3
    }
}

#[test]
fn an_interrupt_ends_it_and_what_is_no_descriptor_is_told() {
    let me = runtime().me();
    let (event, index) = (event::create(&me).unwrap(), me.index());
    let mut it = event::selectable(&me, event);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            wake(&runtime().me(), index);
        });
        let ended = select(&me, &mut Waked(0), &mut [Source::Object(&mut it)], Deadline::NEVER);
        assert!(matches!(ended, Err(SelectError::Interrupted)));
    });
    let ended = select(&me, &mut Once(true), &mut [Source::Object(&mut it)], Deadline::NEVER);
    assert!(matches!(ended, Err(SelectError::Interrupted)));
    let ended = of(&me, &[], &[1 << 20], Deadline::NEVER);
    assert!(matches!(ended, Err(SelectError::Closed(0, fd)) if fd == 1 << 20));
    assert!(!it.is_unsure());
    event::set(&me, event);
    assert!(it.look());
    refcount::release(&me, event);
}

#[test]
fn who_looks_wakes_who_takes() {
    let me = runtime().me();
    let queue = queue::create(&me, Order::Fifo).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let me = runtime().me();
                while !Queue::at(&me, queue).is_shut() {
                    let _ = of(&me, &[queue], &[], Deadline::NEVER).unwrap();
                    std::thread::sleep(Duration::from_micros(100));
                }
            });
        }
        let takers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let me = runtime().me();
                    let it = Queue::at(&me, queue);
                    let mut taken = 0;
                    loop {
                        match it.get(&mut Plain, Deadline::NEVER) {
                            Ok(one) => taken += one.len(),
                            Err(GetError::ShutDown) => return taken,
                            Err(e) => panic!("{e}"),
                        }
                    }
                })
            })
            .collect();
        for i in 0..500 {
            put(&me, queue, i);
            if i % 7 == 0 {
                // Nobody but the takers empties it.
                let mut empty = Queue::at(&me, queue).selectable(Wanted::Nothing);
                let mut sources = [Source::Object(&mut empty)];
                assert_eq!(select(&me, &mut Plain, &mut sources, Deadline::NEVER).unwrap(), [0]);
            }
        }
        Queue::at(&me, queue).shut_down(false);
        assert_eq!(takers.into_iter().map(|t| t.join().unwrap()).sum::<usize>(), 500);
    });
    refcount::release(&me, queue);
}
