//! A runtime, seen from one process: the arena, this process's slot, what it holds.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::OnceLock;

use super::fork_safe_lock::{Local, LocalGuard};
use super::held::{Inherited, ProcessReferences};
use super::slots;
use crate::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use crate::os::{high_fd, machine, pidfd, pipe, process, procfs};
use crate::shm::arena::Arena;
use crate::shm::arena::layout::{Header, PID_BITS, ProcessSlot};

/// Counts forks of this process's line: a changed number means "another process now".
pub(in crate::shm) static FORKS: AtomicU32 = AtomicU32::new(0);

/// How often this process's line has forked since it is a member: for what a front keeps that is a
/// thread's, and is left behind in the child of a fork.
#[must_use]
#[inline]
pub fn forks() -> u32 {
    FORKS.load(Ordering::Acquire)
}

/// Every runtime this process is a member of; the first is the default one.
pub(super) static RUNTIMES: Local<Vec<&'static Runtime>> = Local::empty();

/// The first of them.
pub(super) static FIRST: AtomicPtr<Runtime> = AtomicPtr::new(std::ptr::null_mut());

/// See the module. Lives as long as the process.
pub struct Runtime {
    pub(in crate::shm) arena: Arena,
    pub(in crate::shm) doorbell: OwnedFd,
    /// The write end of a pipe whose read end the root alone has, and nobody writes to: see
    /// `task::zygote::root_exit`. In the root and in those that end with it.
    pub(in crate::shm) lifeline: Option<OwnedFd>,
    /// The other ends of both, in the root only.
    pub(in crate::shm) readers: AtomicPtr<Readers>,
    /// The root process that this process, or the one it was forked from, knows of, where that is
    /// another.
    pub(in crate::shm) root: AtomicPtr<Root>,
    pub(in crate::shm) spins: AtomicU32,
    pub(in crate::shm) here: AtomicPtr<Here>,
}

/// What the root alone has of the pipes that members share with it.
pub(in crate::shm) struct Readers {
    pub(super) doorbell: OwnedFd,
    pub(super) lifeline: OwnedFd,
}

/// A root process, as another has it.
pub(in crate::shm) struct Root {
    /// [`Header::root`].
    pub(super) word: u64,
    pub(super) fd: Option<OwnedFd>,
}

impl Root {
    /// The one that the header names, without a descriptor to look with.
    pub(super) fn noted(word: u64) -> Self {
        Self { word, fd: None }
    }
}

/// [`Header::root`] of this process. Where the system does not say when it started, which it would not
/// say of others either, it is known by its number alone.
pub(super) fn own_root_word() -> io::Result<u64> {
    let pid = process::pid();
    let started = match procfs::try_start_time(pid) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => 0,
        started => started?,
    };
    Ok(started << PID_BITS | pid as u64)
}

/// Whether the process in [`Header::root`] is there, and no other one with its number.
pub(super) fn is_root(word: u64) -> io::Result<bool> {
    let (pid, started) = (pid_of_root(word), word >> PID_BITS);
    Ok(if started == 0 { process::exists(pid) } else { procfs::try_start_time(pid)? == started })
}

/// The number of the process in [`Header::root`].
pub(super) fn pid_of_root(word: u64) -> i32 {
    (word & ((1 << PID_BITS) - 1)) as i32
}

/// What changes when the process forks.
pub(in crate::shm) struct Here {
    pub(in crate::shm) forks: u32,
    pub(in crate::shm) index: u32,
    pub(in crate::shm) root: AtomicBool,
    /// Whether it was forked from a member, otherwise than by the engine.
    pub(in crate::shm) forked: bool,
    pub(in crate::shm) held: Local<ProcessReferences>,
    pub(in crate::shm) idle_threads: Local<Vec<u32>>,
    /// Held by the thread that is in the process's reserve slot.
    pub(in crate::shm) reserve: Local<()>,
}

/// Takes what a process holds over into its fork, which is a member now.
pub(in crate::shm) type TakeOver =
    fn(&'static Runtime, Vec<Inherited>) -> Result<(), Box<dyn Error>>;

static TAKE_OVER: OnceLock<TakeOver> = OnceLock::new();

/// Says how. The first call counts.
pub(in crate::shm) fn set_take_over(take_over: TakeOver) {
    let _ = TAKE_OVER.set(take_over);
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runtime({:x})", self.id())
    }
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

    /// With the write ends of its pipes, and where another process is the root, that.
    pub(super) fn new(
        arena: Arena,
        doorbell: OwnedFd,
        lifeline: Option<OwnedFd>,
        root: Option<Root>,
    ) -> Self {
        let spins = AtomicU32::new(u32::from(machine::cpu_count() > 1));
        let here = AtomicPtr::new(std::ptr::null_mut());
        let readers = AtomicPtr::new(std::ptr::null_mut());
        let root = root.map_or(std::ptr::null_mut(), |root| Box::into_raw(Box::new(root)));
        let root = AtomicPtr::new(root);
        Self { arena, doorbell, lifeline, readers, root, spins, here }
    }

    // not shared: pointers of this process alone. What they pointed to before may be in use by
    // another thread, and stays.
    pub(super) fn keep_readers(&self, readers: Readers) {
        self.readers.store(Box::into_raw(Box::new(readers)), Ordering::Release);
    }

    // not shared: as above.
    pub(super) fn keep_root(&self, root: Root) {
        self.root.store(Box::into_raw(Box::new(root)), Ordering::Release);
    }

    pub(super) fn known_root(&self) -> Option<&'static Root> {
        // SAFETY: made by `new` or `keep_root`, and never freed while the runtime is handed out.
        unsafe { self.root.load(Ordering::Acquire).as_ref() }
    }

    pub(super) fn readers(&self) -> Option<&'static Readers> {
        // SAFETY: made by `keep_readers`, and never freed.
        unsafe { self.readers.load(Ordering::Acquire).as_ref() }
    }

    /// Takes a process slot for this process.
    pub(super) fn join(&'static self, root: bool) -> io::Result<()> {
        self.join_as(slots::take_process(self.arena())?, root, false);
        Ok(())
    }

    pub(super) fn join_as(&'static self, index: u32, root: bool, forked: bool) {
        let slot = slots::process_slot(self.arena(), index);
        if !root && process::parent() != self.root_pid() {
            slot.there_at.store(procfs::ticks(), Ordering::Release);
            crash_point!("runtime.there_at");
        }
        let here = Here {
            forks: FORKS.load(Ordering::Acquire),
            index,
            root: AtomicBool::new(root),
            forked,
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
        self.join_as(index, false, false);
        let _ = self.take_over(old_held);
    }

    fn take_over(&'static self, held: Vec<Inherited>) -> Result<(), Box<dyn Error>> {
        TAKE_OVER.get().map_or(Ok(()), |take_over| take_over(self, held))
    }

    pub(in crate::shm) fn here(&'static self) -> &'static Here {
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
        if self.known_root().is_none() {
            let word = self.header().root.load(Ordering::Acquire);
            self.keep_root(Root { word, fd: pidfd::open_kept(pid_of_root(word)).ok() });
        }
        match slots::take_process(self.arena()) {
            Ok(index) => self.join_as(index, false, true),
            // No slot: nothing here could work, and there is nobody to tell.
            Err(e) => fork_is_no_member(&e),
        }
        // SAFETY: as in `here`.
        let here = unsafe { &*self.here.load(Ordering::Acquire) };
        drop(all);
        if let Err(e) = self.take_over(old_held) {
            // Its handles would lead to what others free and use again.
            fork_is_no_member(&e);
        }
        self.look_for_root();
        here
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
        self.arena.header()
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
        self.look_for_root();
        let h = self.header();
        Address {
            root: self.root_pid(),
            memory_fd: h.memory_fd.load(Ordering::Relaxed) as i32,
            id: self.id(),
        }
    }

    /// The root: the process that made the runtime, or the one that came after it.
    #[must_use]
    pub fn root_pid(&'static self) -> i32 {
        pid_of_root(self.header().root.load(Ordering::Acquire))
    }

    /// Whether this process is the root.
    #[must_use]
    pub fn is_root(&'static self) -> bool {
        self.here().root.load(Ordering::Acquire)
    }

    /// Whether this process was forked from a member, otherwise than by the engine.
    #[must_use]
    pub fn was_forked(&'static self) -> bool {
        self.here().forked
    }

    /// Whether the root process lives.
    #[must_use]
    pub fn root_alive(&'static self) -> bool {
        let here = self.here();
        let word = self.header().root.load(Ordering::Acquire);
        match self.known_root() {
            _ if here.root.load(Ordering::Acquire) => true,
            // Its number may be another file's by now, or nobody's.
            Some(Root { word: known, fd: Some(fd) })
                if *known == word && !pidfd::ended(fd.as_fd()) =>
            {
                true
            }
            _ => procfs::alive(pid_of_root(word), word >> PID_BITS),
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
        slots::process_slot(self.arena(), self.here().index)
    }

    /// The slot in which this process was last a member, for signal handlers: takes no lock. In
    /// the child of a fork that has not used the runtime yet it is the parent's.
    #[must_use]
    pub fn slot_unlocked(&'static self) -> &'static ProcessSlot {
        // SAFETY: set before anybody knows of the runtime, and never freed.
        let index = unsafe { (*self.here.load(Ordering::Acquire)).index };
        slots::process_slot(self.arena(), index)
    }

    pub(in crate::shm) fn held(&'static self) -> LocalGuard<'static, ProcessReferences> {
        self.here().held.lock()
    }

    /// Whether this process has references to shared objects, of which the child of a fork must have its
    /// own before this one gives any back.
    #[must_use]
    pub fn has_references(&'static self) -> bool {
        !self.held().objects.is_empty()
    }

    /// Wakes the supervisor.
    pub fn ring(&self) {
        // A file of the program's that has its number by now is not to be written to.
        if pipe::is_none_or_pipe(self.doorbell.as_raw_fd()) {
            pipe::ring(self.doorbell.as_fd());
        }
    }

    /// A descriptor of the runtime's that the program has closed, in this process.
    #[must_use]
    pub fn closed_descriptor(&'static self) -> Option<i32> {
        if !self.arena.has_file() {
            return Some(self.arena.fd().as_raw_fd());
        }
        // In the child of a root's fork the reader is closed, by ourselves.
        let reader = self.doorbell_reader().filter(|_| self.is_root());
        let pipes = [Some(&self.doorbell), reader].into_iter().flatten();
        let closed = pipes.into_iter().find(|fd| high_fd::is_closed(fd.as_fd()))?;
        Some(closed.as_raw_fd())
    }

    /// The descriptor that [`Runtime::ring`] writes to.
    #[must_use]
    pub fn doorbell(&self) -> &OwnedFd {
        &self.doorbell
    }

    /// The descriptor on which the supervisor hears [`Runtime::ring`]; in the root only.
    #[must_use]
    pub fn doorbell_reader(&self) -> Option<&'static OwnedFd> {
        self.readers().map(|readers| &readers.doorbell)
    }

    /// This process's descriptors of the memory, the doorbell and the lifeline.
    #[must_use]
    pub fn shared_descriptors(&self) -> Vec<i32> {
        let all = [Some(self.arena.fd()), Some(&self.doorbell), self.lifeline.as_ref()];
        all.into_iter().flatten().map(AsRawFd::as_raw_fd).collect()
    }

    /// The user of this process, which is the root, is another by now.
    pub fn note_user(&'static self) {
        self.header().user.store(u64::from(process::user()), Ordering::Relaxed);
        crash_point!("runtime.user");
    }

    /// The pipe by which the system notices the root's end, in who ends with the root.
    #[must_use]
    pub fn lifeline(&self) -> Option<&OwnedFd> {
        self.lifeline.as_ref()
    }

    /// `count`, or 0 where spinning cannot help because there is one processor only.
    #[must_use]
    pub fn spins(&self, count: u32) -> u32 {
        count * self.spins.load(Ordering::Relaxed)
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

pub(super) fn arena_header(arena: &Arena) -> *const Header {
    arena.start().cast()
}
