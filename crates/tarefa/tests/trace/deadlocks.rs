//! Reports of who waits for whom.

use std::error::Error;
use std::time::{Duration, Instant};

use tarefa::{
    Event, Failure, Lock, Process, Report, Task, Thread, Waiting, deadlocks, set_report_after,
};

type Outcome = Result<(), Box<dyn Error>>;

fn eventually(mut look: impl FnMut(&Report) -> bool) -> Report {
    let start = Instant::now();
    loop {
        let report = deadlocks();
        if look(&report) {
            return report;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{report}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn take_in_turn(first: Lock, second: Lock, ready: Event, go: Event) -> Result<(), Failure> {
    let _first = first.lock(None)?;
    ready.set();
    go.wait(None)?;
    let _second = second.lock(None)?;
    Ok(())
}

fn is_of(waiting: &Waiting, task: &dyn Task) -> bool {
    Some(waiting.pid) == task.pid() && waiting.task.as_deref() == Some(&task.name())
}

#[tarefa::test]
fn who_waits_for_whom() -> Outcome {
    let (a, b, go) = (Lock::new()?, Lock::new()?, Event::new()?);
    let ready = [Event::new()?, Event::new()?];
    let process = Process::new(take_in_turn, (a.clone(), b.clone(), ready[0].clone(), go.clone()))
        .named("left");
    let thread = Thread::new(take_in_turn, (b, a, ready[1].clone(), go.clone())).named("right");
    process.start()?;
    thread.start()?;
    for ready in &ready {
        ready.wait(None)?;
    }
    assert!(!deadlocks().is_deadlock());
    go.set();
    let report = eventually(Report::is_deadlock);
    assert_eq!((report.cycles.len(), report.passing.len(), report.waiting.len()), (1, 0, 2));
    for task in [&process as &dyn Task, &thread] {
        let waits = report.cycles[0].iter().find(|w| is_of(w, task)).ok_or("not in the cycle")?;
        let line = waits.line.as_deref().ok_or("no line")?;
        assert!(line.contains("deadlocks.rs:"), "{line}");
        assert!(waits.waits_for[0].starts_with("Lock "), "{waits:?}");
        assert_eq!(waits.timeout, None);
    }
    let text = report.to_string();
    assert!(text.starts_with("deadlock: 2 threads wait for one another\n"), "{text}");
    assert!(text.contains("process 'left' (pid"), "{text}");
    assert!(text.contains("thread 'right'\n    holds Lock"), "{text}");

    process.kill()?;
    process.join(None)?;
    // The lock's next owner is told of the death.
    assert!(thread.result(None).is_ok_and(|r| r.is_err()));
    let report = eventually(|r| r.waiting.is_empty());
    assert!(report.holding.is_empty(), "{report}");

    // A wait that lasts is reported, and goes on.
    set_report_after(Duration::from_millis(50))?;
    let lock = Lock::new()?;
    let guard = lock.lock(None)?;
    assert!(lock.lock(Some(Duration::from_millis(200))).is_err());
    drop(guard);
    set_report_after(None)?;
    Ok(())
}
