//! One suite, run over both kinds of task: what holds for a thread holds for a process.
//!
//! What is different on purpose (`kill`, memory of its own) is in `death.rs` and at the end.

use std::error::Error;
use std::time::Duration;

use tarefa::{
    Event, Failure, Interrupted, JoinError, List, Lock, Program, ResultError, ReturnWhen,
    StartError, State, Task, check_interrupt, current_task, sleep, wait,
};

type Outcome = Result<(), Box<dyn Error>>;

const LONG: Option<Duration> = Some(Duration::from_secs(50));

fn double(n: i64) -> i64 {
    n * 2
}

fn append_all(list: List<i64>, from: i64, to: i64) -> Result<(), Failure> {
    for n in from..to {
        list.append(n)?;
    }
    Ok(())
}

fn parse(text: String) -> Result<i64, Failure> {
    Ok(text.parse()?)
}

fn wait_for(event: Event, ready: Event) -> Result<bool, Interrupted> {
    ready.set();
    event.wait(None)
}

fn sleep_long(ready: Event) -> Result<(), Interrupted> {
    ready.set();
    sleep(Duration::from_secs(3600))
}

fn work_long(ready: Event) -> Result<(), Interrupted> {
    ready.set();
    loop {
        check_interrupt()?;
        std::hint::spin_loop();
    }
}

fn lock_wait(lock: Lock, ready: Event) -> Result<(), Failure> {
    ready.set();
    let _guard = lock.lock(None)?;
    Ok(())
}

fn handled(ready: Event) -> bool {
    sleep_long(ready).is_err() && sleep(Duration::ZERO).is_ok()
}

/// Adds 1 to the only element, with the lock held: a read and a write that must not part.
fn count_up(lock: Lock, list: List<i64>, times: u32) -> Result<(), Failure> {
    for _ in 0..times {
        let _guard = lock.lock(None)?;
        list.set(0, list.get(0)? + 1)?;
    }
    Ok(())
}

macro_rules! suite {
    ($($kind:ident: $module:ident),*) => {$(
        mod $module {
            use super::*;
            use tarefa::$kind as Kind;

            #[tarefa::test(timeout = 60)]
            fn a_result_comes_back() -> Outcome {
                let task = Kind::new(double, (21,));
                assert_eq!(task.state(), State::New);
                assert!(!task.is_alive());
                assert_eq!(task.exit_code(), None);
                task.start()?;
                assert_eq!(task.result(LONG)?, 42);
                assert_eq!(task.state(), State::Finished);
                assert_eq!(task.exit_code(), Some(0));
                assert!(!task.is_alive());
                task.join(Some(Duration::ZERO))?;
                assert_eq!(task.result(None)?, 42);
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn closures_and_any_number_of_arguments() -> Outcome {
                assert_eq!(Kind::spawn(|| 7u8, ())?.result(LONG)?, 7);
                assert_eq!(Kind::spawn(|a: u8| a, (1,))?.result(LONG)?, 1);
                let four = Kind::spawn(
                    |a: u8, b: String, c: Vec<f64>, d: Option<char>| (d, c, b, a),
                    (1, "dois".to_owned(), vec![3.0], Some('4')),
                )?;
                assert_eq!(four.result(LONG)?, (Some('4'), vec![3.0], "dois".to_owned(), 1));
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn big_arguments_and_results() -> Outcome {
                let bytes: Vec<u8> = (0..3_000_000u32).map(|i| i as u8).collect();
                let task = Kind::spawn(
                    |mut bytes: Vec<u8>| { bytes.reverse(); bytes },
                    (bytes.clone(),),
                )?;
                let back = task.result(LONG)?;
                assert!(back.iter().rev().eq(bytes.iter()));
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn a_shared_list_is_one_list() -> Outcome {
                let list = List::new()?;
                let tasks = (0..4)
                    .map(|i| Kind::spawn(append_all, (list.clone(), i * 1000, (i + 1) * 1000)))
                    .collect::<Result<Vec<_>, _>>()?;
                for task in &tasks {
                    task.result(LONG)??;
                }
                let mut all = list.to_vec()?;
                all.sort_unstable();
                assert!(all.iter().copied().eq(0..4000));
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn a_lock_keeps_others_out() -> Outcome {
                let (lock, list) = (Lock::new()?, List::from_values([0i64])?);
                let tasks = (0..3)
                    .map(|_| Kind::spawn(count_up, (lock.clone(), list.clone(), 300)))
                    .collect::<Result<Vec<_>, _>>()?;
                for task in &tasks {
                    task.result(LONG)??;
                }
                assert_eq!(list.get(0)?, 900);
                assert!(!lock.is_locked());
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn a_panic_is_a_failure() -> Outcome {
                let task = Kind::new(|n: u32| { assert!(n > 5, "{n} is too small"); }, (3,)).named("ana");
                task.start()?;
                let error = task.result(LONG).unwrap_err();
                assert!(matches!(&error, ResultError::Panicked { .. }));
                let text = error.to_string();
                assert!(text.contains("ana") && text.contains("3 is too small"), "{text}");
                assert_eq!(task.state(), State::Failed);
                assert_eq!(task.exit_code(), Some(1));
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn an_error_is_a_failure_and_comes_back() -> Outcome {
                let task = Kind::spawn(parse, ("doze".to_owned(),))?;
                let failure = task.result(LONG)?.unwrap_err();
                assert!(failure.to_string().contains("invalid digit"));
                assert_eq!(task.state(), State::Failed);
                let task = Kind::spawn(parse, ("12".to_owned(),))?;
                assert_eq!(task.result(LONG)??, 12);
                assert_eq!(task.state(), State::Finished);
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn a_task_starts_once_and_is_joined_after_that() -> Outcome {
                let task = Kind::new(double, (1,)).named("uma");
                assert_eq!(task.join(None), Err(JoinError::NotStarted { name: "uma".into() }));
                assert!(matches!(task.result(None), Err(ResultError::Join(_))));
                assert!(task.interrupt().is_err());
                task.start()?;
                assert!(matches!(task.start(), Err(StartError::AlreadyStarted { .. })));
                task.join(LONG)?;
                assert!(matches!(task.start(), Err(StartError::AlreadyStarted { .. })));
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn names_and_daemons() -> Outcome {
                let task = Kind::new(
                    || current_task().map(|t| (t.name(), t.is_daemon(), t.state() as u8)),
                    (),
                );
                let task = task.named("tarefa número 1").daemon(true);
                assert!(task.is_daemon());
                task.start()?;
                let inside = task.result(LONG)?.ok_or("no current task")?;
                assert_eq!(inside, ("tarefa número 1".to_owned(), true, State::Running as u8));
                assert!(Kind::new(double, (1,)).name().starts_with(stringify!($kind)));
                assert!(current_task().is_none());
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn join_gives_up_in_time() -> Outcome {
                let (go, ready) = (Event::new()?, Event::new()?);
                let task = Kind::spawn(wait_for, (go.clone(), ready.clone()))?;
                assert!(ready.wait(LONG)?);
                assert_eq!(task.state(), State::Running);
                let short = Some(Duration::from_millis(5));
                assert!(matches!(task.join(short), Err(JoinError::TimedOut { .. })));
                assert!(matches!(task.join(Some(Duration::ZERO)), Err(JoinError::TimedOut { .. })));
                go.set();
                assert!(task.result(LONG)??);
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn every_wait_is_interrupted() -> Outcome {
                let (never, held) = (Event::new()?, Lock::new()?);
                let _guard = held.lock(LONG)?;
                let ready: Vec<Event> = (0..4).map(|_| Event::new()).collect::<Result<_, _>>()?;
                let tasks: Vec<Box<dyn Task>> = vec![
                    Box::new(Kind::new(wait_for, (never, ready[0].clone()))),
                    Box::new(Kind::new(sleep_long, (ready[1].clone(),))),
                    Box::new(Kind::new(work_long, (ready[2].clone(),))),
                    Box::new(Kind::new(lock_wait, (held.clone(), ready[3].clone()))),
                ];
                for (task, ready) in tasks.iter().zip(&ready) {
                    task.start()?;
                    assert!(ready.wait(LONG)?);
                    task.interrupt()?;
                    task.join(LONG)?;
                    assert_eq!(task.state(), State::Interrupted, "{task:?}");
                    assert_eq!(task.exit_code(), Some(130));
                    task.interrupt()?;
                }
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn an_interruption_can_be_handled() -> Outcome {
                let ready = Event::new()?;
                let task = Kind::spawn(handled, (ready.clone(),))?;
                assert!(ready.wait(LONG)?);
                task.interrupt()?;
                assert!(task.result(LONG)?);
                assert_eq!(task.state(), State::Finished);
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn a_task_that_joins_is_interrupted() -> Outcome {
                fn outer(ready: Event) -> Result<(), Failure> {
                    let inner = Kind::new(sleep_long, (ready,)).daemon(true);
                    inner.start()?;
                    let joined = inner.join(None);
                    inner.interrupt()?;
                    inner.join(LONG)?;
                    Ok(joined?)
                }
                let ready = Event::new()?;
                let task = Kind::spawn(outer, (ready.clone(),))?;
                assert!(ready.wait(LONG)?);
                task.interrupt()?;
                task.join(LONG)?;
                assert_eq!(task.state(), State::Interrupted);
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn joining_oneself_is_refused() -> Outcome {
                let task = Kind::spawn(
                    || current_task().map(|t| t.join(None).unwrap_err().to_string()),
                    (),
                )?;
                let text = task.result(LONG)?.ok_or("no current task")?;
                assert!(text.contains("its own end"), "{text}");
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn tasks_start_tasks() -> Outcome {
                fn depth(left: u32) -> Result<u32, Failure> {
                    if left == 0 {
                        return Ok(0);
                    }
                    Ok(Kind::spawn(depth, (left - 1,))?.result(LONG)?? + 1)
                }
                assert_eq!(Kind::spawn(depth, (3,))?.result(LONG)??, 3);
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn a_task_is_an_argument() -> Outcome {
                fn ask(task: tarefa::$kind<i64>) -> Result<i64, Failure> {
                    Ok(task.result(LONG)?)
                }
                let first = Kind::spawn(double, (4,))?;
                let second = Kind::spawn(ask, (first,))?;
                assert_eq!(second.result(LONG)??, 8);
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn handles_inside_results_and_lists() -> Outcome {
                fn make() -> Result<List<String>, Failure> {
                    Ok(List::from_values(["filha".to_owned()])?)
                }
                let made = Kind::spawn(make, ())?.result(LONG)??;
                assert_eq!(made.to_vec()?, ["filha"]);
                let lists = List::from_values([made])?;
                let task = Kind::spawn(
                    |lists: List<List<String>>| -> Result<usize, Failure> {
                        let inner = lists.get(0)?;
                        inner.append("neta".to_owned())?;
                        Ok(inner.len())
                    },
                    (lists.clone(),),
                )?;
                assert_eq!(task.result(LONG)??, 2);
                assert_eq!(lists.get(0)?.get(1)?, "neta");
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn waiting_for_several() -> Outcome {
                let (go, ready) = (Event::new()?, Event::new()?);
                let slow = Kind::spawn(wait_for, (go.clone(), ready.clone()))?;
                let quick = Kind::spawn(double, (1,))?;
                let both: [&dyn Task; 2] = [&slow, &quick];
                let (ended, left) = wait(&both, LONG, ReturnWhen::FirstCompleted)?;
                assert_eq!((ended, left), (vec![1], vec![0]));
                let (ended, _) = wait(&both, Some(Duration::ZERO), ReturnWhen::AllCompleted)?;
                assert_eq!(ended, [1]);
                go.set();
                let (ended, left) = wait(&both, LONG, ReturnWhen::AllCompleted)?;
                assert_eq!((ended.len(), left.len()), (2, 0));
                let bad = Kind::spawn(parse, ("x".to_owned(),))?;
                let (ended, _) = wait(&[&bad], LONG, ReturnWhen::FirstFailed)?;
                assert_eq!(ended, [0]);
                let new = Kind::new(double, (1,));
                assert!(wait(&[&new], LONG, ReturnWhen::AllCompleted).is_err());
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn many_tasks_at_once() -> Outcome {
                let tasks = (0..60)
                    .map(|n| Kind::spawn(double, (n,)))
                    .collect::<Result<Vec<_>, _>>()?;
                for (n, task) in (0..).zip(&tasks) {
                    assert_eq!(task.result(LONG)?, n * 2);
                }
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn usage_and_context() -> Outcome {
                let (go, ready) = (Event::new()?, Event::new()?);
                let task = Kind::new(wait_for, (go.clone(), ready.clone()));
                assert!(task.context().is_none());
                task.start()?;
                assert!(ready.wait(LONG)?);
                let context = task.context().ok_or("a running task has a context")?;
                assert_eq!(Some(context.pid), task.pid());
                assert_eq!(Some(context.tid), task.native_id());
                assert!(context.threads >= 1 && context.memory > 0);
                go.set();
                task.join(LONG)?;
                assert!(task.context().is_none());
                let usage = task.usage();
                assert!(usage.peak_memory > 0 && !usage.wall.is_zero());
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn the_sentinel_becomes_readable() -> Outcome {
                let (go, ready) = (Event::new()?, Event::new()?);
                let task = Kind::spawn(wait_for, (go.clone(), ready.clone()))?;
                assert!(ready.wait(LONG)?);
                let early = task.sentinel()?;
                assert!(!readable(&early, 0));
                go.set();
                assert!(readable(&early, 50_000));
                task.join(LONG)?;
                assert!(readable(&task.sentinel()?, 50_000));
                Ok(())
            }

            #[tarefa::test(timeout = 60)]
            fn the_folder_is_the_starters() -> Outcome {
                let inside = Kind::spawn(|| std::env::current_dir().ok(), ())?;
                assert_eq!(inside.result(LONG)?, std::env::current_dir().ok());
                let arguments = Kind::spawn(|| std::env::args().collect::<Vec<_>>(), ())?;
                assert!(arguments.result(LONG)?.into_iter().eq(std::env::args()));
                Ok(())
            }
        }
    )*};
}

fn readable(fd: &std::os::fd::OwnedFd, milliseconds: i32) -> bool {
    use std::os::fd::AsRawFd;
    let mut p = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: `p` is one writable pollfd.
    unsafe { libc::poll(&raw mut p, 1, milliseconds) == 1 }
}

suite!(Thread: threads, Process: processes);

#[tarefa::test(timeout = 60)]
fn programs_are_targets() -> Outcome {
    let shout = || Program::new("tr").args(["a-z", "A-Z"]).input("olá\n").capture();
    let (thread, process) = (shout().thread(), shout().process());
    thread.start()?;
    process.start()?;
    assert_eq!(thread.result(LONG)??, process.result(LONG)??);
    let lost = Program::new("no-such-program-here").spawn()?;
    let failure = lost.result(LONG)?.unwrap_err();
    assert!(failure.to_string().contains("no-such-program-here"));
    assert_eq!(lost.state(), State::Failed);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn an_interrupted_program_ends() -> Outcome {
    let task = Program::new("sleep").arg("3600").spawn()?;
    while task.state() != State::Running {
        std::thread::yield_now();
    }
    task.interrupt()?;
    task.join(LONG)?;
    assert_eq!(task.state(), State::Interrupted);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn a_process_has_the_environment_of_its_start() -> Outcome {
    fn look() -> Option<String> {
        std::env::var("TAREFA_TEST_LATE").ok()
    }
    let before = tarefa::Process::spawn(look, ())?;
    assert_eq!(before.result(LONG)?, None);
    // SAFETY: tests that read the environment meanwhile do so through the standard library.
    unsafe { std::env::set_var("TAREFA_TEST_LATE", "sim") };
    let after = tarefa::Process::spawn(look, ())?;
    assert_eq!(after.result(LONG)?.as_deref(), Some("sim"));
    // SAFETY: as above.
    unsafe { std::env::remove_var("TAREFA_TEST_LATE") };
    Ok(())
}
