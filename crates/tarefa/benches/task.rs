//! Starting and joining tasks, and appending, each paired with its peer in the same run.
//!
//! After criterion's own figures a table gives the ratios of medians, from rounds in which the
//! two take turns.

use std::hint::black_box;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion};
use tarefa::{List, Process, Thread};

/// A small C program that forks and waits when it is told to, and answers with the time that
/// took: a bare `fork` of a process with little memory.
const FORKER: &str = r"
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(void) {
    char byte;
    while (read(0, &byte, 1) == 1) {
        uint64_t start = now();
        pid_t pid = fork();
        if (pid == 0) _exit(0);
        int status;
        waitpid(pid, &status, 0);
        uint64_t took = now() - start;
        if (write(1, &took, sizeof took) != sizeof took) return 1;
    }
    return 0;
}
";

struct Forker {
    child: Child,
    ask: ChildStdin,
    answer: ChildStdout,
}

impl Forker {
    /// `None` without a C compiler.
    fn new() -> Option<Self> {
        let folder = std::env::temp_dir().join(format!("tarefa-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).ok()?;
        let (source, program) = (folder.join("forker.c"), folder.join("forker"));
        std::fs::write(&source, FORKER).ok()?;
        let built = Command::new("cc").arg("-O2").arg("-o").arg(&program).arg(&source).status();
        let child = built.ok().filter(std::process::ExitStatus::success).and_then(|_| {
            Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()
        });
        let _ = std::fs::remove_dir_all(&folder);
        let mut child = child?;
        let (ask, answer) = (child.stdin.take()?, child.stdout.take()?);
        Some(Self { child, ask, answer })
    }

    fn once(&mut self) -> Duration {
        let mut bytes = [0; 8];
        let told = self.ask.write_all(&[1]).and_then(|()| self.answer.read_exact(&mut bytes));
        told.expect("the C helper answers");
        Duration::from_nanos(u64::from_ne_bytes(bytes))
    }
}

impl Drop for Forker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn process() {
    let task = Process::spawn(|| (), ()).expect("a process starts");
    task.join(None).expect("it ends");
}

fn procspawn_process() {
    procspawn::spawn((), |()| ()).join().expect("it ends");
}

fn thread() {
    let task = Thread::spawn(|| (), ()).expect("a thread starts");
    task.join(None).expect("it ends");
}

fn std_thread() {
    std::thread::spawn(|| ()).join().expect("it ends");
}

fn timed(act: impl FnOnce()) -> Duration {
    let start = Instant::now();
    act();
    start.elapsed()
}

/// The time of each of ten, one after the other.
fn in_a_row(act: fn()) -> Duration {
    timed(|| (0..10).for_each(|_| act())) / 10
}

/// Long enough for the zygote to replace the spare that was used.
const REFILL: Duration = Duration::from_millis(3);

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
    println!("{name:<58}{a:>12.2?}{b:>12.2?}{ratio:>8.2} x");
}

const APPENDS: u32 = 10_000;

fn shared_appends() -> Duration {
    let list = List::new().expect("room for a list");
    timed(|| (0..APPENDS).for_each(|n| list.append(black_box(n)).expect("room")))
}

fn vector_appends() -> Duration {
    let list = Mutex::new(Vec::new());
    timed(|| (0..APPENDS).for_each(|n| list.lock().expect("not poisoned").push(black_box(n))))
}

fn shared_reads(list: &List<u32>) -> Duration {
    timed(|| (0..APPENDS).for_each(|i| drop(black_box(list.get(i as usize)))))
}

fn vector_reads(list: &Mutex<Vec<u32>>) -> Duration {
    timed(|| {
        for i in 0..APPENDS as usize {
            black_box(list.lock().expect("whole")[i]);
        }
    })
}

fn ratios() {
    println!("\n{:<58}{:>12}{:>12}{:>10}", "", "tarefa", "peer", "ratio");
    let rested = |act: fn()| {
        move || {
            std::thread::sleep(REFILL);
            timed(act)
        }
    };
    if let Some(mut forker) = Forker::new() {
        let name = "process, start and join, spare ready / C fork and wait";
        pair(name, 500, rested(process), || {
            std::thread::sleep(REFILL);
            forker.once()
        });
        let name = "process, start and join, back to back / C fork and wait";
        pair(name, 500, || timed(process), || forker.once());
    } else {
        println!("no C compiler: fork and wait not measured");
    }
    let name = "process, start and join, spare ready / procspawn";
    pair(name, 200, rested(process), rested(procspawn_process));
    let name = "process, start and join, back to back / procspawn";
    pair(name, 40, || in_a_row(process), || in_a_row(procspawn_process));
    let name = "process, start and join, spare ready / an executed program";
    pair(name, 200, rested(process), || {
        std::thread::sleep(REFILL);
        timed(|| {
            let status = Command::new("/bin/true").status();
            assert!(status.is_ok_and(|s| s.success()));
        })
    });
    pair("thread, start and join / std::thread", 2000, || timed(thread), || timed(std_thread));
    let name = "10,000 appends of an integer / Vec under std's Mutex";
    pair(name, 300, shared_appends, vector_appends);
    let shared = List::from_values(0..APPENDS).expect("room for a list");
    let vector = Mutex::new((0..APPENDS).collect::<Vec<_>>());
    let name = "10,000 reads of an integer / Vec under std's Mutex";
    pair(name, 300, || shared_reads(&shared), || vector_reads(&vector));
}

fn main() {
    // First: a process that procspawn makes never comes back from it.
    procspawn::init();
    tarefa::init().expect("a runtime");
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("tasks");
    group.sample_size(30).measurement_time(Duration::from_secs(2));
    group.bench_function("process, spare ready", |b| {
        b.iter_batched(|| std::thread::sleep(REFILL), |()| process(), BatchSize::PerIteration);
    });
    group.bench_function("process, back to back", |b| b.iter(process));
    group.bench_function("thread", |b| b.iter(thread));
    group.bench_function("std::thread", |b| b.iter(std_thread));
    group.finish();
    let mut group = criterion.benchmark_group("list");
    group.sample_size(30).measurement_time(Duration::from_secs(2));
    group.bench_function("10,000 appends", |b| b.iter(shared_appends));
    group.bench_function("10,000 appends to a Vec under a Mutex", |b| b.iter(vector_appends));
    group.finish();
    criterion.final_summary();
    // Under `cargo test` a benchmark only shows that it runs.
    if std::env::args().any(|a| a == "--bench") {
        ratios();
    }
}
