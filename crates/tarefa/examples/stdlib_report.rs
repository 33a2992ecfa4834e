//! Real work on threads and on processes through the same lines of code.
//!
//! usage: stdlib_report [--quick] [--limit N] [--tasks N]
//!
//! Reads the Rust sources of cargo's registry (or, where there are none, of the toolchain, or
//! of this workspace) and computes, per file, the number of lines, the number of distinct
//! words, and the size to which LZW compresses it. The work is done three times: in a plain
//! loop, on `tarefa::Thread` and on `tarefa::Process`. The totals must be the same three times.
//!
//! ```text
//! work waiting                tasks                          answers
//! tarefa::List  -- pop() -->  Thread or Process x N  -- append() -->  tarefa::List
//! ```
//!
//! A task takes the next file when it is done with the last, so none idles while there is work.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use tarefa::{Failure, List, Process, ReturnWhen, Task, Thread, Usage};

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Counts {
    files: u64,
    bytes: u64,
    lines: u64,
    words: u64,
    packed: u64,
}

impl Counts {
    fn plus(self, other: Self) -> Self {
        Self {
            files: self.files + other.files,
            bytes: self.bytes + other.bytes,
            lines: self.lines + other.lines,
            words: self.words + other.words,
            packed: self.packed + other.packed,
        }
    }
}

struct Run {
    how: String,
    totals: Counts,
    time: Duration,
    cpu: Duration,
    peak: u64,
}

impl Run {
    /// Processors kept busy, on average.
    fn busy(&self) -> f64 {
        self.cpu.as_secs_f64() / self.time.as_secs_f64()
    }
}

/// Bytes that LZW (Welch 1984) makes of `data`, with codes of 9 to 16 bits and a dictionary
/// that starts anew when it is full.
fn packed_size(data: &[u8]) -> u64 {
    let mut bits = 0u64;
    let mut codes: HashMap<(u32, u8), u32> = HashMap::new();
    let mut prefix: Option<u32> = None;
    for &byte in data {
        let Some(known) = prefix else {
            prefix = Some(u32::from(byte));
            continue;
        };
        if let Some(&longer) = codes.get(&(known, byte)) {
            prefix = Some(longer);
            continue;
        }
        let next = 256 + codes.len() as u32;
        bits += u64::from(next.ilog2() + 1).max(9);
        if next == u32::from(u16::MAX) {
            codes.clear();
        } else {
            codes.insert((known, byte), next);
        }
        prefix = Some(u32::from(byte));
    }
    if prefix.is_some() {
        bits += 16;
    }
    bits.div_ceil(8)
}

fn examine(path: &str) -> Result<Counts, Failure> {
    let data = std::fs::read(path)?;
    let text = String::from_utf8_lossy(&data);
    let words: HashSet<&str> = text
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    Ok(Counts {
        files: 1,
        bytes: data.len() as u64,
        lines: text.lines().count() as u64,
        words: words.len() as u64,
        packed: packed_size(&data),
    })
}

/// One task: take files until none is left.
fn worker(waiting: List<String>, answers: List<Counts>) -> Result<(), Failure> {
    while let Some(path) = waiting.pop()? {
        answers.append(examine(&path)?)?;
    }
    Ok(())
}

fn bar(how: &str, files: usize) -> Result<ProgressBar, Box<dyn Error>> {
    let style = "{msg:<13} {bar:40} {pos}/{len} {elapsed}";
    let bar = ProgressBar::new(files as u64).with_style(ProgressStyle::with_template(style)?);
    bar.set_message(how.to_owned());
    Ok(bar)
}

fn in_a_loop(paths: &[String]) -> Result<Run, Box<dyn Error>> {
    let bar = bar("plain loop", paths.len())?;
    reset_peak();
    let (clock, cpu) = (Instant::now(), thread_cpu());
    let mut totals = Counts::default();
    for path in paths {
        totals = totals.plus(examine(path)?);
        bar.inc(1);
    }
    let cpu = thread_cpu().saturating_sub(cpu);
    let time = clock.elapsed();
    bar.finish();
    Ok(Run { how: "plain loop".to_owned(), totals, time, cpu, peak: peak_memory() })
}

/// The same lines for both kinds: `make` is the one word that differs.
fn on_tasks<T: Task>(
    how: String,
    make: fn(List<String>, List<Counts>) -> T,
    tasks: usize,
    paths: &[String],
) -> Result<Run, Box<dyn Error>> {
    let bar = bar(&how, paths.len())?;
    reset_peak();
    let clock = Instant::now();
    let waiting = List::from_values(paths.iter().cloned())?;
    let answers: List<Counts> = List::new()?;
    let running: Vec<T> = (0..tasks).map(|_| make(waiting.clone(), answers.clone())).collect();
    for task in &running {
        task.start()?;
    }
    let all: Vec<&dyn Task> = running.iter().map(|t| t as &dyn Task).collect();
    let tick = Some(Duration::from_millis(100));
    while !tarefa::wait(&all, tick, ReturnWhen::AllCompleted)?.1.is_empty() {
        bar.set_position(answers.len() as u64);
    }
    let time = clock.elapsed();
    bar.set_position(answers.len() as u64);
    bar.finish();
    if let Some(bad) = running.iter().find(|t| t.state() != tarefa::State::Finished) {
        return Err(format!("task {} ended as {}", bad.name(), bad.state().name()).into());
    }
    let usages: Vec<Usage> = running.iter().map(Task::usage).collect();
    let cpu = usages.iter().map(|u| u.cpu_user + u.cpu_system).sum();
    let own_process = running.iter().all(|t| t.pid() == Some(std::process::id() as i32));
    let theirs: u64 = usages.iter().map(|u| if own_process { 0 } else { u.peak_memory }).sum();
    let totals = answers.to_vec()?.into_iter().fold(Counts::default(), Counts::plus);
    Ok(Run { how, totals, time, cpu, peak: peak_memory() + theirs })
}

fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable for the length of the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Makes the kernel forget this process's peak, where it lets us.
fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let number = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

fn collect(folder: &Path, found: &mut Vec<(u64, String)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
        if kind.is_dir() {
            collect(&path, found);
        } else if kind.is_file() && path.extension().is_some_and(|e| e == "rs") {
            if let (Ok(m), Some(path)) = (entry.metadata(), path.to_str()) {
                found.push((m.len(), path.to_owned()));
            }
        }
    }
}

/// Where Rust sources lie: the first of these places that has some.
fn places() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let mut places: Vec<PathBuf> = home.map(|h| h.join("registry/src")).into_iter().collect();
    if let Ok(out) = Command::new("rustc").args(["--print", "sysroot"]).output() {
        let sysroot = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        places.push(PathBuf::from(sysroot).join("lib/rustlib/src"));
    }
    places.push(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")));
    places
}

/// The sources, the largest last: `pop` hands out the largest first.
fn sources(limit: Option<usize>) -> Vec<String> {
    let mut found = Vec::new();
    for place in places() {
        collect(&place, &mut found);
        if !found.is_empty() {
            break;
        }
    }
    found.sort();
    let paths = found.into_iter().map(|(_, path)| path).collect::<Vec<_>>();
    match limit {
        Some(limit) if limit < paths.len() => {
            (0..limit).map(|i| paths[i * paths.len() / limit].clone()).collect()
        }
        _ => paths,
    }
}

fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a line of the table says of a run.
type Cell<'a> = &'a dyn Fn(&Run) -> String;

fn show(runs: &[Run; 3]) {
    let lines: [(&str, Cell<'_>); 9] = [
        ("time", &|r| format!("{:.2} s", r.time.as_secs_f64())),
        ("CPU used", &|r| format!("{:.2} s", r.cpu.as_secs_f64())),
        ("speed-up", &|r| format!("{:.2} x", runs[0].time.as_secs_f64() / r.time.as_secs_f64())),
        ("peak memory", &|r| format!("{} MiB", r.peak >> 20)),
        ("files", &|r| grouped(r.totals.files)),
        ("lines", &|r| grouped(r.totals.lines)),
        ("distinct words", &|r| grouped(r.totals.words)),
        ("size", &|r| format!("{} bytes", grouped(r.totals.bytes))),
        ("compressed", &|r| format!("{} bytes", grouped(r.totals.packed))),
    ];
    println!("\nRust sources, examined three times");
    println!("{:<16}{:>20}{:>20}{:>20}", "", runs[0].how, runs[1].how, runs[2].how);
    for (name, cell) in lines {
        println!("{name:<16}{:>20}{:>20}{:>20}", cell(&runs[0]), cell(&runs[1]), cell(&runs[2]));
    }
    println!("Peak memory of processes is their sum; pages they share count once for each.\n");
}

/// One sentence, out of the measured figures.
fn what_no_gil_did([plain, threads, processes]: &[Run; 3], tasks: usize) -> String {
    if tasks == 1 {
        return "There was one task, so nothing could run side by side.".to_owned();
    }
    let speed = |run: &Run| plain.time.as_secs_f64() / run.time.as_secs_f64();
    format!(
        "Rust has no GIL: {tasks} threads kept {:.1} processors busy and reached {:.2} times the \
         plain loop's speed; {tasks} processes kept {:.1} busy and reached {:.2} times, so here \
         processes are for isolation, not for speed.",
        threads.busy(),
        speed(threads),
        processes.busy(),
        speed(processes)
    )
}

#[tarefa::main]
fn main() -> Result<ExitCode, Box<dyn Error>> {
    let (mut limit, mut tasks) = (None, tarefa::cpu_count());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
        match argument.as_str() {
            "--quick" => limit = limit.or(Some(400)),
            "--limit" => limit = Some(number().ok_or("--limit takes a number of at least 1")?),
            "--tasks" => tasks = number().ok_or("--tasks takes a number of at least 1")?,
            _ => return Err("usage: stdlib_report [--quick] [--limit N] [--tasks N]".into()),
        }
    }
    let paths = sources(limit);
    let runs = [
        in_a_loop(&paths)?,
        on_tasks(format!("{tasks} threads"), |w, a| Thread::new(worker, (w, a)), tasks, &paths)?,
        on_tasks(format!("{tasks} processes"), |w, a| Process::new(worker, (w, a)), tasks, &paths)?,
    ];
    show(&runs);
    if runs.iter().any(|run| run.totals != runs[0].totals) {
        println!("The totals differ.");
        return Ok(ExitCode::FAILURE);
    }
    println!("{}", what_no_gil_did(&runs, tasks));
    Ok(ExitCode::SUCCESS)
}
