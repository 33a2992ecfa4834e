//! Time limits that pass: whoever started the task, and whatever dies meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::orphans::{self, kill_zygote, start_limited};
use crate::starts::start_and_join;
use crate::zygotes::{end_zygote, plan_zygote};
use tarefa_engine::os::clock::{Deadline, now_ns};
use tarefa_engine::os::pidfd::Exit;
use tarefa_engine::os::signal;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::arena::offset::Off;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::sync::wait::Plain;
use tarefa_engine::task;
use tarefa_engine::task::limits::{GRACE, TimeUp};
use tarefa_engine::task::record::{self, Task};
use tarefa_engine::task::{State, thread_timer};

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The task's time was `limit`: it was interrupted, and killed after the grace.
fn cut_off(me: &Member, off: Off, limit: Duration) -> Result<(), String> {
    let task = Task::at(me, off);
    task.join(&mut Plain, Deadline::after(Some(Duration::from_secs(20))));
    let end = (task.state(), task.exit(), task.over_time(), task.killed_over_time());
    let early = task.wall_ns() < (limit + GRACE).as_nanos() as u64;
    let interrupted = task.interrupt_due();
    refcount::release(me, off);
    let killed = (State::Killed, Some(Exit::Signal(libc::SIGKILL)), true, true);
    if end == killed && !early && interrupted {
        Ok(())
    } else {
        Err(format!("{end:?}, early: {early}, interrupted: {interrupted}"))
    }
}

/// Each is cut off at its time, and one that ends before is not.
pub(crate) fn over_time(me: &Member, spares: u64) -> Result<(), String> {
    plan_zygote(me.runtime(), "zygote", "", 0, Path::new(""));
    task::process::set_spares(me, spares).map_err(|e| e.to_string())?;
    start_and_join(me)?;
    std::thread::sleep(ms(5));
    let limits = [ms(300), ms(100), ms(200)];
    let all = limits.map(|limit| start_limited(me, b"asleep", Some(limit)));
    // Theirs ends, and another one comes.
    kill_zygote(me)?;
    start_and_join(me)?;
    for (off, limit) in all.into_iter().zip(limits) {
        cut_off(me, off?, limit)?;
    }
    end_zygote(me)
}

/// The same where the supervisor has no descriptor of the process.
pub(crate) fn without_descriptors(me: &Member) -> Result<(), String> {
    plan_zygote(me.runtime(), "zygote", "", 0, Path::new(""));
    task::process::set_spares(me, 0).map_err(|e| e.to_string())?;
    start_and_join(me)?;
    orphans::without_descriptors(|_| {
        let off = start_limited(me, b"busy", Some(ms(100)))?;
        cut_off(me, off, ms(100))
    })?;
    end_zygote(me)
}

/// Who blocks SIGTERM is killed, whether or not its zygote lives; who does not ends of it.
pub(crate) fn terminated(me: &Member) -> Result<(), String> {
    plan_zygote(me.runtime(), "zygote", "", 0, Path::new(""));
    task::process::set_spares(me, 0).map_err(|e| e.to_string())?;
    start_and_join(me)?;
    let hows = [b"blocked" as &[u8], b"asleep"];
    let tasks = hows.map(|how| start_limited(me, how, None));
    kill_zygote(me)?;
    for (off, with) in tasks.into_iter().zip([libc::SIGKILL, libc::SIGTERM]) {
        let off = off?;
        let task = Task::at(me, off);
        // It may be about to block it.
        std::thread::sleep(ms(20));
        assert!(task.send_signal(libc::SIGTERM, true).map_err(|e| e.to_string())?);
        task.join(&mut Plain, Deadline::after(Some(Duration::from_secs(20))));
        let end = (task.state(), task.exit());
        refcount::release(me, off);
        if end != (State::Killed, Some(Exit::Signal(with))) {
            return Err(format!("{end:?}"));
        }
    }
    end_zygote(me)
}

/// A process that somebody kills at about its deadline is not said to have been killed for that.
pub(crate) fn dead_before(me: &Member) -> Result<(), String> {
    plan_zygote(me.runtime(), "zygote", "", 0, Path::new(""));
    task::process::set_spares(me, 2).map_err(|e| e.to_string())?;
    start_and_join(me)?;
    for n in 0..20 {
        let limit = ms(20);
        let off = start_limited(me, b"asleep", Some(limit))?;
        let task = Task::at(me, off);
        let at = task.deadline().ok_or("no deadline")?.saturating_sub(n * 50_000);
        while now_ns() < at {
            std::hint::spin_loop();
        }
        let _ = signal::send_process(task.pid(), libc::SIGKILL);
        task.join(&mut Plain, Deadline::after(Some(Duration::from_secs(20))));
        let end = (task.state(), task.exit(), task.killed_over_time());
        refcount::release(me, off);
        if end != (State::Killed, Some(Exit::Signal(libc::SIGKILL)), false) {
            return Err(format!("{end:?}"));
        }
    }
    end_zygote(me)
}

/// A thread of this process with a limit, which ends once it has been interrupted.
pub(crate) fn run_in_limited_thread(me: &Member) {
    let runtime = me.runtime();
    let off = record::create(me, record::flag::THREAD, "a limited thread").unwrap();
    let task = Task::at(me, off);
    task.set_limits(Some(ms(1)), Some(1 << 30));
    assert!(task.begin());
    let thread = std::thread::spawn(move || {
        let me = runtime.me();
        let task = Task::at(&me, off);
        assert!(task.run_here());
        let act = move || {
            let me = runtime.me();
            let task = Task::at(&me, off);
            if task.time_is_up() != TimeUp::Ended {
                task.request_interrupt();
            }
        };
        let kept = thread_timer::keep(task.deadline().unwrap(), Arc::new(act)).unwrap();
        while !task.interrupt_due() {
            std::thread::sleep(Duration::from_micros(100));
        }
        assert!(task.take_interrupt() && task.over_time());
        drop(kept);
        task.finish(State::Interrupted, 1, None);
    });
    task.join(&mut Plain, Deadline::NEVER);
    thread.join().unwrap();
    refcount::release(me, off);
}

/// A record with limits, which this process runs itself: the supervisor learns of a deadline
/// that is no child's.
pub(crate) fn run_limited(me: &Member) {
    let off = record::create(me, 0, "limited").unwrap();
    let task = Task::at(me, off);
    task.set_limits(Some(ms(1)), None);
    assert!(task.begin() && task.run_here());
    assert_eq!(task.time_limit(), Some(ms(1)));
    std::thread::sleep(ms(2));
    task.finish(State::Finished, 0, None);
    assert!(!task.over_time());
    refcount::release(me, off);
}
