//! The crash table: a member is killed at every named crash point that anything passes, and the
//! others must find everything as it was before or after the operation cut short, with nothing
//! left behind.
//!
//! Each scenario runs once to learn which points it passes and how often, and then once for
//! each point and several of its passes with a member that dies there. Points are found by
//! reading the sources, so a new one that nothing here passes fails the test.

#![allow(clippy::enum_glob_use, clippy::wildcard_imports, clippy::naive_bytecount)]
#![allow(clippy::needless_for_each, clippy::format_collect, clippy::format_push_string)]

mod allowed;
mod arrays;
mod boards;
mod daemons;
mod deaths;
mod dicts;
mod identities;
mod limits;
mod lists;
mod locks;
mod orphans;
mod rivals;
mod roots;
mod scenarios;
mod starts;
#[path = "../../support/mod.rs"]
mod support;
mod traces;
mod victim;
mod zygotes;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use support::{Pages, Shared, Value, contents, int, use_all, wait_for_members, whole};
use tarefa_engine::atomic::{AtomicBool, AtomicU64, Ordering};
use tarefa_engine::collections::list::List;
use tarefa_engine::os::process;
use tarefa_engine::shm::heap::{self, Kind};
use tarefa_engine::shm::member::report_request;
use tarefa_engine::shm::{Member, Off, Runtime};
use tarefa_engine::sync::lock::word::Recursion;
use tarefa_engine::task;
use tarefa_engine::task::process::zygote_control;
use tarefa_engine::task::zygote;

use allowed::{ALLOWED, ELSEWHERE};
use rivals::{Rival, overtake};
use scenarios::Step::Queue;
use scenarios::*;
use starts::start_and_join;
use support::traced::{self, Order, tries};
use victim::{VICTIM, save, victim};
use zygotes::*;

fn saved(path: &Path) -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|l| l.split_once(' '))
        .map(|(name, n)| (name.to_owned(), n.parse().unwrap()))
        .collect()
}

// The parent.

struct Table {
    runtime: &'static Runtime,
    dir: PathBuf,
    baseline: heap::check::Report,
    pages: Pages,
    reached: BTreeSet<String>,
    passed: u64,
    failed: Vec<String>,
    unreached: u64,
    ran: u64,
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

/// What a run of a scenario's member came to.
struct Ran {
    acknowledged: usize,
    killed: bool,
}

impl Table {
    fn run(&mut self, index: usize, point: &str, nth: &str) -> Result<Ran, String> {
        let scenario = &SCENARIOS[index];
        let me = self.runtime.me();
        if let Around::Zygote(spares) = scenario.around {
            plan_zygote(self.runtime, "zygote", "", 0, Path::new(""));
            task::process::set_spares(&me, spares).map_err(|e| e.to_string())?;
            start_and_join(&me)?;
        }
        let shared = Shared::create(&me);
        fill(&me, shared.list.0, &first(scenario.first));
        List::at(&me, shared.child.0).append(int(9)).unwrap();
        if scenario.around == Around::Rival {
            fill(&me, shared.child.0, &vec![Value::Int(7); 3000]);
        }
        let text = format!("{}|{index}|{point}|{nth}", shared.text(self.runtime.address()));
        if scenario.around == Around::Deaths {
            for (name, point) in [
                ("set", "list.odd"),
                ("locks", "lock.swapped_free"),
                ("dict: one key", "dict.odd"),
                ("large items", "redo.published"),
            ] {
                let index = SCENARIOS.iter().position(|s| s.name == name).unwrap();
                let text = format!("{}|{index}|{point}|1", shared.text(self.runtime.address()));
                let mut child = support::execute(VICTIM, &text);
                support::written(&mut child);
                wait_for_end(&mut child);
                wait_for_members(self.runtime, 0)?;
            }
        }
        let savepoint = heap::savepoint(&me);
        if scenario.around == Around::NoRuns {
            let frontier = || me.header().frontier.load(Ordering::Relaxed);
            let before = frontier();
            while frontier() == before {
                heap::alloc_sparse(&me, Kind::RAW, 5 << 20, 0).unwrap();
            }
            // So that new runs start at all alignments.
            self.ran += 1;
            for _ in 0..self.ran % 4 {
                heap::alloc_sparse(&me, Kind::RAW, 5 << 20, 0).unwrap();
            }
        }
        let rival = Rival { stop: AtomicBool::new(false), died: AtomicU64::new(0) };
        let (runtime, rivals) = (self.runtime, scenario.around == Around::Rival);
        let (written, rivalry) = std::thread::scope(|scope| {
            let mut threads = Vec::new();
            if rivals {
                threads.push(scope.spawn(|| rival.run(runtime, &shared)));
            }
            if scenario.around == Around::Overtaken {
                for sort in [Recursion::Forbidden, Recursion::Allowed] {
                    let (stop, shared) = (&rival.stop, &shared);
                    threads.push(scope.spawn(move || overtake(runtime, stop, shared, sort)));
                }
            }
            let mut child = support::execute(VICTIM, &text);
            let written = support::written(&mut child);
            wait_for_end(&mut child);
            if !threads.is_empty() {
                std::thread::sleep(Duration::from_millis(5));
            }
            rival.stop.store(true, Ordering::Relaxed);
            let ended: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
            (written, ended.into_iter().collect::<Result<(), String>>())
        });
        rivalry.map_err(|e| format!("a rival: {e}"))?;
        if rival.died.load(Ordering::Relaxed) > 1 {
            return Err("the owner died more than once".to_owned());
        }
        let acknowledged = written.iter().filter(|b| **b == 1).count();
        let ended = written.contains(&2);
        let killed = match point {
            traced::POINT => tries::outcome(&Order::read(nth), &written, ended),
            _ => Ok(!ended),
        };
        heap::free_deferred(&me, savepoint);
        let result = self.inspect(scenario, &shared, acknowledged);
        shared.release(&me);
        let killed = killed?;
        result?;
        self.given_back()?;
        Ok(Ran { acknowledged, killed })
    }

    fn inspect(&self, scenario: &Scenario, shared: &Shared, done: usize) -> Result<(), String> {
        let me = self.runtime.me();
        if matches!(scenario.around, Around::Zygote(_)) {
            start_and_join(&me)?;
            end_zygote(&me)?;
        }
        wait_for_members(self.runtime, 0)?;
        whole(&me)?;
        let mut before = first(scenario.first);
        for step in &scenario.steps[..done] {
            step.model(&mut before);
            if let Queue(n) = step {
                before = rotated(&before, *n as usize);
            }
        }
        let may = match scenario.steps.get(done) {
            Some(step) => step.models(&before),
            None => vec![before],
        };
        let is = contents(&me, shared.list.0);
        if !may.contains(&is) {
            let (is, may) = (brief(&is), brief(may.last().unwrap()));
            return Err(format!("after {done} steps the list is {is}, not as before or {may}"));
        }
        let earlier = i64::from(scenario.around == Around::Deaths);
        arrays::inspect(&me, shared, scenario.steps, done, earlier)?;
        let child = contents(&me, shared.child.0);
        // A group leaves two at most, where it is killed; an operation one.
        let most = if scenario.around == Around::Rival { 3000 } else { 0 } + 1 + 6;
        if child.first() != Some(&Value::Int(9)) || child.len() > most {
            return Err(format!("the child list is {}", brief(&child)));
        }
        check_words(&me, shared.words.0, scenario.steps, done)?;
        check_dict(&me, shared.dict.0, scenario.steps, done)?;
        use_all(&me, shared)?;
        whole(&me).map(drop)
    }

    /// Everything is given back.
    fn given_back(&mut self) -> Result<(), String> {
        let me = self.runtime.me();
        // What a victim has set for all: waits would end early to be reported.
        report_request::set_report_after(&me, None);
        let report = whole(&me)?;
        self.pages.check(&me)?;
        if report == self.baseline {
            return Ok(());
        }
        let message = format!("left behind: {report:?}, not {:?}", self.baseline);
        self.baseline = report;
        Err(message)
    }

    fn case(&mut self, name: &str, run: impl FnOnce(&mut Self) -> Result<bool, String>) {
        *NOW.lock().unwrap() = Some((name.to_owned(), Instant::now()));
        match run(self) {
            Ok(true) => self.passed += 1,
            Ok(false) => self.unreached += 1,
            Err(e) => {
                println!("FAILED {name}: {e}");
                self.failed.push(name.to_owned());
            }
        }
        *NOW.lock().unwrap() = None;
    }

    /// A member is killed at each pass of each point in `seen`.
    fn scenario(&mut self, index: usize) {
        let scenario = &SCENARIOS[index];
        let path = self.dir.join("record");
        let _ = std::fs::remove_file(&path);
        let name = path.display().to_string();
        self.case(&format!("{}, not killed", scenario.name), |table| {
            let ran = table.run(index, "record", &name)?;
            let all = ran.acknowledged == scenario.steps.len();
            if all { Ok(true) } else { Err(format!("{} steps were done", ran.acknowledged)) }
        });
        for (point, count) in saved(&path) {
            let mut left = passes(count);
            while let Some(nth) = left.pop_first() {
                self.case(&format!("{}, {point} #{nth}", scenario.name), |table| {
                    let ran = table.run(index, &point, &nth.to_string())?;
                    if ran.killed {
                        table.reached.insert(point.clone());
                    }
                    Ok(ran.killed)
                });
                // It may have come by less often than when it was counted.
                if nth > 1 && left.is_empty() && !self.reached.contains(&point) {
                    left.insert(1);
                }
            }
        }
    }

    /// All that is killed at points, but for what is not wanted.
    fn points(&mut self, wanted: impl Fn(&str) -> bool) {
        for (index, scenario) in SCENARIOS.iter().enumerate() {
            if wanted(scenario.name) {
                self.scenario(index);
                match scenario.around {
                    Around::Rival => self.now_and_then(index, CONTENDED),
                    Around::NoRuns => self.now_and_then(index, NEW_RUNS),
                    Around::Zygote(0) if scenario.name == "start" => {
                        let points = ["task.awaiting_fork", "process.request_expected"];
                        self.now_and_then(index, &points);
                    }
                    // Whoever comes to it after its millisecond has no need to sleep.
                    _ if scenario.name == "events" => {
                        self.now_and_then(index, &["event.condition_announced"]);
                    }
                    _ => {}
                }
            }
        }
        for (who, spares) in [("zygote", 0), ("zygote", 3), ("child", 0), ("child", 3)] {
            if wanted(who) {
                self.zygotes(who, spares);
            }
        }
        if wanted("a slow starter") {
            self.slow_starters();
        }
        if wanted("locks, forced") {
            self.locks();
        }
        if wanted("orphans") {
            self.orphans();
        }
        if wanted("roots that start") {
            self.roots_that_start();
        }
        if wanted("deaths") {
            self.deaths();
        }
        if wanted("identities") {
            self.identities();
        }
        if wanted("daemons") {
            self.daemons();
        }
        if wanted("over time") {
            self.over_time();
        }
    }

    /// Members are killed at instructions, and their calls fail.
    fn traced(&mut self, wanted: impl Fn(&str) -> bool) {
        let is_traced = |s: &Scenario| s.around != Around::Foreign && wanted(s.name);
        let all = SCENARIOS.iter().enumerate().filter(|(_, s)| is_traced(s));
        let mut all: Vec<(usize, &str)> = all.map(|(index, s)| (index, s.name)).collect();
        // Behind all others.
        let program = SCENARIOS.len();
        if wanted("a program") {
            all.push((program, "a program"));
        }
        let dir = self.dir.clone();
        let mut case = |name: &str, index: usize, order: &Order| {
            let mut is_met = false;
            self.case(name, |table| {
                is_met = if index == program {
                    roots::run(order)?
                } else {
                    table.run(index, traced::POINT, &order.to_string())?.killed
                };
                Ok(true)
            });
            is_met
        };
        tries::run(&all, &dir, &mut case);
        // Its calls are made beside those of the program's own thread.
        if tries::wanted("calls") && wanted("a supervisor") {
            let mut case = |name: &str, _: usize, order: &Order| {
                let mut is_met = false;
                self.case(name, |_| {
                    is_met = roots::run(&Order { beside: true, ..order.clone() })?;
                    Ok(true)
                });
                is_met
            };
            tries::failures(&[(program, "a supervisor")], &dir, &mut case);
        }
    }

    /// What a scenario passes only now and then is tried until it is met.
    fn now_and_then(&mut self, index: usize, points: &[&str]) {
        for point in points {
            for attempt in 0..60 {
                if self.reached.contains(*point) {
                    break;
                }
                let name = format!("{}, {point}, attempt {attempt}", SCENARIOS[index].name);
                self.case(&name, |table| {
                    let ran = table.run(index, point, "1")?;
                    if ran.killed {
                        table.reached.insert((*point).to_owned());
                    }
                    Ok(ran.killed)
                });
            }
        }
    }

    /// The zygote, or its children, are killed at each pass of each point.
    fn zygotes(&mut self, who: &str, spares: u64) {
        let runtime = self.runtime;
        let notes = self.dir.join("notes");
        let name = format!("{who} with {spares} spares");
        self.case(&format!("{name}, not killed"), |table| {
            let _ = std::fs::remove_file(notes.with_extension(who));
            plan_zygote(runtime, who, "record", 0, &notes);
            table.zygote_case(spares, true).map(|_| true)
        });
        if std::env::var_os("TAREFA_CRASH_NOTES").is_some() {
            println!("{name}: {:?}", saved(&notes.with_extension(who)));
        }
        for (point, count) in saved(&notes.with_extension(who)) {
            for nth in passes(count) {
                self.case(&format!("{name}, {point} #{nth}"), |table| {
                    let flag = table.dir.join("flag");
                    std::fs::write(&flag, "").unwrap();
                    plan_zygote(runtime, who, &point, nth, &flag);
                    table.reached.insert(point.clone());
                    table.zygote_case(spares, false).map(|_| true)
                });
            }
        }
    }

    /// Tasks are killed as they wait for a starter that is slow, in a process made for each and in one
    /// made ahead.
    fn slow_starters(&mut self) {
        const AWAITED: &str = "task.note_awaited";
        for spares in [0, 3] {
            let mut is_met = false;
            for attempt in 0..20 {
                if is_met {
                    break;
                }
                let name = format!("a slow starter with {spares} spares, attempt {attempt}");
                self.case(&name, |table| {
                    let flag = table.dir.join("flag");
                    std::fs::write(&flag, "").unwrap();
                    plan_zygote(table.runtime, "child", AWAITED, 1, &flag);
                    let killed = starts::slowly(attempt, || table.zygote_case(spares, false))?;
                    is_met = killed > 0;
                    if is_met {
                        table.reached.insert(AWAITED.to_owned());
                    }
                    Ok(is_met)
                });
            }
        }
    }

    /// What only a rare race of two members passes: forced.
    fn locks(&mut self) {
        for point in locks::POINTS {
            for attempt in 0..20 {
                if self.reached.contains(*point) {
                    break;
                }
                self.case(&format!("locks, forced, {point}, attempt {attempt}"), |table| {
                    let killed = locks::forced(table.runtime, point, attempt)?;
                    table.given_back()?;
                    if killed {
                        table.reached.insert((*point).to_owned());
                    }
                    Ok(killed)
                });
            }
        }
    }

    fn orphans(&mut self) {
        let me = self.runtime.me();
        let done = |table: &mut Self, result: Result<(), String>| {
            result.and_then(|()| table.given_back()).map(|()| true)
        };
        for spares in [0, 3] {
            self.case(&format!("orphans, {spares} spares"), |table| {
                done(table, orphans::outlive_zygotes(&me, spares))
            });
        }
        self.case("orphans, a busy zygote", |t| done(t, orphans::busy_zygote(&me)));
        self.case("orphans, no descriptors", |t| done(t, orphans::no_descriptors(&me)));
        for how in ["busy", "asleep"].repeat(10) {
            let name = format!("orphans, the root is killed, {how}");
            self.case(&name, |_| orphans::root_killed(how).map(|()| true));
        }
    }

    /// The root dies at each point that it passes as it starts a process.
    fn roots_that_start(&mut self) {
        for spares in [0, 3] {
            let name = format!("roots that start, {spares} spares");
            let mut seen = String::new();
            self.case(&format!("{name}, not killed"), |_| {
                seen = orphans::root_starts(spares, "record", 0)?;
                Ok(true)
            });
            for (point, count) in seen.lines().filter_map(|line| line.split_once(' ')) {
                for nth in passes(count.parse().unwrap_or(1)) {
                    self.case(&format!("{name}, {point} #{nth}"), |table| {
                        orphans::root_starts(spares, point, nth)?;
                        table.reached.insert(point.to_owned());
                        Ok(true)
                    });
                }
            }
        }
    }

    fn deaths(&mut self) {
        let me = self.runtime.me();
        self.case("deaths, told before the clean-up", |table| {
            deaths::told_before_clean_up(&me).and_then(|()| table.given_back()).map(|()| true)
        });
        for goes_on in [true, false] {
            let name = format!("deaths, beside one who is stopped, who goes on: {goes_on}");
            self.case(&name, |table| {
                deaths::told_beside_one_who_is_stopped(&me, goes_on)?;
                table.given_back().map(|()| true)
            });
        }
    }

    fn identities(&mut self) {
        let flag = self.dir.join("flag");
        let zygotes = if identities::has_rights() { identities::ZYGOTES } else { &[] };
        let all = [("starter", identities::STARTERS), ("zygote", zygotes)];
        for (who, points) in all {
            for point in points {
                self.case(&format!("identities, {who}, {point}"), |table| {
                    let killed = identities::goes_on(who, point, &flag)?;
                    if killed && !point.is_empty() {
                        table.reached.insert((*point).to_owned());
                    }
                    Ok(killed)
                });
            }
        }
    }

    fn daemons(&mut self) {
        for point in daemons::POINTS {
            self.case(&format!("daemons, {point}"), |table| {
                let killed = daemons::goes_on(point)?;
                if killed && !point.is_empty() {
                    table.reached.insert((*point).to_owned());
                }
                Ok(killed)
            });
        }
    }

    fn over_time(&mut self) {
        let me = self.runtime.me();
        let done = |table: &mut Self, result: Result<(), String>| {
            result.and_then(|()| table.given_back()).map(|()| true)
        };
        for spares in [0, 3] {
            let name = format!("over time, {spares} spares");
            self.case(&name, |t| done(t, limits::over_time(&me, spares)));
        }
        self.case("over time, no descriptors", |t| done(t, limits::without_descriptors(&me)));
        self.case("over time, terminated", |t| done(t, limits::terminated(&me)));
        self.case("over time, dead before", |t| done(t, limits::dead_before(&me)));
    }

    /// How many tasks were killed; where `all` is wanted, no more than one may be.
    fn zygote_case(&mut self, spares: u64, all: bool) -> Result<u32, String> {
        let me = self.runtime.me();
        task::process::set_spares(&me, spares).map_err(|e| e.to_string())?;
        let control = zygote_control::get(&me).map_err(|e| e.to_string())?;
        zygote::send_message(&me, control, b"import", true).map_err(|e| e.to_string())?;
        let mut killed = 0;
        for i in 0..4 {
            if i == 2 {
                // Fewer spares, and more again.
                std::thread::sleep(Duration::from_millis(2));
                std::thread::sleep(Duration::from_millis(8));
                task::process::set_spares(&me, spares / 3).map_err(|e| e.to_string())?;
            }
            if all && spares > 0 && i == 1 {
                // What a spare passes is noted by one that gets a task.
                wait_for_a_spare(&me)?;
            }
            match start_and_join(&me) {
                Ok(()) => {}
                Err(e) if e == "the task is Killed" => killed += 1,
                Err(e) => return Err(e),
            }
        }
        if spares > 0 {
            // All sent away, and new ones made, which also notes what was passed.
            for wanted in [0, spares] {
                task::process::set_spares(&me, wanted).map_err(|e| e.to_string())?;
                std::thread::sleep(Duration::from_millis(6));
            }
        }
        if killed > 1 && all {
            return Err(format!("{killed} tasks were killed"));
        }
        end_zygote(&me)?;
        plan_zygote(self.runtime, "zygote", "", 0, Path::new(""));
        start_and_join(&me)?;
        end_zygote(&me)?;
        self.given_back()?;
        Ok(killed)
    }
}

/// The dict is as before or after the step that was cut short.
fn check_dict(me: &Member, off: Off, steps: &[Step], done: usize) -> Result<(), String> {
    let mut before = dicts::Pairs::new();
    for step in &steps[..done] {
        if let Step::Dict(what) = step {
            what.model(&mut before);
        }
    }
    let may = match steps.get(done) {
        Some(Step::Dict(what)) => what.models(&before),
        _ => vec![before],
    };
    let is = dicts::pairs(me, off);
    if !may.contains(&is) {
        let text =
            format!("after {done} steps the dict is {is:?}, not as before or {:?}", may.last());
        return Err(text.chars().take(600).collect());
    }
    dicts::use_one(me, off)
}

fn wait_for_end(child: &mut std::process::Child) {
    // The supervisor may have collected it already.
    let _ = child.wait();
}

/// At which passes of a point a member is killed: at one of these where a seed is given.
fn passes(count: u64) -> BTreeSet<u64> {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    let all = [1, 2, count / 2, count].into_iter().filter(|n| (1..=count).contains(n));
    let all: BTreeSet<u64> = all.collect();
    let Some(seed) = seed() else { return all };
    let draw = seed.wrapping_add(DRAWN.fetch_add(1, Ordering::Relaxed));
    // Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, section 6.4).
    let draw = (draw.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize;
    all.iter().nth(draw % all.len()).copied().into_iter().collect()
}

/// So many points may a sample miss; all of the table, `make test-crash`, may miss none.
const MISSED_BY_A_SAMPLE: usize = 3;

fn seed() -> Option<u64> {
    std::env::var("TAREFA_CRASH_SEED").ok().map(|text| text.parse().expect("a number"))
}

fn brief(list: &[Value]) -> String {
    let text = format!("{list:?}");
    if text.len() < 300 { text } else { format!("{} elements", list.len()) }
}

/// Passed where two meet at a latch, a lock, an event.
const CONTENDED: &[&str] = &[
    "latch.marked",
    "latch.spinning",
    "latch.taken_late",
    "latch.taken_spinning",
    "lock.announced",
    "event.announced",
    "wait.slept",
];
/// Passed where there is no free run, depending on where the last one ended.
const NEW_RUNS: &[&str] =
    &["units.grown", "units.grown_done", "units.skipped", "units.joined", "units.joined_done"];

/// The names of all crash points in the sources.
fn names(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            names(&entry, found);
        } else if entry.extension().is_some_and(|e| e == "rs")
            && !ELSEWHERE.iter().any(|file| entry.ends_with(file))
        {
            let text = std::fs::read_to_string(&entry).unwrap();
            let parts = text.split("crash_point!(\"").skip(1);
            found.extend(parts.filter_map(|p| p.split_once('"')).map(|(name, _)| name.to_owned()));
        }
    }
}

fn main() {
    if let Ok(text) = std::env::var(VICTIM) {
        victim(&text);
    }
    if let Ok(text) = std::env::var(ZYGOTE) {
        serve(&text);
    }
    if let Ok(text) = std::env::var(locks::MEMBER) {
        locks::member(&text);
    }
    if let Ok(text) = std::env::var(orphans::ROOT) {
        orphans::root(&text);
    }
    if let Ok(text) = std::env::var(deaths::KEEPER) {
        deaths::keeper(&text);
    }
    // Before the program, whose environment it has.
    if let Ok(text) = std::env::var(identities::STARTER) {
        identities::starter(&text);
    }
    if let Ok(text) = std::env::var(identities::PROGRAM) {
        identities::program(&text);
    }
    if let Ok(point) = std::env::var(daemons::DAEMON) {
        daemons::program(&point);
    }
    let only = std::env::var("TAREFA_CRASH_ONLY").ok();
    let wanted =
        |name: &str| only.as_ref().is_none_or(|o| o.split('|').any(|part| name.contains(part)));
    let started = Instant::now();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let case = NOW.try_lock().ok().and_then(|now| now.as_ref().map(|n| n.0.clone()));
        println!("PANICS: {case:?}");
        usual(info);
    }));
    std::thread::spawn(watchdog);
    let runtime = task::runtime().unwrap();
    let dir = std::env::temp_dir().join(format!("tarefa-crash-{}", process::pid()));
    std::fs::create_dir_all(&dir).unwrap();
    let mut table = Table {
        runtime,
        dir: dir.clone(),
        baseline: heap::check::Report::default(),
        pages: Pages::now(&runtime.me()),
        reached: BTreeSet::new(),
        passed: 0,
        failed: Vec::new(),
        unreached: 0,
        ran: 0,
    };
    // Once without looking: what stays for good is made now.
    let me = runtime.me();
    plan_zygote(runtime, "zygote", "", 0, Path::new(""));
    start_and_join(&me).unwrap();
    end_zygote(&me).unwrap();
    let _ = table.run(0, "record", &dir.join("record").display().to_string());
    let _ = table.run(SCENARIOS.len() - 3, "record", &dir.join("record").display().to_string());
    table.baseline = whole(&me).unwrap();
    table.pages = Pages::now(&me);

    if tries::wanted("points") {
        table.points(wanted);
    }
    table.traced(wanted);

    let mut all = BTreeSet::new();
    names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    let allowed: BTreeSet<&str> = ALLOWED.iter().flat_map(|(names, _)| *names).copied().collect();
    if only.is_none() && tries::wanted("points") {
        let is_missed = |n: &&String| !table.reached.contains(*n) && !allowed.contains(n.as_str());
        let missed: Vec<&String> = all.iter().filter(is_missed).collect();
        // A sample draws a pass that a point may come to in one run and not in the next.
        let is_told_only = seed().is_some() && missed.len() <= MISSED_BY_A_SAMPLE;
        for name in missed {
            if is_told_only {
                println!("not met in this sample: nothing is killed at the crash point {name:?}");
            } else {
                println!("FAILED: nothing is killed at the crash point {name:?}");
                table.failed.push(name.clone());
            }
        }
    }
    for (names, why) in ALLOWED {
        for gone in names.iter().filter(|n| !all.contains(**n)) {
            println!("FAILED: allowed, but there is no crash point {gone:?} ({why})");
            table.failed.push((*gone).to_owned());
        }
    }
    let _ = std::fs::remove_dir_all(&dir);
    let reached = table.reached.len();
    println!("{reached} of {} crash points, in {:.0?}", all.len(), started.elapsed());
    println!("{} passed, {} failed", table.passed, table.failed.len());
    process::exit_now(i32::from(!table.failed.is_empty()));
}
