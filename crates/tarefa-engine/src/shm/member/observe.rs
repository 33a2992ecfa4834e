//! Looking at a runtime without being a member of it.
//!
//! - An observer maps the arena for reading only. It has no slot, no descriptor of the doorbell, and
//!   nobody in the program knows of it: nothing waits for it, and whatever ends it leaves nothing. A
//!   store into the mapping would end the observer, not change the program.
//! - It is found by any process of the program: the memory file is among its descriptors. `/proc`
//!   shows those to who may look at the process: the same user, no ptrace, no rights of the system's
//!   root.
//! - What is read may change meanwhile, as for all who look without a latch: offsets are checked
//!   before they are followed.
//!
//! ```text
//!   observer                      program
//!   /proc/PID/fd  ── readlink ──▶ "/memfd:tarefa (deleted)"
//!   open, mmap(PROT_READ)   ────▶ the same pages
//!   header: magic, layout, user, root
//! ```

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::ptr::NonNull;

use super::Member;
use super::runtime::{Here, Root, Runtime, arena_header, pid_of_root};
use crate::atomic::{AtomicBool, Ordering};
use crate::os::{process, procfs};
use crate::shm::arena::Arena;
use crate::shm::arena::layout::{Header, MAGIC, PID_BITS, PROCESSES_AT, ThreadSlot, fingerprint};
use crate::shm::member::fork_safe_lock::Local;
use crate::shm::member::held::ProcessReferences;
use crate::shm::member::slots;

/// Why a program cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// There is no such process.
    #[error("there is no process {0}")]
    NoProcess(i32),
    /// It is no member of a program that uses shared objects or tasks.
    #[error("process {0} has no shared memory of tarefa")]
    NoProgram(i32),
    /// It belongs to another user.
    #[error("process {pid} belongs to user {owner}, not to user {user}")]
    OtherUser {
        /// The process.
        pid: i32,
        /// Whose it is.
        owner: u32,
        /// Who asked.
        user: u32,
    },
    /// Its layout of memory is another one.
    #[error("process {0} uses another version of tarefa: use the command of that version")]
    OtherVersion(i32),
    /// It does not let others look at it.
    #[error(
        "process {0} may not be looked at: it has changed its user, or has said so by \
         PR_SET_DUMPABLE"
    )]
    Hidden(i32),
    /// The system refused.
    #[error("process {0} cannot be looked at: {1}")]
    System(i32, #[source] io::Error),
}

/// A runtime that is looked at. What is borrowed of it, by [`Observer::member`], must not outlive
/// it.
#[derive(Debug)]
pub(crate) struct Observer {
    runtime: NonNull<Runtime>,
    slot: NonNull<ThreadSlot>,
}

impl Observer {
    /// The runtime that process `pid` is a member of; of several the one whose root it is.
    pub(crate) fn open(pid: i32) -> Result<Self, ObserveError> {
        let user = process::user();
        let Some(owner) = owner_of(pid) else { return Err(ObserveError::NoProcess(pid)) };
        let is_ours = procfs::status_number(pid, pid, "Uid") == Some(u64::from(user));
        if owner != user && !is_ours {
            return Err(ObserveError::OtherUser { pid, owner, user });
        }
        let refused = |e: io::Error| match e.raw_os_error() {
            Some(libc::EACCES | libc::EPERM) => ObserveError::Hidden(pid),
            Some(libc::ENOENT | libc::ESRCH) => ObserveError::NoProcess(pid),
            _ => ObserveError::System(pid, e),
        };
        let (mut seen, mut best) = (HashSet::new(), None);
        for fd in procfs::descriptors_of(pid, Arena::FILE).map_err(refused)? {
            let Some(file) = procfs::file(pid, fd) else { continue };
            if !seen.insert(file) {
                continue;
            }
            let opened = std::fs::File::open(format!("/proc/{pid}/fd/{fd}")).map_err(refused)?;
            let found = Self::map(pid, opened.into())?;
            if found.root() == pid {
                return Ok(found);
            }
            best.get_or_insert(found);
        }
        best.ok_or(ObserveError::NoProgram(pid))
    }

    fn map(pid: i32, fd: OwnedFd) -> Result<Self, ObserveError> {
        let system = |e| ObserveError::System(pid, e);
        let arena = Arena::open_to_read(fd).map_err(system)?;
        if arena.len() < PROCESSES_AT {
            return Err(ObserveError::NoProgram(pid));
        }
        // SAFETY: the header is inside the mapping, which lasts until `arena` is dropped.
        let header: &Header = unsafe { &*arena_header(&arena) };
        if header.magic.load(Ordering::Acquire) != MAGIC {
            return Err(ObserveError::NoProgram(pid));
        }
        if header.fingerprint.load(Ordering::Relaxed) != fingerprint() {
            return Err(ObserveError::OtherVersion(pid));
        }
        let (owner, user) = (header.user.load(Ordering::Relaxed) as u32, process::user());
        if owner != user {
            return Err(ObserveError::OtherUser { pid, owner, user });
        }
        let word = header.root.load(Ordering::Acquire);
        // Whoever rings it by mistake is heard by nobody.
        let null = std::fs::OpenOptions::new().write(true).open("/dev/null").map_err(system)?;
        let runtime = Runtime::new(arena, null.into(), None, Some(Root::noted(word)));
        let here = Here {
            forks: super::runtime::FORKS.load(Ordering::Acquire),
            index: slots::NOBODY,
            root: AtomicBool::new(false),
            forked: false,
            held: Local::new(ProcessReferences::default()),
            idle_threads: Local::new(Vec::new()),
            reserve: Local::new(()),
        };
        // not shared: a pointer of this process alone.
        runtime.here.store(Box::into_raw(Box::new(here)), Ordering::Release);
        // SAFETY: it is made of atomics, for which zeroes are a value.
        let slot: ThreadSlot = unsafe { std::mem::zeroed() };
        let slot = NonNull::from(Box::leak(Box::new(slot)));
        Ok(Self { runtime: NonNull::from(Box::leak(Box::new(runtime))), slot })
    }

    /// For functions that only read. It is of no process and of no thread of the runtime.
    pub(crate) fn member(&self) -> Member {
        // SAFETY: allocated by `map` and freed by the drop alone, until when this is borrowed.
        unsafe { Member::new(self.runtime.as_ref(), self.slot.as_ref()) }
    }

    /// The root process.
    pub(crate) fn root(&self) -> i32 {
        pid_of_root(self.member().header().root.load(Ordering::Acquire))
    }

    /// Whether the root process lives.
    pub(crate) fn root_lives(&self) -> bool {
        let word = self.member().header().root.load(Ordering::Acquire);
        match (pid_of_root(word), word >> PID_BITS) {
            (pid, 0) => process::exists(pid),
            (pid, started) => procfs::alive(pid, started),
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        // SAFETY: all three were allocated by `map`, and nobody has them any more.
        unsafe {
            let runtime = Box::from_raw(self.runtime.as_ptr());
            drop(Box::from_raw(runtime.here.load(Ordering::Acquire)));
            drop(Box::from_raw(runtime.root.load(Ordering::Acquire)));
            drop(Box::from_raw(self.slot.as_ptr()));
        }
    }
}

/// Processes of this user that have memory of a runtime, by that memory.
pub(crate) fn members() -> Vec<Vec<i32>> {
    let user = process::user();
    let mut found: Vec<((u64, u64, u64), Vec<i32>)> = Vec::new();
    for pid in procfs::all() {
        if owner_of(pid) != Some(user) {
            continue;
        }
        let mut files: Vec<_> = procfs::descriptors_of(pid, Arena::FILE)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|fd| procfs::file(pid, fd))
            .collect();
        files.sort_unstable();
        files.dedup();
        for file in files {
            match found.iter_mut().find(|(known, _)| *known == file) {
                Some((_, pids)) => pids.push(pid),
                None => found.push((file, vec![pid])),
            }
        }
    }
    found.into_iter().map(|(_, pids)| pids).collect()
}

fn owner_of(pid: i32) -> Option<u32> {
    std::fs::metadata(format!("/proc/{pid}")).map(|folder| folder.uid()).ok()
}
