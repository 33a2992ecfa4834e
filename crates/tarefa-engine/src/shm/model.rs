//! Members of a model: each is a process of its own, with one thread.
//!
//! A model has one arena, made as always, and for each member a runtime that reaches the same
//! memory from another process's slot. What a process keeps in its own memory, its table of what
//! it refers to and holds, begins anew with each execution.

use std::os::fd::AsFd;

use super::member::runtime::{FORKS, Here, Runtime};
use crate::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering, model};
use crate::shm::member::Member;
use crate::shm::member::fork_safe_lock::Local;
use crate::shm::member::held::ProcessReferences;
use crate::shm::member::slots;
use crate::shm::recovery;

/// A runtime for models that the calling thread of the system checks, and which are about its
/// memory from now on; the caller is its root.
///
/// # Panics
/// When the system refuses.
#[must_use]
pub fn root() -> Member {
    let runtime = Runtime::create().expect("a runtime");
    // not shared: one of this process alone.
    runtime.spins.store(0, Ordering::Relaxed);
    model::set_arena(runtime.arena.start(), runtime.arena.len());
    runtime.me()
}

/// Another process, and its thread.
///
/// # Panics
/// When the system refuses.
#[must_use]
pub fn member(root: &Member) -> Member {
    let of = root.runtime();
    let doorbell = of.doorbell.as_fd().try_clone_to_owned().expect("a descriptor");
    let runtime: &'static Runtime = Box::leak(Box::new(Runtime {
        arena: of.arena.twin().expect("a descriptor"),
        doorbell,
        lifeline: None,
        readers: AtomicPtr::new(std::ptr::null_mut()),
        root: AtomicPtr::new(std::ptr::null_mut()),
        spins: AtomicU32::new(0),
        here: AtomicPtr::new(std::ptr::null_mut()),
    }));
    let process = slots::take_process(runtime.arena()).expect("a slot");
    begin_in(runtime, process);
    let index = slots::take_thread(runtime.arena(), process).expect("a slot");
    slots::enter_thread(runtime.arena(), process, index);
    Member::new(runtime, slots::thread_slot(runtime.arena(), index))
}

/// The member's process has nothing in its own memory: for the start of an execution.
pub fn begin(member: &Member) {
    begin_in(member.runtime(), member.runtime().process_index());
}

fn begin_in(runtime: &'static Runtime, index: u32) {
    let here = Here {
        forks: FORKS.load(Ordering::Acquire),
        index,
        root: AtomicBool::new(false),
        forked: false,
        held: Local::new(ProcessReferences::default()),
        idle_threads: Local::new(Vec::new()),
        reserve: Local::new(()),
    };
    // not shared: a pointer of this process alone.
    let before = runtime.here.swap(Box::into_raw(Box::new(here)), Ordering::AcqRel);
    if !before.is_null() {
        // SAFETY: made by this function, and nobody looks at it between two executions.
        drop(unsafe { Box::from_raw(before) });
    }
}

/// What the supervisor does when `dead` has died, by `survivor`.
pub fn bury(survivor: &Member, dead: &Member) {
    let process = dead.runtime().process_index();
    assert!(recovery::mark_dead(survivor, process), "it lived");
    recovery::clean_up(survivor, process);
    recovery::forget(survivor, process);
}
