//! Timelines: who ran what when, of pools of both kinds and of the whole program.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tarefa::{
    Event, Interrupted, OnCoreSource, Pool, Process, SliceEnd, SliceKind, TaskError, Thread,
    Timeline, TimelineError, sleep,
};

type Outcome = Result<(), Box<dyn Error>>;

const SHORT: Duration = Duration::from_millis(5);

fn double(n: u64) -> u64 {
    2 * n
}

fn nap(millis: u64) -> Result<u64, Interrupted> {
    sleep(Duration::from_millis(millis))?;
    Ok(millis)
}

fn refuse(n: u64) -> Result<u64, String> {
    Err(format!("not {n}"))
}

fn panic_at(n: u64) -> u64 {
    panic!("{n} is too many");
}

fn long() -> Result<(), Interrupted> {
    sleep(Duration::from_secs(3600))
}

fn die() {
    // SAFETY: signals have no memory.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
}

fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(SHORT);
    }
}

/// A file of this test's own.
fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("tarefa-timeline-{}-{name}", std::process::id()))
}

/// A timeline, all that holds of any looked at.
fn whole(timeline: Timeline) -> Timeline {
    assert_eq!(timeline.check(), [""; 0]);
    for slice in timeline.slices() {
        assert!(slice.start <= slice.end && slice.end <= timeline.length(), "{slice:?}");
    }
    for on in timeline.on_core() {
        assert!(on.start < on.end && on.end <= timeline.length(), "{on:?}");
    }
    timeline
}

/// What ran, as the last parts of its names, and how it ended; in the order of names.
fn told(timeline: &Timeline) -> Vec<(String, String)> {
    let last = |name: &str| name.rsplit("::").next().unwrap_or_default().to_owned();
    let mut told: Vec<_> = timeline.slices().map(|s| (last(s.name), s.ended.to_string())).collect();
    told.sort();
    told
}

fn is(told: &[(String, String)], wanted: &[(&str, &str)]) {
    let told: Vec<_> = told.iter().map(|(name, end)| (&**name, &**end)).collect();
    assert_eq!(told, wanted);
}

const KINDS: [fn(usize) -> Pool; 2] = [Pool::threads, Pool::processes];

#[tarefa::test(timeout = 60)]
fn calls_of_a_pool_and_how_they_ended() -> Outcome {
    for (make, is_threads) in KINDS.into_iter().zip([true, false]) {
        let began = Instant::now();
        let pool = make(2).named("ants").recorded();
        let found = pool.map(double, 0..20).collect::<Result<Vec<_>, _>>()?;
        assert_eq!(found.len(), 20);
        assert!(pool.submit(refuse, (1,))?.result()?.is_err());
        assert!(pool.submit(panic_at, (1,))?.result().is_err());
        let stopped = pool.options().time_limit(SHORT).submit(long, ())?.result();
        assert!(matches!(stopped, Err(TaskError::OverTime { .. })));
        let during = whole(pool.timeline()?);
        assert_eq!(during.slices().len(), 23);
        let recording = pool.recording()?;
        pool.join()?;
        let timeline = whole(recording.timeline());
        assert!(timeline.length() <= began.elapsed());
        let mut wanted = vec![("double", "returned"); 20];
        wanted.extend([("long", "interrupted"), ("panic_at", "failed"), ("refuse", "failed")]);
        is(&told(&timeline), &wanted);
        for slice in timeline.slices() {
            assert!(slice.name.starts_with("pool::timeline::"), "{slice:?}");
            assert!(slice.worker.starts_with("ants-"), "{slice:?}");
            assert_eq!(slice.kind, SliceKind::Call);
            assert_eq!(slice.pid == std::process::id() as i32, is_threads);
        }
        assert_eq!(timeline.lost(), 0);
        assert_eq!(told(&recording.timeline()), told(&timeline));
    }
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn batches_and_two_pools_at_once() -> Outcome {
    for make in KINDS {
        let (one, two) = (make(2).recorded(), make(1).recorded());
        let found = one.map(double, 0..3000).collect::<Result<Vec<_>, _>>()?;
        assert!(found.iter().copied().eq((0..3000).map(double)));
        assert_eq!(two.submit(nap, (1,))?.result()??, 1);
        let (one, two) = (whole(one.timeline()?), whole(two.timeline()?));
        assert_eq!(one.slices().len(), 3000);
        assert!(one.slices().all(|s| s.name.ends_with("double")));
        is(&told(&two), &[("nap", "returned")]);
    }
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn nothing_is_recorded_before_it_is_asked_for() -> Outcome {
    for make in KINDS {
        let pool = make(1);
        assert_eq!(pool.submit(double, (1,))?.result()?, 2);
        let refused = pool.save_timeline(file("none.json"));
        assert!(matches!(refused, Err(TimelineError::NotRecorded { .. })), "{refused:?}");
        let text = pool.save_timeline("none.png").unwrap_err().to_string();
        assert!(text.contains(".svg, .html or .txt: \"none.png\" does not"), "{text}");
        assert_eq!(pool.timeline()?.slices().len(), 0);
        assert_eq!(pool.submit(nap, (1,))?.result()??, 1);
        is(&told(&whole(pool.timeline()?)), &[("nap", "returned")]);
        let nowhere = pool.save_timeline(file("no folder").join("one.json"));
        assert!(matches!(nowhere, Err(TimelineError::File { .. })), "{nowhere:?}");
    }
    // Also before it has workers, and of one that never has any.
    let pool = Pool::threads(1);
    assert_eq!(pool.timeline()?.slices().len(), 0);
    pool.submit(double, (1,))?.result()?;
    is(&told(&whole(pool.timeline()?)), &[("double", "returned")]);
    let none = Pool::processes(0).recorded();
    assert!(none.start().is_err());
    assert_eq!(none.timeline()?.slices().len(), 0);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn files_of_each_form() -> Outcome {
    for make in KINDS {
        let pool = make(2).named("a<b>&'c\"").recorded();
        for result in pool.map(nap, [2; 4]) {
            assert_eq!(result??, 2);
        }
        let timeline = pool.timeline()?;
        let saved = |ending: &str| -> Result<Vec<u8>, Box<dyn Error>> {
            let path = file(ending);
            timeline.save(&path)?;
            let bytes = fs::read(&path)?;
            fs::remove_file(&path)?;
            Ok(bytes)
        };
        let json: serde_json::Value = serde_json::from_slice(&saved("it.json")?)?;
        let events = json["traceEvents"].as_array().ok_or("no events")?;
        let calls = events.iter().filter(|e| e["ph"] == "X" && e["cat"] == "call");
        assert_eq!(calls.count(), 4);
        // A packet, which is field 1 with a length.
        assert_eq!(saved("it.pftrace")?[0], 0x0a);
        assert_eq!(String::from_utf8(saved("IT.SVG")?)?, timeline.svg());
        assert!(timeline.svg().starts_with("<svg"));
        assert_eq!(String::from_utf8(saved("it.html")?)?, timeline.html());
        assert!(timeline.html().starts_with("<!DOCTYPE html>"));
        assert_eq!(String::from_utf8(saved("it.txt")?)?, format!("{timeline}\n"));
        assert!(timeline.to_string().starts_with("a<b>&'c\"-"), "{timeline}");
        assert!(format!("{timeline:?}").starts_with("Timeline(4 slices on "), "{timeline:?}");
        pool.save_timeline(file("pool.svg"))?;
        fs::remove_file(file("pool.svg"))?;
    }
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn a_killed_call_ends_at_its_death() -> Outcome {
    let pool = Pool::processes(2).recorded();
    assert!(matches!(pool.submit(die, ())?.result(), Err(TaskError::Died { .. })));
    assert_eq!(pool.submit(double, (4,))?.result()?, 8);
    let wanted = SliceEnd::Killed(libc::SIGKILL);
    let timeline = eventually(|| {
        let timeline = whole(pool.timeline().ok()?);
        let is_told = timeline.slices().any(|s| s.ended == wanted);
        is_told.then_some(timeline)
    });
    is(&told(&timeline), &[("die", "SIGKILL"), ("double", "returned")]);
    let recording = pool.recording()?;
    drop(pool);
    is(&told(&whole(recording.stop())), &[("die", "SIGKILL"), ("double", "returned")]);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn workers_are_killed_while_they_record() -> Outcome {
    let pool = Pool::processes(3).retries(30).recorded();
    let tasks = (0..60).map(|_| pool.submit(nap, (5,))).collect::<Result<Vec<_>, _>>()?;
    for killed in 0..6 {
        // One that has been at a call.
        let timeline = whole(pool.timeline()?);
        let Some(pid) =
            timeline.slices().filter(|s| s.ended == SliceEnd::Runs).map(|s| s.pid).nth(killed % 2)
        else {
            continue;
        };
        // SAFETY: signals have no memory.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
    for task in tasks {
        assert_eq!(task.result()??, 5);
    }
    let recording = pool.recording()?;
    pool.join()?;
    let timeline = whole(recording.timeline());
    let ended = |wanted: SliceEnd| timeline.slices().filter(|s| s.ended == wanted).count();
    assert!(ended(SliceEnd::Returned) >= 60);
    assert_eq!(
        ended(SliceEnd::Returned) + ended(SliceEnd::Killed(libc::SIGKILL)),
        timeline.slices().len()
    );
    assert_eq!(timeline.lost(), 0);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn a_terminated_pool_has_its_timeline() -> Outcome {
    for (make, end) in KINDS.into_iter().zip(["interrupted", "SIGKILL"]) {
        let pool = make(1).recorded();
        let started = Event::new()?;
        let act = |started: Event| {
            started.set();
            long()
        };
        let task = pool.submit(act, (started.clone(),))?;
        started.wait(None)?;
        let recording = pool.recording()?;
        pool.terminate();
        assert!(task.result().is_err());
        let timeline = whole(recording.timeline());
        let told: Vec<_> = timeline.slices().map(|s| s.ended.to_string()).collect();
        assert_eq!(told, [end]);
    }
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn tasks_of_a_scope_and_of_workers_that_wait() -> Outcome {
    let pool = Pool::threads(1).recorded();
    let mut counts = [0, 0];
    pool.scope(|scope| {
        for count in &mut counts {
            scope.spawn(|| *count += 1);
        }
    })?;
    assert_eq!(counts, [1, 1]);
    let timeline = whole(pool.timeline()?);
    assert_eq!(timeline.slices().len(), 2);
    assert!(timeline.slices().all(|s| s.name.ends_with("{{closure}}")), "{timeline}");
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn the_whole_program() -> Outcome {
    let recording = tarefa::timeline()?;
    let one = Process::new(double, (1,)).named("one");
    one.start()?;
    assert_eq!(one.result(None)?, 2);
    let two = Thread::new(double, (2,)).named("two");
    two.start()?;
    assert_eq!(two.result(None)?, 4);
    let pool = Pool::processes(1);
    assert_eq!(pool.submit(double, (3,))?.result()?, 6);
    drop(pool);
    let timeline = whole(recording.stop());
    // Other tests of this program may run at the same time, and are seen, too.
    let kinds = |name: &str| -> Vec<_> {
        timeline.slices().filter(|s| s.name == name).map(|s| (s.kind, s.ended)).collect()
    };
    assert_eq!(kinds("one"), [(SliceKind::Process, SliceEnd::Returned)]);
    assert_eq!(kinds("two"), [(SliceKind::Thread, SliceEnd::Returned)]);
    assert!(timeline.slices().any(|s| s.kind == SliceKind::Call && s.name.ends_with("::double")));
    let known = [OnCoreSource::Kernel, OnCoreSource::Sampled, OnCoreSource::Mixed];
    assert!(timeline.on_core().len() == 0 || known.contains(&timeline.on_core_source()));
    let before = timeline.slices().len();
    let three = Thread::new(double, (2,)).named("three");
    three.start()?;
    three.join(None)?;
    assert_eq!(recording.timeline().slices().len(), before);
    recording.save(file("program.txt"))?;
    fs::remove_file(file("program.txt"))?;
    Ok(())
}
