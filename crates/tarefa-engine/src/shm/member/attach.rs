//! Making a runtime, and joining another process's.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr::NonNull;

use super::runtime::{
    Address, FIRST, RUNTIMES, Readers, Root, Runtime, arena_header, is_root, own_root_word,
    pid_of_root,
};
use super::{fork, report_request, slots, thread_slots};
use crate::atomic::{AtomicU64, Ordering};
use crate::os::{cgroup, high_fd, machine, memfd, pidfd, pipe, process, procfs};
use crate::settings;
use crate::shm::arena::Arena;
use crate::shm::arena::layout;
use crate::shm::arena::layout::{Header, MAGIC, VERSION};

/// Why a runtime cannot be joined.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Its root process has ended.
    #[error("the runtime of process {0} is gone: its root process has ended")]
    Gone(i32),
    /// It belongs to another user.
    #[error("the runtime of process {pid} belongs to user {owner}, not to user {user}")]
    OtherUser {
        /// The root process.
        pid: i32,
        /// Whose it is.
        owner: u32,
        /// Who asked.
        user: u32,
    },
    /// It was made by another version of tarefa.
    #[error("the runtime of process {0} was made by another version of tarefa: use one version")]
    OtherVersion(i32),
    /// There is no `/proc`, by which a process reaches the descriptors of another.
    #[error(
        "cannot join the runtime of process {0}: /proc is not mounted, and that is the way there"
    )]
    NoProc(i32),
    /// The root does not let others look at it.
    #[error(
        "cannot join the runtime of process {0}: it has changed its user, or has said by \
         PR_SET_DUMPABLE that nobody may look at it, and so at the shared memory"
    )]
    Hidden(i32),
    /// The system refused.
    #[error("cannot join the runtime of process {0}: {1}")]
    System(i32, #[source] io::Error),
}

impl Runtime {
    /// The runtime this process makes its objects in; made now if there is none.
    ///
    /// # Errors
    /// What the system answered: no descriptors, no address space.
    #[allow(clippy::should_implement_trait)]
    pub fn default() -> io::Result<&'static Self> {
        if let Some(first) = Self::existing() {
            return Ok(first);
        }
        let mut all = RUNTIMES.lock();
        if let Some(first) = all.first() {
            return Ok(first);
        }
        let made = Self::create()?;
        made.keep(&mut all);
        Ok(made)
    }

    // crash: the process alone knows of the arena; it dies with it.
    pub(in crate::shm) fn create() -> io::Result<&'static Self> {
        fork::watch();
        let asked = settings::arena_max()?;
        let report_after = settings::report_after()?;
        let root = own_root_word()?;
        let arena = Arena::create()?;
        let (heard, doorbell) = pipe::doorbell()?;
        let (held, lifeline) = pipe::lifeline()?;
        let (len, lifeline_fd) = (arena.len(), lifeline.as_raw_fd());
        let made = Self::new(arena, doorbell, Some(lifeline), None);
        let runtime: &'static Self = Box::leak(Box::new(made));
        runtime.keep_readers(Readers { doorbell: heard, lifeline: held });
        let h = runtime.header();
        let mut id = [0u8; 8];
        // SAFETY: eight writable bytes. Without randomness the address of a stack variable
        // and the time still tell runtimes of one machine apart.
        unsafe { libc::getrandom(id.as_mut_ptr().cast(), 8, 0) };
        h.version.store(VERSION, Ordering::Relaxed);
        h.fingerprint.store(layout::fingerprint(), Ordering::Relaxed);
        h.len.store(len, Ordering::Relaxed);
        h.runtime_id.store(u64::from_ne_bytes(id) | 1, Ordering::Relaxed);
        h.root.store(root, Ordering::Relaxed);
        h.user.store(u64::from(process::user()), Ordering::Relaxed);
        h.memory_fd.store(runtime.arena.fd().as_raw_fd() as u64, Ordering::Relaxed);
        h.doorbell_fd.store(runtime.doorbell.as_raw_fd() as u64, Ordering::Relaxed);
        h.lifeline_fd.store(lifeline_fd as u64, Ordering::Relaxed);
        h.limit.store(limit(len, asked), Ordering::Relaxed);
        h.magic.store(MAGIC, Ordering::Release);
        runtime.join(true)?;
        report_request::set_report_after(&runtime.me(), report_after);
        report_request::listen();
        Ok(runtime)
    }

    /// The runtime at `address`, joined now if this process is not a member yet.
    ///
    /// # Errors
    /// See [`AttachError`]; nothing of the runtime is left in this process then.
    pub fn attach(address: Address) -> Result<&'static Self, AttachError> {
        Self::attach_for(address, |_| Ok(()))
    }

    /// The same, for the sake of what `first` does with it. If that fails in a runtime that this
    /// process joins for it, the process is not a member afterwards: what `first` has borrowed of
    /// the runtime must not outlive it then.
    ///
    /// # Errors
    /// [`AttachError`], and those of `first`.
    pub(in crate::shm) fn attach_for<E: From<AttachError>>(
        address: Address,
        first: impl FnOnce(&'static Self) -> Result<(), E>,
    ) -> Result<&'static Self, E> {
        let mut all = RUNTIMES.lock();
        if let Some(known) = all.iter().find(|r| r.id() == address.id).copied() {
            drop(all);
            return first(known).map(|()| known);
        }
        let joining = Joining::at(address, false)?;
        let joined = joining.runtime.join(false);
        joined.map_err(|e| AttachError::System(address.root, e))?;
        first(joining.runtime)?;
        Ok(joining.joined(&mut all))
    }

    /// The same, in a process slot that the root has taken for this process, which ends with it, and
    /// which it has executed with its descriptors of the runtime.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub fn attach_in(address: Address, index: u32) -> Result<&'static Self, AttachError> {
        let mut all = RUNTIMES.lock();
        let joining = Joining::at(address, true)?;
        let slot = slots::process_slot(joining.runtime.arena(), index);
        if !slots::hatch(slot, address.root, process::pid()) {
            return Err(AttachError::Gone(address.root));
        }
        joining.runtime.join_as(index, false, false);
        Ok(joining.joined(&mut all))
    }

    /// This process is a member of it from now on.
    fn keep(&'static self, all: &mut Vec<&'static Self>) {
        all.push(self);
        let (null, this) = (std::ptr::null_mut(), std::ptr::from_ref(self).cast_mut());
        // not shared: a pointer of this process alone.
        let _ = FIRST.compare_exchange(null, this, Ordering::AcqRel, Ordering::Relaxed);
    }
}

/// A runtime that this process is about to join. Dropped before [`Joining::joined`], also by a panic,
/// nothing of it is left: no mapping, no descriptor, and no place among the members.
struct Joining {
    runtime: &'static Runtime,
    /// The same, as it was allocated.
    made: NonNull<Runtime>,
}

impl Joining {
    /// Opens and maps it, and looks whether it is what the address says; with its lifeline for who
    /// `ends_with_root`, and may have inherited its descriptors.
    fn at(address: Address, ends_with_root: bool) -> Result<Self, AttachError> {
        fork::watch();
        let pid = address.root;
        let system = |e: io::Error| match e.raw_os_error() {
            Some(libc::ENOENT) if !procfs::is_there() => AttachError::NoProc(pid),
            Some(libc::ENOENT | libc::ESRCH) => AttachError::Gone(pid),
            _ => AttachError::System(pid, e),
        };
        let open = |fd: i32| {
            let path = format!("/proc/{pid}/fd/{fd}");
            let mut options = std::fs::OpenOptions::new();
            options.read(true).write(true).open(path).map(OwnedFd::from).and_then(high_fd::moved_up)
        };
        let denied = |e: io::Error| match (e.raw_os_error(), owner_of(pid)) {
            (Some(libc::EACCES | libc::EPERM), Some(owner)) => {
                let user = process::user();
                // The folder of one that nobody may look at belongs to the system's root.
                let is_ours = procfs::status_number(pid, pid, "Uid") == Some(u64::from(user));
                if owner == user || is_ours {
                    AttachError::Hidden(pid)
                } else {
                    AttachError::OtherUser { pid, owner, user }
                }
            }
            _ => system(e),
        };
        // The descriptor first, then the identity: so the pid is the one looked at.
        let root = pidfd::open_kept(pid).map_err(system)?;
        let inherited = if ends_with_root { inherited_arena(address) } else { None };
        let is_inherited = inherited.is_some();
        let arena = match inherited {
            Some(arena) => arena,
            None => Arena::open(open(address.memory_fd).map_err(denied)?).map_err(system)?,
        };
        if arena.len() < layout::PROCESSES_AT {
            return Err(AttachError::Gone(pid));
        }
        // SAFETY: the header is inside the mapping, which lasts until `arena` is dropped.
        let header: &Header = unsafe { &*arena_header(&arena) };
        is_runtime_of(header, address, &root, is_inherited)?;
        let pipe = |fd: &AtomicU64| {
            let fd = fd.load(Ordering::Relaxed) as i32;
            if let Some(own) = is_inherited.then(|| memfd::take_inherited(fd)).flatten() {
                return Ok(own);
            }
            let path = format!("/proc/{pid}/fd/{fd}");
            let mut options = std::fs::OpenOptions::new();
            std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
            let opened = options.write(true).open(path).map(OwnedFd::from);
            opened.and_then(high_fd::moved_up).map_err(system)
        };
        let doorbell = pipe(&header.doorbell_fd)?;
        let lifeline = ends_with_root.then(|| pipe(&header.lifeline_fd)).transpose()?;
        let word = header.root.load(Ordering::Acquire);
        let root = Some(Root { word, fd: Some(root) });
        let made = Box::new(Runtime::new(arena, doorbell, lifeline, root));
        let made = NonNull::from(Box::leak(made));
        // SAFETY: allocated just now, and freed by the drop of this alone; until then it is lent
        // only to who promises not to keep it (`Runtime::attach_for`).
        Ok(Self { runtime: unsafe { made.as_ref() }, made })
    }

    /// It is the process's from now on.
    fn joined(self, all: &mut Vec<&'static Runtime>) -> &'static Runtime {
        let runtime = self.runtime;
        std::mem::forget(self);
        runtime.keep(all);
        report_request::listen();
        runtime
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        let here = self.runtime.here.load(Ordering::Acquire);
        if !here.is_null() {
            // The process has taken a slot, and is no member after all.
            thread_slots::forget(self.runtime);
            // SAFETY: made by `join_as`, and nobody but this thread has used the runtime.
            let here = unsafe { Box::from_raw(here) };
            slots::leave_process(self.runtime.arena(), here.index);
            self.runtime.ring();
        }
        // SAFETY: made by `at`; `joined` forgets this, so nobody else has the runtime, nor what it
        // knows of the root.
        unsafe {
            let made = Box::from_raw(self.made.as_ptr());
            drop(Box::from_raw(made.root.load(Ordering::Acquire)));
        }
    }
}

/// The arena behind the descriptor that the root has left open, if that is what it says.
fn inherited_arena(address: Address) -> Option<Arena> {
    let fd = memfd::take_inherited(address.memory_fd)?;
    let own = high_fd::moved_up(fd.try_clone().ok()?).ok()?;
    let same = Arena::open(own).ok().filter(|arena| {
        // SAFETY: a mapping of a whole arena, if it is one, begins with a header.
        let h: &Header = unsafe { &*arena_header(arena) };
        arena.len() >= layout::PROCESSES_AT
            && h.magic.load(Ordering::Acquire) == MAGIC
            && h.runtime_id.load(Ordering::Relaxed) == address.id
    });
    if same.is_none() {
        // Somebody else's.
        std::mem::forget(fd);
    }
    same
}

/// Whether the arena with that header is the runtime at `address`, of this version and this user, and
/// its root lives. Who has inherited it is the root's child, which may be another user by now.
fn is_runtime_of(
    h: &Header,
    address: Address,
    root: &OwnedFd,
    is_inherited: bool,
) -> Result<(), AttachError> {
    let pid = address.root;
    if h.magic.load(Ordering::Acquire) != MAGIC
        || h.runtime_id.load(Ordering::Relaxed) != address.id
    {
        return Err(AttachError::Gone(pid));
    }
    if h.fingerprint.load(Ordering::Relaxed) != layout::fingerprint() {
        return Err(AttachError::OtherVersion(pid));
    }
    let owner = h.user.load(Ordering::Relaxed) as u32;
    if owner != process::user() && !is_inherited {
        return Err(AttachError::OtherUser { pid, owner, user: process::user() });
    }
    let word = h.root.load(Ordering::Acquire);
    if pidfd::ended(root.as_fd()) || pid_of_root(word) != pid {
        return Err(AttachError::Gone(pid));
    }
    if is_inherited || is_root(word).map_err(|e| AttachError::System(pid, e))? {
        return Ok(());
    }
    Err(AttachError::Gone(pid))
}

/// Who owns process `pid`.
fn owner_of(pid: i32) -> Option<u32> {
    let metadata = std::fs::metadata(format!("/proc/{pid}")).ok()?;
    Some(std::os::unix::fs::MetadataExt::uid(&metadata))
}

/// Bytes that may be claimed: what was asked for, the cgroup's limit, or 9/10 of the memory.
fn limit(len: u64, asked: Option<u64>) -> u64 {
    let machine = machine::physical_memory().min(cgroup::memory().unwrap_or(u64::MAX));
    asked.unwrap_or(machine / 10 * 9).min(machine).min(len / 2)
}
