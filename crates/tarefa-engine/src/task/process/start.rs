//! Starting a task as a process.

use std::io;

use super::spares;
use super::starter;
use super::zygote_control::{self, Control, NO_ZYGOTE, zygote_state};
use crate::atomic::Ordering;
use crate::os::{rlimit, streams};
use crate::settings::USUAL_DEPTH;
use crate::shm::Member;
use crate::shm::heap::OutOfMemory;
use crate::shm::member::slots;
use crate::sync::wait::BlockingHooks;
use crate::task::depth;
use crate::task::identity;
use crate::task::record::{Started, Task};

/// Why a process could not be started. The task is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// See [`OutOfMemory`].
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
    /// The limit on processes is reached.
    #[error(
        "cannot start process {name:?}: the limit on processes is reached ({limit}); \
         join or end some tasks, or raise it (ulimit -u)"
    )]
    Processes {
        /// The task's name.
        name: String,
        /// The limit, in words.
        limit: String,
    },
    /// The limit on descriptors is reached.
    #[error(
        "cannot start process {name:?}: the limit on open files is reached ({limit}); \
         close some, or raise it (ulimit -n)"
    )]
    Descriptors {
        /// The task's name.
        name: String,
        /// The limit, in words.
        limit: String,
    },
    /// The root process of the runtime has ended.
    #[error("cannot start process {name:?}: the root process {root} of its runtime has ended")]
    RootGone {
        /// The task's name.
        name: String,
        /// The root.
        root: i32,
    },
    /// The zygote does not come up.
    #[error(
        "cannot start process {name:?}: the process that forks tasks ended while it started, \
         three times or more; what it printed says why"
    )]
    Zygote {
        /// The task's name.
        name: String,
    },
    /// The program has closed a descriptor of the runtime's.
    #[error(
        "cannot start process {name:?}: descriptor {fd}, which belongs to tarefa, was closed in \
         this process; close only what is yours (os.closerange(3, 256), for example), or use \
         tarefa after that only"
    )]
    Closed {
        /// The task's name.
        name: String,
        /// The descriptor.
        fd: i32,
    },
    /// Processes have started one another too often.
    #[error(
        "cannot start process {name:?}: it would be at depth {depth}, and processes may start \
         processes to depth {most} only; if that is meant, allow more (TAREFA_MAX_DEPTH, or \
         max_depth in the program)"
    )]
    TooDeep {
        /// The task's name.
        name: String,
        /// How deep it would be.
        depth: u64,
        /// How deep it may be.
        most: u64,
    },
    /// The process could not become what its starter is.
    #[error(
        "cannot start process {name:?}: it cannot have the user, groups or root folder of the one \
         that starts it: {source}"
    )]
    Identity {
        /// The task's name.
        name: String,
        /// The answer.
        source: io::Error,
    },
    /// The caller was interrupted as it waited for the process. The task is as one that was killed.
    #[error(
        "cannot start process {name:?}: interrupted as it waited for the process that forks tasks"
    )]
    Interrupted {
        /// The task's name.
        name: String,
    },
    /// Anything else the system answered.
    #[error("cannot start process {name:?}: {source}")]
    System {
        /// The task's name.
        name: String,
        /// The answer.
        source: io::Error,
    },
}

/// Starts the task, which has its payload and is `Starting`, as a process. Returns once the
/// process exists. It has `descriptors`, at most [`MOST_DESCRIPTORS`], as [`take_descriptors`] of
/// it says.
///
/// [`take_descriptors`]: super::take_descriptors
///
/// # Errors
/// See [`StartError`]; the task is `New` again, but after [`StartError::Interrupted`].
pub fn start(
    me: &Member,
    task: &Task<'_>,
    descriptors: &[i32],
    hooks: &mut dyn BlockingHooks,
) -> Result<(), StartError> {
    let runtime = me.runtime();
    // Where it cannot come after the root, it is told so below.
    runtime.look_for_root();
    if !runtime.root_alive() {
        task.unbegin();
        return Err(StartError::RootGone { name: task.name(), root: runtime.root_pid() });
    }
    if let Some(fd) = runtime.closed_descriptor() {
        task.unbegin();
        return Err(StartError::Closed { name: task.name(), fd });
    }
    let control = match zygote_control::get(me) {
        Ok(control) => control,
        Err(e) => {
            task.unbegin();
            return Err(e.into());
        }
    };
    let (depth, most) = (depth::of_next(), control.max_depth.load(Ordering::Acquire));
    let most = if most == 0 { USUAL_DEPTH } else { most };
    if depth > most {
        task.unbegin();
        return Err(StartError::TooDeep { name: task.name(), depth, most });
    }
    task.it().depth.store(depth, Ordering::Relaxed);
    crash_point!("process.depth");
    let starter = slots::lock_owner(runtime.arena(), runtime.process_index());
    task.it().starter.store(u64::from(starter), Ordering::Relaxed);
    crash_point!("process.starter");
    let (number, noted) = match note_identity(me, control, task) {
        Ok(wanted) => wanted,
        Err(e) => {
            task.unbegin();
            return Err(e.into());
        }
    };
    let note = || {
        starter::note(me, control, task, descriptors).map_err(|e| {
            task.unbegin();
            explain(task.name(), e.raw_os_error().unwrap_or(0))
        })
    };
    task.open_note();
    // Else it cannot fail, and is written while the process wakes up.
    let early = if descriptors.is_empty() { None } else { Some(note()?) };
    let are_stale = control.are_spares_stale();
    if !are_stale && control.hand_to_spare(me, task) {
        early.map_or_else(note, Ok)?.give(task);
        // The last ones are replaced at once, the others when a task ends: see `zygote`.
        let (ready, _) = control.count_spares(me);
        if ready * 2 < control.spares_wanted.load(Ordering::Relaxed) {
            control.ring();
        }
        return if noted { explained(task, task.wait_running(hooks)) } else { Ok(()) };
    }
    if !are_stale {
        control.misses.fetch_add(1, Ordering::Relaxed);
        crash_point!("process.missed");
        spares::want_more_spares(control);
    }
    control.push(me, task);
    control.want_zygote(me);
    let pending = early.map_or_else(note, Ok)?;
    let forked = explained(task, task.wait_forked(hooks));
    if forked.is_ok() {
        pending.give(task);
    }
    // Nobody knows who a zygote is that has yet to begin.
    let differs = noted && control.identity.load(Ordering::Acquire) != number;
    if differs && forked.is_ok() { explained(task, task.wait_running(hooks)) } else { forked }
}

/// Notes in the task's record who the calling thread is: the number of that, and whether the zygote
/// is another.
fn note_identity(
    me: &Member,
    control: &Control,
    task: &Task<'_>,
) -> Result<(u64, bool), OutOfMemory> {
    let wanted = identity::wanted(me, control)?;
    task.it().identity_number.store(wanted.number, Ordering::Relaxed);
    crash_point!("process.identity");
    if let Some(noted) = &wanted.noted {
        task.set_blob(&task.it().identity, 0, &[noted], &[])?;
    }
    Ok((wanted.number, wanted.noted.is_some()))
}

fn explained(task: &Task<'_>, started: Started) -> Result<(), StartError> {
    match started {
        Started::Yes => Ok(()),
        Started::Error(error) => Err(explain(task.name(), error)),
        Started::Interrupted => {
            // Whoever forks it, once that goes on, finds that it is not to run.
            let _ = task.send_signal(libc::SIGKILL, true);
            Err(StartError::Interrupted { name: task.name() })
        }
    }
}

/// The most descriptors that come with a task.
pub const MOST_DESCRIPTORS: usize = streams::MOST - streams::STREAMS.len();

fn explain(name: String, error: i32) -> StartError {
    let words = |limit: Option<u64>| limit.map_or("the system's".to_owned(), |n| n.to_string());
    match error {
        NO_ZYGOTE => StartError::Zygote { name },
        libc::EAGAIN => StartError::Processes { name, limit: words(rlimit::processes()) },
        libc::EMFILE | libc::ENFILE => {
            StartError::Descriptors { name, limit: words(rlimit::descriptors()) }
        }
        _ if error >= identity::REFUSED => StartError::Identity {
            name,
            source: io::Error::from_raw_os_error(error - identity::REFUSED),
        },
        _ => StartError::System { name, source: io::Error::from_raw_os_error(error) },
    }
}

/// Asks for a zygote before one is needed.
///
/// # Errors
/// [`OutOfMemory`].
pub fn prepare(me: &Member) -> Result<(), OutOfMemory> {
    let control = zygote_control::get(me)?;
    if control.zygote.load(Ordering::Acquire) == zygote_state::NONE {
        control.want_zygote(me);
    }
    Ok(())
}
