//! The processes of a program, with their threads and tasks, as their slots and the system have them.

use crate::atomic::Ordering;
use crate::os::proc_files::ProcFiles;
use crate::os::procfs::{self, Stat};
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

/// The same for who looks again and again, with what is kept between two looks. Main threads are left out:
/// what the system says of a process is said of those as well.
pub(super) fn look_again(me: &Member, files: &mut ProcFiles) -> Vec<MemberProcess> {
    let mut found: Vec<MemberProcess> = Vec::new();
    for slot in slots::processes(me.arena()) {
        let Some((pid, role, task)) = who(me, slot) else { continue };
        let Some(stat) = files.stat(pid) else { continue };
        found.push(MemberProcess {
            slot,
            pid,
            role,
            task,
            state: stat.state,
            cpu_ns: stat.user_ns + stat.system_ns,
            memory: files.anonymous_memory(pid),
            threads: Vec::new(),
        });
    }
    found.sort_unstable_by_key(|process| process.slot);
    for index in slots::threads(me.arena()) {
        let owner = slots::thread_slot(me.arena(), index).owner.load(Ordering::Acquire);
        let process = owner.checked_sub(1).and_then(|slot| {
            found.binary_search_by_key(&slot, |process| u64::from(process.slot)).ok()
        });
        let Some(process) = process.map(|at| &mut found[at]) else { continue };
        let pid = process.pid;
        let look = |tid: i32| if tid == pid { None } else { files.thread_stat(pid, tid) };
        process.threads.extend(thread(me, process.slot, index, look));
    }
    files.close_unread();
    found.sort_by_key(|p| (p.role != Role::Main, p.pid));
    found
}

/// Number, role and task of the process in a slot, if one lives there.
fn who(me: &Member, index: u32) -> Option<(i32, Role, Option<Inspection>)> {
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
    Some((pid, role, task.filter(|_| role == Role::Task)))
}

fn process(me: &Member, index: u32) -> Option<MemberProcess> {
    let (pid, role, task) = who(me, index)?;
    // It may have ended, and not been cleaned up after.
    let stat = procfs::stat(pid)?;
    let look = |tid: i32| procfs::thread_stat(pid, tid);
    let threads =
        slots::threads(me.arena()).filter_map(|thread| self::thread(me, index, thread, look));
    Some(MemberProcess {
        slot: index,
        pid,
        role,
        task,
        state: stat.state,
        cpu_ns: stat.user_ns + stat.system_ns,
        memory: procfs::status_number(pid, pid, "RssAnon"),
        threads: threads.collect(),
    })
}

fn thread(
    me: &Member,
    process: u32,
    index: u32,
    look: impl FnOnce(i32) -> Option<Stat>,
) -> Option<MemberThread> {
    let slot = slots::thread_slot(me.arena(), index);
    if slot.owner.load(Ordering::Acquire) != u64::from(process) + 1 {
        return None;
    }
    let tid = slot.tid.load(Ordering::Acquire) as i32;
    let stat = look(tid)?;
    let task = inspect::of(me, Off(slot.task.load(Ordering::Acquire)));
    Some(MemberThread {
        tid,
        label: slot.label.get(),
        task: task.filter(|task| task.is_thread),
        state: stat.state,
        cpu_ns: stat.user_ns + stat.system_ns,
    })
}
