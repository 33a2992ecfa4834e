//! Workers that run on some processors alone.

use std::error::Error;
use std::fs;
use std::time::Duration;

use tarefa::{Barrier, Failure, Pool, PoolError};

type Outcome = Result<(), Box<dyn Error>>;

const LONG: Duration = Duration::from_secs(50);

/// The processors that the calling thread may use.
fn usable() -> Vec<usize> {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let mut found = Vec::new();
    for part in list.unwrap_or_default().trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse()) {
            found.extend(first..=last);
        }
    }
    found
}

/// Where the caller runs, once all workers have begun.
fn meet(all: Barrier) -> Result<Vec<usize>, Failure> {
    all.wait(Some(LONG))?;
    Ok(usable())
}

fn places(pool: &Pool, workers: u32) -> Result<Vec<Vec<usize>>, Box<dyn Error>> {
    let all = Barrier::new(workers)?;
    let calls = (0..workers).map(|_| pool.submit(meet, (all.clone(),)));
    let calls = calls.collect::<Result<Vec<_>, _>>()?;
    let mut found = Vec::new();
    for call in calls {
        found.push(call.result()??);
    }
    found.sort();
    Ok(found)
}

fn pools(workers: usize) -> [Pool; 2] {
    [Pool::threads(workers), Pool::processes(workers)]
}

#[tarefa::test(timeout = 60)]
fn each_worker_has_its_processors() -> Outcome {
    let all = usable();
    for pool in pools(3) {
        let pool = pool.pinned();
        let mut wanted: Vec<_> = (0..3).map(|i| vec![all[i % all.len()]]).collect();
        wanted.sort();
        assert_eq!(places(&pool, 3)?, wanted);
    }
    for pool in pools(3) {
        let pool = pool.pinned_to([vec![all[0]], all.clone()]);
        let mut wanted = vec![vec![all[0]], all.clone(), vec![all[0]]];
        wanted.sort();
        assert_eq!(places(&pool, 3)?, wanted);
    }
    assert_eq!(usable(), all);
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn who_takes_a_place_takes_its_processors() -> Outcome {
    let all = usable();
    for pool in pools(2) {
        let pool = pool.pinned_to([all[..1].to_vec(), all[all.len() - 1..].to_vec()]);
        let pool = pool.tasks_per_worker(1);
        let mut wanted = vec![all[..1].to_vec(), all[all.len() - 1..].to_vec()];
        wanted.sort();
        for _ in 0..3 {
            assert_eq!(places(&pool, 2)?, wanted);
        }
    }
    Ok(())
}

#[tarefa::test(timeout = 60)]
fn what_names_no_processors_is_refused() -> Outcome {
    for (sets, words) in [
        (vec![], "no processors"),
        (vec![vec![]], "at 0 is empty"),
        (vec![vec![1 << 20]], "may not use processor 1048576, but only"),
    ] {
        for pool in pools(1) {
            let refused = pool.pinned_to(sets.clone()).submit(usable, ());
            let Err(e @ PoolError::Setting { .. }) = refused else { panic!("{words}") };
            assert!(e.to_string().contains(words), "{e}");
        }
    }
    Ok(())
}
