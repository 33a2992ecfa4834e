//! Panics and other failures are heard: by who asks, and else on standard error, once.
//!
//! Each case is a program of its own, this very one run again, so that what it writes can be seen.
#![allow(missing_docs)]

use std::process::Command;
use std::time::Duration;

use tarefa::{Event, Failure, Process, ResultError, State, Task, Thread, WorkerDied, sleep};

const LONG: Option<Duration> = Some(Duration::from_secs(50));
const CASE: &str = "TAREFA_TEST_CASE";

fn boom() -> u8 {
    panic!("on purpose")
}

extern "C" fn callback() {
    panic!("in a callback")
}

fn in_c() {
    callback();
}

struct Loud(&'static str);

impl Drop for Loud {
    fn drop(&mut self) {
        panic!("{}", self.0);
    }
}

fn twice() {
    let _loud = Loud("the second");
    panic!("the first");
}

fn in_a_destructor() {
    drop(Loud("in a destructor"));
}

fn in_another_thread() {
    let other = std::thread::Builder::new().name("another".into());
    let _ = other.spawn(|| panic!("of no task")).unwrap().join();
}

fn abort_after_a_panic() {
    let _ = std::panic::catch_unwind(|| panic!("caught before"));
    std::process::abort()
}

fn with_a_hook() {
    std::panic::set_hook(Box::new(|info| eprintln!("my own hook: {info}")));
    boom();
}

#[allow(clippy::disallowed_methods, reason = "as a task may, that has one thread")]
fn forks() -> i32 {
    // SAFETY: the process of a task has one thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let _ = std::panic::catch_unwind(|| panic!("in a fork"));
        // SAFETY: ends the child, at once.
        unsafe { libc::_exit(7) };
    }
    let mut status = 0;
    // SAFETY: a child of this process, and a place for its status.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    libc::WEXITSTATUS(status)
}

fn forks_and_aborts() {
    forks();
    std::process::abort()
}

fn fails() -> Result<(), Failure> {
    Err(std::io::Error::other("no luck").into())
}

fn waits(ready: Event) -> Result<(), Failure> {
    ready.set();
    Ok(sleep(Duration::from_secs(3600))?)
}

/// What a case does, in its own program.
fn run(case: &str) {
    let kind = case.split_once(' ').map_or(case, |(kind, _)| kind);
    let spawn = || -> Box<dyn Task> {
        match case {
            "process join" | "process drop" | "process error" | "process result"
            | "process held" => Box::new(Process::spawn(boom, ()).unwrap()),
            "thread join" | "thread drop" | "thread error" => {
                Box::new(Thread::spawn(boom, ()).unwrap())
            }
            "process hook" => Box::new(Process::spawn(with_a_hook, ()).unwrap()),
            "process err" => Box::new(Process::spawn(fails, ()).unwrap()),
            "thread err" => Box::new(Thread::spawn(fails, ()).unwrap()),
            "process abort" => Box::new(Process::spawn(|| std::process::abort(), ()).unwrap()),
            "process fork" => {
                let task = Process::spawn(forks, ()).unwrap();
                assert_eq!(task.result(LONG).unwrap(), 7);
                Box::new(task)
            }
            "process other" => Box::new(Process::spawn(in_another_thread, ()).unwrap()),
            other => panic!("no case {other:?}"),
        }
    };
    match case {
        "process stopped" | "thread stopped" => {
            let ready = Event::new().unwrap();
            if kind == "thread" {
                let task = Thread::spawn(waits, (ready.clone(),)).unwrap();
                ready.wait(LONG).unwrap();
                task.interrupt().unwrap();
                task.join(LONG).unwrap();
                return;
            }
            for stop in [Process::<_>::interrupt, Process::terminate, Process::kill] {
                ready.clear();
                let task = Process::spawn(waits, (ready.clone(),)).unwrap();
                ready.wait(LONG).unwrap();
                stop(&task).unwrap();
                task.join(LONG).unwrap();
            }
            return;
        }
        "process nested" => {
            let inner = || drop(Process::spawn(boom, ()).unwrap());
            Process::spawn(inner, ()).unwrap().result(LONG).unwrap();
            return;
        }
        "process exit" => {
            let task = Process::spawn(boom, ()).unwrap();
            task.join(LONG).unwrap();
            std::mem::forget(task);
            #[allow(clippy::disallowed_methods)]
            std::process::exit(3);
        }
        "process panicking" => {
            let task = Process::spawn(boom, ()).unwrap();
            task.join(LONG).unwrap();
            panic!("the program");
        }
        "process endless" => {
            let ready = Event::new().unwrap();
            drop(Process::new(waits, (ready.clone(),)).daemon(true).named("endless").start());
            return;
        }
        _ => {}
    }
    let task = spawn();
    match case.split_once(' ').unwrap().1 {
        "drop" => drop(task),
        "error" => {
            task.join(LONG).unwrap();
            let error = task.error().unwrap().to_string();
            assert!(error.contains("on purpose") && error.contains("panics.rs"), "{error}");
        }
        "held" => {
            task.join(LONG).unwrap();
            // Until the clock tells.
            std::thread::sleep(Duration::from_secs(12));
            eprintln!("after ten seconds");
            drop(task);
        }
        _ => task.join(LONG).unwrap(),
    }
}

#[test]
#[ignore = "run by the others"]
fn a_case() {
    run(&std::env::var(CASE).unwrap());
}

/// What a case writes to its standard error, run as a program of its own.
fn stderr_of(case: &str) -> String {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "a_case", "--ignored", "--nocapture"]);
    let output = program.env(CASE, case).env("RUST_BACKTRACE", "0").output().unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn told(case: &str, text: &str) -> String {
    let written = stderr_of(case);
    assert_eq!(written.matches(text).count(), 1, "{case}: {text:?} in {written}");
    written
}

#[test]
#[cfg_attr(miri, ignore = "Miri has one process")]
fn what_nobody_asks_about_is_told_once() {
    for case in ["process join", "process drop", "thread join", "thread drop"] {
        let written = told(case, "on purpose");
        assert!(written.contains("tests/task/panics.rs:"), "{case}: {written}");
    }
    told("process nested", "on purpose");
    told("process exit", "on purpose");
    told("process panicking", "on purpose");
    for case in ["process err", "thread err"] {
        let written = told(case, "no luck");
        assert!(written.contains("failed"), "{written}");
    }
    told("process abort", "was ended by SIGABRT");
}

#[test]
#[cfg_attr(miri, ignore = "Miri has one process")]
fn at_the_latest_after_ten_seconds() {
    let written = told("process held", "on purpose");
    let (told, late) = (written.find("on purpose"), written.find("after ten seconds"));
    assert!(told < late, "{written}");
}

#[test]
#[cfg_attr(miri, ignore = "Miri has one process")]
fn who_asks_is_told_and_nobody_else() {
    assert_eq!(stderr_of("process error").matches("on purpose").count(), 0);
    for case in ["process stopped", "thread stopped", "process endless"] {
        let written = stderr_of(case);
        assert!(!written.contains("tarefa:"), "{case}: {written}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri has one process")]
fn hooks_and_threads_of_others_are_left_alone() {
    let written = stderr_of("process hook");
    assert!(written.contains("my own hook: ") && written.contains("on purpose"), "{written}");
    let written = told("process other", "of no task");
    assert!(written.contains("thread 'another'"), "{written}");
    assert!(!written.contains("tarefa:"), "{written}");
    told("process fork", "in a fork");
}

fn death(target: fn() -> Process<()>) -> WorkerDied {
    match target().result(LONG) {
        Err(ResultError::Died(death)) => death,
        other => panic!("{other:?}"),
    }
}

#[tarefa::test(timeout = 100)]
fn a_panic_that_cannot_unwind_reaches_who_asks() {
    let in_c = death(|| Process::spawn(in_c, ()).unwrap());
    assert_eq!(in_c.signal.as_deref(), Some("SIGABRT"));
    let text = in_c.to_string();
    assert!(text.contains("in a callback (") && text.contains("panics.rs:"), "{text}");
    assert!(text.contains("gave up, and said why"), "{text}");

    let twice = death(|| Process::spawn(twice, ()).unwrap());
    let note = twice.note.as_deref().unwrap_or_default();
    let (first, second) = (note.find("the first ("), note.find("the second ("));
    assert!(first.is_some() && first < second, "{note}");

    // One that was caught before is not said to be the cause.
    let later = death(|| Process::spawn(abort_after_a_panic, ()).unwrap());
    let text = later.to_string();
    assert!(text.contains("before that it had panicked: caught before"), "{text}");
    assert!(!text.contains("said why"), "{text}");

    // Nor is one of a fork.
    let aborts = death(|| Process::spawn(forks_and_aborts, ()).unwrap());
    assert_eq!(aborts.note, None);

    // And one that unwinds is a failure as any other.
    for task in [
        Process::spawn(in_a_destructor, ()).map(|t| Box::new(t) as Box<dyn Task>),
        Thread::spawn(in_a_destructor, ()).map(|t| Box::new(t) as Box<dyn Task>),
    ] {
        let task = task.unwrap();
        task.join(LONG).unwrap();
        assert_eq!(task.state(), State::Failed);
        let text = task.error().unwrap().to_string();
        assert!(text.contains("in a destructor (") && text.contains("panics.rs:"), "{text}");
    }
}

fn with_a_payload_that_panics() {
    std::panic::panic_any(Loud("as it is dropped"));
}

#[tarefa::test(timeout = 100)]
fn a_payload_that_panics_does_no_harm() {
    for task in [
        Process::spawn(with_a_payload_that_panics, ()).map(|t| Box::new(t) as Box<dyn Task>),
        Thread::spawn(with_a_payload_that_panics, ()).map(|t| Box::new(t) as Box<dyn Task>),
    ] {
        let task = task.unwrap();
        task.join(LONG).unwrap();
        assert_eq!(task.state(), State::Failed);
        assert!(task.error().unwrap().to_string().contains("a value that is no text"));
    }
}

fn with_a_backtrace() {
    // SAFETY: the process of a task has one thread.
    unsafe { std::env::set_var("RUST_BACKTRACE", "1") };
    boom();
}

#[tarefa::test(timeout = 100)]
fn a_backtrace_comes_where_it_is_asked_for() {
    let text = Process::spawn(with_a_backtrace, ()).unwrap().result(LONG).unwrap_err().to_string();
    // Where there are line tables alone, names come without their modules.
    let names_it = text.contains("panics::boom") || text.contains(": boom\n");
    assert!(text.contains("stack backtrace:") && names_it, "{text}");
    assert!(!text.contains("rust_begin_unwind") && !text.contains("target::run"), "{text}");
    let text = Process::spawn(
        || {
            // SAFETY: as above.
            unsafe { std::env::remove_var("RUST_BACKTRACE") };
            boom()
        },
        (),
    );
    let text = text.unwrap().result(LONG).unwrap_err().to_string();
    assert!(!text.contains("stack backtrace:"), "{text}");
}

#[tarefa::test(timeout = 100)]
fn an_error_is_had_without_the_type_of_the_result() {
    let tasks: Vec<Box<dyn Task>> = vec![
        Box::new(Process::new(fails, ())),
        Box::new(Thread::new(fails, ())),
        Box::new(Thread::new(|| 1, ())),
    ];
    assert!(tasks.iter().all(|task| task.error().is_none()));
    for task in &tasks {
        task.start().unwrap();
        task.join(LONG).unwrap();
    }
    for task in &tasks[..2] {
        let text = task.error().unwrap().to_string();
        assert!(text.contains("failed: no luck"), "{text}");
    }
    assert!(tasks[2].error().is_none());
    let limited =
        Process::new(waits, (Event::new().unwrap(),)).time_limit(Duration::from_millis(50));
    limited.start().unwrap();
    limited.join(LONG).unwrap();
    let error = limited.error();
    assert!(matches!(error, Some(ResultError::OverTime { .. })), "{error:?}");
}

/// Panics as it is serialised, if that is how it is.
#[derive(serde::Deserialize)]
struct Moody(bool);

impl serde::Serialize for Moody {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(!self.0, "in a bad mood");
        serializer.serialize_newtype_struct("Moody", &self.0)
    }
}

#[tarefa::test(timeout = 100)]
fn arguments_and_results_that_panic() {
    let task = Process::new(|_: Moody| (), (Moody(true),));
    let start = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| task.start()));
    assert!(start.is_err());
    assert_eq!(task.state(), State::New);
    for task in [
        Process::spawn(|| Moody(true), ()).map(|t| Box::new(t) as Box<dyn Task>),
        Thread::spawn(|| Moody(true), ()).map(|t| Box::new(t) as Box<dyn Task>),
    ] {
        let task = task.unwrap();
        task.join(LONG).unwrap();
        assert!(task.error().unwrap().to_string().contains("in a bad mood"));
    }
}
