//! The processes of a program, with their threads and tasks, as their slots and the system have them.

use crate::atomic::Ordering;
use crate::os::procfs;
use crate::shm::Member;
use crate::shm::arena::layout::process_state;
use crate::shm::arena::offset::Off;
use crate::shm::member::slots;
use crate::task::inspect::{self, Inspection};
use crate::task::role;

/// What a process is to its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The main program.
    Main,
    /// It runs a task.
    Task,
    /// It forks others.
    Zygote,
    /// It was forked ahead, and waits for a task.
    Spare,
    /// It has joined by itself: a fork of the program's own, a program that was given an address.
    Guest,
}

/// A process.
#[derive(Clone, Debug)]
pub struct MemberProcess {
    /// Its slot.
    pub(super) slot: u32,
    /// Its number in the system.
    pub pid: i32,
    /// What it is.
    pub role: Role,
    /// The task that it runs.
    pub task: Option<Inspection>,
    /// The kernel's letter: R running or ready, S and D waiting, T stopped, Z ended.
    pub state: char,
    /// User and system time, nanoseconds.
    pub cpu_ns: u64,
    /// Bytes of memory that are no file's, nor shared by intention: what a fork has in common with who
    /// forked it counts for both.
    pub memory: Option<u64>,
    /// Its threads that have used what is shared.
    pub threads: Vec<MemberThread>,
}

/// A thread.
#[derive(Clone, Debug)]
pub struct MemberThread {
    /// Its number in the system.
    pub tid: i32,
    /// What its language calls it; empty where that is not known.
    pub label: String,
    /// The task that it runs, as a thread.
    pub task: Option<Inspection>,
    /// The kernel's letter.
    pub state: char,
    /// User and system time, nanoseconds.
    pub cpu_ns: u64,
}

/// Looks at all of them: the main program first, then the others by their numbers.
pub(super) fn look(me: &Member) -> Vec<MemberProcess> {
    let runtime = me.runtime();
    let mut found: Vec<MemberProcess> =
        slots::processes(runtime.arena()).filter_map(|index| process(me, index)).collect();
    found.sort_by_key(|p| (p.role != Role::Main, p.pid));
    found
}

fn process(me: &Member, index: u32) -> Option<MemberProcess> {
    let slot = slots::process_slot(me.arena(), index);
    let (pid, state) = slots::owner(slot);
    if state != process_state::LIVE {
        return None;
    }
    let task = inspect::of(me, Off(slot.task.load(Ordering::Acquire)));
    let role = match slot.role.load(Ordering::Relaxed) {
        role::ZYGOTE => Role::Zygote,
        role::TASK => Role::Task,
        role::SPARE => Role::Spare,
        _ if pid == me.runtime().root_pid() => Role::Main,
        _ => Role::Guest,
    };
    // It may have ended, and not been cleaned up after.
    let stat = procfs::stat(pid)?;
    let threads =
        slots::threads(me.arena()).filter_map(|thread| self::thread(me, index, pid, thread));
    Some(MemberProcess {
        slot: index,
        pid,
        role,
        task: task.filter(|_| role == Role::Task),
        state: stat.state,
        cpu_ns: stat.user_ns + stat.system_ns,
        memory: procfs::status_number(pid, pid, "RssAnon"),
        threads: threads.collect(),
    })
}

fn thread(me: &Member, process: u32, pid: i32, index: u32) -> Option<MemberThread> {
    let slot = slots::thread_slot(me.arena(), index);
    if slot.owner.load(Ordering::Acquire) != u64::from(process) + 1 {
        return None;
    }
    let tid = slot.tid.load(Ordering::Acquire) as i32;
    let stat = procfs::thread_stat(pid, tid)?;
    let task = inspect::of(me, Off(slot.task.load(Ordering::Acquire)));
    Some(MemberThread {
        tid,
        label: slot.label.get(),
        task: task.filter(|task| task.is_thread),
        state: stat.state,
        cpu_ns: stat.user_ns + stat.system_ns,
    })
}
