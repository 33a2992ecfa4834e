//! What goes on, and what ends, when the zygote or the root is killed while tasks run.

use std::ffi::CString;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::scenarios::start_and_join;
use crate::support;
use crate::zygotes::{end_zygote, plan_zygote};
use tarefa_engine::atomic::Ordering;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::pidfd::Exit;
use tarefa_engine::os::{process, procfs, signal};
use tarefa_engine::shm::arena::offset::Off;
use tarefa_engine::shm::member::slots;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, Runtime};
use tarefa_engine::sync::wait::Plain;
use tarefa_engine::task;
use tarefa_engine::task::State;
use tarefa_engine::task::process::zygote_control;
use tarefa_engine::task::process::zygote_control::zygote_state;
use tarefa_engine::task::record::{self, Task};
use tarefa_engine::task::supervisor::{self, AddressIn, Zygote};

pub(crate) const ROOT: &str = "TAREFA_CRASH_ROOT";

/// What a task of the test does that is to be killed.
pub(crate) fn linger(payload: &[u8]) {
    match payload {
        b"busy" => loop {
            std::hint::spin_loop();
        },
        b"asleep" => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        _ => {}
    }
}

fn within(what: &str, mut done: impl FnMut() -> bool) -> Result<(), String> {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > Duration::from_secs(5) {
            return Err(format!("not within five seconds: {what}"));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

/// Starts a task that runs until it is killed.
fn start(me: &Member, how: &[u8]) -> Result<Off, String> {
    start_limited(me, how, None)
}

/// The same, with a time limit.
pub(crate) fn start_limited(
    me: &Member,
    how: &[u8],
    time: Option<Duration>,
) -> Result<Off, String> {
    let off = record::create(me, 0, "lingers").map_err(|e| e.to_string())?;
    let task = Task::at(me, off);
    task.set_payload(20, &[how], &[]).map_err(|e| e.to_string())?;
    task.set_limits(time, None);
    assert!(task.begin());
    task::process::start(me, &task, &[]).map_err(|e| e.to_string())?;
    within("the task runs", || task.state() == State::Running)?;
    Ok(off)
}

/// Kills the task; its end must say so.
fn kill(me: &Member, off: Off, with: i32) -> Result<(), String> {
    let task = Task::at(me, off);
    if task.state() != State::Running {
        return Err(format!("a task that lingers is {:?}", task.state()));
    }
    signal::send_process(task.pid(), with).map_err(|e| e.to_string())?;
    task.join(&mut Plain, Deadline::after(Some(Duration::from_secs(5))));
    let end = (task.state(), task.exit());
    refcount::release(me, off);
    if end == (State::Killed, Some(Exit::Signal(with))) { Ok(()) } else { Err(format!("{end:?}")) }
}

pub(crate) fn kill_zygote(me: &Member) -> Result<(), String> {
    let control = zygote_control::get(me).map_err(|e| e.to_string())?;
    let index = || control.zygote_slot.load(Ordering::Acquire).checked_sub(1);
    within("there is a zygote", || index().is_some())?;
    let slot = slots::process_slot(me.arena(), index().ok_or("no zygote")? as u32);
    let _ = signal::send_process(slots::owner(slot).0, libc::SIGKILL);
    Ok(())
}

/// Tasks go on without their zygote, the next start works, and every end is told as it was.
pub(crate) fn outlive_zygotes(me: &Member, spares: u64) -> Result<(), String> {
    plan_zygote(me.runtime(), "zygote", "", 0, Path::new(""));
    task::process::set_spares(me, spares).map_err(|e| e.to_string())?;
    start_and_join(me)?;
    std::thread::sleep(Duration::from_millis(5));
    let [first, second, third] = [b"asleep" as &[u8], b"busy", b"asleep"].map(|how| start(me, how));
    kill_zygote(me)?;
    kill(me, first?, libc::SIGKILL)?;
    for _ in 0..3 {
        start_and_join(me)?;
        kill_zygote(me)?;
    }
    kill(me, second?, libc::SIGTERM)?;
    start_and_join(me)?;
    kill(me, third?, libc::SIGKILL)?;
    end_zygote(me)
}

/// A zygote that does not get on keeps nobody waiting for the death of a task.
pub(crate) fn busy_zygote(me: &Member) -> Result<(), String> {
    plan_zygote(me.runtime(), "zygote", "", 0, Path::new(""));
    task::process::set_spares(me, 0).map_err(|e| e.to_string())?;
    let task = start(me, b"asleep")?;
    let control = zygote_control::get(me).map_err(|e| e.to_string())?;
    let index = control.zygote_slot.load(Ordering::Acquire) - 1;
    let (zygote, _) = slots::owner(slots::process_slot(me.arena(), index as u32));
    signal::send_process(zygote, libc::SIGSTOP).map_err(|e| e.to_string())?;
    let killed = kill(me, task, libc::SIGKILL);
    signal::send_process(zygote, libc::SIGCONT).map_err(|e| e.to_string())?;
    killed?;
    start_and_join(me)?;
    end_zygote(me)
}

/// Runs `act` while this process has no descriptors to spare but those that it is given, to close.
pub(crate) fn without_descriptors(
    act: impl FnOnce(&mut Vec<OwnedFd>) -> Result<(), String>,
) -> Result<(), String> {
    // SAFETY: rlimit is plain data, for which zeroes are a value.
    let mut limit: libc::rlimit = unsafe { std::mem::zeroed() };
    // SAFETY: `limit` is readable and writable for the length of the calls.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    let low = libc::rlimit { rlim_cur: 100, ..limit };
    // SAFETY: as above.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const low) };
    let mut all: Vec<OwnedFd> = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        all.push(file.into());
    }
    let result = act(&mut all);
    // SAFETY: as above.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    result
}

/// Deaths are noticed, and lives respected, without a descriptor to watch with.
pub(crate) fn no_descriptors(me: &Member) -> Result<(), String> {
    plan_zygote(me.runtime(), "zygote", "", 0, Path::new(""));
    task::process::set_spares(me, 0).map_err(|e| e.to_string())?;
    let before = start(me, b"asleep")?;
    without_descriptors(|all| {
        let unseen = start(me, b"asleep")?;
        std::thread::sleep(Duration::from_millis(100));
        kill(me, before, libc::SIGKILL)?;
        kill(me, unseen, libc::SIGTERM)?;
        let promoted = start(me, b"asleep")?;
        kill_zygote(me)?;
        start_and_join(me)?;
        kill_zygote(me)?;
        start_and_join(me)?;
        all.clear();
        std::thread::sleep(Duration::from_millis(60));
        kill(me, promoted, libc::SIGKILL)
    })?;
    end_zygote(me)
}

/// A root of its own, which starts a task and loses its zygote.
pub(crate) fn root(how: &str) -> ! {
    let runtime: &'static Runtime = task::runtime().unwrap();
    let me = runtime.me();
    plan_zygote(runtime, "zygote", "", 0, Path::new(""));
    let task = start(&me, how.as_bytes()).unwrap();
    // The next one never gets ready.
    let argv = ["/bin/sleep", "1000"].map(|word| CString::new(word).unwrap());
    supervisor::set_zygote(Zygote::Execute(argv.to_vec(), Vec::new(), AddressIn::Given));
    kill_zygote(&me).unwrap();
    let control = zygote_control::get(&me).unwrap();
    let state = || control.zygote.load(Ordering::Acquire);
    within("the next zygote starts", || state() == zygote_state::STARTING).unwrap();
    println!("{}", Task::at(&me, task).pid());
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// The root is killed while its zygote is booting: nothing is left.
pub(crate) fn root_killed(how: &str) -> Result<(), String> {
    let mut child = support::execute(ROOT, how);
    let mut line = String::new();
    let said = child.stdout.take().map(|out| BufReader::new(out).read_line(&mut line));
    let killed = child.kill();
    let _ = child.wait();
    killed.map_err(|e| e.to_string())?;
    let task: i32 = line.trim().parse().map_err(|e| format!("{line:?}, {said:?}: {e}"))?;
    let start = Instant::now();
    while process::exists(task) && procfs::stat(task).is_some_and(|s| s.state != 'Z') {
        if start.elapsed() > Duration::from_secs(1) {
            let _ = signal::send_process(task, libc::SIGKILL);
            return Err("the task outlives its root".to_owned());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}
