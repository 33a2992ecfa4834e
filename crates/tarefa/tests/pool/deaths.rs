//! Deaths of a pool's processes: a task fails with its worker or is tried again, and all else goes on.

use std::error::Error;
use std::time::Duration;

use tarefa::{
    Event, Failure, Interrupted, LikelyCause, List, Pool, PoolError, TaskError, attempt,
    check_interrupt, leased,
};

type Outcome = Result<(), Box<dyn Error>>;

const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(50);

fn kill_myself() {
    // SAFETY: signals have no memory.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
}

fn dies_at((n, at): (u32, u32)) -> u32 {
    if n == at {
        kill_myself();
    }
    n
}

fn notes((n, list): (u32, List<u32>)) -> Result<u32, Failure> {
    list.append(n)?;
    if n == 20 && attempt() <= 2 {
        kill_myself();
    }
    Ok(n * attempt())
}

fn who() -> i32 {
    std::process::id() as i32
}

#[tarefa::test(timeout = 60)]
fn a_death_fails_its_task_alone() -> Outcome {
    let pool = Pool::processes(2);
    for at in [0, 7, 99] {
        let found: Vec<_> = pool.map(dies_at, (0..100).map(|n| (n, at))).collect();
        assert_eq!(found.len(), 100);
        for (n, result) in found.into_iter().enumerate() {
            match result {
                Ok(value) => assert!(value as usize == n && value != at),
                Err(TaskError::Died { argument, death, attempts, over_time }) => {
                    assert_eq!(n as u32, at);
                    assert_eq!(argument, format!("pool::deaths::dies_at([{at}, {at}])"));
                    assert_eq!(death.signal.as_deref(), Some("SIGKILL"));
                    assert_eq!((death.cause, over_time), (LikelyCause::Killed, None));
                    assert!(death.pid > 0 && death.peak_memory > 0);
                    assert_eq!(attempts.len(), 1);
                    assert_eq!(
                        (attempts[0].pid, &*attempts[0].end),
                        (death.pid, "ended by SIGKILL")
                    );
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn exits_and_aborts_are_told_as_what_they_are() -> Outcome {
    let pool = Pool::processes(1);
    let exited = pool.submit(|| std::process::exit(3), ())?.result();
    let Err(TaskError::Died { death, .. }) = exited else { panic!("{exited:?}") };
    assert_eq!((death.exit_code, death.signal), (Some(3), None));
    let aborted = pool.submit(|| std::process::abort(), ())?.result();
    let Err(TaskError::Died { death, .. }) = &aborted else { panic!("{aborted:?}") };
    assert_eq!(death.signal.as_deref(), Some("SIGABRT"));
    let text = aborted.unwrap_err().to_string();
    assert!(text.contains("failed with its worker: task \"Pool-"), "{text}");
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn a_task_is_tried_again_and_nothing_else_is() -> Outcome {
    let pool = Pool::processes(2).retries(2);
    let list = List::new()?;
    let inputs = (0..200).map(|n| (n, list.clone()));
    let found = pool.map(notes, inputs).collect::<Result<Vec<_>, _>>()?;
    for (n, value) in found.into_iter().enumerate() {
        let n = n as u32;
        assert_eq!(value?, if n == 20 { 60 } else { n });
    }
    let mut seen = list.to_vec()?;
    seen.sort_unstable();
    let mut wanted: Vec<_> = (0..200).chain([20, 20]).collect();
    wanted.sort_unstable();
    assert_eq!(seen, wanted);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn who_kills_every_worker_is_given_up() -> Outcome {
    let pool = Pool::processes(2).retries(3);
    let result = pool.submit(dies_at, ((1, 1),))?.result();
    let Err(TaskError::Died { attempts, death, .. }) = &result else { panic!("{result:?}") };
    assert_eq!(attempts.len(), 4);
    assert_eq!(attempts[3].pid, death.pid);
    let text = result.as_ref().unwrap_err().to_string();
    assert!(text.contains("; it was tried 4 times: process "), "{text}");
    assert_eq!(pool.submit(dies_at, ((1, 2),))?.result()?, 1);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn it_is_tried_again_though_nobody_waits() -> Outcome {
    let pool = Pool::processes(1).retries(1);
    let done = Event::new()?;
    let second = |done: Event| {
        if attempt() == 1 {
            kill_myself();
        }
        done.set();
    };
    let task = pool.submit(second, (done.clone(),))?;
    assert!(done.wait(Some(LONG))?);
    task.result()?;
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn one_that_grows_past_its_soft_limit_is_replaced() -> Outcome {
    let leak = || {
        std::mem::forget(vec![1_u8; 40 << 20]);
        std::process::id()
    };
    let pool = Pool::processes(1).soft_memory_limit(100 << 20);
    let first = pool.submit(leak, ())?.result()?;
    let mut tasks = 1;
    while pool.submit(leak, ())?.result()? == first {
        tasks += 1;
        assert!(tasks < 50, "it has kept {tasks} times 40 MiB");
        // It looks at its memory after a while only.
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(tasks > 1, "one task is within the limit");
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn an_idle_worker_that_is_killed_has_a_successor() -> Outcome {
    let pool = Pool::processes(1);
    for _ in 0..5 {
        let pid = pool.submit(who, ())?.result()?;
        // SAFETY: signals have no memory.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        while pool.submit(who, ())?.result().is_ok_and(|now| now == pid) {}
        assert_ne!(pool.submit(who, ())?.result()?, pid);
    }
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn one_that_goes_on_after_its_time_is_killed() -> Outcome {
    let pool = Pool::processes(1).retries(5);
    let deaf = |started: Event| -> u32 {
        started.set();
        loop {
            let _: Result<(), Interrupted> = check_interrupt();
        }
    };
    let limited = pool.options().time_limit(SHORT);
    let result = limited.submit(deaf, (Event::new()?,))?.result();
    let Err(TaskError::Died { over_time, attempts, .. }) = &result else { panic!("{result:?}") };
    assert_eq!((*over_time, attempts.len()), (Some(SHORT), 1));
    let text = result.as_ref().unwrap_err().to_string();
    assert!(text.contains("longer than its time limit of 0.03 s, and went on"), "{text}");
    assert_eq!(pool.submit(dies_at, ((1, 2),))?.result()?, 1);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn the_dead_give_their_resources_back() -> Outcome {
    let pool = Pool::processes(3).resource("disk", 1);
    let with_disk = pool.options().resource("disk", 1);
    let dies = with_disk.submit(dies_at, ((1, 1),))?;
    let again = with_disk.clone().retries(1).submit(
        || {
            if attempt() == 1 {
                kill_myself();
            }
            leased("disk")
        },
        (),
    )?;
    let after = (0..5).map(|n| with_disk.submit(dies_at, ((n, 99),)));
    let after = after.collect::<Result<Vec<_>, _>>()?;
    for (n, task) in after.into_iter().enumerate() {
        assert_eq!(task.result()?, n as u32);
    }
    assert_eq!(again.result()?, [0]);
    assert!(matches!(dies.result(), Err(TaskError::Died { .. })));
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn a_memory_limit_fails_the_task_alone() -> Outcome {
    let pool = Pool::processes(1).memory_limit(64 << 20);
    let greedy = |bytes: usize| vec![1_u8; bytes].iter().map(|b| u64::from(*b)).sum::<u64>();
    assert_eq!(pool.submit(greedy, (1 << 20,))?.result()?, 1 << 20);
    let result = pool.submit(greedy, (256 << 20,))?.result();
    let Err(TaskError::Died { death, .. }) = &result else { panic!("{result:?}") };
    assert_eq!(death.cause, LikelyCause::MemoryLimit(64 << 20));
    assert_eq!(pool.submit(greedy, (1 << 20,))?.result()?, 1 << 20);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn workers_that_cannot_begin_break_the_pool() -> Outcome {
    let pool = Pool::processes(2).initializer(|| std::process::exit(4), ());
    let result = pool.map(who_of, 0..10).last().expect("an error");
    match result {
        Err(TaskError::Pool(PoolError::Broken { why, .. })) => {
            assert!(why.contains('4'), "{why}");
        }
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn an_initializer_that_aborts_is_tried_by_no_more_processes_than_there_are_workers() -> Outcome {
    fn abort(begun: List<u32>) -> Result<(), Failure> {
        begun.append(std::process::id())?;
        std::process::abort();
    }

    let begun = List::new()?;
    let pool = Pool::processes(2).initializer(abort, (begun.clone(),));
    match pool.map(who_of, 0..10).last().expect("an error") {
        Err(TaskError::Pool(PoolError::Broken { why, .. })) => {
            assert!(why.contains("SIGABRT"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    drop(pool);
    assert!(begun.len() <= 2, "{}", begun.len());
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn an_initializer_that_hears_nothing_is_killed() -> Outcome {
    let hour = Duration::from_secs(3600);
    let pool = Pool::processes(1)
        .initializer(std::thread::sleep, (hour,))
        .initializer_time_limit(Duration::from_millis(50));
    match pool.map(who_of, 0..10).last().expect("an error") {
        Err(TaskError::Pool(PoolError::Broken { why, .. })) => {
            assert!(why.contains("time limit of 50ms") && why.contains("SIGKILL"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    Ok(())
}

fn who_of(_: u32) -> i32 {
    who()
}

fn dies_sometimes((n, list): (u32, List<u32>)) -> Result<u32, Failure> {
    list.append(n)?;
    // Another one dies at each attempt.
    if (n.wrapping_mul(2_654_435_761) >> 8) % 97 == attempt() {
        kill_myself();
    }
    Ok(n)
}

#[tarefa::test(timeout = 60)]
fn in_a_hail_of_deaths_each_has_its_result() -> Outcome {
    storm(2, 2000)
}

/// A long one, for when the pool's ways have changed: `cargo test --test pool -- --ignored`.
#[tarefa::test(timeout = 600)]
#[ignore = "takes a minute"]
fn in_a_storm_of_deaths_each_has_its_result() -> Outcome {
    for workers in [1, 2, 3, 5, 8] {
        storm(workers, 20_000)?;
    }
    Ok(())
}

fn storm(workers: usize, count: u32) -> Outcome {
    let pool = Pool::processes(workers).retries(3);
    let list = List::new()?;
    let inputs = (0..count).map(|n| (n, list.clone()));
    let found = pool.map(dies_sometimes, inputs).collect::<Result<Vec<_>, _>>()?;
    for (n, value) in found.into_iter().enumerate() {
        assert_eq!(value?, n as u32);
    }
    let mut times = vec![0; count as usize];
    for n in list.to_vec()? {
        times[n as usize] += 1;
    }
    for (n, times) in times.into_iter().enumerate() {
        let first = (n as u32).wrapping_mul(2_654_435_761) >> 8;
        assert_eq!(times, if first % 97 == 1 { 2 } else { 1 }, "task {n}");
    }
    Ok(())
}
