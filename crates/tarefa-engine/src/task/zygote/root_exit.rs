//! The end of the root: everything ends, and nothing is left for the system to collect.
//!
//! A program may do much before its end, so nobody relies on one way to hear of it:
//!
//! - The **lifeline**, a pipe to which nobody writes and whose read end the root alone has. Each child
//!   opens the write end once more for itself, and has the kernel send it SIGKILL when something
//!   happens to the pipe (`F_SETSIG`): that is, when the read end is closed. So it ends whatever it
//!   has done about signals, its user and `prctl`, and whoever has died together with the root; unless
//!   it has closed that descriptor.
//! - The kernel sends the zygote a signal when the root ends (`PR_SET_PDEATHSIG`, and the lifeline).
//!   It kills its children, collects them, so that not even their process numbers stay in use, and
//!   ends. The lifeline has it go on, too, if it is stopped.
//! - What a task forks itself has a lifeline of its own from its first moment on. Where there is none to
//!   be had (the task has closed all descriptors) the zygote ends it: whoever loses his parent below
//!   the zygote becomes its child, and one that still has the runtime's memory has executed nothing else.
//! - The kernel sends children a signal when the zygote ends. They go on if the root lives. One that
//!   has closed its lifeline opens it anew, or has the system's clock make it look at the root. The
//!   next zygote watches it, too.
//!
//! `tests/python/task/test_root_end.py` tries what a task may have done before.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use crate::os::orphans::Memory;
use crate::os::{child, orphans, pidfd, pipe, process, signal};
use crate::shm::Runtime;
use crate::shm::arena::layout::process_state;
use crate::shm::member::slots;
use crate::task::process::zygote_control::Control;
use crate::task::role;

/// In the zygote: its number in the sequence of zygotes. 0 in children.
static ZYGOTE: AtomicU32 = AtomicU32::new(0);
/// In the zygote, for the handler of SIGCHLD.
static CONTROL: AtomicPtr<Control> = AtomicPtr::new(std::ptr::null_mut());
/// In the zygote and in children: a descriptor of the lifeline that is their own; -1 for none.
static LIFELINE: AtomicI32 = AtomicI32::new(-1);
/// In the zygote: another, by which it goes on if it is stopped.
static CONTINUE: AtomicI32 = AtomicI32::new(-1);
/// The lifeline as a file: a number of a descriptor may be another's by now.
static LIFELINE_FILE: AtomicU64 = AtomicU64::new(0);
/// In a child: whether the clock makes it look at the root.
static BY_CLOCK: AtomicBool = AtomicBool::new(false);
/// Whether this process was forked by a zygote, or by one that was.
static IS_CHILD: AtomicBool = AtomicBool::new(false);
/// In the zygote: by what processes are known that have the runtime's memory.
static MARK: AtomicPtr<Vec<u8>> = AtomicPtr::new(std::ptr::null_mut());
/// In the zygote: descriptors of children of zygotes before it.
static INHERITED: AtomicPtr<Vec<OwnedFd>> = AtomicPtr::new(std::ptr::null_mut());

/// In the zygote, before it serves: from now on it answers the root's end.
// not shared: pointers and numbers of this process alone.
pub(in crate::task) fn watch_in_zygote(
    runtime: &'static Runtime,
    control: &'static Control,
    number: u32,
) {
    let orphans: Vec<OwnedFd> = children(runtime)
        .filter_map(|index| {
            pidfd::open_kept(slots::owner(slots::process_slot(runtime.arena(), index)).0).ok()
        })
        .collect();
    INHERITED.store(Box::into_raw(Box::new(orphans)), Ordering::Release);
    CONTROL.store(std::ptr::from_ref(control).cast_mut(), Ordering::Release);
    ZYGOTE.store(number, Ordering::Release);
    // SAFETY: both handlers make system calls and touch atomics only.
    unsafe {
        let _ = signal::handle(signal::root_exit_signal(), parent_ended, true);
        let _ = signal::handle(libc::SIGCHLD, child_ended, false);
    }
    process::signal_with_parent(signal::root_exit_signal());
    process::on_fork_in_child(forked);
    orphans::adopt();
    let mark = orphans::mark_of_mapping(runtime.arena().start().addr()).unwrap_or_default();
    MARK.store(Box::into_raw(Box::new(mark)), Ordering::Release);
    let lifeline = descriptor(runtime);
    LIFELINE_FILE.store(pipe::file_number(lifeline), Ordering::Release);
    // Stopped, it hears of nothing; SIGCONT lets it go on, and then the other is waiting for it.
    CONTINUE.store(ask_for(libc::SIGCONT, lifeline), Ordering::Release);
    LIFELINE.store(ask_for(signal::root_exit_signal(), lifeline), Ordering::Release);
}

/// In a child, right after its fork from the process `zygote`.
// not shared: numbers of this process alone.
pub(in crate::task) fn watch_in_child(runtime: &'static Runtime, zygote: i32) {
    ZYGOTE.store(0, Ordering::Release);
    IS_CHILD.store(true, Ordering::Release);
    signal::default(libc::SIGCHLD);
    process::signal_with_parent(signal::root_exit_signal());
    for zygotes in [&CONTINUE, &LIFELINE] {
        pipe::close(zygotes.swap(-1, Ordering::AcqRel));
    }
    LIFELINE.store(ask_for(libc::SIGKILL, descriptor(runtime)), Ordering::Release);
    // It may have been closed before.
    if is_cut() {
        process::exit_now(0);
    }
    if process::parent() != zygote {
        parent_ended(0);
    }
}

/// In a child that a task, or another such child, has forked itself.
// not shared: numbers of this process alone.
extern "C" fn forked() {
    if !IS_CHILD.load(Ordering::Acquire) {
        // The zygote's children see to that themselves, once they know who they are.
        return;
    }
    let before = process::errno();
    let Some(runtime) = Runtime::existing_unlocked() else { return };
    let parents = lifeline();
    let own = match ask_for(libc::SIGKILL, descriptor(runtime)) {
        -1 => parents.map_or(-1, |fd| ask_for(libc::SIGKILL, fd.as_raw_fd())),
        own => own,
    };
    if let Some(parents) = parents {
        pipe::close(parents.as_raw_fd());
    }
    LIFELINE.store(own, Ordering::Release);
    // Timers stay with the parent.
    BY_CLOCK.store(false, Ordering::Release);
    // It may have been closed before.
    if is_cut() {
        process::exit_now(0);
    }
    process::set_errno(before);
}

fn descriptor(runtime: &'static Runtime) -> i32 {
    runtime.lifeline().map_or(-1, AsRawFd::as_raw_fd)
}

/// Has the kernel send this process `signal` when the root ends, by a descriptor of its own that it
/// makes of `lifeline` and gives back; -1 where it cannot. Async-signal-safe.
fn ask_for(signal: i32, lifeline: i32) -> i32 {
    let file = pipe::file_number(lifeline);
    if file == 0 || file != LIFELINE_FILE.load(Ordering::Acquire) {
        return -1;
    }
    // SAFETY: open, as just seen, and only for a look.
    let lifeline = unsafe { BorrowedFd::borrow_raw(lifeline) };
    pipe::signal_when_reader_closes(lifeline, signal).map_or(-1, |own| own.as_raw_fd())
}

/// This process's own descriptor of the lifeline, if nobody has closed it.
fn lifeline() -> Option<BorrowedFd<'static>> {
    let fd = LIFELINE.load(Ordering::Acquire);
    let file = LIFELINE_FILE.load(Ordering::Acquire);
    // SAFETY: open, as just seen; who closes it now makes it a look at another's file.
    (file != 0 && pipe::file_number(fd) == file).then(|| unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Whether the lifeline says that the root has ended.
fn is_cut() -> bool {
    lifeline().is_some_and(pipe::is_reader_closed)
}

/// Processes that zygotes have forked.
fn children(runtime: &'static Runtime) -> impl Iterator<Item = u32> {
    slots::processes(runtime.arena()).filter(move |index| {
        let slot = slots::process_slot(runtime.arena(), *index);
        let role = slot.role.load(Ordering::Acquire);
        slots::owner(slot).1 == process_state::LIVE && matches!(role, role::TASK | role::SPARE)
    })
}

/// Whether there are any.
pub(in crate::task) fn any_children(runtime: &'static Runtime) -> bool {
    children(runtime).next().is_some()
}

extern "C" fn child_ended(_: i32) {
    // SAFETY: set before the handler is installed; the arena is never unmapped.
    if let Some(control) = unsafe { CONTROL.load(Ordering::Acquire).as_ref() } {
        // The zygote itself sleeps on it, if anybody: the signal ends that sleep.
        // crash: nothing depends on the count; a point takes a lock, which no handler may.
        control.zygote_futex.fetch_add(1, Ordering::AcqRel);
    }
}

extern "C" fn parent_ended(_: i32) {
    let before = process::errno();
    match ZYGOTE.load(Ordering::Acquire) {
        0 => orphaned(),
        number => end_all(number),
    }
    process::set_errno(before);
}

/// How often a child looks that has no lifeline.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// In a child: its zygote has ended, or it is time to look again.
fn orphaned() {
    let Some(runtime) = Runtime::existing_unlocked() else { process::exit_now(0) };
    if lifeline().is_none() {
        // The task has closed it, or there was no descriptor to be had.
        // not shared: a number of this process alone.
        LIFELINE.store(ask_for(libc::SIGKILL, descriptor(runtime)), Ordering::Release);
    }
    if lifeline().is_none() && !BY_CLOCK.load(Ordering::Acquire) {
        // not shared: a flag of this process alone.
        BY_CLOCK
            .store(signal::send_every(signal::root_exit_signal(), LOOK_EVERY), Ordering::Release);
    }
    // A process that ends closes its pipes, and only then counts as ended: the signal may come in
    // between. A descriptor of the root that this process had may be another's by now.
    let root = runtime.root_pid();
    let is_over = is_cut()
        || match pidfd::open(root) {
            Ok(root) => pidfd::ended(root.as_fd()),
            Err(e) => pidfd::says_gone(&e) || !process::exists(root),
        };
    if is_over {
        process::exit_now(0);
    }
}

/// In the zygote with that number: the root has ended.
fn end_all(number: u32) {
    // SAFETY: set before the handler is installed, and never freed.
    if let Some(orphans) = unsafe { INHERITED.load(Ordering::Acquire).as_ref() } {
        for fd in orphans {
            let _ = pidfd::send_signal(fd.as_fd(), libc::SIGKILL);
        }
    }
    // More than once, for a child that is just being forked is seen a moment later; and not
    // for ever, for a module's own child is nobody's to kill.
    for _ in 0..500 {
        if let Some(runtime) = Runtime::existing_unlocked() {
            for index in children(runtime) {
                let slot = slots::process_slot(runtime.arena(), index);
                if slot.zygote.load(Ordering::Acquire) == number {
                    let _ = signal::send_process(slots::owner(slot).0, libc::SIGKILL);
                }
            }
        }
        if !child::reap_ended() || !kill_forked(number) {
            break;
        }
        process::nap();
    }
    process::exit_now(0);
}

/// In the zygote with that number: kills what its children have forked, of those whose parent has ended.
/// False once no child is left but programs that somebody has executed, which are nobody's to kill.
fn kill_forked(number: u32) -> bool {
    // SAFETY: set before the handler is installed, and never freed.
    let mark = unsafe { MARK.load(Ordering::Acquire).as_ref() }.map_or(&[][..], Vec::as_slice);
    let Some(runtime) = Runtime::existing_unlocked() else { return false };
    let is_childs = |pid: i32| {
        children(runtime).any(|index| {
            let slot = slots::process_slot(runtime.arena(), index);
            slots::owner(slot).0 == pid && slot.zygote.load(Ordering::Acquire) == number
        })
    };
    let mut are_left = false;
    let is_told = orphans::each_child(&mut |pid| {
        if is_childs(pid) {
            are_left = true;
            return;
        }
        match orphans::maps(pid, mark) {
            Memory::HasFile => {
                let _ = signal::send_process(pid, libc::SIGKILL);
                are_left = true;
            }
            // Perhaps one of those.
            Memory::None => are_left = true,
            Memory::Others => {}
        }
    });
    are_left || !is_told
}
