//! A worker of a pool is killed at each crash point that it passes: whatever it was at, each task has its
//! result, and nothing that has its result is run again.
//!
//! A run learns which points a worker passes, and how often. Then, for each of them and for some of its
//! passes (one, if `TAREFA_CRASH_SEED` is set), the worker of a pool that has its first task dies there. Not in an
//! initializer: one in which the first of all workers are killed is given up at once.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::error::Error;

use tarefa::{Failure, List, Pool, Value};
use tarefa_engine::shm::tx::crash_point;

type Outcome = Result<(), Box<dyn Error>>;

/// Says the worker that asks first at which point it dies, and at which pass.
fn arm(first: Value<i64>, point: String, pass: u64) {
    if first.swap(0) == 1 {
        crash_point::arm(&point, pass);
    }
}

fn number((n, list): (u64, List<u64>)) -> u64 {
    let _ = list.append(n);
    n * 2
}

fn text((n, list): (u64, List<u64>)) -> String {
    let _ = list.append(n);
    format!("text {n}")
}

/// What a worker has passed so far.
fn passed() -> BTreeMap<String, u64> {
    crash_point::recorded().into_iter().map(|(name, n)| (name.to_owned(), n)).collect()
}

const NUMBERS: u64 = 40;
const TEXTS: u64 = 12;

fn work(pool: &Pool) -> Result<List<u64>, Failure> {
    let list = List::new()?;
    let inputs = |from, count| (from..from + count).map(|n| (n, list.clone())).collect::<Vec<_>>();
    for (i, result) in pool.map(number, inputs(0, NUMBERS)).enumerate() {
        assert_eq!(result?, i as u64 * 2);
    }
    for (i, result) in pool.map(text, inputs(NUMBERS, TEXTS)).enumerate() {
        assert_eq!(result?, format!("text {}", i as u64 + NUMBERS));
    }
    for (n, list) in inputs(NUMBERS + TEXTS, 3) {
        assert_eq!(pool.submit(number, ((n, list),))?.result()?, n * 2);
    }
    Ok(list)
}

fn killed_at(point: &str, pass: u64, per_worker: u32) -> Outcome {
    let first = Value::new(1)?;
    let pool = Pool::processes(2).retries(1).tasks_per_worker(per_worker);
    pool.submit(arm, (first, point.to_owned(), pass))?.result()?;
    let list = work(&pool).map_err(|e| format!("{point}, pass {pass}: {e}"))?;
    pool.join()?;
    let mut times = vec![0; (NUMBERS + TEXTS + 3) as usize];
    for n in list.to_vec()? {
        times[n as usize] += 1;
    }
    let again = times.iter().filter(|times| **times == 2).count();
    assert!(
        times.iter().all(|times| (1..=2).contains(times)) && again <= 1,
        "{point}, pass {pass}: {times:?}"
    );
    Ok(())
}

#[tarefa::test(timeout = 600)]
fn each_task_has_its_result_wherever_a_worker_dies() -> Outcome {
    let recorded = {
        let pool = Pool::processes(1).initializer(crash_point::record, ());
        work(&pool)?;
        pool.submit(passed, ())?.result()?
    };
    assert!(recorded.keys().any(|name| name.starts_with("board.")), "{recorded:?}");
    let one = std::env::var_os("TAREFA_CRASH_SEED").is_some();
    for (point, count) in &recorded {
        let mut passes = if one { vec![count / 2 + 1] } else { vec![1, count / 2 + 1, *count] };
        passes.dedup();
        for pass in passes {
            killed_at(point, pass, 1000)?;
        }
    }
    // Workers that leave of themselves.
    for point in ["board.disowned", "board.claimed", "board.kept", "board.told", "board.ended"] {
        for pass in [1, 2] {
            killed_at(point, pass, 5)?;
        }
    }
    Ok(())
}
