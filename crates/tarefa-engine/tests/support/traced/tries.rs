//! What is tried: each instruction, call and allocation of each scenario, or a sample of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::Random;
use super::{GAVE_UP, Order, What, said};

/// What the tables do, as `TAREFA_CRASH_WHAT` says: parts of it with a bar between them. Without it
/// all points are tried, and a sample of the others.
pub fn wanted(part: &str) -> bool {
    std::env::var("TAREFA_CRASH_WHAT").map_or(true, |what| what.split('|').any(|w| w == part))
}

/// For how long instructions are tried, and then calls, by each table.
fn time() -> Duration {
    let asked = std::env::var("TAREFA_CRASH_SECONDS").ok();
    let seconds = asked.map_or(2.0, |text| text.parse().expect("seconds"));
    Duration::from_secs_f64(seconds)
}

/// The course of a sample.
fn seed() -> u64 {
    let asked = std::env::var("TAREFA_CRASH_SEED").ok();
    asked.map_or_else(
        || {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.map_or(1, |now| u64::from(now.subsec_nanos()))
        },
        |text| text.parse().expect("a number"),
    )
}

/// Operations of so many instructions are killed at each, longer ones at some passes of each.
const SHORT: usize = 3000;

/// So many instructions are stepped in a millisecond, about.
const STEPS_A_MS: u64 = 30;

/// What a table does for an order: true where what it wants came to pass and all was well.
pub type Case<'a> = &'a mut dyn FnMut(&str, usize, &Order) -> bool;

/// Kills members of these scenarios at their instructions, and has their calls fail.
pub fn run(scenarios: &[(usize, &str)], dir: &Path, case: Case<'_>) {
    if wanted("steps") {
        kills(scenarios, dir, case);
    }
    if wanted("calls") {
        failures(scenarios, dir, case);
    }
}

/// Kills members of these scenarios at their instructions.
fn kills(scenarios: &[(usize, &str)], dir: &Path, case: Case<'_>) {
    let plan = |text: &str| {
        let mut all = Vec::new();
        for (op, line) in text.lines().enumerate() {
            let mut passed: BTreeMap<u64, u64> = BTreeMap::new();
            let mut count = 0;
            for place in line.split_ascii_whitespace() {
                *passed.entry(place.parse().expect("a number")).or_default() += 1;
                count += 1;
            }
            for (place, most) in passed {
                let passes: BTreeSet<u64> = if count <= SHORT {
                    (1..=most).collect()
                } else {
                    [1, 2, most / 2, most].into_iter().filter(|n| (1..=most).contains(n)).collect()
                };
                all.extend(passes.into_iter().map(|pass| What::Kill(op + 1, place, pass)));
            }
        }
        all
    };
    // A quarter of the time at most: a long scenario does the same over and over.
    let count = |share: Duration| vec![What::CountSteps(STEPS_A_MS * share.as_millis() as u64 / 4)];
    Tries { what: "killed at", of: "instructions", count: &count, plan: &plan }
        .run(scenarios, dir, case);
}

/// Has calls and allocations of members of these scenarios fail.
pub fn failures(scenarios: &[(usize, &str)], dir: &Path, case: Case<'_>) {
    let plan = |text: &str| {
        let mut all = Vec::new();
        for (op, line) in text.lines().enumerate() {
            // Allocations are a number, calls words of a colon.
            if let Ok(count) = line.parse::<u64>() {
                all.extend((1..=count).map(|n| What::Refuse(op + 1, n)));
                continue;
            }
            for (n, call) in line.split_ascii_whitespace().enumerate() {
                let (_, errors) = call.split_once(':').expect("a call");
                let errors = errors.split(',').map(|error| error.parse().expect("a number"));
                all.extend(errors.map(|error| What::Fail(op + 1, n as u64 + 1, error)));
            }
        }
        all
    };
    let count = |_| vec![What::CountCalls, What::CountAllocations];
    Tries { what: "had fail", of: "calls and allocations", count: &count, plan: &plan }
        .run(scenarios, dir, case);
}

struct Tries<'a> {
    what: &'a str,
    of: &'a str,
    /// How it is learnt what there is.
    count: &'a dyn Fn(Duration) -> Vec<What>,
    /// What can be done to what was counted.
    plan: &'a dyn Fn(&str) -> Vec<What>,
}

impl Tries<'_> {
    fn run(&self, scenarios: &[(usize, &str)], dir: &Path, case: Case<'_>) {
        let (started, time, seed) = (Instant::now(), time(), seed());
        let mut random = Random::new(seed);
        let mut left = scenarios.to_vec();
        let (mut done, mut met) = (0, 0);
        while !left.is_empty() && started.elapsed() < time {
            // What one leaves of its share the others have.
            let share = (time.saturating_sub(started.elapsed()) / left.len() as u32)
                .max(Duration::from_millis(400));
            let (index, name) = left.swap_remove(random.below(left.len() as u64) as usize);
            let until = (Instant::now() + share).min(started + time);
            let mut all = Vec::new();
            for what in (self.count)(share) {
                match counted(what, dir, index, name, case) {
                    Ok(text) => all.extend((self.plan)(&text)),
                    Err(Refused::Tracing) => {
                        println!("{name}: this system does not let processes be traced: left out");
                        return;
                    }
                    Err(Refused::Failed) => {}
                }
            }
            let of = all.len();
            let mut tried = 0;
            while !all.is_empty() && Instant::now() < until {
                let what = all.swap_remove(random.below(all.len() as u64) as usize);
                let order = Order { what, beside: false, path: fresh(dir) };
                let text = order.to_string();
                let text = text.rsplit_once(' ').map_or("", |(text, _)| text);
                tried += 1;
                met += u64::from(case(&format!("{name}, {text}"), index, &order));
            }
            done += tried;
            if wanted("points") {
                continue;
            }
            println!("{name}: {} {tried} of {of} {}", self.what, self.of);
        }
        println!(
            "{} {met} of {done} {} in {:.0?}, by the seed {seed}",
            self.what,
            self.of,
            started.elapsed()
        );
    }
}

/// How a member ends, in the words of who traces it.
const KILLED: &str = "signal 9";
const REFUSED: &str = "exit 77";

/// The number of the process that a traced member was.
pub fn pid(order: &Order) -> Option<i32> {
    let told = fs::read_to_string(&order.path).unwrap_or_default();
    told.lines().next()?.rsplit_once(' ')?.1.parse().ok()
}

enum Refused {
    Tracing,
    Failed,
}

/// What there is in a scenario.
fn counted(
    what: What,
    dir: &Path,
    index: usize,
    name: &str,
    case: Case<'_>,
) -> Result<String, Refused> {
    let order = Order { what, beside: false, path: fresh(dir) };
    let well = case(&format!("{name}, not killed"), index, &order);
    let text = fs::read_to_string(&order.path).unwrap_or_default();
    if what == What::CountAllocations {
        return if well { Ok(text) } else { Err(Refused::Failed) };
    }
    let (end, text) = text.split_once('\n').unwrap_or((&text, ""));
    match end.split(',').next() {
        Some(REFUSED) => Err(Refused::Tracing),
        Some("exit 0") if well => Ok(text.to_owned()),
        _ => Err(Refused::Failed),
    }
}

/// A path at which there is nothing.
fn fresh(dir: &Path) -> PathBuf {
    let path = dir.join("traced");
    let _ = fs::remove_file(said(&path));
    let _ = fs::remove_file(&path);
    path
}

/// What came of an order, after the member's end: whether it was met. `ended` says that the member
/// came to its end as it does without an order.
///
/// # Errors
/// What is wrong: a member that ends otherwise than it should, or that panics in the engine.
pub fn outcome(order: &Order, written: &[u8], ended: bool) -> Result<bool, String> {
    let told = fs::read_to_string(&order.path).unwrap_or_default();
    let end = told.split([',', '\n']).next().unwrap_or_default();
    let panics = fs::read_to_string(said(&order.path)).unwrap_or_default();
    if std::env::var_os("TAREFA_CRASH_NOTES").is_some() && !panics.is_empty() {
        println!("{order}: {panics}");
    }
    match order.what {
        What::CountSteps(_) | What::CountCalls if end == REFUSED => Ok(false),
        What::CountSteps(_) | What::CountCalls | What::CountAllocations => {
            if ended {
                Ok(true)
            } else {
                Err(format!("it did not come to its end: {end}"))
            }
        }
        What::Kill(..) if end == KILLED => Ok(true),
        What::Kill(..) if ended => Ok(false),
        What::Kill(..) => Err(format!("it was to be killed, and ended so: {end}")),
        What::Fail(..) | What::Refuse(..) => {
            // What a test unwraps the engine has answered; elsewhere it is no answer. A thread that the
            // standard library does not spawn is the test's, too.
            let is_answer =
                |line: &&str| line.contains("tests/") || line.contains("failed to spawn thread");
            if let Some(panic) = panics.lines().find(|line| !is_answer(line)) {
                return Err(format!("it panicked at {panic}"));
            }
            let is_gone = matches!(order.what, What::Fail(_, _, libc::ENOENT | libc::ESRCH));
            if panics.contains("Gone(") && !is_gone {
                return Err(format!("the program is said to be gone: {panics}"));
            }
            if ended || written.contains(&GAVE_UP) {
                return Ok(true);
            }
            Err(format!("it ended by that: {end}; {panics}"))
        }
    }
}
