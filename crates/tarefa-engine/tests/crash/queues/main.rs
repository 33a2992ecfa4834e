//! The crash table of what has queues: semaphore, condition, barrier, read-write lock.
//!
//! As the crash table does it: each scenario runs once to learn which crash points its member
//! passes, and then once for each point and several of its passes with a member that dies there,
//! while others use the same object. They must go on, hear of what is to be told once, and at the
//! end nothing may be taken, waited for or left behind. Every point of the files below must be
//! reached.

#![allow(clippy::enum_glob_use, clippy::wildcard_imports, clippy::naive_bytecount)]
#![allow(clippy::needless_for_each, clippy::format_push_string)]

mod members;
#[path = "../../support/mod.rs"]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use members::*;
use support::traced::{self, GAVE_UP, Order, mark, tries};
use support::{Handle, acknowledge, wait_for_members, whole};
use tarefa_engine::atomic::{AtomicBool, AtomicU32, Ordering};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::process;
use tarefa_engine::shm::heap::check::Report;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::tx::crash_point;
use tarefa_engine::shm::{Member, Runtime};
use tarefa_engine::sync::barrier::{self, Passed};
use tarefa_engine::sync::condition::{self, Waited};
use tarefa_engine::sync::lock::word::{Acquired as Taken, Recursion};
use tarefa_engine::sync::rwlock::{self, Acquired, Mode};
use tarefa_engine::sync::wait::{BlockingHooks, Outcome, Plain};
use tarefa_engine::sync::{lock, semaphore};
use tarefa_engine::task;

const VICTIM: &str = "TAREFA_CRASH_QUEUES";

/// The files whose points are killed at here.
const FILES: [&str; 8] = [
    "sync/wait_queue.rs",
    "sync/semaphore.rs",
    "sync/condition.rs",
    "sync/barrier.rs",
    "sync/barrier/gone.rs",
    "sync/rwlock.rs",
    "shm/recovery/holds.rs",
    "shm/recovery/wait_nodes.rs",
];

/// Passed by the supervisor only, a thread of the root, whose death ends everything; and the last three,
/// and those of `gone.rs`, only where whoever has a latch is stopped, which the Python tests of stopped
/// members do at random.
/// A lock's repair is set, and its setter killed, in the other table: the scenario `repairs`.
const ALLOWED: [&str; 20] = [
    "rwlock.repair_set",
    "barrier.gone",
    "barrier.overdue",
    "barrier.broken",
    "barrier.taking_out",
    "barrier.took_out",
    "barrier.caught_up",
    "wait_nodes.abandoned",
    "robust_list.returned",
    "semaphore.abandoning",
    "semaphore.abandoned",
    "semaphore.returning",
    "semaphore.returned",
    "barrier.abandoning",
    "barrier.abandoned",
    "rwlock.abandoning",
    "rwlock.abandoned",
    "wait_nodes.deferred",
    "wait_nodes.given_up",
    "wait_queue.fell_asleep",
];

/// What a case works on.
#[derive(Clone, Copy)]
struct Objects {
    lock: Handle,
    semaphore: Handle,
    condition: Handle,
    barrier: Handle,
    rwlock: Handle,
}

impl Objects {
    fn create(me: &Member, sort: Recursion) -> Self {
        let handle = |off| support::handle(me, off);
        let objects = Self {
            lock: handle(lock::create(me, sort).unwrap()),
            semaphore: handle(semaphore::create(me).unwrap()),
            condition: handle(condition::create(me).unwrap()),
            barrier: handle(barrier::create(me).unwrap()),
            rwlock: handle(rwlock::create(me).unwrap()),
        };
        semaphore::set_up(me, objects.semaphore.0, 1, true);
        barrier::set_up(me, objects.barrier.0, 2, None, false);
        assert!(condition::set_lock(me, objects.condition.0, objects.lock.0));
        objects
    }

    fn handles(&self) -> Vec<Handle> {
        vec![self.lock, self.semaphore, self.condition, self.barrier, self.rwlock]
    }

    fn of(handles: &[Handle]) -> Self {
        let [lock, semaphore, condition, barrier, rwlock] = *handles else { panic!() };
        Self { lock, semaphore, condition, barrier, rwlock }
    }

    fn release(&self, me: &Member) {
        for (off, _) in self.handles() {
            refcount::release(me, off);
        }
    }

    fn own_lock(&self, me: &Member) -> condition::Lock {
        condition::Lock::at(me, self.lock.0)
    }
}

/// Interrupts a wait when it looks around for the `left`th time, and from then on.
struct Nag {
    left: u32,
}

impl BlockingHooks for Nag {
    fn release(&mut self, sleep: &mut dyn FnMut()) {
        sleep();
    }

    fn interrupted(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }
}

fn micros(n: u64) -> Duration {
    Duration::from_micros(n)
}

fn soon(n: u64) -> Deadline {
    Deadline::after(Some(micros(n)))
}

fn patient() -> Deadline {
    Deadline::after(Some(Duration::from_secs(15)))
}

type RivalStep = fn(&Member, &Objects, &Rivalry) -> Result<(), String>;

struct Scenario {
    name: &'static str,
    sort: Recursion,
    victim: fn(&Member, &Objects),
    rivals: &'static [RivalStep],
    check: fn(&Member, &Objects, &Case<'_>) -> Result<(), String>,
}

/// How a member ended.
struct Case<'a> {
    point: &'a str,
    written: &'a [u8],
}

/// What a member acknowledges.
const TOOK: u8 = 3;
const RELEASES: u8 = 4;

/// What rivals share.
#[derive(Default)]
struct Rivalry {
    stop: AtomicBool,
    /// How often a lock said that its owner had died.
    died: AtomicU32,
}

impl Rivalry {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn died(&self) {
        self.died.fetch_add(1, Ordering::Relaxed);
    }
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "semaphore, held",
        sort: Recursion::Forbidden,
        victim: holds_permits,
        rivals: &[hold_permits],
        check: all_permits,
    },
    Scenario {
        name: "semaphore, plain",
        sort: Recursion::Forbidden,
        victim: takes_permits,
        rivals: &[want_permits],
        check: most_permits,
    },
    Scenario {
        name: "barrier",
        sort: Recursion::Forbidden,
        victim: comes,
        rivals: &[come],
        check: nobody_waits,
    },
    Scenario {
        name: "barrier, with an action",
        sort: Recursion::Forbidden,
        victim: comes_and_acts,
        rivals: &[come, come],
        check: nobody_waits,
    },
    Scenario {
        name: "barrier, alone",
        sort: Recursion::Forbidden,
        victim: comes_alone,
        rivals: &[],
        check: nobody_waits,
    },
    Scenario {
        name: "read-write lock",
        sort: Recursion::Forbidden,
        victim: reads_and_writes,
        rivals: &[write, read],
        check: free_to_write,
    },
    Scenario {
        name: "condition with a lock",
        sort: Recursion::Forbidden,
        victim: notifies,
        rivals: &[wait, wait],
        check: notified,
    },
    Scenario {
        name: "condition with a recursive lock",
        sort: Recursion::Allowed,
        victim: notifies,
        rivals: &[wait, wait],
        check: notified,
    },
    Scenario {
        name: "condition, notified in vain",
        sort: Recursion::Forbidden,
        victim: waits_first,
        rivals: &[wait_second, notify_first],
        check: notified,
    },
    Scenario {
        name: "a barrier's action, a condition's lock",
        sort: Recursion::Forbidden,
        victim: makes_and_drops,
        rivals: &[],
        check: nobody_waits,
    },
];

// The member that dies.

fn victim(text: &str) -> ! {
    let words: Vec<&str> = text.splitn(4, '|').collect();
    let scenario = &SCENARIOS[words[1].parse::<usize>().unwrap()];
    if words[2] == traced::POINT {
        traced::follow(words[3]);
    }
    let (runtime, handles) = support::join(words[0]);
    let (me, objects) = (runtime.me(), Objects::of(&handles));
    match words[2] {
        "record" => crash_point::record(),
        traced::POINT => mark(),
        point => crash_point::arm(point, words[3].parse().unwrap()),
    }
    if traced::attempt(|| (scenario.victim)(&me, &objects)).is_none() {
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
    acknowledge(2);
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
        let objects = Objects::create(&me, scenario.sort);
        let text = support::text(self.runtime.address(), &objects.handles());
        let rivalry = Rivalry::default();
        let (written, rivals) = std::thread::scope(|scope| {
            let run = |rival: &'static RivalStep| {
                let (runtime, objects, rivalry) = (self.runtime, &objects, &rivalry);
                scope.spawn(move || rival(&runtime.me(), objects, rivalry))
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
        // One of the member's threads may have ended with it as well.
        let died = rivalry.died.load(Ordering::Relaxed);
        if died > 2 {
            return Err(format!("the owner died {died} times"));
        }
        (scenario.check)(&me, &objects, &Case { point, written: &written })?;
        objects.release(&me);
        let ended = written.contains(&2);
        match point {
            traced::POINT => tries::outcome(&Order::read(nth), &written, ended),
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
            let own = points.contains(&point) || point.starts_with("wait.");
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
            let prefix = point.split('.').next().unwrap();
            let ours = matches!(prefix, "queue" | "holds")
                || SCENARIOS[index].name.starts_with(match prefix {
                    "rwlock" => "read-write",
                    other => other,
                });
            for attempt in 0..25 {
                if !ours || self.reached.contains(point) {
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

/// The crash points of the files.
fn points() -> BTreeSet<String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeSet::new();
    for file in FILES {
        let text = std::fs::read_to_string(src.join(file)).unwrap();
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
    let dir = std::env::temp_dir().join(format!("tarefa-queues-{}", process::pid()));
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
    let allowed: BTreeSet<&str> = ALLOWED.into_iter().collect();
    let due: BTreeSet<String> =
        points.iter().filter(|p| !allowed.contains(p.as_str())).cloned().collect();
    let at_points = tries::wanted("points");
    for (index, scenario) in SCENARIOS.iter().enumerate() {
        if at_points && wanted(scenario.name) {
            table.scenario(index, &due);
        }
    }
    for (index, scenario) in SCENARIOS.iter().enumerate() {
        if at_points && wanted(scenario.name) {
            table.now_and_then(index, &due);
        }
    }
    table.traced(wanted);
    if only.is_none() && at_points {
        for name in due.difference(&table.reached) {
            println!("FAILED: nothing is killed at the crash point {name:?}");
            table.failed += 1;
        }
    }
    for name in allowed.iter().filter(|name| !points.contains(**name)) {
        println!("FAILED: allowed, but there is no crash point {name:?}");
        table.failed += 1;
    }
    let _ = std::fs::remove_dir_all(&dir);
    let reached = due.intersection(&table.reached).count();
    println!("{reached} of {} crash points, in {:.0?}", points.len(), started.elapsed());
    println!("{} passed, {} failed", table.passed, table.failed);
    process::exit_now(i32::from(table.failed > 0));
}
