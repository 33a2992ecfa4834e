//! A program, looked at from outside: from another process of the same user, which is no member of
//! it, and of which it knows nothing.

use std::collections::{BTreeSet, HashMap};

use super::members::{self, MemberProcess};
use super::memory::{self, Memory};
use super::report::{self, Report};
use super::stacks::{self, Asker, ProcessStacks, Stack};
use super::timeline::{NoRecording, Options, Recording};
use super::traffic::{self, Traffic};
use crate::atomic::Ordering;
use crate::os::proc_files::ProcFiles;
use crate::os::procfs;
use crate::shm::member::attach::AttachError;
use crate::shm::member::observe::{self, Observer};
use crate::shm::member::runtime::Address;
use crate::shm::object::address::ObjectAddress;
use crate::shm::{Runtime, TooManyThreads};
use crate::sync::object_kinds::Seen;
use crate::task;
use crate::task::inspect::Inspection;

pub use crate::shm::member::observe::ObserveError;

/// Why a program cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It cannot be joined.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// It cannot be joined for want of slots for threads.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
    /// There is no memory for what its threads write down.
    #[error(transparent)]
    NoRoom(#[from] NoRecording),
}

/// Begins a recording of the program at that address. What threads write down costs them something, so this
/// process joins the program for it: with its end, whatever that is, nobody writes any more.
///
/// # Errors
/// [`RecordError`].
pub fn record(at: Address, options: Options) -> Result<Recording, RecordError> {
    task::register();
    let me = Runtime::attach(at)?.try_me()?;
    Ok(Recording::start(&me, options)?)
}

/// A program that runs, mapped for reading. It does not notice, and goes on when this is dropped or
/// killed.
///
/// # Examples
/// ```no_run
/// use tarefa_engine::trace::observe::Program;
///
/// let program = Program::of(4711)?;
/// println!("{}", program.report());
/// # Ok::<(), tarefa_engine::trace::observe::ObserveError>(())
/// ```
#[derive(Debug)]
pub struct Program {
    observer: Observer,
}

/// A program that was found, and whether it can be looked at.
#[derive(Debug)]
pub struct Found {
    /// Its processes, lowest number first.
    pub pids: Vec<i32>,
    /// The program.
    pub program: Result<Program, ObserveError>,
}

impl Program {
    /// The program that process `pid` belongs to, whichever of its processes that is.
    ///
    /// # Errors
    /// [`ObserveError`]: there is no such process, it uses no shared memory of tarefa, it is another
    /// user's, or of another version.
    pub fn of(pid: i32) -> Result<Self, ObserveError> {
        // By what objects are called, and who holds them.
        task::register();
        Ok(Self { observer: Observer::open(pid)? })
    }

    /// All programs of this user, in the order of their first processes.
    #[must_use]
    pub fn all() -> Vec<Found> {
        let mut roots = BTreeSet::new();
        let mut found = Vec::new();
        for pids in observe::members() {
            // The first may be gone by now, and then another one leads there.
            let mut program = Err(ObserveError::NoProcess(0));
            for pid in &pids {
                program = Self::of(*pid);
                if program.is_ok() {
                    break;
                }
            }
            match &program {
                // One process may have the memory of several.
                Ok(program) if !roots.insert(program.id()) => continue,
                Err(ObserveError::NoProcess(_) | ObserveError::NoProgram(_)) => continue,
                _ => {}
            }
            found.push(Found { pids, program });
        }
        found
    }

    /// A number of its own, which tells programs apart.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.observer.member().runtime().id()
    }

    /// Its main process.
    #[must_use]
    pub fn root(&self) -> i32 {
        self.observer.root()
    }

    /// Whether its main process lives.
    #[must_use]
    pub fn root_lives(&self) -> bool {
        self.observer.root_lives()
    }

    /// What its main process was called with.
    #[must_use]
    pub fn command_line(&self) -> Option<String> {
        procfs::command_line(self.root())
    }

    /// Who waits for whom in it, and who will wait for ever.
    #[must_use]
    pub fn report(&self) -> Report {
        report::deadlocks(&self.observer.member())
    }

    /// Its processes, the main one first.
    #[must_use]
    pub fn members(&self) -> Vec<MemberProcess> {
        members::look(&self.observer.member())
    }

    /// The same for who looks again and again, with the files that it looks into. Main threads are not
    /// among the threads of their processes.
    #[must_use]
    pub fn members_again(&self, files: &mut ProcFiles) -> Vec<MemberProcess> {
        members::look_again(&self.observer.member(), files)
    }

    /// Its queues and pools, and how much waits in them.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        traffic::look(&self.observer.member())
    }

    /// The stacks of those threads, of each its process and its number, from `asker`.
    #[must_use]
    pub fn stacks_of(&self, threads: &[(i32, i32)], asker: &mut Asker) -> HashMap<i32, Stack> {
        stacks::of(&self.observer.member(), threads, asker)
    }

    /// Where members of other programs find its memory.
    #[must_use]
    pub fn address(&self) -> Address {
        let member = self.observer.member();
        let memory_fd = member.header().memory_fd.load(Ordering::Relaxed) as i32;
        Address { root: self.root(), memory_fd, id: self.id() }
    }

    /// Where members of other programs find the task, for [`crate::trace::interrupt`].
    #[must_use]
    pub fn address_of(&self, task: &Inspection) -> ObjectAddress {
        let runtime = self.address();
        let Seen { off, kind, id } = task.seen;
        ObjectAddress { runtime, off, kind, id }
    }

    /// The stacks of its threads, those of the language that it is written in from `asker`.
    #[must_use]
    pub fn stacks(&self, asker: &mut Asker) -> Vec<ProcessStacks> {
        stacks::look(&self.observer.member(), asker)
    }

    /// What its shared memory holds.
    #[must_use]
    pub fn memory(&self) -> Memory {
        memory::look(&self.observer.member())
    }

    /// Bytes of its shared memory in use, and objects alive: without looking at each.
    #[must_use]
    pub fn in_use(&self) -> (u64, u64) {
        memory::in_use(&self.observer.member())
    }
}
