//! The stacks of all threads of a program, seen from outside.
//!
//! - What the system says of a thread is read from `/proc`: its name, its state, the system call it
//!   sleeps in.
//! - What its language says is asked of the thread itself, by a signal
//!   ([`stack_request`]), of each at most once a second. One that is stopped,
//!   blocks the signal or belongs to a process that answers to none is not asked; one that does not
//!   answer in time is told as such, and nobody waits for it any longer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::members::{self, MemberProcess, Role};
use super::stack_request::{self, Asks};
use crate::os::clock::Deadline;
use crate::os::procfs::Stat;
use crate::os::{procfs, signal, system_call};
use crate::shm::Member;
use crate::shm::arena::layout::ProcessSlot;
use crate::shm::member::slots;

/// How long one thread has to answer, and all of a process together.
const ONE: Duration = Duration::from_secs(1);
const ALL: Duration = Duration::from_secs(2);
/// No thread is asked more often.
const EVERY: Duration = Duration::from_secs(1);
/// Processes that are asked at once.
const AT_ONCE: usize = 8;

/// A process with the stacks of its threads.
#[derive(Clone, Debug)]
pub struct ProcessStacks {
    /// The process.
    pub process: MemberProcess,
    /// All its threads, the main one first.
    pub threads: Vec<ThreadStack>,
}

/// A thread, and where it stands.
#[derive(Clone, Debug)]
pub struct ThreadStack {
    /// Its number in the system.
    pub tid: i32,
    /// The system's name for it.
    pub name: String,
    /// The kernel's letter: R running or ready, S and D waiting, T stopped, Z ended.
    pub state: char,
    /// User and system time, nanoseconds.
    pub cpu_ns: u64,
    /// The system call that it sleeps in, where the system says that.
    pub system_call: Option<String>,
    /// The function of the kernel that it sleeps in, where the system says that.
    pub kernel: Option<String>,
    /// Its stack.
    pub stack: Stack,
}

/// A stack in the language that a thread runs, the innermost frame first, or why it is not known; none
/// of a native thread.
pub type Stack = Result<Vec<Frame>, Silence>;

/// A frame of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The source file.
    pub file: String,
    /// The line in it, where that is known.
    pub line: Option<u32>,
    /// The function.
    pub function: String,
}

/// Why a thread's stack is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// Its process answers to nobody: its language offers no stacks.
    Native,
    /// It is stopped, and answers to nothing.
    Stopped,
    /// It blocks the signal.
    Blocked,
    /// It did not answer in time: it may be busy in the kernel, or get no turn.
    Late,
    /// It has ended.
    Ended,
    /// Nobody wanted to ask it.
    NotAsked,
}

/// What a thread has answered, and when.
#[derive(Clone, Debug)]
struct Answer {
    at: Instant,
    /// When the thread started: with its number, an identity.
    start_time: u64,
    stack: Stack,
}

/// Who asks threads for their stacks, and remembers the answers.
#[derive(Debug)]
pub struct Asker {
    known: HashMap<i32, Answer>,
    asks: bool,
}

impl Asker {
    /// One that asks; or one that never does, and changes nothing in any program.
    #[must_use]
    pub fn new(asks: bool) -> Self {
        Self { known: HashMap::new(), asks }
    }

    /// What the thread has answered, where it may not be asked yet.
    fn known(&self, tid: i32, stat: &Stat) -> Option<&Answer> {
        let is_fresh =
            |known: &&Answer| known.start_time == stat.start_time && known.at.elapsed() < EVERY;
        self.known.get(&tid).filter(is_fresh)
    }

    fn note(&mut self, tid: i32, answer: Answer) {
        self.known.insert(tid, answer);
    }
}

/// All processes, and what their threads do.
pub(super) fn look(me: &Member, asker: &mut Asker) -> Vec<ProcessStacks> {
    let processes: Vec<(MemberProcess, &'static ProcessSlot)> = members::look(me)
        .into_iter()
        .map(|process| {
            let slot = slots::process_slot(me.arena(), process.slot);
            (process, slot)
        })
        .collect();
    let share = processes.len().div_ceil(AT_ONCE).max(1);
    let known = &*asker;
    let found: Vec<(ProcessStacks, Vec<Answer>)> = std::thread::scope(|scope| {
        let parts: Vec<_> = processes
            .chunks(share)
            .map(|part| {
                let look = move || -> Vec<(ProcessStacks, Vec<Answer>)> {
                    part.iter().map(|(it, slot)| of_process(it, slot, known)).collect()
                };
                scope.spawn(look)
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap_or_default()).collect()
    });
    let mut stacks = Vec::with_capacity(found.len());
    for (process, answers) in found {
        for (thread, answer) in process.threads.iter().zip(answers) {
            asker.note(thread.tid, answer);
        }
        stacks.push(process);
    }
    stacks
}

fn of_process(
    process: &MemberProcess,
    slot: &'static ProcessSlot,
    asker: &Asker,
) -> (ProcessStacks, Vec<Answer>) {
    let until = Deadline::after(Some(ALL));
    // What waits for a task has no stack that says anything.
    let is_asked = asker.asks && !matches!(process.role, Role::Zygote | Role::Spare);
    let threads = procfs::threads(process.pid).into_iter().filter_map(|tid| {
        let stat = procfs::thread_stat(process.pid, tid)?;
        let stands = procfs::stands(process.pid, tid);
        let named = |number: i64| {
            let known = system_call::name(number).map(str::to_owned);
            known.unwrap_or_else(|| format!("system call {number}"))
        };
        let answer = answer(process.pid, tid, &stat, slot, asker, is_asked.then_some(until));
        let thread = ThreadStack {
            tid,
            name: procfs::thread_name(process.pid, tid).unwrap_or_default(),
            state: stat.state,
            cpu_ns: stat.user_ns + stat.system_ns,
            system_call: stands.system_call().map(named),
            kernel: procfs::sleeps_in(process.pid, tid),
            stack: answer.stack.clone(),
        };
        Some((thread, answer))
    });
    let (threads, answers) = threads.unzip();
    (ProcessStacks { process: process.clone(), threads }, answers)
}

/// The stacks of those threads alone.
pub(super) fn of(me: &Member, threads: &[(i32, i32)], asker: &mut Asker) -> HashMap<i32, Stack> {
    let by_pid: HashMap<i32, &'static ProcessSlot> = slots::processes(me.arena())
        .map(|index| slots::process_slot(me.arena(), index))
        .map(|slot| (slots::owner(slot).0, slot))
        .collect();
    let mut found = HashMap::new();
    for &(pid, tid) in threads {
        let (Some(slot), Some(stat)) = (by_pid.get(&pid), procfs::thread_stat(pid, tid)) else {
            continue;
        };
        let until = asker.asks.then(|| Deadline::after(Some(ONE)));
        let answer = answer(pid, tid, &stat, slot, asker, until);
        found.insert(tid, answer.stack.clone());
        asker.note(tid, answer);
    }
    asker.known.retain(|tid, _| found.contains_key(tid));
    found
}

/// What the thread has answered, or answers now; it is not asked where there is no time for it.
fn answer(
    pid: i32,
    tid: i32,
    stat: &Stat,
    slot: &'static ProcessSlot,
    asker: &Asker,
    until: Option<Deadline>,
) -> Answer {
    if let Some(known) = asker.known(tid, stat) {
        return known.clone();
    }
    let stack = match until {
        Some(until) => ask(pid, slot, tid, stat.state, until),
        None => Err(Silence::NotAsked),
    };
    Answer { at: Instant::now(), start_time: stat.start_time, stack }
}

/// Asks a thread, unless it is known that no answer would come.
fn ask(pid: i32, slot: &'static ProcessSlot, tid: i32, state: char, until: Deadline) -> Stack {
    if slot.stack_fd.load(crate::atomic::Ordering::Acquire) == 0 || slots::owner(slot).0 != pid {
        return Err(Silence::Native);
    }
    match state {
        'T' | 't' => return Err(Silence::Stopped),
        'Z' | 'X' => return Err(Silence::Ended),
        _ => {}
    }
    match procfs::signal_is_handled(pid, tid, signal::stack_signal()) {
        // A program that is executed in its place keeps the number, and would die of the signal.
        Some((false, _)) => return Err(Silence::Native),
        Some((true, true)) => return Err(Silence::Blocked),
        Some((true, false)) => {}
        None => return Err(Silence::Ended),
    }
    let until = Deadline::after(Some(ONE)).min(until);
    match stack_request::text(slot, tid, until, Asks::BySignal) {
        Some(text) => Ok(frames(&String::from_utf8_lossy(&text))),
        None => Err(match procfs::thread_stat(pid, tid).map(|stat| stat.state) {
            None | Some('Z' | 'X') => Silence::Ended,
            Some('T' | 't') => Silence::Stopped,
            Some(_) => Silence::Late,
        }),
    }
}

/// The frames in a text of lines such as `  File "app.py", line 12 in f`.
fn frames(text: &str) -> Vec<Frame> {
    let frame = |line: &str| {
        let (file, rest) = line.trim().strip_prefix("File \"")?.rsplit_once("\", line ")?;
        let (line, function) = rest.split_once(" in ")?;
        // What CPython 3.12 puts between C and Python.
        let is_shim = file == "<shim>";
        let frame =
            Frame { file: unescaped(file), line: line.parse().ok(), function: unescaped(function) };
        (!is_shim).then_some(frame)
    };
    text.lines().filter_map(frame).collect()
}

/// A text whose letters beyond ASCII may be written `\xe9`, `\u20ac` or `\U0001f41a`.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let length = match after.as_bytes().first() {
            Some(b'x') => 2,
            Some(b'u') => 4,
            Some(b'U') => 8,
            _ => 0,
        };
        let digits = after.get(1..=length).filter(|_| length > 0);
        let letter =
            digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
        if let Some(letter) = letter {
            out.push(letter);
            rest = &after[1 + length..];
        } else {
            out.push('\\');
            rest = after;
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_as_they_are_written() {
        let text = "Stack (most recent call first):\n  File \"/a \"b\", line 1.py\", line 7 in f\n\
                    \x20 File \"<shim>\", line ??? in <interpreter trampoline>\n\
                    \x20 File \"/caf\\xe9.py\", line ??? in fun\\xe7\\xe3o\n  ...\n";
        let found = frames(text);
        let frame = |file: &str, line, function: &str| Frame {
            file: file.to_owned(),
            line,
            function: function.to_owned(),
        };
        assert_eq!(
            found,
            [frame("/a \"b\", line 1.py", Some(7), "f"), frame("/café.py", None, "função")]
        );
    }

    #[test]
    fn what_is_no_escape_stays() {
        assert_eq!(unescaped(r"a\b \x4 \u20ac \Uffffffff\"), "a\\b \\x4 € \\Uffffffff\\");
    }
}
