//! Each way to die is told in the words of the table that the Python front is held to as well.

use std::error::Error;
use std::time::Duration;

use tarefa::{Event, Failure, List, Process, ResultError, State, WorkerDied, sleep};

const TABLE: &str = include_str!("deaths.tsv");
const LONG: Option<Duration> = Some(Duration::from_secs(50));
const HOUR: Duration = Duration::from_secs(3600);

fn number(signal: &str) -> i32 {
    let known = [
        ("SIGKILL", libc::SIGKILL),
        ("SIGTERM", libc::SIGTERM),
        ("SIGHUP", libc::SIGHUP),
        ("SIGINT", libc::SIGINT),
        ("SIGQUIT", libc::SIGQUIT),
        ("SIGALRM", libc::SIGALRM),
        ("SIGUSR1", libc::SIGUSR1),
        ("SIGSEGV", libc::SIGSEGV),
        ("SIGBUS", libc::SIGBUS),
        ("SIGILL", libc::SIGILL),
        ("SIGTRAP", libc::SIGTRAP),
        ("SIGFPE", libc::SIGFPE),
        ("SIGSYS", libc::SIGSYS),
        ("SIGXCPU", libc::SIGXCPU),
        ("SIGXFSZ", libc::SIGXFSZ),
        ("SIGPIPE", libc::SIGPIPE),
    ];
    let found = known.iter().find(|(name, _)| *name == signal);
    found.map_or_else(|| signal.parse().expect("a signal"), |(_, number)| *number)
}

fn die(way: String) -> Result<(), Failure> {
    let words: Vec<&str> = way.split(' ').collect();
    match words[..] {
        ["raise", signal, ..] => {
            // SAFETY: the default action is always valid, and the signal is this process's own.
            unsafe {
                libc::signal(number(signal), libc::SIG_DFL);
                libc::kill(libc::getpid(), number(signal));
            }
        }
        // SAFETY: ends the process.
        ["exit", code, ..] => unsafe { libc::_exit(code.parse()?) },
        ["abort", ..] => std::process::abort(),
        ["abort_when_interrupted", ..] => {
            let _ = sleep(HOUR);
            std::process::abort();
        }
        _ => {}
    }
    loop {
        let _ = sleep(HOUR);
    }
}

fn hold(ready: Event) -> Result<(), Failure> {
    ready.set();
    sleep(HOUR)?;
    Ok(())
}

type Run = Process<Result<(), Failure>>;

fn start_and_die(ready: Event, handles: List<Run>) -> Result<(), Failure> {
    let task = Process::spawn(hold, (ready.clone(),))?;
    handles.append(task)?;
    ready.wait(LONG)?;
    // SAFETY: a plain call.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    Ok(())
}

/// A task that dies that way.
fn doomed(way: &str) -> Result<Run, Box<dyn Error>> {
    let ready = Event::new()?;
    if way == "starter_ends" {
        let handles = List::new()?;
        let starter = Process::spawn(start_and_die, (ready, handles.clone()))?;
        starter.join(LONG)?;
        return Ok(handles.get(0)?);
    }
    if matches!(way, "kill" | "terminate") {
        let task = Process::spawn(hold, (ready.clone(),))?;
        assert!(ready.wait(LONG)?);
        if way == "kill" {
            task.kill()?;
        } else {
            task.terminate()?;
        }
        return Ok(task);
    }
    let mut task = Process::new(die, (way.to_owned(),));
    for (name, value) in way.split(' ').filter_map(|step| step.split_once('=')) {
        task = match name {
            "time_limit" => task.time_limit(Duration::from_secs_f64(value.parse()?)),
            "memory_limit" => task.memory_limit(value.trim_end_matches('M').parse::<u64>()? << 20),
            other => panic!("no such limit: {other}"),
        };
    }
    task.start()?;
    Ok(task)
}

/// With the memory it had as N, and without where it was.
fn masked(words: &str) -> String {
    let words = words.split("; it was last seen at ").next().unwrap_or(words);
    let (before, rest) = words.split_once("peak memory ").expect("it says how much memory");
    let (memory, after) = rest.split_once(" MiB").expect("in MiB");
    assert!(memory.parse::<f64>().is_ok_and(|n| n > 0.0), "{words}");
    format!("{before}peak memory N MiB{after}")
}

#[tarefa::test(timeout = 300)]
fn each_is_told_in_the_words_of_the_table() -> Result<(), Box<dyn Error>> {
    let mut cases = 0;
    for line in TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let [case, way, words] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("three columns: {line}");
        };
        let task = doomed(way)?;
        let died = match task.result(LONG) {
            Err(ResultError::Died(died)) => died,
            other => panic!("{case}: it should have died: {other:?}"),
        };
        assert_eq!(task.state(), State::Killed, "{case}");
        assert_eq!(masked(&died.words().to_string()), words, "{case}");
        let label = format!("task {:?} (pid {}) ", died.name, died.pid);
        assert_eq!(died.to_string(), format!("{label}{}", died.words()), "{case}");
        check_parts(&died, words);
        cases += 1;
    }
    assert!(cases > 20, "the table has {cases} cases");
    Ok(())
}

/// What is said in words is in the error's fields too.
fn check_parts(died: &WorkerDied, words: &str) {
    match (&died.signal, died.exit_code) {
        (Some(signal), None) => assert!(words.starts_with(&format!("was ended by {signal} "))),
        (None, Some(code)) => assert!(words.starts_with(&format!("exited with code {code} "))),
        other => panic!("a signal or a code: {other:?}"),
    }
    assert!(words.contains(&format!("cause: {}", died.cause)));
}
