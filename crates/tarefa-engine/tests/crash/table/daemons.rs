//! A program forks and ends, and goes on as the child: the first that comes after the root is killed
//! at each step of that, and the next must find everything as it is to be.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::{process, procfs, spawn};
use tarefa_engine::shm::tx::crash_point;
use tarefa_engine::shm::{Member, Off, Runtime};
use tarefa_engine::sync::lock::word::{Acquired, Recursion};
use tarefa_engine::sync::wait::Plain;
use tarefa_engine::sync::{event, lock};
use tarefa_engine::task;

use crate::starts::start_and_join;
use crate::support;
use crate::zygotes::{end_zygote, plan_zygote};

pub(crate) const DAEMON: &str = "TAREFA_CRASH_DAEMON";

/// Where the first successor dies; nowhere.
pub(crate) const POINTS: &[&str] = &[
    "",
    "runtime.succeeded",
    "runtime.successors_descriptors",
    "runtime.user",
    "supervisor.unwatched",
    "supervisor.zygote_forgotten",
    "supervisor.started",
    "supervisor.watched",
    "recovery.marked",
    "recovery.latch",
    "refcount.returned",
    "slots.process_cleared",
    "slots.process_freed",
];

/// The program ends, and `point` is where its first successor dies; whether that came there.
pub(crate) fn goes_on(point: &str) -> Result<bool, String> {
    let mut root = support::execute(DAEMON, point);
    let text = String::from_utf8_lossy(&support::written(&mut root)).into_owned();
    let _ = root.wait();
    match text.as_str() {
        "whole" => Ok(true),
        "goes on; whole" => Ok(point.is_empty()),
        other => Err(format!("{other:?}")),
    }
}

fn say(text: &str) {
    print!("{text}");
    let _ = std::io::stdout().flush();
}

/// Forks a member that does `act` once its parent has ended.
fn fork(runtime: &'static Runtime, ready: Off, act: impl FnOnce(&Member)) -> i32 {
    let root = process::pid();
    // SAFETY: the child uses the engine, which is whole in it, and ends by itself.
    let pid = unsafe { spawn::fork_child() }.unwrap();
    if pid != 0 {
        return pid;
    }
    let me = runtime.me();
    event::set(&me, ready);
    // Its children have another parent a moment before its end can be seen.
    while process::parent() == root || runtime.root_alive() {
        std::thread::sleep(Duration::from_micros(200));
    }
    act(&me);
    process::exit_now(0)
}

/// The program: it has a lock, a zygote and two forks, and ends.
pub(crate) fn program(point: &str) -> ! {
    let runtime: &'static Runtime = task::runtime().unwrap();
    let me = runtime.me();
    plan_zygote(runtime, "zygote", "", 0, Path::new(""));
    start_and_join(&me).unwrap();
    let off = lock::create(&me, Recursion::Forbidden).unwrap();
    let ready = [event::create(&me).unwrap(), event::create(&me).unwrap()];
    let first = fork(runtime, ready[0], |me| {
        if !point.is_empty() {
            crash_point::arm(point, 1);
        }
        me.runtime().look_for_root();
        // Its supervisor has work to do.
        std::thread::sleep(Duration::from_millis(300));
        say("goes on; ");
    });
    fork(runtime, ready[1], |me| {
        while procfs::stat(first).is_some_and(|s| s.state != 'Z') {
            std::thread::sleep(Duration::from_micros(200));
        }
        say(&look(me, off).map_or_else(|e| format!("the second: {e}"), |()| "whole".to_owned()));
    });
    for ready in ready {
        event::wait(&me, ready, &mut Plain, Deadline::NEVER);
    }
    let taken = lock::cell(&me, off).try_acquire(&me, Recursion::Forbidden);
    assert_eq!(taken, Some(Acquired::Yes));
    process::exit_now(0)
}

/// In the second, which comes after whoever was there.
fn look(me: &Member, off: Off) -> Result<(), String> {
    let runtime = me.runtime();
    runtime.look_for_root();
    let died = support::try_lock(me, off)?;
    if died != 1 {
        return Err(format!("told of {died} deaths"));
    }
    if !runtime.is_root() {
        return Err("it is not the root".to_owned());
    }
    plan_zygote(runtime, "zygote", "", 0, Path::new(""));
    for _ in 0..3 {
        start_and_join(me)?;
    }
    end_zygote(me)?;
    support::wait_for_members(runtime, 0)?;
    support::whole(me).map(drop)
}
