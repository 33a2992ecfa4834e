//! What the system knows of a running task.

use tarefa_engine::os::procfs;
use tarefa_engine::task::record::Task as Record;

/// What the kernel does with a task's thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OsState {
    /// On a processor, or ready for one.
    Running,
    /// Waiting for something.
    Waiting,
    /// Stopped by a signal or a debugger.
    Stopped,
    /// Ended, and not yet collected.
    Ended,
}

/// What the system knows of a task at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Its process.
    pub pid: i32,
    /// Its thread.
    pub tid: i32,
    /// What the kernel does with it.
    pub os_state: OsState,
    /// Whether it waits inside tarefa: for a task, a lock, an event, in `sleep`. Such a wait
    /// ends at once when the task is interrupted.
    pub waits_in_tarefa: bool,
    /// The number of the system call it is in, where the system tells.
    pub system_call: Option<i64>,
    /// The processor it last ran on.
    pub processor: u64,
    /// Threads of its process.
    pub threads: u64,
    /// Memory of its process now, bytes.
    pub memory: u64,
    /// Open descriptors of its process, where the system tells.
    pub open_files: Option<usize>,
}

impl Context {
    pub(crate) fn of(task: &Record<'_>) -> Option<Self> {
        let (pid, tid) = (task.pid(), task.tid());
        let stat = procfs::thread_stat(pid, tid)?;
        let os_state = match stat.state {
            'R' => OsState::Running,
            'T' | 't' => OsState::Stopped,
            'Z' | 'X' => OsState::Ended,
            _ => OsState::Waiting,
        };
        let context = Self {
            pid,
            tid,
            os_state,
            waits_in_tarefa: task.waits_here(),
            system_call: procfs::stands(pid, tid).system_call(),
            processor: stat.cpu,
            threads: stat.threads,
            memory: procfs::status_number(pid, tid, "VmRSS").unwrap_or(0),
            open_files: procfs::open_files(pid),
        };
        // Only of a task that still runs: its numbers may be somebody else's afterwards.
        (!task.state().is_final()).then_some(context)
    }
}
