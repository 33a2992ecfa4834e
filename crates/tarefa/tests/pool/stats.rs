//! What a pool is at, over both kinds.

use std::error::Error;
use std::time::Duration;

use tarefa::{Event, Interrupted, Pool, PoolStats, TaskError};

type Outcome = Result<(), Box<dyn Error>>;

const KINDS: [fn(usize) -> Pool; 2] = [Pool::threads, Pool::processes];
const SHORT: Duration = Duration::from_millis(5);

fn double(n: u64) -> u64 {
    2 * n
}

fn hold(n: u64, started: Event, go: Event) -> Result<u64, Interrupted> {
    started.set();
    go.wait(None)?;
    Ok(n)
}

fn die() {
    std::process::abort();
}

fn eventually(pool: &Pool, is_so: impl Fn(&PoolStats) -> bool) -> PoolStats {
    loop {
        let stats = pool.stats();
        if is_so(&stats) {
            return stats;
        }
        std::thread::sleep(SHORT);
    }
}

#[tarefa::test(timeout = 60)]
fn what_workers_are_at() -> Outcome {
    for (make, is_threads) in KINDS.into_iter().zip([true, false]) {
        let pool = make(2).named("ants");
        assert_eq!(pool.stats(), PoolStats::default());
        let (started, go) = (Event::new()?, Event::new()?);
        let held = pool.submit(hold, (7, started.clone(), go.clone()))?;
        started.wait(None)?;
        let at_it = eventually(&pool, |it| it.running == 1);
        let worker = at_it.workers.iter().find(|it| it.running.is_some()).ok_or("nobody")?;
        let text = worker.running.as_deref().unwrap_or_default();
        let wanted = if is_threads { "pool::stats::hold" } else { "pool::stats::hold(7, " };
        assert!(text.starts_with(wanted), "{text}");
        assert_eq!((worker.tasks, worker.restarts, worker.bytes), (1, 0, 0));
        let here = std::process::id() as i32;
        assert_eq!(worker.pid.is_some_and(|pid| pid == here), is_threads);
        assert!(worker.name.starts_with("ants-"), "{}", worker.name);
        let later = eventually(&pool, |it| it.workers.iter().any(|it| it.busy > worker.busy));
        assert!(later.workers.iter().any(|it| it.running_for >= worker.running_for));
        // What waits behind it, for both have something to do.
        let (second, go_too) = (Event::new()?, Event::new()?);
        let held_too = pool.submit(hold, (8, second.clone(), go_too.clone()))?;
        second.wait(None)?;
        let waits = (0..3).map(|n| pool.submit(double, (n,))).collect::<Result<Vec<_>, _>>()?;
        let full = eventually(&pool, |it| it.running == 2);
        assert_eq!(full.waiting, 3, "{full}");
        assert!(full.to_string().ends_with("2 tasks run, 3 wait, 0 workers replaced"), "{full}");
        go.set();
        go_too.set();
        assert_eq!((held.result()??, held_too.result()??), (7, 8));
        for (n, task) in (0..).zip(waits) {
            assert_eq!(task.result()?, 2 * n);
        }
        let idle = eventually(&pool, |it| {
            let is_told = |it: &tarefa::WorkerStats| is_threads || it.tasks == 0 || it.bytes > 0;
            it.running == 0 && it.workers.iter().all(is_told)
        });
        assert_eq!(idle.waiting, 0);
        assert_eq!(idle.workers.iter().map(|it| it.tasks).sum::<u64>(), 5);
        let waited = idle.workers[0].waiting;
        eventually(&pool, |it| it.workers[0].waiting > waited);
    }
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn workers_that_are_replaced() -> Outcome {
    for make in KINDS {
        let pool = make(1).tasks_per_worker(2);
        for n in 0..5 {
            assert_eq!(pool.submit(double, (n,))?.result()?, 2 * n);
        }
        let stats = eventually(&pool, |it| it.restarts == 2 && it.workers.len() == 1);
        assert_eq!(stats.workers[0].restarts, 2);
    }
    let pool = Pool::processes(1);
    assert!(matches!(pool.submit(die, ())?.result(), Err(TaskError::Died { .. })));
    assert_eq!(pool.submit(double, (4,))?.result()?, 8);
    let stats = eventually(&pool, |it| it.restarts == 1 && it.running == 0);
    assert_eq!((stats.workers[0].restarts, stats.workers[0].tasks), (1, 1));
    Ok(())
}
