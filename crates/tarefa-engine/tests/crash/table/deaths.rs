//! Several members die at once: ends are told, and locks come free, while there is still much to be
//! freed of another's; and beside a member that is stopped in the middle of an operation.

use std::path::Path;
use std::process::Child;
use std::time::Duration;

use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::pidfd::Exit;
use tarefa_engine::os::{procfs, signal};
use tarefa_engine::shm::arena::layout::process_state;
use tarefa_engine::shm::heap::OutOfMemory;
use tarefa_engine::shm::member::slots;
use tarefa_engine::shm::object::{ObjectHeader, refcount};
use tarefa_engine::shm::tx::crash_point;
use tarefa_engine::shm::tx::latch::Latch;
use tarefa_engine::shm::{Member, Off, Runtime};
use tarefa_engine::sync::lock::word::{Acquired, Recursion};
use tarefa_engine::sync::rwlock::{self, Mode};
use tarefa_engine::sync::wait::{Outcome, Plain};
use tarefa_engine::sync::{event, lock, semaphore};
use tarefa_engine::task::record::Task;
use tarefa_engine::task::{self, State};

use crate::orphans::{start, within};
use crate::starts::start_and_join;
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
    } else if what == "in the middle" {
        // For the longest part of its time it has that latch.
        crash_point::pause("latch.taken", Duration::from_millis(2));
        support::acknowledge(1);
        loop {
            let _ = semaphore::waiting(&me, handles[1].0);
        }
    } else if what == "waits" {
        support::acknowledge(1);
        let _ = semaphore::acquire(&me, handles[1].0, true, &mut Plain, Deadline::NEVER);
    } else if what == "all" {
        for handle in &handles[1..3] {
            let taken = semaphore::acquire(&me, handle.0, true, &mut Plain, Deadline::NEVER);
            assert_eq!(taken, Ok(Outcome::Ready));
        }
        let taken = rwlock::try_acquire(&me, handles[3].0, Mode::Write);
        assert_eq!(taken, Ok(rwlock::Acquired::Yes));
        let taken = lock::cell(&me, handles[0].0).try_acquire(&me, Recursion::Forbidden);
        assert_eq!(taken, Some(Acquired::Yes));
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
        let _ = signal::send_process(task.pid(), libc::SIGKILL);
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

/// Stops a member that takes the latch of the semaphore at `off` again and again, while it has it.
fn stop_with_latch(me: &Member, off: Off, pid: i32) -> Result<(), String> {
    let latch: &Latch = me.arena().at(off.plus(size_of::<ObjectHeader>() as u64));
    within("it is stopped with the latch", || {
        let _ = signal::send_process(pid, libc::SIGSTOP);
        while procfs::stat(pid).is_some_and(|stat| !matches!(stat.state, 'T' | 'Z')) {
            std::thread::yield_now();
        }
        let is_held = latch.holder().is_some();
        if !is_held {
            let _ = signal::send_process(pid, libc::SIGCONT);
        }
        is_held
    })
}

/// A member is stopped with the latch of one semaphore. What others who die have of that stays until it
/// goes on, or is killed as well; all else of theirs does not wait.
pub(crate) fn told_beside_one_who_is_stopped(me: &Member, goes_on: bool) -> Result<(), String> {
    let runtime = me.runtime();
    let said = |e: OutOfMemory| e.to_string();
    let own = lock::create(me, Recursion::Forbidden).map_err(said)?;
    let [held, other] =
        [semaphore::create(me).map_err(said)?, semaphore::create(me).map_err(said)?];
    let rw = rwlock::create(me).map_err(said)?;
    for off in [held, other] {
        semaphore::set_up(me, off, 1, true);
    }
    let all = [own, held, other, rw];
    let text = support::text(runtime.address(), &all.map(|off| support::handle(me, off)));
    let mut dead = ["all", "waits", "much"].map(|what| execute(&text, what));
    within("one waits", || semaphore::waiting(me, held) == 1)?;
    let mut stopped = execute(&text, "in the middle");
    let is_stopped = stop_with_latch(me, held, stopped.id() as i32);
    let limit = || Deadline::after(Some(Duration::from_secs(20)));
    let is_there = |child: &Child| slot_of(runtime, child.id() as i32).is_some();
    let told = is_stopped.and_then(|()| {
        for child in &mut dead {
            child.kill().map_err(|e| e.to_string())?;
        }
        let [first, _, much] = &dead;
        let died = Some(first.id() as i32);
        let taken = lock::cell(me, own).acquire(me, Recursion::Forbidden, own, &mut Plain, limit());
        if taken != Acquired::OwnerDied(died) {
            return Err(format!("the lock: {taken:?}"));
        }
        let written = rwlock::acquire(me, rw, Mode::Read, &mut Plain, limit());
        if written != Ok(rwlock::Acquired::OwnerDied(died)) {
            return Err(format!("the read-write lock: {written:?}"));
        }
        let permit = semaphore::acquire(me, other, true, &mut Plain, limit());
        if permit != Ok(Outcome::Ready) {
            return Err(format!("the other semaphore: {permit:?}"));
        }
        semaphore::release_held(me, other).map_err(|e| e.to_string())?;
        within("what is much is freed", || !is_there(much))?;
        // Nobody who is stopped is waited for, and who waits is not kept for longer than he wants.
        let permit = semaphore::acquire(me, held, true, &mut Plain, Deadline::at(1));
        let are_there = (is_there(&dead[0]), is_there(&dead[1]));
        if permit != Ok(Outcome::TimedOut) || are_there != (true, true) {
            return Err(format!("the semaphore: {permit:?}, still there: {are_there:?}"));
        }
        Ok(())
    });
    let back = if goes_on {
        let _ = signal::send_process(stopped.id() as i32, libc::SIGCONT);
        within("the permit is back", || semaphore::value(me, held) == 1)
    } else {
        Ok(())
    };
    let _ = stopped.kill();
    for child in dead.iter_mut().chain([&mut stopped]) {
        let _ = child.wait();
    }
    told.and(back)?;
    support::wait_for_members(runtime, 0)?;
    let permits = [held, other].map(|off| semaphore::value(me, off));
    for off in all {
        refcount::release(me, off);
    }
    if permits == [1, 1] { Ok(()) } else { Err(format!("{permits:?} permits")) }
}
