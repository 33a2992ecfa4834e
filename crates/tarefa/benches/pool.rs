//! Pools, each paired with its peer in the same run: a map of short closures, and a task's round trip.
//!
//! The table gives the ratios of medians, from rounds in which the two take turns.

use std::hint::black_box;
use std::time::{Duration, Instant};

use rayon::prelude::*;
use tarefa::Pool;

const WORKERS: usize = 2;
/// Turns of a loop that take about a microsecond.
const TURNS: u64 = 1200;
const TASKS: u64 = 100_000;

fn microsecond(n: u64) -> u64 {
    (0..TURNS).fold(n, |n, turn| black_box(n.wrapping_mul(31).wrapping_add(turn)))
}

fn timed<T>(act: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(act());
    start.elapsed()
}

/// The time of each of a hundred, one after the other.
fn in_a_row(act: impl Fn()) -> Duration {
    timed(|| (0..100).for_each(|_| act())) / 100
}

/// The workers sleep by then.
fn after_a_pause(act: impl Fn()) -> Duration {
    std::thread::sleep(Duration::from_millis(1));
    timed(act)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Rounds in which the two take turns; prints the medians and their ratio.
fn pair(
    name: &str,
    n: usize,
    mut ours: impl FnMut() -> Duration,
    mut peer: impl FnMut() -> Duration,
) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..n {
        a.push(ours());
        b.push(peer());
    }
    let (a, b) = (median(a), median(b));
    let ratio = a.as_secs_f64() / b.as_secs_f64();
    println!("{name:<58}{a:>12.2?}{b:>12.2?}{ratio:>8.3} x");
}

fn add(a: u64, b: u64) -> u64 {
    a + b
}

fn map(pool: &Pool, tasks: u64) -> Vec<u64> {
    pool.map(microsecond, 0..tasks).collect::<Result<_, _>>().expect("no task fails")
}

fn main() {
    // First: a process that procspawn makes never comes back from it.
    procspawn::init();
    tarefa::init().expect("a runtime");
    // Under `cargo test` a benchmark only shows that it runs.
    let full = std::env::args().any(|a| a == "--bench");
    let (rounds, tasks) = if full { (31, TASKS) } else { (1, 100) };
    println!("\n{:<58}{:>12}{:>12}{:>10}", "", "tarefa", "peer", "ratio");

    let threads = Pool::threads(WORKERS);
    let peer = rayon::ThreadPoolBuilder::new().num_threads(WORKERS).build().expect("threads");
    let by_rayon = || peer.install(|| (0..tasks).into_par_iter().map(microsecond).collect());
    assert_eq!(map(&threads, tasks), by_rayon());
    pair(
        "map of 1 µs closures, two threads / rayon",
        rounds,
        || timed(|| map(&threads, tasks)),
        || timed::<Vec<u64>>(by_rayon),
    );

    let processes = Pool::processes(WORKERS);
    let peer = procspawn::Pool::new(WORKERS).expect("processes");
    let ours = || {
        let task = processes.submit(add, (black_box(1), 2)).expect("it is taken");
        assert_eq!(task.result().expect("it ends"), 3);
    };
    let theirs = || {
        let task = peer.spawn((black_box(1_u64), 2_u64), |(a, b)| a + b);
        assert_eq!(task.join().expect("it ends"), 3);
    };
    ours();
    theirs();
    let rounds = if full { 101 } else { 1 };
    pair(
        "a task's round trip, two processes / procspawn's pool",
        rounds,
        || in_a_row(ours),
        || in_a_row(theirs),
    );
    pair(
        "a task's round trip after 1 ms of rest / procspawn's pool",
        rounds,
        || after_a_pause(ours),
        || after_a_pause(theirs),
    );
    pair(
        "map of 1 µs closures, two processes / two threads",
        if full { 31 } else { 1 },
        || timed(|| map(&processes, tasks)),
        || timed(|| map(&threads, tasks)),
    );
}
