//! The end of the root: everything ends, and nothing is left for the system to collect.
//!
//! The kernel sends the zygote a signal when the root ends, and its children one when the
//! zygote ends. The zygote kills its children, collects them, so that not even their process
//! numbers stay in use, and ends. A child whose zygote has ended goes on if the root lives: it
//! asks for a signal when the bell's pipe has no reader any more, which is the root, and the
//! next zygote watches it too.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering};
use crate::os::{child, pidfd, pipe, process, signal};
use crate::shm::Runtime;
use crate::shm::arena::layout::process_state;
use crate::shm::member::slots;
use crate::task::process::zygote_control::Control;
use crate::task::role;

/// In the zygote: its number in the sequence of zygotes. 0 in children.
static ZYGOTE: AtomicU32 = AtomicU32::new(0);
/// In the zygote, for the handler of SIGCHLD.
static CONTROL: AtomicPtr<Control> = AtomicPtr::new(std::ptr::null_mut());
/// A descriptor of the root.
static ROOT: AtomicI32 = AtomicI32::new(-1);
/// In a child whose zygote has ended: its own descriptor of the bell.
static DOORBELL: AtomicI32 = AtomicI32::new(-1);
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
            pidfd::open(slots::owner(slots::process_slot(runtime.arena(), index)).0).ok()
        })
        .collect();
    INHERITED.store(Box::into_raw(Box::new(orphans)), Ordering::Release);
    if let Ok(root) = pidfd::open(runtime.root_pid()) {
        ROOT.store(root.as_raw_fd(), Ordering::Release);
        std::mem::forget(root);
    }
    CONTROL.store(std::ptr::from_ref(control).cast_mut(), Ordering::Release);
    ZYGOTE.store(number, Ordering::Release);
    // SAFETY: both handlers make system calls and touch atomics only.
    unsafe {
        let _ = signal::handle(signal::root_exit_signal(), parent_ended, true);
        let _ = signal::handle(libc::SIGCHLD, child_ended, false);
    }
    process::signal_with_parent(signal::root_exit_signal());
}

/// In a child, right after its fork from the process `zygote`.
pub(in crate::task) fn watch_in_child(zygote: i32) {
    // not shared: a number of this process alone.
    ZYGOTE.store(0, Ordering::Release);
    signal::default(libc::SIGCHLD);
    process::signal_with_parent(signal::root_exit_signal());
    if process::parent() != zygote {
        parent_ended(0);
    }
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

/// In a child: its zygote has ended, or the bell's pipe has changed.
fn orphaned() {
    // Nobody signals a child for the root's end now.
    if DOORBELL.load(Ordering::Acquire) < 0 {
        let runtime = Runtime::existing_unlocked();
        let own = runtime.and_then(|r| {
            pipe::signal_when_reader_closes(r.doorbell().as_fd(), signal::root_exit_signal())
        });
        if let Some(own) = own {
            // not shared: a number of this process alone.
            DOORBELL.store(own.as_raw_fd(), Ordering::Release);
        }
    }
    let (root, bell) = (ROOT.load(Ordering::Acquire), DOORBELL.load(Ordering::Acquire));
    // SAFETY: both are opened by this module and never closed. A process that ends closes its
    // pipes, and only then counts as ended: the signal may come in between.
    let over = unsafe {
        root < 0
            || pidfd::ended(BorrowedFd::borrow_raw(root))
            || bell >= 0 && pipe::is_reader_closed(BorrowedFd::borrow_raw(bell))
    };
    if over {
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
        if !child::reap_ended() {
            break;
        }
        process::nap();
    }
    process::exit_now(0);
}
