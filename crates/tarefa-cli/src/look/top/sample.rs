//! What `top` has seen: tasks with what they use and where they stand, locks, queues, pools.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use tarefa_engine::kinds;
use tarefa_engine::os::proc_files::ProcFiles;
use tarefa_engine::shm::object::address::ObjectAddress;
use tarefa_engine::trace::Report;
use tarefa_engine::trace::members::{MemberProcess, MemberThread, Role};
use tarefa_engine::trace::observe::Program;
use tarefa_engine::trace::report::Standing;
use tarefa_engine::trace::stacks::{Frame, Silence, Stack};
use tarefa_engine::trace::traffic::{PoolWork, QueueLength};

use super::super::{ps, words};
use crate::terminal::Output;

/// Over so long is the use of the processor measured: the system counts it in hundredths of a second.
const WINDOW: Duration = Duration::from_secs(1);

/// A task, or a process that is none.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) pid: i32,
    pub(super) tid: i32,
    pub(super) name: String,
    pub(super) is_thread: bool,
    pub(super) is_main: bool,
    pub(super) state: char,
    /// Hundredths of a core.
    pub(super) cpu: u64,
    pub(super) cpu_ns: u64,
    pub(super) memory: Option<u64>,
    /// What it waits for and where, or its line.
    pub(super) stands: String,
    /// Whether its thread waits in tarefa, which has its line noted.
    pub(super) is_placed: bool,
    /// Where an interrupt finds it; `None` of what is no task.
    pub(super) address: Option<ObjectAddress>,
}

/// One look at a program.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) rows: Vec<Row>,
    /// Locks that somebody holds or waits for: its name, who holds it, who waits.
    pub(super) locks: Vec<Held>,
    pub(super) queues: Vec<QueueLength>,
    pub(super) pools: Vec<PoolWork>,
    pub(super) is_deadlock: bool,
    pub(super) shared: u64,
}

/// An object with its owners and who waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) name: String,
    pub(super) owners: Vec<String>,
    pub(super) waiters: Vec<String>,
}

impl Sample {
    /// Hundredths of a core that all of it uses.
    pub(super) fn cpu(&self) -> u64 {
        self.rows.iter().filter(|row| !row.is_thread).map(|row| row.cpu).sum()
    }
}

/// Who looks again and again.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    /// What each had used at the last looks, the oldest first.
    before: VecDeque<(Instant, HashMap<i32, u64>)>,
    files: ProcFiles,
}

impl Sampler {
    /// Looks now. `lines` has what threads have answered.
    pub(super) fn look(
        &mut self,
        out: &Output,
        program: &Program,
        lines: &HashMap<i32, Stack>,
    ) -> Sample {
        let members = program.members_again(&mut self.files);
        let report = program.report();
        let traffic = program.traffic();
        let by_tid: HashMap<i32, &Standing> = report.threads.iter().map(|s| (s.tid, s)).collect();
        // Of others the line is asked for.
        let stands = |tid: i32| {
            let standing = by_tid.get(&tid)?;
            let awaits = || report.awaits.iter().any(|it| report.threads[it.thread].tid == tid);
            let waits = standing.waits.is_some() || awaits();
            waits.then(|| ps::stands(out, &report, standing))
        };
        let mut rows = Vec::new();
        let is_ahead = |it: &&MemberProcess| matches!(it.role, Role::Zygote | Role::Spare);
        for process in members.iter().filter(|it| !is_ahead(it)) {
            rows.push(of_process(out, program, process, &stands));
            for thread in &process.threads {
                if thread.task.is_some() {
                    rows.push(of_thread(out, program, process.pid, thread, &stands));
                }
            }
        }
        for row in rows.iter_mut().filter(|row| !row.is_placed) {
            row.stands = line(out, lines.get(&row.tid));
        }
        self.measure(&mut rows);
        Sample {
            rows,
            locks: held(&report),
            queues: traffic.queues,
            pools: traffic.pools,
            is_deadlock: report.is_deadlock(),
            shared: program.in_use().0,
        }
    }

    /// Fills in how much of a core each has used since a second ago.
    fn measure(&mut self, rows: &mut [Row]) {
        let now = Instant::now();
        while self.before.len() > 1 && self.before[1].0 + WINDOW <= now {
            self.before.pop_front();
        }
        if let Some((then, used)) = self.before.front() {
            let passed = now.duration_since(*then).as_nanos().max(1);
            for row in rows.iter_mut() {
                if let Some(before) = used.get(&row.tid) {
                    let since = u128::from(row.cpu_ns.saturating_sub(*before));
                    row.cpu = (since * 100 / passed) as u64;
                }
            }
        }
        self.before.push_back((now, rows.iter().map(|row| (row.tid, row.cpu_ns)).collect()));
    }
}

fn of_process(
    out: &Output,
    program: &Program,
    process: &MemberProcess,
    stands: &dyn Fn(i32) -> Option<String>,
) -> Row {
    let stands = stands(process.pid);
    Row {
        pid: process.pid,
        tid: process.pid,
        name: ps::title(out, process),
        is_thread: false,
        is_main: process.role == Role::Main,
        state: process.state,
        cpu: 0,
        cpu_ns: process.cpu_ns,
        memory: process.memory,
        is_placed: stands.is_some(),
        stands: stands.unwrap_or_default(),
        address: process.task.as_ref().map(|task| program.address_of(task)),
    }
}

fn of_thread(
    out: &Output,
    program: &Program,
    pid: i32,
    thread: &MemberThread,
    stands: &dyn Fn(i32) -> Option<String>,
) -> Row {
    let stands = stands(thread.tid);
    Row {
        pid,
        tid: thread.tid,
        name: ps::thread_title(out, thread).unwrap_or_default(),
        is_thread: true,
        is_main: false,
        state: thread.state,
        cpu: 0,
        cpu_ns: thread.cpu_ns,
        memory: None,
        is_placed: stands.is_some(),
        stands: stands.unwrap_or_default(),
        address: thread.task.as_ref().map(|task| program.address_of(task)),
    }
}

/// The innermost line that a thread has told of, or why it has told none.
fn line(out: &Output, stack: Option<&Stack>) -> String {
    match stack {
        Some(Ok(frames)) => frames.first().map(short).unwrap_or_default(),
        Some(Err(Silence::Stopped)) => out.language.pick("stopped", "parado").to_owned(),
        Some(Err(Silence::Late)) => out.language.pick("no answer", "sem resposta").to_owned(),
        _ => String::new(),
    }
}

fn short(frame: &Frame) -> String {
    let file = frame.file.rsplit('/').next().unwrap_or_default();
    let line = frame.line.map_or_else(|| "?".to_owned(), |line| line.to_string());
    format!("{file}:{line} in {}", frame.function)
}

/// What is held or waited for, by whom. Tasks are no locks: who waits for one says so in its row.
fn held(report: &Report) -> Vec<Held> {
    let mut found: Vec<Held> = Vec::new();
    for thread in &report.threads {
        for it in &thread.holds {
            entry(&mut found, &it.name).owners.push(who(thread));
        }
        for thing in thread.waits.iter().flat_map(|waits| &waits.things) {
            if thing.seen.kind != kinds::TASK {
                entry(&mut found, &thing.name).waiters.push(who(thread));
            }
        }
    }
    found
}

fn entry<'a>(found: &'a mut Vec<Held>, name: &str) -> &'a mut Held {
    let at = found.iter().position(|held| held.name == name).unwrap_or_else(|| {
        found.push(Held { name: name.to_owned(), owners: Vec::new(), waiters: Vec::new() });
        found.len() - 1
    });
    &mut found[at]
}

/// A thread in a word: its task's name, or its own.
fn who(thread: &Standing) -> String {
    match &thread.task_name {
        Some(name) if !name.is_empty() => name.clone(),
        _ => format!("{} {}", thread.pid, thread.thread_label),
    }
}

/// What is written in the column of the processor.
pub(super) fn percent(hundredths: u64) -> String {
    format!("{hundredths} %")
}

/// What is written in the column of memory.
pub(super) fn memory(out: &Output, row: &Row) -> String {
    row.memory.map(|bytes| out.sized(bytes)).unwrap_or_default()
}

/// What is written in the column of states.
pub(super) fn state(out: &Output, row: &Row) -> &'static str {
    words::state(out, row.state)
}
