//! Locks beside `parking_lot`'s within one process, and handed from one thread to another.
//!
//! After criterion's own figures a table gives the ratios of medians, from rounds in which the
//! two take turns.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::Criterion;
use parking_lot::Mutex;
use tarefa::Lock;

const PAIRS: u32 = 200_000;

fn ours(lock: &Lock) -> Duration {
    let start = Instant::now();
    for _ in 0..PAIRS {
        drop(black_box(lock.lock(None).expect("nobody dies here")));
    }
    start.elapsed()
}

fn theirs(lock: &Mutex<()>) -> Duration {
    let start = Instant::now();
    for _ in 0..PAIRS {
        drop(black_box(lock.lock()));
    }
    start.elapsed()
}

/// A count behind a lock, one up each time: the value is copied out of the arena and back.
fn ours_with_a_value(mutex: &tarefa::Mutex<u64>) -> Duration {
    let start = Instant::now();
    for _ in 0..PAIRS {
        *mutex.lock(None).expect("nobody dies here") += 1;
    }
    start.elapsed()
}

fn theirs_with_a_value(mutex: &Mutex<u64>) -> Duration {
    let start = Instant::now();
    for _ in 0..PAIRS {
        *black_box(mutex.lock()) += 1;
    }
    start.elapsed()
}

/// Two threads at once.
fn together(act: impl Fn() -> Duration + Sync) -> Duration {
    let ready = Barrier::new(2);
    let each = || {
        ready.wait();
        act()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(each);
        each().max(other.join().expect("a thread"))
    })
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Rounds in which the two take turns; prints the medians of one pair, and their ratio.
fn pair(name: &str, mut ours: impl FnMut() -> Duration, mut peer: impl FnMut() -> Duration) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        a.push(ours());
        b.push(peer());
    }
    let (a, b) = (median(a) / PAIRS, median(b) / PAIRS);
    let ratio = a.as_secs_f64() / b.as_secs_f64();
    println!("{name:<58}{a:>12.2?}{b:>12.2?}{ratio:>8.2} x");
}

fn main() {
    let lock = Lock::new().expect("a lock");
    let mutex = Mutex::new(());
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("locks");
    group.sample_size(30).measurement_time(Duration::from_secs(2));
    group.bench_function("Lock, 200,000 pairs", |b| b.iter(|| ours(&lock)));
    group.bench_function("parking_lot::Mutex, 200,000 pairs", |b| b.iter(|| theirs(&mutex)));
    group.finish();
    criterion.final_summary();
    // Under `cargo test` a benchmark only shows that it runs.
    if std::env::args().any(|a| a == "--bench") {
        println!("\n{:<58}{:>12}{:>12}{:>10}", "", "tarefa", "peer", "ratio");
        pair("Lock, a pair / parking_lot::Mutex", || ours(&lock), || theirs(&mutex));
        let (count, other) = (tarefa::Mutex::new(0).expect("a mutex"), Mutex::new(0));
        let name = "Mutex<u64>, one up / parking_lot::Mutex<u64>";
        pair(name, || ours_with_a_value(&count), || theirs_with_a_value(&other));
        let name = "Lock, two threads at it, a pair of each / parking_lot::Mutex";
        pair(name, || together(|| ours(&lock)), || together(|| theirs(&mutex)));
    }
}
