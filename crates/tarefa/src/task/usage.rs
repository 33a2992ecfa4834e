//! What a task has used.

use std::time::Duration;

use tarefa_engine::os::procfs;
use tarefa_engine::task::record::Task as Record;

/// What a task has used, so far or in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time in its own code.
    pub cpu_user: Duration,
    /// Processor time in the kernel on its behalf.
    pub cpu_system: Duration,
    /// From its start to its end, or until now.
    pub wall: Duration,
    /// The most memory its process had, bytes. Pages shared with others count in full.
    pub peak_memory: u64,
    /// How often it gave up its processor to wait.
    pub voluntary_switches: u64,
    /// How often its processor was taken away.
    pub involuntary_switches: u64,
}

impl Usage {
    pub(crate) fn of(task: &Record<'_>) -> Self {
        let wall = Duration::from_nanos(task.wall_ns());
        if task.state().is_final() {
            let used = task.usage();
            return Self {
                cpu_user: Duration::from_nanos(used.user_ns),
                cpu_system: Duration::from_nanos(used.system_ns),
                wall,
                peak_memory: used.peak_bytes,
                voluntary_switches: used.voluntary,
                involuntary_switches: used.involuntary,
            };
        }
        let (pid, tid) = (task.pid(), task.tid());
        let stat = if task.is_thread() { procfs::thread_stat(pid, tid) } else { procfs::stat(pid) };
        let number = |key| procfs::status_number(pid, tid, key).unwrap_or(0);
        let stat = stat.unwrap_or_default();
        Self {
            cpu_user: Duration::from_nanos(stat.user_ns),
            cpu_system: Duration::from_nanos(stat.system_ns),
            wall,
            peak_memory: number("VmHWM"),
            voluntary_switches: number("voluntary_ctxt_switches"),
            involuntary_switches: number("nonvoluntary_ctxt_switches"),
        }
    }
}
