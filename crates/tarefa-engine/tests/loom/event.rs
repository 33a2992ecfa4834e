//! The event: who waits for the flag, for something that only he knows of, or for a change of the
//! flag; and a thread that dies anywhere.

use tarefa_engine::atomic::model::{Model, give_up_at};
use tarefa_engine::atomic::{AtomicBool, AtomicU64, Ordering};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::arena::offset::Off;
use tarefa_engine::sync::event;
use tarefa_engine::sync::wait::{Outcome, Plain};

use crate::support::{World, at_each_step, join};

fn wait(me: &Member, off: Off) -> Outcome {
    event::wait(me, off, &mut Plain, Deadline::NEVER)
}

/// What somebody writes before he sets the event.
fn written(me: &Member) -> &'static AtomicU64 {
    &me.header().roots[0]
}

/// Waits until the flag is not as it was.
fn look_out(me: &Member, off: Off, was: bool) -> Outcome {
    // Of a process of its own, which nobody stops.
    let stopped = Box::leak(Box::new(AtomicBool::new(false)));
    event::look_out(me, off, was, stopped, &mut Plain, Deadline::NEVER)
}

/// Two wait; the flag is lowered as soon as it was raised.
#[test]
pub(crate) fn a_flag_raised_for_a_moment() {
    let world = World::<3>::new();
    let off = event::create(&world.root).unwrap();
    Model::new().preemptions(2).check(move |run| {
        world.begin();
        // Whose wait begins afterwards waits for the next.
        let waits = [0, 1].map(|i| {
            world.spawn(run, i, move |me| {
                assert_eq!(wait(me, off), Outcome::Ready);
                assert_eq!(written(me).load(Ordering::Relaxed), 1);
            })
        });
        let raises = world.spawn(run, 2, move |me| {
            written(me).store(1, Ordering::Relaxed);
            event::set(me, off);
            event::clear(me, off);
            event::set(me, off);
        });
        join(waits);
        raises.join();
        let root = world.root;
        run.afterwards(move || assert!(event::is_set(&root, off)));
    });
}

/// One gives up, another goes on waiting.
#[test]
pub(crate) fn a_wait_that_times_out() {
    let world = World::<3>::new();
    let off = event::create(&world.root).unwrap();
    Model::new().preemptions(2).check(move |run| {
        world.begin();
        let gives_up = world.spawn(run, 0, move |me| {
            give_up_at(1);
            event::wait(me, off, &mut Plain, Deadline::at(1))
        });
        let waits = world.spawn(run, 1, move |me| wait(me, off));
        let raises = world.spawn(run, 2, move |me| event::set(me, off));
        gives_up.join();
        assert_eq!(waits.join(), Outcome::Ready);
        raises.join();
    });
}

/// A wait for what only the waiting process knows of, beside one for the flag.
#[test]
pub(crate) fn a_condition_beside_a_flag() {
    let world = World::<3>::new();
    let off = event::create(&world.root).unwrap();
    Model::new().preemptions(2).check(move |run| {
        world.begin();
        let condition = world.spawn(run, 0, move |me| {
            let mut met = || written(me).load(Ordering::Acquire) == 2;
            event::wait_for(me, off, &mut Plain, &mut met, Deadline::NEVER)
        });
        let flag = world.spawn(run, 1, move |me| wait(me, off));
        let raises = world.spawn(run, 2, move |me| {
            for n in [1, 2] {
                written(me).store(n, Ordering::Release);
                event::set(me, off);
            }
        });
        assert_eq!(condition.join(), Outcome::Ready);
        assert_eq!(flag.join(), Outcome::Ready);
        raises.join();
    });
}

/// Who shows a level looks out for the flag's fall, beside one who waits for it to be raised.
#[test]
pub(crate) fn a_level_that_falls() {
    let world = World::<3>::new();
    let off = event::create(&world.root).unwrap();
    event::set(&world.root, off);
    Model::new().preemptions(2).check(move |run| {
        world.begin();
        let looks = world.spawn(run, 0, move |me| look_out(me, off, true));
        let waits = world.spawn(run, 1, move |me| wait(me, off));
        world.spawn(run, 2, move |me| event::clear(me, off)).join();
        assert_eq!(looks.join(), Outcome::Ready);
        world.spawn(run, 2, move |me| event::set(me, off)).join();
        assert_eq!(waits.join(), Outcome::Ready);
    });
}

/// Who shows a level is told to stop, and has to look around.
#[test]
pub(crate) fn a_level_that_is_not_shown_any_more() {
    let world = World::<2>::new();
    let off = event::create(&world.root).unwrap();
    Model::new().preemptions(2).check(move |run| {
        world.begin();
        let stopped: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
        let looks = world.spawn(run, 0, move |me| {
            event::look_out(me, off, false, stopped, &mut Plain, Deadline::NEVER)
        });
        let stops = world.spawn(run, 1, move |me| {
            stopped.store(true, Ordering::Release);
            event::set(me, off);
        });
        assert_eq!(looks.join(), Outcome::Ready);
        stops.join();
    });
}

/// Whoever raises the flag is killed; if it was not up by then, another raises it.
#[test]
pub(crate) fn killed_raising_the_flag() {
    let world = World::<4>::new();
    let off = event::create(&world.root).unwrap();
    at_each_step(|fate| {
        let fate = fate.clone();
        Model::new().preemptions(1).check(move |run| {
            world.begin();
            let waits = [1, 2].map(|i| world.spawn(run, i, move |me| wait(me, off)));
            world.spawn_mortal(run, &fate, move |me| event::set(me, off)).join();
            let again = move |me: &Member| {
                if !event::is_set(me, off) {
                    event::set(me, off);
                }
            };
            world.spawn(run, 3, again).join();
            for wait in waits {
                assert_eq!(wait.join(), Outcome::Ready);
            }
        });
    });
}

/// Whoever lowers the flag is killed; if it was not down by then, another lowers it.
#[test]
pub(crate) fn killed_lowering_the_flag() {
    let world = World::<3>::new();
    let off = event::create(&world.root).unwrap();
    event::set(&world.root, off);
    at_each_step(|fate| {
        let fate = fate.clone();
        Model::new().preemptions(2).check(move |run| {
            world.begin();
            let looks = world.spawn(run, 1, move |me| look_out(me, off, true));
            world.spawn_mortal(run, &fate, move |me| event::clear(me, off)).join();
            let again = move |me: &Member| {
                if event::is_set(me, off) {
                    event::clear(me, off);
                }
            };
            world.spawn(run, 2, again).join();
            assert_eq!(looks.join(), Outcome::Ready);
        });
    });
}

/// One who waits is killed, another is not.
#[test]
pub(crate) fn killed_waiting() {
    let world = World::<3>::new();
    let off = event::create(&world.root).unwrap();
    at_each_step(|fate| {
        let fate = fate.clone();
        Model::new().preemptions(1).check(move |run| {
            world.begin();
            let waits = world.spawn(run, 1, move |me| wait(me, off));
            let raises = world.spawn(run, 2, move |me| event::set(me, off));
            world.spawn_mortal(run, &fate, move |me| wait(me, off)).join();
            assert_eq!(waits.join(), Outcome::Ready);
            raises.join();
        });
    });
}
