//! The zygote is killed: tasks go on, and the next start makes a new one. In a test program
//! of its own, for how a task ended is known to its zygote alone.

use std::error::Error;
use std::time::Duration;

use tarefa::{Event, Failure, Process, State, sleep};

type Outcome = Result<(), Box<dyn Error>>;

const LONG: Option<Duration> = Some(Duration::from_secs(50));

fn send(pid: i32, signal: i32) {
    // SAFETY: a plain call.
    unsafe { libc::kill(pid, signal) };
}

fn sleep_long(ready: Event) -> Result<(), Failure> {
    ready.set();
    sleep(Duration::from_secs(3600))?;
    Ok(())
}

/// The zygote's pid: the child of this process that is named so.
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

#[tarefa::test(timeout = 60)]
fn the_zygote_dies() -> Outcome {
    assert_eq!(Process::spawn(|| 1, ())?.result(LONG)?, 1);
    let ready = Event::new()?;
    let running = Process::spawn(sleep_long, (ready.clone(),))?;
    assert!(ready.wait(LONG)?);
    for round in 0..3 {
        if let Some(pid) = zygote() {
            send(pid, libc::SIGKILL);
        }
        assert_eq!(Process::spawn(|n: i32| n, (round,))?.result(LONG)?, round);
        assert_eq!(running.state(), State::Running, "tasks go on without a zygote");
    }
    running.kill()?;
    running.join(LONG)?;
    Ok(())
}
