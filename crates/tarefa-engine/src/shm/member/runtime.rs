//! A runtime, seen from one process: the arena, this process's slot, what it holds.

#[cfg(loom)]
pub mod model;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::{Once, OnceLock};

use super::slots;
use super::thread_slots;
use super::thread_slots::TooManyThreads;
use crate::atomic::{AtomicPtr, AtomicU32, Ordering};
use crate::os::{cgroup, machine, pidfd, pipe, process, procfs};
use crate::settings;
use crate::shm::arena::Arena;
use crate::shm::arena::layout;
use crate::shm::arena::layout::{Header, MAGIC, ProcessSlot, VERSION};
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;
use crate::shm::member::fork_safe_lock::{Local, LocalGuard};
use crate::shm::member::held::ProcessReferences;
use crate::shm::member::report_request;
use crate::shm::object::refcount;

/// Counts forks of this process's line: a changed number means "another process now".
static FORKS: AtomicU32 = AtomicU32::new(0);
/// Every runtime this process is a member of; the first is the default one.
static RUNTIMES: Local<Vec<&'static Runtime>> = Local::empty();

/// The first of them.
static FIRST: AtomicPtr<Runtime> = AtomicPtr::new(std::ptr::null_mut());

/// See the module. Lives as long as the process.
pub struct Runtime {
    arena: Arena,
    doorbell: OwnedFd,
    /// The doorbell's other end, in the root only.
    doorbell_reader: Option<OwnedFd>,
    /// A descriptor of the root process, where this process, or the one it was forked from, is
    /// another.
    root: OnceLock<OwnedFd>,
    spins: AtomicU32,
    here: AtomicPtr<Here>,
}

/// What changes when the process forks.
pub(super) struct Here {
    pub(super) forks: u32,
    pub(super) index: u32,
    root: bool,
    held: Local<ProcessReferences>,
    pub(super) idle_threads: Local<Vec<u32>>,
    /// ProcessReferences by the thread that is in the process's reserve slot.
    pub(super) reserve: Local<()>,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runtime({:x})", self.id())
    }
}

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
    /// The system refused.
    #[error("cannot join the runtime of process {0}: {1}")]
    System(i32, #[source] io::Error),
}

/// Where a runtime is found: what a handle carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The root process.
    pub root: i32,
    /// The root's descriptor of the memory.
    pub memory_fd: i32,
    /// A number of the runtime's own.
    pub id: u64,
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

    /// The runtime this process is a member of already.
    #[must_use]
    pub fn existing() -> Option<&'static Self> {
        RUNTIMES.lock().first().copied()
    }

    /// The same for signal handlers: takes no lock.
    #[must_use]
    pub fn existing_unlocked() -> Option<&'static Self> {
        // SAFETY: FIRST points at a runtime, which is never freed, or at nothing.
        unsafe { FIRST.load(Ordering::Acquire).as_ref() }
    }

    // crash: the process alone knows of the arena; it dies with it.
    fn create() -> io::Result<&'static Self> {
        watch_forks();
        let asked = settings::arena_max()?;
        let report_after = settings::report_after()?;
        let arena = Arena::create()?;
        let (heard, doorbell) = pipe::doorbell()?;
        let len = arena.len();
        let root = OnceLock::new();
        let runtime: &'static Self =
            Box::leak(Box::new(Self::new(arena, doorbell, Some(heard), root)));
        let h = runtime.header();
        let mut id = [0u8; 8];
        // SAFETY: eight writable bytes. Without randomness the address of a stack variable
        // and the time still tell runtimes of one machine apart.
        unsafe { libc::getrandom(id.as_mut_ptr().cast(), 8, 0) };
        h.version.store(VERSION, Ordering::Relaxed);
        h.fingerprint.store(layout::fingerprint(), Ordering::Relaxed);
        h.len.store(len, Ordering::Relaxed);
        h.runtime_id.store(u64::from_ne_bytes(id) | 1, Ordering::Relaxed);
        h.root_pid.store(process::pid() as u64, Ordering::Relaxed);
        h.root_start.store(procfs::start_time(process::pid()), Ordering::Relaxed);
        h.user.store(u64::from(process::user()), Ordering::Relaxed);
        h.memory_fd.store(runtime.arena.fd().as_raw_fd() as u64, Ordering::Relaxed);
        h.doorbell_fd.store(runtime.doorbell.as_raw_fd() as u64, Ordering::Relaxed);
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
        let joining = Joining::at(address)?;
        let joined = joining.runtime.join(false);
        joined.map_err(|e| AttachError::System(address.root, e))?;
        if let Err(e) = first(joining.runtime) {
            joining.leave();
            return Err(e);
        }
        Ok(joining.joined(&mut all))
    }

    /// The same, in a process slot that the root has taken for this process.
    ///
    /// # Errors
    /// See [`AttachError`].
    pub fn attach_in(address: Address, index: u32) -> Result<&'static Self, AttachError> {
        let mut all = RUNTIMES.lock();
        let joining = Joining::at(address)?;
        let slot = slots::process_slot(joining.runtime, index);
        if !slots::hatch(slot, address.root, process::pid()) {
            return Err(AttachError::Gone(address.root));
        }
        joining.runtime.join_as(index, false);
        Ok(joining.joined(&mut all))
    }

    /// This process is a member of it from now on.
    fn keep(&'static self, all: &mut Vec<&'static Self>) {
        all.push(self);
        let (null, this) = (std::ptr::null_mut(), std::ptr::from_ref(self).cast_mut());
        // not shared: a pointer of this process alone.
        let _ = FIRST.compare_exchange(null, this, Ordering::AcqRel, Ordering::Relaxed);
    }

    fn new(
        arena: Arena,
        doorbell: OwnedFd,
        doorbell_reader: Option<OwnedFd>,
        root: OnceLock<OwnedFd>,
    ) -> Self {
        let spins = AtomicU32::new(u32::from(machine::cpu_count() > 1));
        let here = AtomicPtr::new(std::ptr::null_mut());
        Self { arena, doorbell, doorbell_reader, root, spins, here }
    }

    /// Takes a process slot for this process.
    fn join(&'static self, root: bool) -> io::Result<()> {
        self.join_as(slots::take_process(self)?, root);
        Ok(())
    }

    fn join_as(&'static self, index: u32, root: bool) {
        let slot = slots::process_slot(self, index);
        if !root && process::parent() != self.root_pid() {
            slot.start_time.store(procfs::start_time(process::pid()), Ordering::Release);
            crash_point!("runtime.start_time");
        }
        let here = Here {
            forks: FORKS.load(Ordering::Acquire),
            index,
            root,
            held: Local::new(ProcessReferences::default()),
            idle_threads: Local::new(Vec::new()),
            reserve: Local::new(()),
        };
        // not shared: a pointer of this process alone.
        self.here.store(Box::into_raw(Box::new(here)), Ordering::Release);
        self.ring();
    }

    /// After a fork made by the engine: this process lives in the slot `index`, which its
    /// parent has taken for it.
    pub fn hatch(&'static self, index: u32) {
        // SAFETY: never freed.
        let old = unsafe { &*self.here.load(Ordering::Acquire) };
        let old_held = old.held.lock().all();
        self.join_as(index, false);
        let me = self.me();
        for (off, id, handles) in old_held {
            let _ = refcount::acquire_many(&me, off, id, handles);
        }
    }

    pub(super) fn here(&'static self) -> &'static Here {
        // SAFETY: set by `join` before the runtime is handed out; the old one is leaked, so
        // references to it stay good.
        let here = unsafe { &*self.here.load(Ordering::Acquire) };
        if here.forks == FORKS.load(Ordering::Acquire) { here } else { self.resettle(here) }
    }

    /// This process is a fork of a member: it becomes a member of its own.
    #[cold]
    fn resettle(&'static self, old: &'static Here) -> &'static Here {
        // One thread of the new process settles, the others find it done.
        let all = RUNTIMES.lock();
        // SAFETY: as in `here`.
        let now = unsafe { &*self.here.load(Ordering::Acquire) };
        if now.forks == FORKS.load(Ordering::Acquire) {
            return now;
        }
        let old_held = old.held.lock().all();
        if let (None, Ok(root)) = (self.root.get(), pidfd::open(self.root_pid())) {
            let _ = self.root.set(root);
        }
        if let Err(e) = self.join(false) {
            // No slot: nothing here could work, and there is nobody to tell.
            fork_is_no_member(&e);
        }
        // SAFETY: as in `here`.
        let here = unsafe { &*self.here.load(Ordering::Acquire) };
        drop(all);
        let me = self.me();
        for (off, id, handles) in old_held {
            if let Err(e) = refcount::acquire_many(&me, off, id, handles) {
                // Its handles would lead to what others free and use again.
                fork_is_no_member(&e);
            }
        }
        here
    }

    /// The calling thread's slot.
    ///
    /// # Errors
    /// [`TooManyThreads`]: there is none, and none is free.
    #[inline]
    pub fn try_me(&'static self) -> Result<Member, TooManyThreads> {
        match thread_slots::last_used(self, FORKS.load(Ordering::Relaxed)) {
            Some(me) => Ok(me),
            None => self.find_me(),
        }
    }

    /// The same for a thread that has one already, or whose caller has nobody to tell.
    ///
    /// # Panics
    /// With [`TooManyThreads`].
    #[must_use]
    #[inline]
    pub fn me(&'static self) -> Member {
        self.try_me().unwrap_or_else(|e| panic!("tarefa: {e}"))
    }

    /// What this process has, if it has not forked since `forks`.
    pub(super) fn here_if(&'static self, forks: u32) -> Option<&'static Here> {
        // SAFETY: set by `join` before the runtime is handed out, and never freed.
        let here = unsafe { &*self.here.load(Ordering::Acquire) };
        (forks == FORKS.load(Ordering::Acquire) && here.forks == forks).then_some(here)
    }

    /// The arena.
    #[must_use]
    pub fn arena(&'static self) -> &'static Arena {
        &self.arena
    }

    /// The arena's header.
    #[must_use]
    pub fn header(&'static self) -> &'static Header {
        self.arena.at(Off(0))
    }

    /// Tells runtimes apart.
    #[must_use]
    pub fn id(&self) -> u64 {
        // SAFETY: the header is inside the mapping, which is never undone.
        unsafe { (*arena_header(&self.arena)).runtime_id.load(Ordering::Relaxed) }
    }

    /// Where others find this runtime.
    #[must_use]
    pub fn address(&'static self) -> Address {
        let h = self.header();
        Address {
            root: self.root_pid(),
            memory_fd: h.memory_fd.load(Ordering::Relaxed) as i32,
            id: self.id(),
        }
    }

    /// The process that made the runtime.
    #[must_use]
    pub fn root_pid(&'static self) -> i32 {
        self.header().root_pid.load(Ordering::Relaxed) as i32
    }

    /// Whether this process is the root.
    #[must_use]
    pub fn is_root(&'static self) -> bool {
        self.here().root
    }

    /// Whether the root process lives.
    #[must_use]
    pub fn root_alive(&'static self) -> bool {
        let here = self.here();
        match self.root.get() {
            _ if here.root => true,
            Some(fd) => !pidfd::ended(fd.as_fd()),
            None => {
                procfs::alive(self.root_pid(), self.header().root_start.load(Ordering::Relaxed))
            }
        }
    }

    /// This process's slot number.
    #[must_use]
    pub fn process_index(&'static self) -> u32 {
        self.here().index
    }

    /// This process's slot.
    #[must_use]
    pub fn process_slot(&'static self) -> &'static ProcessSlot {
        slots::process_slot(self, self.here().index)
    }

    /// The slot in which this process was last a member, for signal handlers: takes no lock. In
    /// the child of a fork that has not used the runtime yet it is the parent's.
    #[must_use]
    pub fn slot_unlocked(&'static self) -> &'static ProcessSlot {
        // SAFETY: set before anybody knows of the runtime, and never freed.
        let index = unsafe { (*self.here.load(Ordering::Acquire)).index };
        slots::process_slot(self, index)
    }

    pub(in crate::shm) fn held(&'static self) -> LocalGuard<'static, ProcessReferences> {
        self.here().held.lock()
    }

    /// Wakes the supervisor.
    pub fn ring(&self) {
        pipe::ring(self.doorbell.as_fd());
    }

    /// The descriptor that [`Runtime::ring`] writes to.
    #[must_use]
    pub fn doorbell(&self) -> &OwnedFd {
        &self.doorbell
    }

    /// The descriptor on which the supervisor hears [`Runtime::ring`]; in the root only.
    #[must_use]
    pub fn doorbell_reader(&self) -> Option<&OwnedFd> {
        self.doorbell_reader.as_ref()
    }

    /// `count`, or 0 where spinning cannot help because there is one processor only.
    #[must_use]
    pub fn spins(&self, count: u32) -> u32 {
        count * self.spins.load(Ordering::Relaxed)
    }
}

/// A runtime that this process is about to join. Dropped before [`Joining::joined`], nothing of it
/// is left: no mapping, no descriptor.
struct Joining {
    runtime: &'static Runtime,
    /// The same, as it was allocated.
    made: NonNull<Runtime>,
}

impl Joining {
    /// Opens and maps it, and looks whether it is what the address says.
    fn at(address: Address) -> Result<Self, AttachError> {
        watch_forks();
        let pid = address.root;
        let system = |e: io::Error| match e.raw_os_error() {
            Some(libc::ENOENT | libc::ESRCH) => AttachError::Gone(pid),
            _ => AttachError::System(pid, e),
        };
        let open = |fd: i32| {
            let path = format!("/proc/{pid}/fd/{fd}");
            let mut options = std::fs::OpenOptions::new();
            options.read(true).write(true).open(path).map(OwnedFd::from)
        };
        let denied = |e: io::Error| match (e.raw_os_error(), owner_of(pid)) {
            (Some(libc::EACCES | libc::EPERM), Some(owner)) => {
                AttachError::OtherUser { pid, owner, user: process::user() }
            }
            _ => system(e),
        };
        // The descriptor first, then the identity: so the pid is the one looked at.
        let root = pidfd::open(pid).map_err(system)?;
        let arena = Arena::open(open(address.memory_fd).map_err(denied)?).map_err(system)?;
        if arena.len() < layout::PROCESSES_AT {
            return Err(AttachError::Gone(pid));
        }
        let doorbell_fd;
        {
            // SAFETY: the header is inside the mapping, which lasts until `arena` is dropped.
            let h: &Header = unsafe { &*arena_header(&arena) };
            if h.magic.load(Ordering::Acquire) != MAGIC
                || h.runtime_id.load(Ordering::Relaxed) != address.id
            {
                return Err(AttachError::Gone(pid));
            }
            if h.fingerprint.load(Ordering::Relaxed) != layout::fingerprint() {
                return Err(AttachError::OtherVersion(pid));
            }
            let owner = h.user.load(Ordering::Relaxed) as u32;
            if owner != process::user() {
                return Err(AttachError::OtherUser { pid, owner, user: process::user() });
            }
            if pidfd::ended(root.as_fd())
                || h.root_start.load(Ordering::Relaxed) != procfs::start_time(pid)
            {
                return Err(AttachError::Gone(pid));
            }
            doorbell_fd = h.doorbell_fd.load(Ordering::Relaxed) as i32;
        }
        let path = format!("/proc/{pid}/fd/{doorbell_fd}");
        let mut options = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
        let doorbell = OwnedFd::from(options.write(true).open(path).map_err(system)?);
        let made = Box::new(Runtime::new(arena, doorbell, None, OnceLock::from(root)));
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

    /// The process has joined it, and is no member after all.
    fn leave(self) {
        let runtime = self.runtime;
        thread_slots::forget(runtime);
        slots::leave_process(runtime, runtime.here().index);
        runtime.ring();
        // SAFETY: made by `join_as`, and nobody but this thread has used the runtime.
        drop(unsafe { Box::from_raw(runtime.here.load(Ordering::Acquire)) });
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        // SAFETY: made by `at`; `joined` forgets this, so nobody else has the runtime.
        drop(unsafe { Box::from_raw(self.made.as_ptr()) });
    }
}

/// The fork of a member cannot be one itself, so nothing that it has of the runtime could work.
fn fork_is_no_member(why: &dyn fmt::Display) -> ! {
    eprintln!(
        "tarefa: process {} cannot use the runtime it was forked with: {why}",
        process::pid()
    );
    process::exit_now(70);
}

fn arena_header(arena: &Arena) -> *const Header {
    arena.start().cast()
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

fn watch_forks() {
    static ONCE: Once = Once::new();
    if cfg!(miri) {
        return;
    }
    ONCE.call_once(|| {
        // SAFETY: the handlers take process-local locks in a fixed order and release them.
        unsafe {
            libc::pthread_atfork(Some(before_fork), Some(parent_of_fork), Some(child_of_fork_c))
        };
    });
}

/// Nobody may be inside the process-local tables when they are copied.
extern "C" fn before_fork() {
    let all = RUNTIMES.lock();
    for runtime in all.iter() {
        // SAFETY: never freed.
        let here = unsafe { &*runtime.here.load(Ordering::Acquire) };
        std::mem::forget(here.held.lock());
        std::mem::forget(here.idle_threads.lock());
    }
    std::mem::forget(all);
}

extern "C" fn parent_of_fork() {
    unlock_tables();
}

extern "C" fn child_of_fork_c() {
    unlock_tables();
    forget_bells();
    child_of_fork();
}

fn unlock_tables() {
    // SAFETY: `before_fork` locked it in this very thread; only this thread runs here.
    for runtime in unsafe { RUNTIMES.get_unlocked() } {
        // SAFETY: never freed.
        let here = unsafe { &*runtime.here.load(Ordering::Acquire) };
        here.held.unlock();
        here.idle_threads.unlock();
    }
    RUNTIMES.unlock();
}

/// The end of the doorbell's pipe that hears is the root's alone: by its closing others notice the
/// root's end.
fn forget_bells() {
    // SAFETY: as in `unlock_tables`; runtimes are never dropped, so the number is closed once.
    for runtime in unsafe { RUNTIMES.get_unlocked() } {
        // SAFETY: never freed.
        let here = unsafe { &*runtime.here.load(Ordering::Acquire) };
        if let (Some(heard), true) =
            (&runtime.doorbell_reader, here.root && here.forks == FORKS.load(Ordering::Acquire))
        {
            pipe::close(heard.as_raw_fd());
        }
    }
}

fn child_of_fork() {
    // not shared: a counter of this process alone.
    FORKS.fetch_add(1, Ordering::AcqRel);
    thread_slots::forget_last_used();
}
