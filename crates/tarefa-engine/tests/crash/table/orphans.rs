//! What goes on, and what ends, when the zygote or the root is killed while tasks run.

use std::ffi::CString;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::roots;
use crate::starts::start_and_join;
use crate::support;
use crate::zygotes::{ZYGOTE, end_zygote, plan_zygote};
use tarefa_engine::atomic::Ordering;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::pidfd::Exit;
use tarefa_engine::os::{process, procfs, signal};
use tarefa_engine::shm::arena::offset::Off;
use tarefa_engine::shm::member::slots;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::tx::crash_point;
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
        b"blocked" => {
            signal::block_all();
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        b"asleep" => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
        _ => {}
    }
}

pub(crate) fn within(what: &str, mut done: impl FnMut() -> bool) -> Result<(), String> {
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
pub(crate) fn start(me: &Member, how: &[u8]) -> Result<Off, String> {
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
    task::process::start(me, &task, &[], &mut Plain).map_err(|e| e.to_string())?;
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

/// A root of its own, which starts a task and loses its zygote, or dies as it starts one.
pub(crate) fn root(how: &str) -> ! {
    if let Some(order) = how.strip_prefix(roots::TRACED) {
        roots::program(order)
    }
    let runtime: &'static Runtime = task::runtime().unwrap();
    let me = runtime.me();
    if let Some(text) = how.strip_prefix("starts ") {
        starts(&me, text)
    }
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

/// In a root: `spares point nth`, or `spares record 0`, which writes how often it passes each point.
fn starts(me: &Member, text: &str) -> ! {
    let words: Vec<&str> = text.split(' ').collect();
    plan_zygote(me.runtime(), "zygote", "", 0, Path::new(""));
    task::process::set_spares(me, words[0].parse().unwrap()).unwrap();
    start_and_join(me).unwrap();
    std::thread::sleep(Duration::from_millis(5));
    if words[1] == "record" {
        crash_point::record();
        start(me, b"asleep").unwrap();
        crash_point::recorded().iter().for_each(|(point, n)| println!("{point} {n}"));
    } else {
        crash_point::arm(words[1], words[2].parse().unwrap());
        start(me, b"asleep").unwrap();
    }
    std::io::stdout().flush().unwrap();
    process::exit_now(0)
}

/// Who was made for the root `pid`, however that came to be.
pub(crate) fn made_for(pid: i32) -> Vec<i32> {
    let mark = format!("{ZYGOTE}={pid} ");
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let marked = |pid: &i32| {
        std::fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|text| text.starts_with(mark.as_bytes()))
    };
    pids.filter(marked).collect()
}

/// The root passes `point` as it starts a process, and dies at the `nth` pass, or ends: nothing is
/// left. What it wrote.
pub(crate) fn root_starts(spares: u64, point: &str, nth: u64) -> Result<String, String> {
    let mut child = support::execute(ROOT, &format!("starts {spares} {point} {nth}"));
    let text = String::from_utf8_lossy(&support::written(&mut child)).into_owned();
    child.wait().map_err(|e| e.to_string())?;
    let root = child.id() as i32;
    let left = within("all end that was made for the root", || made_for(root).is_empty());
    left.inspect_err(|_| {
        for pid in made_for(root) {
            let _ = signal::send_process(pid, libc::SIGKILL);
        }
    })?;
    Ok(text)
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
