//! Privileges, daemons, and the program's end: what `tests/python/task/test_privileges.py`,
//! `test_daemon.py` and `test_root_end.py` hold the other front to.
//!
//! Each case is a program of its own, this very one run again: it changes its user, or ends.
#![allow(missing_docs)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tarefa::{Event, Failure, List, Lock, LockError, Process, State, sleep};

const LONG: Option<Duration> = Some(Duration::from_secs(50));
const CASE: &str = "TAREFA_TEST_CASE";
const NOBODY: u32 = 65534;

type Users = ([u32; 3], [u32; 3]);

/// Real, effective and saved, of user and group.
fn look() -> Users {
    let (mut users, mut groups) = ([0; 3], [0; 3]);
    let [real, effective, saved] = &mut users;
    // SAFETY: a plain call; all are writable for its length.
    unsafe { libc::getresuid(real, effective, saved) };
    let [real, effective, saved] = &mut groups;
    // SAFETY: the same.
    unsafe { libc::getresgid(real, effective, saved) };
    (users, groups)
}

fn is_superuser() -> bool {
    look().0 == [0; 3]
}

fn drop_privileges() {
    // SAFETY: plain calls.
    let done = unsafe { [libc::setgid(NOBODY), libc::setuid(NOBODY)] };
    assert_eq!(done, [0, 0]);
}

fn own_pid() -> i32 {
    // SAFETY: a plain call.
    unsafe { libc::getpid() }
}

fn send(pid: i32, signal: i32) {
    // SAFETY: a plain call.
    unsafe { libc::kill(pid, signal) };
}

fn wait(ready: Event) -> Result<(), Failure> {
    ready.set();
    sleep(Duration::from_secs(3600))?;
    Ok(())
}

fn asleep() -> Process<Result<(), Failure>> {
    let ready = Event::new().unwrap();
    let task = Process::new(wait, (ready.clone(),)).daemon(true);
    task.start().unwrap();
    assert!(ready.wait(LONG).unwrap());
    task
}

// What a program has given up.

fn given_up() {
    let early = asleep();
    drop_privileges();
    for _ in 0..12 {
        let got = Process::spawn(look, ()).unwrap().result(LONG).unwrap();
        assert_eq!(got, ([NOBODY; 3], [NOBODY; 3]));
    }
    let pid = early.pid().unwrap();
    for refused in [early.kill(), early.terminate()] {
        let text = refused.unwrap_err().to_string();
        assert!(text.contains(&pid.to_string()) && text.contains("not permitted"), "{text}");
    }
    assert_eq!(early.state(), State::Running);
}

fn for_a_while() {
    assert_eq!(Process::spawn(look, ()).unwrap().result(LONG).unwrap(), look());
    // SAFETY: plain calls.
    unsafe { assert_eq!([libc::setegid(NOBODY), libc::seteuid(NOBODY)], [0, 0]) };
    assert_eq!(Process::spawn(look, ()).unwrap().result(LONG).unwrap(), look());
    assert_eq!(look(), ([0, NOBODY, 0], [0, NOBODY, 0]));
    // SAFETY: plain calls.
    unsafe { assert_eq!([libc::seteuid(0), libc::setegid(0)], [0, 0]) };
    let task = asleep();
    assert_eq!(Process::spawn(look, ()).unwrap().result(LONG).unwrap(), look());
    task.kill().unwrap();
    task.join(LONG).unwrap();
}

fn start_later(go: Event) -> String {
    go.wait(LONG).unwrap();
    match Process::spawn(look, ()) {
        Ok(task) => format!("{:?}", task.result(LONG)),
        Err(error) => error.to_string(),
    }
}

fn kept_by_a_task() {
    let go = Event::new().unwrap();
    let early = Process::spawn(start_later, (go.clone(),)).unwrap();
    drop_privileges();
    assert!(Process::spawn(|| 1, ()).unwrap().result(LONG).is_ok());
    std::thread::sleep(Duration::from_millis(300));
    go.set();
    let text = early.result(LONG).unwrap();
    // The helpers have given up what it has.
    assert!(text.contains("user, groups") && text.contains("not permitted"), "{text}");
}

// A program that becomes a daemon.

fn die(lock: Lock) {
    let _guard = lock.lock(None);
    send(own_pid(), libc::SIGKILL);
}

fn length(list: List<i64>) -> usize {
    list.len()
}

#[allow(clippy::disallowed_methods, reason = "as a daemon does")]
fn fork() -> i32 {
    // SAFETY: the child uses tarefa, which is whole in it, and ends by itself.
    unsafe { libc::fork() }
}

fn leave() -> ! {
    // SAFETY: ends the process, at once.
    unsafe { libc::_exit(0) }
}

fn go_on(lock: &Lock, list: &List<i64>, early: &Process<Result<(), Failure>>) -> String {
    let count = || Process::spawn(length, (list.clone(),))?.result(LONG).map_err(Failure::from);
    match count() {
        Ok(1) => {}
        other => return format!("a process: {other:?}"),
    }
    if let Err(error) = Process::spawn(die, (lock.clone(),)).map(|task| task.join(LONG)) {
        return format!("one that dies: {error}");
    }
    match lock.lock(LONG) {
        Err(LockError::OwnerDied(_)) => {}
        other => return format!("the lock: {:?}", other.err()),
    }
    if list.append(2).is_err() || list.len() != 2 {
        return "the list".to_owned();
    }
    for _ in 0..9 {
        match count() {
            Ok(2) => {}
            other => return format!("later ones: {other:?}"),
        }
    }
    let within = Instant::now() + Duration::from_secs(20);
    while early.state() == State::Running && Instant::now() < within {
        std::thread::sleep(Duration::from_millis(10));
    }
    if early.state() != State::Killed {
        return format!("the one of before is {:?}", early.state());
    }
    "goes on".to_owned()
}

fn daemon(told: &Path) {
    let (lock, list) = (Lock::new().unwrap(), List::<i64>::new().unwrap());
    list.append(1).unwrap();
    let early = asleep();
    let first = own_pid();
    if fork() != 0 {
        leave();
    }
    // SAFETY: a plain call.
    unsafe { libc::setsid() };
    if fork() != 0 {
        leave();
    }
    while Path::new(&format!("/proc/{first}")).exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let text = go_on(&lock, &list, &early);
    let new = told.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, told).unwrap();
    leave();
}

// The program's end.

fn block_all() {
    // SAFETY: `all` is written before it is read.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
    }
}

fn evade(how: String, ready: Event) {
    match how.as_str() {
        "user" => drop_privileges(),
        "signals" => block_all(),
        "descriptors" => (3..4096).for_each(|fd| {
            // SAFETY: descriptors that nobody here uses any more.
            let _ = unsafe { libc::close(fd) };
        }),
        _ => {}
    }
    ready.set();
    loop {
        std::thread::sleep(Duration::from_secs(1000));
    }
}

/// The children of this process that are named so.
fn zygote() -> Option<i32> {
    let own = std::process::id().to_string();
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let (name, rest) = stat.rsplit_once(')')?;
        let parent = rest.split_whitespace().nth(1)?;
        (name.ends_with("(tarefa-zygote") && parent == own).then_some(pid)
    })
}

fn end(how: &str, with_zygote: bool) {
    let ready = Event::new().unwrap();
    let task = Process::new(evade, (how.to_owned(), ready.clone())).daemon(true);
    task.start().unwrap();
    assert!(ready.wait(LONG).unwrap());
    println!("\npid {}", task.pid().unwrap());
    std::io::stdout().flush().unwrap();
    if with_zygote {
        send(zygote().unwrap(), libc::SIGKILL);
    }
    send(own_pid(), libc::SIGKILL);
}

// The cases, and who runs them.

fn run(case: &str) {
    let words: Vec<&str> = case.split('|').collect();
    match words[0] {
        "given up" => given_up(),
        "for a while" => for_a_while(),
        "kept by a task" => kept_by_a_task(),
        "daemon" => daemon(Path::new(words[1])),
        "end" => end(words[1], words[2] == "zygote"),
        _ => unreachable!("{case}"),
    }
}

#[test]
#[ignore = "run by the others"]
fn a_case() {
    run(&std::env::var(CASE).unwrap());
}

fn program(case: &str) -> Command {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "a_case", "--ignored", "--nocapture"]);
    program.env(CASE, case).env("RUST_BACKTRACE", "0");
    program
}

fn passes(case: &str) {
    let output = program(case).output().unwrap();
    let written = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{case}: {written}");
}

fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "still not: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[test]
#[cfg_attr(miri, ignore = "Miri has one process")]
fn tasks_have_the_user_that_the_program_has_by_then() {
    if is_superuser() {
        passes("given up");
        passes("for a while");
        passes("kept by a task");
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri has one process")]
fn a_program_that_forks_and_ends_goes_on_as_the_child() {
    let told = std::env::temp_dir().join(format!("tarefa-daemon-{}", std::process::id()));
    let mut first = program(&format!("daemon|{}", told.display()));
    assert!(first.stdout(Stdio::null()).status().unwrap().success());
    eventually("the daemon has told", || told.exists());
    let text = std::fs::read_to_string(&told).unwrap();
    std::fs::remove_file(&told).unwrap();
    assert_eq!(text, "goes on");
}

#[test]
#[cfg_attr(miri, ignore = "Miri has one process")]
fn no_task_outlives_the_program() {
    for how in ["nothing", "user", "signals", "descriptors"] {
        if how == "user" && !is_superuser() {
            continue;
        }
        for with in ["root", "zygote"] {
            let output = program(&format!("end|{how}|{with}")).output().unwrap();
            let written = String::from_utf8_lossy(&output.stdout).into_owned();
            let pid = written.lines().find_map(|line| line.strip_prefix("pid ")?.parse().ok());
            let pid: i32 = pid.unwrap_or_else(|| panic!("{how}, {with}: {written}"));
            eventually(&format!("{how}, {with}: it ends"), || !is_alive(pid));
        }
    }
}
