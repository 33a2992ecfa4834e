//! Panics of a program in which none unwinds, for `tests/task/panic_abort.rs`.

use std::time::Duration;

use tarefa::{LikelyCause, Process, ResultError, Thread, WorkerDied};

const LONG: Option<Duration> = Some(Duration::from_secs(50));

fn boom() {
    panic!("on purpose")
}

fn with_a_backtrace() {
    // SAFETY: the process of a task has one thread.
    unsafe { std::env::set_var("RUST_BACKTRACE", "1") };
    boom();
}

extern "C" fn callback() {
    panic!("in a callback")
}

fn in_c() {
    callback();
}

struct Loud;

impl Drop for Loud {
    fn drop(&mut self) {
        panic!("the second");
    }
}

fn in_a_destructor() {
    drop(Loud);
}

fn twice() {
    let _loud = Loud;
    panic!("the first");
}

fn in_another_thread() {
    let _ = std::thread::spawn(|| panic!("of no task")).join();
}

fn in_a_nested_thread() {
    let _ = Thread::spawn(boom, ()).map(|task| task.result(LONG));
}

fn outside_of_bounds() {
    let empty: Vec<u8> = std::hint::black_box(Vec::new());
    std::hint::black_box(empty[3]);
}

fn death(task: Process<()>) -> WorkerDied {
    match task.result(LONG) {
        Err(ResultError::Died(death)) => death,
        other => panic!("{other:?}"),
    }
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("unasked") => {
            let task = Process::spawn(boom, ()).unwrap();
            task.join(LONG).unwrap();
        }
        Some("thread") => {
            let _ = Thread::spawn(boom, ()).unwrap().result(LONG);
        }
        _ => asked(),
    }
}

fn asked() {
    assert!(cfg!(panic = "abort"), "build this with a profile in which panics abort");
    let cases = [
        (Process::spawn(boom, ()), "on purpose"),
        (Process::spawn(in_c, ()), "in a callback"),
        (Process::spawn(in_a_destructor, ()), "the second"),
        (Process::spawn(twice, ()), "the first"),
        (Process::spawn(in_another_thread, ()), "of no task"),
        (Process::spawn(in_a_nested_thread, ()), "on purpose"),
        (Process::spawn(outside_of_bounds, ()), "the len is 0 but the index is 3"),
    ];
    for (task, message) in cases {
        let death = death(task.unwrap());
        let text = death.to_string();
        assert_eq!(death.cause, LikelyCause::Reported, "{text}");
        assert_eq!(death.signal.as_deref(), Some("SIGABRT"), "{text}");
        assert_eq!(text.matches(message).count(), 1, "{text}");
        assert!(text.contains("src/main.rs:"), "{text}");
        assert!(!text.contains("stack backtrace:"), "{text}");
    }
    let text = death(Process::spawn(with_a_backtrace, ()).unwrap()).to_string();
    assert!(text.contains("stack backtrace:") && text.contains("panic_abort::boom"), "{text}");
    // The next task is none the worse.
    assert_eq!(Process::spawn(|| 1, ()).unwrap().result(LONG).unwrap(), 1);
    println!("all told");
}
