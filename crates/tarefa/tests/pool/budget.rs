//! One budget of processors over pools in pools.

use std::error::Error;

use tarefa::{Failure, Pool, cores, cpu_count};

type Outcome = Result<(), Box<dyn Error>>;

const VARIABLE: &str = "BLIS_NUM_THREADS";

/// How many processors there are to use, and what libraries are told.
fn seen() -> (usize, Option<String>) {
    (cores(), std::env::var(VARIABLE).ok())
}

fn seen_in_pool(workers: usize) -> Result<(usize, Option<String>), Failure> {
    Ok(Pool::processes(workers).submit(seen, ())?.result()?)
}

#[tarefa::test(timeout = 60)]
fn a_worker_has_its_share() -> Outcome {
    assert_eq!(cores(), cpu_count());
    assert_eq!(Pool::threads(2).submit(cores, ())?.result()?, cpu_count());
    let said = std::env::var(VARIABLE).ok();
    for workers in [1, 2, 64] {
        let share = (cpu_count() / workers).max(1);
        let wanted = (share, said.clone().or_else(|| Some(share.to_string())));
        let pool = Pool::processes(workers);
        assert_eq!(pool.submit(seen, ())?.result()?, wanted);
        // A pool in it shares that: what the outer pool has said of threads is not the user's.
        for inner in [1, 2] {
            let share = (share / inner).max(1);
            let wanted = (share, said.clone().or_else(|| Some(share.to_string())));
            assert_eq!(pool.submit(seen_in_pool, (inner,))?.result()??, wanted);
        }
    }
    assert_eq!(std::env::var(VARIABLE).ok(), said);
    Ok(())
}
