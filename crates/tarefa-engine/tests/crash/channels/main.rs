//! The crash table of channels.
//!
//! As the crash table does it: each scenario runs once to learn which crash points its member passes,
//! and then once for each point and several of its passes with a member that dies there, while others
//! use the same queue. Each message that was acknowledged must come out once and in its order, nobody
//! may wait for ever, and at the end nothing may be left behind. Every point of the room must be
//! reached.

#![allow(clippy::wildcard_imports, clippy::needless_for_each, clippy::format_push_string)]
#![allow(clippy::naive_bytecount)]

mod acks;
mod buffers;
mod members;
mod pipes;
#[path = "../../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use acks::*;
use buffers::*;
use members::*;
use pipes::*;
use support::traced::{self, GAVE_UP, tries};
use support::{Handle, acknowledge, wait_for_members, whole};
use tarefa_engine::atomic::{AtomicBool, AtomicU64, Ordering};
use tarefa_engine::channel::{Order, queue};
use tarefa_engine::os::process;
use tarefa_engine::shm::heap::check::Report;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::tx::crash_point;
use tarefa_engine::shm::{Member, Runtime};
use tarefa_engine::task;

const VICTIM: &str = "TAREFA_CRASH_CHANNELS";

/// Where the points are that are killed at here.
const ROOM: &str = "src/channel";

/// What rivals share.
#[derive(Debug, Default)]
pub(crate) struct Rivalry {
    stop: AtomicBool,
    /// What the next message is of those that a rival puts.
    pub(crate) next: AtomicU64,
    /// What a rival took.
    pub(crate) got: Mutex<Vec<u64>>,
}

impl Rivalry {
    pub(crate) fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

type RivalStep = fn(&Member, Handle, &Rivalry) -> Result<(), String>;

struct Scenario {
    name: &'static str,
    order: Order,
    /// Whether a process took two messages and ended before, and how it took them.
    after: After,
    victim: fn(&Member, Handle),
    rivals: &'static [RivalStep],
    /// What must be found of what the member acknowledged.
    check: fn(&Member, Handle, &Rivalry, &[u8]) -> Result<(), String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Nothing,
    Taken,
    TakenToAck,
}

const fn fifo(
    name: &'static str,
    victim: fn(&Member, Handle),
    rivals: &'static [RivalStep],
    check: fn(&Member, Handle, &Rivalry, &[u8]) -> Result<(), String>,
) -> Scenario {
    Scenario { name, order: Order::Fifo, after: After::Nothing, victim, rivals, check }
}

const SCENARIOS: &[Scenario] = &[
    fifo("a producer", puts, &[take], all_came),
    fifo("a producer, unbounded", puts_many, &[], all_are_there),
    fifo("a consumer", gets, &[bring], none_twice),
    fifo("a ring that grows and shrinks", grows, &[], all_are_gone),
    fifo("a shutdown", shuts_down, &[bring, take, take], is_over),
    fifo("a shutdown, what is there goes on", shuts_gently, &[take], is_over),
    fifo("queues with messages are dropped", drops, &[], all_are_gone),
    Scenario { order: Order::Lifo, ..fifo("a stack", stacks, &[bring], none_twice) },
    Scenario { order: Order::Priority, ..fifo("a heap", heaps, &[bring], none_twice) },
    Scenario { after: After::Taken, ..fifo("what is done", does, &[bring, join], none_twice) },
    Scenario { after: After::Taken, ..fifo("what was lost", finds_lost, &[], all_are_gone) },
    fifo("a consumer that acknowledges", acks, &[bring], none_twice),
    fifo("two that acknowledge", acks, &[bring, take_and_ack], none_is_lost),
    Scenario { order: Order::Lifo, ..fifo("a stack, to ack", acks, &[bring], none_twice) },
    Scenario { order: Order::Priority, ..fifo("a heap, to ack", acks, &[bring], none_twice) },
    fifo("many to acknowledge", holds_many, &[], many_are_whole),
    Scenario { after: After::TakenToAck, ..fifo("what came back", takes_again, &[], as_left) },
    Scenario { after: After::TakenToAck, ..fifo("all comes back", gives_back, &[], as_left) },
    Scenario { after: After::TakenToAck, ..fifo("shut, what comes back", shuts_on, &[], is_over) },
    fifo("queues with held messages are dropped", drops_held, &[], all_are_gone),
    fifo("messages with buffers", carries, &[], are_whole),
    fifo("pipes", makes_pipes, &[], nothing_is_left),
    fifo("an end that sends", sends, &[hear_to_the_end], all_was_heard),
    fifo("an end that receives", receives, &[speak_to_the_end], nothing_is_left),
];

// The member that dies.

fn victim(text: &str) -> ! {
    let words: Vec<&str> = text.splitn(4, '|').collect();
    if words[2] == traced::POINT {
        traced::follow(words[3]);
    }
    let (runtime, handles) = support::join(words[0]);
    let (me, queue) = (runtime.me(), handles[0]);
    if words[2] == "before" {
        takes_two(&me, queue, words[3] == "to ack");
        process::exit_now(0);
    }
    let scenario = &SCENARIOS[words[1].parse::<usize>().unwrap()];
    match words[2] {
        "record" => crash_point::record(),
        traced::POINT => traced::mark(),
        point => crash_point::arm(point, words[3].parse().unwrap()),
    }
    if traced::attempt(|| (scenario.victim)(&me, queue)).is_none() {
        acknowledge(GAVE_UP);
        process::exit_now(0);
    }
    if words[2] == "record" {
        let lines: String = crash_point::recorded()
            .iter()
            .fold(String::new(), |all, (name, n)| all + &format!("{name} {n}\n"));
        std::fs::write(words[3], lines).unwrap();
    }
    crash_point::disarm();
    acknowledge(ENDED);
    process::exit_now(0)
}

// The parent.

struct Table {
    runtime: &'static Runtime,
    dir: PathBuf,
    baseline: Report,
    reached: BTreeSet<String>,
    passed: u64,
    failed: u64,
}

/// The case that runs now, and since when, for the watchdog.
static NOW: Mutex<Option<(String, Instant)>> = Mutex::new(None);

fn watchdog() {
    loop {
        std::thread::sleep(Duration::from_millis(200));
        if let Some((case, since)) = &*NOW.lock().unwrap() {
            if since.elapsed() > Duration::from_secs(40) {
                println!("HANGS: {case}\n0 passed, 1 failed");
                process::exit_now(1);
            }
        }
    }
}

impl Table {
    /// Whether the member was killed.
    fn run(&self, index: usize, point: &str, nth: &str) -> Result<bool, String> {
        let scenario = &SCENARIOS[index];
        let me = self.runtime.me();
        let queue = support::handle(&me, queue::create(&me, scenario.order).unwrap());
        let text = support::text(self.runtime.address(), &[queue]);
        if scenario.after != After::Nothing {
            put_two(&me, queue);
            let how = if scenario.after == After::TakenToAck { "to ack" } else { "" };
            let mut child = support::execute(VICTIM, &format!("{text}|{index}|before|{how}"));
            let _ = child.wait();
            wait_for_members(self.runtime, 0)?;
        }
        let rivalry = Rivalry::default();
        let (written, rivals) = std::thread::scope(|scope| {
            let run = |rival: &'static RivalStep| {
                let (runtime, rivalry) = (self.runtime, &rivalry);
                scope.spawn(move || rival(&runtime.me(), queue, rivalry))
            };
            let threads: Vec<_> = scenario.rivals.iter().map(run).collect();
            let mut child = support::execute(VICTIM, &format!("{text}|{index}|{point}|{nth}"));
            let written = support::written(&mut child);
            let _ = child.wait();
            let gone = wait_for_members(self.runtime, 0);
            if !threads.is_empty() {
                std::thread::sleep(Duration::from_millis(4));
            }
            rivalry.stop.store(true, Ordering::Relaxed);
            let ended = threads.into_iter().map(|t| t.join().unwrap());
            (written, ended.chain([gone]).collect::<Result<Vec<()>, String>>())
        });
        rivals.map_err(|e| format!("a rival: {e}"))?;
        (scenario.check)(&me, queue, &rivalry, &written)?;
        empty_and_usable(&me, queue)?;
        refcount::release(&me, queue.0);
        let ended = written.contains(&ENDED);
        match point {
            traced::POINT => tries::outcome(&traced::Order::read(nth), &written, ended),
            _ => Ok(!ended),
        }
    }

    fn case(&mut self, name: &str, index: usize, point: &str, nth: &str) -> bool {
        *NOW.lock().unwrap() = Some((name.to_owned(), Instant::now()));
        let result = self.run(index, point, nth).and_then(|killed| {
            let report = whole(&self.runtime.me())?;
            let mut before = self.baseline.clone();
            // Threads of this process keep their slots.
            before.threads = report.threads;
            if report == before {
                Ok(killed)
            } else {
                Err(format!("left behind: {report:?}, not {before:?}"))
            }
        });
        *NOW.lock().unwrap() = None;
        match result {
            Ok(killed) => {
                self.passed += 1;
                killed
            }
            Err(e) => {
                println!("FAILED {name}: {e}");
                self.failed += 1;
                self.baseline = whole(&self.runtime.me()).unwrap_or_default();
                false
            }
        }
    }

    fn scenario(&mut self, index: usize, points: &BTreeSet<String>) {
        let name = SCENARIOS[index].name;
        let path = self.dir.join("record").display().to_string();
        let mut seen: BTreeMap<String, u64> = BTreeMap::new();
        for _ in 0..3 {
            self.case(&format!("{name}, not killed"), index, "record", &path);
            for line in std::fs::read_to_string(&path).unwrap_or_default().lines() {
                let (point, n) = line.split_once(' ').unwrap();
                let most = seen.entry(point.to_owned()).or_default();
                *most = (*most).max(n.parse().unwrap());
            }
        }
        for (point, count) in seen {
            // What all members pass is killed at by the other table.
            let own = points.contains(&point)
                || point.starts_with("journal.")
                || point.starts_with("array.");
            let passes: BTreeSet<u64> =
                if own { [1, 2, count / 2, count].into() } else { [count / 2].into() };
            for nth in passes.into_iter().filter(|n| (1..=count).contains(n)) {
                if self.case(&format!("{name}, {point} #{nth}"), index, &point, &nth.to_string()) {
                    self.reached.insert(point.clone());
                }
            }
        }
    }

    /// Members are killed at instructions, and their calls fail.
    fn traced(&mut self, wanted: impl Fn(&str) -> bool) {
        let all = SCENARIOS.iter().enumerate().filter(|(_, s)| wanted(s.name));
        let all: Vec<(usize, &str)> = all.map(|(index, s)| (index, s.name)).collect();
        let dir = self.dir.clone();
        tries::run(&all, &dir, &mut |name, index, order| {
            self.case(name, index, traced::POINT, &order.to_string())
        });
    }

    /// What is passed only now and then is tried until it is met.
    fn now_and_then(&mut self, index: usize, points: &BTreeSet<String>) {
        for point in points {
            for attempt in 0..6 {
                if self.reached.contains(point) {
                    break;
                }
                let name = format!("{}, {point}, attempt {attempt}", SCENARIOS[index].name);
                if self.case(&name, index, point, "1") {
                    self.reached.insert(point.clone());
                }
            }
        }
    }
}

/// The crash points of the room.
fn points() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join(ROOM);
    for file in std::fs::read_dir(room).unwrap().map(|e| e.unwrap().path()) {
        let text = std::fs::read_to_string(file).unwrap();
        let parts = text.split("crash_point!(\"").skip(1);
        found.extend(parts.filter_map(|p| p.split_once('"')).map(|(name, _)| name.to_owned()));
    }
    found
}

fn main() {
    if let Ok(text) = std::env::var(VICTIM) {
        victim(&text);
    }
    let only = std::env::var("TAREFA_CRASH_ONLY").ok();
    let wanted =
        |name: &str| only.as_ref().is_none_or(|o| o.split('|').any(|part| name.contains(part)));
    let started = Instant::now();
    std::thread::spawn(watchdog);
    let runtime = task::runtime().unwrap();
    let me = runtime.me();
    let dir = std::env::temp_dir().join(format!("tarefa-channels-{}", process::pid()));
    std::fs::create_dir_all(&dir).unwrap();
    let mut table = Table {
        runtime,
        dir: dir.clone(),
        baseline: Report::default(),
        reached: BTreeSet::new(),
        passed: 0,
        failed: 0,
    };
    // Once without looking: what stays for good is made now.
    for index in [0, SCENARIOS.len() - 1] {
        let _ = table.run(index, "record", &dir.join("record").display().to_string());
    }
    table.baseline = whole(&me).unwrap();
    let points = points();
    let at_points = tries::wanted("points");
    for (index, scenario) in SCENARIOS.iter().enumerate() {
        if at_points && wanted(scenario.name) {
            table.scenario(index, &points);
        }
    }
    for (index, scenario) in SCENARIOS.iter().enumerate() {
        if at_points && wanted(scenario.name) {
            table.now_and_then(index, &points);
        }
    }
    table.traced(wanted);
    if only.is_none() && at_points {
        for name in points.difference(&table.reached) {
            println!("FAILED: nothing is killed at the crash point {name:?}");
            table.failed += 1;
        }
    }
    let _ = std::fs::remove_dir_all(&dir);
    let reached = points.intersection(&table.reached).count();
    println!("{reached} of {} crash points, in {:.0?}", points.len(), started.elapsed());
    println!("{} passed, {} failed", table.passed, table.failed);
    process::exit_now(i32::from(table.failed > 0));
}
