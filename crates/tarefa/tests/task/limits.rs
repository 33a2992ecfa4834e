//! Limits of tasks: time on both kinds, memory on processes.

use std::error::Error;
use std::time::{Duration, Instant};

use tarefa::{
    Failure, Interrupted, LikelyCause, List, Process, Program, ResultError, StartError, State,
    Task, Thread, WorkerDied, check_interrupt, sleep,
};

type Outcome = Result<(), Box<dyn Error>>;

const LIMIT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(3600);
const MEBIBYTE: u64 = 1 << 20;

fn sleep_long() -> Result<(), Failure> {
    Ok(sleep(LONG)?)
}

fn work_long() -> Result<(), Failure> {
    loop {
        check_interrupt()?;
        std::hint::spin_loop();
    }
}

fn clean_up() -> Option<u32> {
    let Err(Interrupted) = sleep(LONG) else { return None };
    std::thread::sleep(Duration::from_millis(100));
    Some(7)
}

fn short() -> u32 {
    1
}

fn go_on() {
    loop {
        std::thread::sleep(LONG);
    }
}

fn died<R: std::fmt::Debug>(result: Result<R, ResultError>) -> WorkerDied {
    match result {
        Err(ResultError::Died(died)) => died,
        other => panic!("it should have died: {other:?}"),
    }
}

fn interrupted(task: &dyn Task, since: Instant) {
    assert_eq!(task.state(), State::Interrupted);
    assert!(task.ran_over_time());
    assert!(since.elapsed() >= LIMIT, "before its time");
    assert!(task.usage().wall >= LIMIT);
}

macro_rules! both {
    ($name:ident, $kind:ident, $($long:ident)*) => {
        #[tarefa::test(timeout = 120)]
        fn $name() -> Outcome {
            $(
                let since = Instant::now();
                let task = $kind::new($long, ()).named("longa").time_limit(LIMIT);
                task.start()?;
                let failure = task.result(None)?.unwrap_err();
                interrupted(&task, since);
                assert!(failure.is_interrupted());
                assert!(failure.to_string().contains("longer than its time limit of 0.2 s"));
            )*
            let task = $kind::new(clean_up, ()).time_limit(LIMIT);
            task.start()?;
            assert_eq!(task.result(None)?, Some(7));
            assert_eq!((task.state(), task.ran_over_time()), (State::Finished, true));
            let task = $kind::new(short, ()).time_limit(LONG);
            assert_eq!(Task::time_limit(&task), Some(LONG));
            task.start()?;
            assert_eq!(task.result(None)?, 1);
            assert!(!task.ran_over_time());
            let task = $kind::new(short, ()).named("nada").time_limit(Duration::ZERO);
            let error = task.start().unwrap_err();
            assert!(matches!(error, StartError::Limit { what: "time", .. }));
            assert!(error.to_string().contains("nada"));
            assert_eq!(task.state(), State::New);
            Ok(())
        }
    };
}

both!(threads_end_in_time, Thread, sleep_long work_long);
both!(processes_end_in_time, Process, sleep_long work_long);

#[tarefa::test(timeout = 120)]
fn an_end_at_the_very_moment_is_told_as_what_it_was() -> Outcome {
    fn almost(micros: u64) -> Result<u64, Failure> {
        sleep(Duration::from_micros(micros))?;
        Ok(micros)
    }
    for n in 0..80 {
        let micros = 10_000 + (n % 20) * 200 - 2000;
        let task = Process::new(almost, (micros,)).time_limit(Duration::from_millis(10));
        task.start()?;
        match (task.result(None)?, task.state()) {
            (Ok(value), State::Finished) => assert_eq!(value, micros),
            (Err(failure), State::Interrupted) => {
                assert!(failure.to_string().contains("time limit") && task.ran_over_time());
            }
            other => panic!("neither: {other:?}"),
        }
    }
    Ok(())
}

#[tarefa::test(timeout = 120)]
fn a_process_that_goes_on_is_killed() -> Outcome {
    let task = Process::new(go_on, ()).named("teimosa").time_limit(LIMIT);
    task.start()?;
    let died = died(task.result(None));
    assert_eq!(died.cause, LikelyCause::TimeLimit(LIMIT));
    assert_eq!(died.signal.as_deref(), Some("SIGKILL"));
    assert!(died.to_string().contains("longer than its time limit of 0.2 s"), "{died}");
    assert!(died.to_string().contains("teimosa"));
    assert_eq!((task.state(), task.exit_code()), (State::Killed, Some(-9)));
    Ok(())
}

#[tarefa::test(timeout = 120)]
fn other_ends_are_not_the_limits() -> Outcome {
    let task = Process::new(go_on, ()).time_limit(LONG).memory_limit(1 << 40);
    task.start()?;
    while task.state() != State::Running {
        sleep(Duration::from_millis(1))?;
    }
    task.kill()?;
    assert_eq!(died(task.result(None)).cause, LikelyCause::Ended);
    Ok(())
}

#[tarefa::test(timeout = 120)]
fn a_task_of_a_task_ends_in_time() -> Outcome {
    fn starter() -> Result<String, Failure> {
        let task = Process::new(sleep_long, ()).time_limit(LIMIT);
        task.start()?;
        Ok(task.result(None)?.unwrap_err().to_string())
    }
    let text = Process::spawn(starter, ())?.result(None)??;
    assert!(text.contains("time limit of 0.2 s"), "{text}");
    Ok(())
}

fn take(mebibytes: u64) -> usize {
    std::hint::black_box(vec![1u8; (mebibytes * MEBIBYTE) as usize]).len()
}

fn take_carefully(mebibytes: u64) -> Result<usize, Failure> {
    let mut bytes = Vec::<u8>::new();
    bytes.try_reserve_exact((mebibytes * MEBIBYTE) as usize)?;
    bytes.resize(bytes.capacity(), 1);
    Ok(std::hint::black_box(bytes).len())
}

#[tarefa::test(timeout = 120)]
fn memory_beyond_the_limit_is_refused() -> Outcome {
    let task = Process::new(take, (300,)).named("gulosa").memory_limit(100 * MEBIBYTE);
    assert_eq!(Task::memory_limit(&task), Some(100 * MEBIBYTE));
    task.start()?;
    let died = died(task.result(None));
    assert_eq!(died.cause, LikelyCause::MemoryLimit(100 * MEBIBYTE));
    assert!(died.to_string().contains("memory limit is 100 MiB"), "{died}");

    let task = Process::new(take_carefully, (300,)).memory_limit(100 * MEBIBYTE);
    task.start()?;
    assert!(task.result(None)?.is_err());
    let task = Process::new(take_carefully, (50,)).memory_limit(100 * MEBIBYTE);
    task.start()?;
    assert_eq!(task.result(None)??, 50 << 20);
    // The next one has none.
    assert_eq!(Process::spawn(take, (300,))?.result(None)?, 300 << 20);

    let task = Process::new(take, (1,)).memory_limit(0);
    assert!(matches!(task.start(), Err(StartError::Limit { what: "memory", .. })));
    Ok(())
}

#[tarefa::test(timeout = 120)]
fn shared_memory_does_not_count() -> Outcome {
    fn fill(list: List<Vec<u8>>) -> Result<usize, Failure> {
        for _ in 0..60 {
            list.append(vec![7; MEBIBYTE as usize])?;
        }
        Ok(list.len())
    }
    let task = Process::new(fill, (List::new()?,)).memory_limit(30 * MEBIBYTE);
    task.start()?;
    assert_eq!(task.result(None)??, 60);
    Ok(())
}

#[tarefa::test(timeout = 120)]
fn a_program_has_the_limits() -> Outcome {
    let since = Instant::now();
    let task = Program::new("sleep").arg("3600").process().time_limit(LIMIT);
    task.start()?;
    let failure = task.result(None)?.unwrap_err();
    assert!(failure.is_interrupted());
    interrupted(&task, since);
    let script = "ulimit -d";
    let program = Program::new("sh").arg("-c").arg(script).capture();
    let task = program.process().memory_limit(100 * MEBIBYTE);
    task.start()?;
    assert_eq!(task.result(None)??.stdout, b"102400\n");
    Ok(())
}
