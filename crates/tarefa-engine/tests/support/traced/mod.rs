//! Members whose every instruction or call is a place where something may happen to them.
//!
//! - *A kill at every instruction*: another process steps a member through its operations ([`tracer`])
//!   and kills it at one of them.
//! - *The n-th call fails*: the same process has one of the member's system calls fail ([`calls`]), or
//!   the member itself one of its allocations in the arena.
//!
//! An operation is what a member does between two marks, and each acknowledgement is one. What was
//! done to which operation an [`Order`] says; [`tries`] gives the orders. The crash tables run the
//! members, and look at what they leave.

mod calls;
mod tracer;
pub mod tries;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::fs;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use tarefa_engine::os::{process, signal, spawn};
use tarefa_engine::shm::heap::nth_call;

/// The point at which a member is told to die that follows an order.
pub const POINT: &str = "traced";

/// What a member acknowledges that came to its end although a call had failed.
pub const GAVE_UP: u8 = 99;

/// What is to happen to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Nothing: its instructions are counted, so many of them.
    CountSteps(u64),
    /// Nothing: its system calls that may fail are counted.
    CountCalls,
    /// Nothing: its allocations are counted.
    CountAllocations,
    /// It is killed in that operation before the instruction at that place of the program's code, when
    /// it comes there the so-manyth time; both counts from 1.
    Kill(usize, u64, u64),
    /// That call of that operation answers this error.
    Fail(usize, u64, i32),
    /// That allocation of that operation fails.
    Refuse(usize, u64),
}

/// The same, and where it is told what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub what: What,
    /// Whether calls are those of the threads beside the first, all in one operation.
    pub beside: bool,
    pub path: PathBuf,
}

const BESIDE: &str = "beside ";

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.beside {
            write!(f, "{BESIDE}")?;
        }
        match self.what {
            What::CountSteps(most) => write!(f, "steps 0 {most} 0"),
            What::CountCalls => write!(f, "calls 0 0 0"),
            What::CountAllocations => write!(f, "allocations 0 0 0"),
            What::Kill(op, place, pass) => write!(f, "kill {op} {place} {pass}"),
            What::Fail(op, n, error) => write!(f, "fail {op} {n} {error}"),
            What::Refuse(op, n) => write!(f, "refuse {op} {n} 0"),
        }?;
        write!(f, " {}", self.path.display())
    }
}

impl Order {
    /// What is written so.
    pub fn read(text: &str) -> Self {
        let (text, beside) = text.strip_prefix(BESIDE).map_or((text, false), |text| (text, true));
        let words: Vec<&str> = text.splitn(5, ' ').collect();
        let [what, op, n, more, path] = *words else { panic!("no order: {text}") };
        let number = |word: &str| word.parse::<u64>().expect("a number");
        let (op, n, more) = (number(op) as usize, number(n), number(more));
        let what = match what {
            "steps" => What::CountSteps(n),
            "calls" => What::CountCalls,
            "allocations" => What::CountAllocations,
            "kill" => What::Kill(op, n, more),
            "fail" => What::Fail(op, n, more as i32),
            "refuse" => What::Refuse(op, n),
            other => panic!("no order: {other}"),
        };
        Self { what, beside, path: path.into() }
    }

    /// Whether another process follows the member.
    fn is_traced(&self) -> bool {
        !matches!(self.what, What::CountAllocations | What::Refuse(..))
    }
}

/// What a member that fails says of it.
fn said(path: &Path) -> PathBuf {
    path.with_extension("said")
}

thread_local! {
    /// What the thread follows.
    static FOLLOWS: RefCell<Option<Order>> = const { RefCell::new(None) };
    static OPERATION: Cell<usize> = const { Cell::new(0) };
}

fn follows() -> Option<What> {
    FOLLOWS.with_borrow(|order| order.as_ref().map(|order| order.what))
}

/// This thread, the only one, follows the order from now on: where it is traced, in a child of this
/// process, which ends with it.
pub fn follow(text: &str) {
    let order = Order::read(text);
    if order.is_traced() {
        let parent = process::pid();
        // SAFETY: this process has one thread.
        let pid = unsafe { spawn::fork_child() }.expect("a process");
        if pid != 0 {
            tracer::run(pid, order);
        }
        process::die_with_parent();
        if process::parent() != parent || !tracer::trace_me() {
            process::exit_now(tracer::REFUSED);
        }
        stop();
    }
    if matches!(order.what, What::Fail(..) | What::Refuse(..)) {
        note_panics(said(&order.path));
    }
    FOLLOWS.set(Some(order));
}

/// Between two operations.
pub fn mark() {
    let Some(what) = follows() else { return };
    let operation = OPERATION.get() + 1;
    OPERATION.set(operation);
    match what {
        What::CountAllocations => {
            let passed = nth_call::fail_at(0);
            if operation > 1 {
                FOLLOWS.with_borrow(|order| {
                    append(&order.as_ref().expect("seen").path, &passed.to_string());
                });
            }
        }
        What::Refuse(op, n) => drop(nth_call::fail_at(if op == operation { n } else { 0 })),
        _ => stop(),
    }
}

/// Who traces this process takes note, and has it go on.
fn stop() {
    signal::send_thread(process::pid(), process::tid(), libc::SIGSTOP).expect("a signal");
}

/// Does it; `None` where it has failed because a call was made to fail.
pub fn attempt<T>(act: impl FnOnce() -> T) -> Option<T> {
    if !matches!(follows(), Some(What::Fail(..) | What::Refuse(..))) {
        return Some(act());
    }
    panic::catch_unwind(AssertUnwindSafe(act)).ok()
}

/// Writes down where this process panics and why, instead of telling it.
fn note_panics(path: PathBuf) {
    panic::set_hook(Box::new(move |info| {
        let place = info.location().map_or_else(String::new, ToString::to_string);
        let text = info.payload().downcast_ref::<String>().map_or_else(
            || info.payload().downcast_ref::<&str>().copied().unwrap_or("?").to_owned(),
            Clone::clone,
        );
        append(&path, &format!("{place}: {}", text.replace('\n', " ")));
    }));
}

/// What was found wrong after a call had failed, for who looks at what came of it.
pub fn complain(what: &str) {
    FOLLOWS.with_borrow(|order| {
        let path = &order.as_ref().expect("an order").path;
        append(&said(path), &format!("afterwards: {what}"));
    });
}

fn append(path: &Path, line: &str) {
    let file = fs::OpenOptions::new().append(true).create(true).open(path);
    writeln!(file.expect("a file"), "{line}").expect("a file");
}
