//! Counts primes on a pool of threads and on one of processes, with one function; then shows what a task
//! that kills its worker does to the others.
//!
//! ```text
//! cargo run --release --example pool
//! ```

use std::error::Error;
use std::time::Instant;

use tarefa::{Pool, TaskError, attempt, cpu_count};

/// How many primes there are in a hundred numbers from there on.
fn primes(from: u64) -> u64 {
    let is_prime = |n: u64| n > 1 && (2..=n.isqrt()).all(|d| n % d != 0);
    (from..from + 100).filter(|n| is_prime(*n)).count() as u64
}

/// Dies at its first attempt if it is a seven, and always if it is a thirteen.
fn fragile(n: u32) -> u32 {
    if n == 13 || n == 7 && attempt() == 1 {
        std::process::abort();
    }
    n * 10 + attempt()
}

#[tarefa::main]
fn main() -> Result<(), Box<dyn Error>> {
    let workers = cpu_count();
    for (kind, pool) in
        [("threads", Pool::threads(workers)), ("processes", Pool::processes(workers))]
    {
        let start = Instant::now();
        let found = pool.map(primes, (0..500_000).step_by(100)).sum::<Result<u64, _>>()?;
        println!("{found} primes below 500000, on {workers} {kind}: {:.0?}", start.elapsed());
    }

    let pool = Pool::processes(workers).retries(2);
    for (n, result) in pool.map(fragile, 0..15).enumerate() {
        match result {
            Ok(value) if value % 10 == 1 => {}
            Ok(value) => println!("task {n} has its result at attempt {}", value % 10),
            Err(TaskError::Died { argument, attempts, .. }) => {
                println!("{argument} was given up after {} attempts", attempts.len());
            }
            Err(other) => return Err(other.into()),
        }
    }
    Ok(())
}
