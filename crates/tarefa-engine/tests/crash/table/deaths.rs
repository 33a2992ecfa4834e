//! Several members die at once: ends are told, and locks come free, while there is still much to be
//! freed of another's.

use std::path::Path;
use std::process::Child;
use std::time::Duration;

use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::pidfd::Exit;
use tarefa_engine::shm::arena::layout::process_state;
use tarefa_engine::shm::member::slots;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::tx::crash_point;
use tarefa_engine::shm::{Member, Runtime};
use tarefa_engine::sync::lock::word::{Acquired, Recursion};
use tarefa_engine::sync::wait::Plain;
use tarefa_engine::sync::{event, lock};
use tarefa_engine::task::record::Task;
use tarefa_engine::task::{self, State};

use crate::orphans::{start, within};
use crate::scenarios::start_and_join;
use crate::support;
use crate::zygotes::{end_zygote, plan_zygote};

pub(crate) const KEEPER: &str = "TAREFA_CRASH_KEEPER";

/// So much there is to free of who has much, and for so long each takes, while that matters.
const OBJECTS: usize = 4000;
const EACH: Duration = Duration::from_millis(5);

/// A member with much, or with the lock: see [`support::text`], and what after a bar.
pub(crate) fn keeper(text: &str) -> ! {
    let (text, what) = text.split_once('|').unwrap();
    let (runtime, handles) = support::join(text);
    let me = runtime.me();
    if what == "much" {
        for _ in 0..OBJECTS {
            event::create(&me).unwrap();
        }
    } else {
        let taken = lock::cell(&me, handles[0].0).try_acquire(&me, Recursion::Forbidden);
        assert_eq!(taken, Some(Acquired::Yes));
    }
    support::acknowledge(1);
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn execute(text: &str, what: &str) -> Child {
    let mut child = support::execute(KEEPER, &format!("{text}|{what}"));
    let mut byte = [0];
    let out = child.stdout.as_mut().expect("piped");
    std::io::Read::read_exact(out, &mut byte).expect("it acknowledges");
    child
}

fn slot_of(runtime: &'static Runtime, pid: i32) -> Option<(u32, u64)> {
    let owner = |i: u32| slots::owner(slots::process_slot(runtime.arena(), i));
    slots::processes(runtime.arena()).find(|i| owner(*i).0 == pid).map(|i| (i, owner(i).1))
}

/// Who has much dies first; nobody waits until that is freed.
pub(crate) fn told_before_clean_up(me: &Member) -> Result<(), String> {
    let runtime = me.runtime();
    plan_zygote(runtime, "zygote", "", 0, Path::new(""));
    task::process::set_spares(me, 0).map_err(|e| e.to_string())?;
    start_and_join(me)?;
    let off = lock::create(me, Recursion::Forbidden).map_err(|e| e.to_string())?;
    let text = support::text(runtime.address(), &[support::handle(me, off)]);
    let (mut much, mut holder) = (execute(&text, "much"), execute(&text, "lock"));
    let lingering = start(me, b"asleep")?;
    crash_point::pause("refcount.returned", EACH);
    let limit = || Deadline::after(Some(Duration::from_secs(20)));
    let told = std::thread::scope(|scope| {
        let waiter = scope.spawn(move || {
            let me = runtime.me();
            lock::cell(&me, off).acquire(&me, Recursion::Forbidden, off, &mut Plain, limit())
        });
        std::thread::sleep(Duration::from_millis(20));
        much.kill().map_err(|e| e.to_string())?;
        let pid = much.id() as i32;
        within("its end is known", || {
            slot_of(runtime, pid).is_some_and(|s| s.1 == process_state::DEAD)
        })?;
        let task = Task::at(me, lingering);
        holder.kill().map_err(|e| e.to_string())?;
        let _ = tarefa_engine::os::signal::send_process(task.pid(), libc::SIGKILL);
        task.join(&mut Plain, limit());
        let end = (task.state(), task.exit());
        let taken = waiter.join().unwrap();
        let is_there = slot_of(runtime, pid).is_some();
        let right = end == (State::Killed, Some(Exit::Signal(libc::SIGKILL)))
            && taken == Acquired::OwnerDied(Some(holder.id() as i32))
            && is_there;
        if right { Ok(()) } else { Err(format!("{end:?}, {taken:?}, still there: {is_there}")) }
    });
    crash_point::go_on("refcount.returned");
    refcount::release(me, lingering);
    refcount::release(me, off);
    let _ = (much.wait(), holder.wait());
    told?;
    end_zygote(me)?;
    support::wait_for_members(runtime, 0)
}
