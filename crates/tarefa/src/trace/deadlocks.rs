//! Who waits for whom.

use std::fmt;
use std::time::Duration;

use tarefa_engine::shm::Runtime;
use tarefa_engine::shm::member::report_request;
use tarefa_engine::trace::report::{self, Standing};

use crate::runtime;
use crate::runtime::errors::CreateError;

/// A thread that waits in tarefa.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// What it is called, as in `process 'a' (pid 10) MainThread`.
    pub name: String,
    /// The name of the task that it runs; `None` for a thread that is no task.
    pub task: Option<String>,
    /// Its process.
    pub pid: i32,
    /// The system's number of it.
    pub thread: i32,
    /// What it waits for, as in `Lock 4` or `process 'b'`: several for [`wait`](crate::wait), none
    /// for something that has no name.
    pub waits_for: Vec<String>,
    /// How long it has waited.
    pub waited: Duration,
    /// How long until it gives up; `None` for ever.
    pub timeout: Option<Duration>,
    /// Where it stands, as in `src/main.rs:12`; `None` when that is not known.
    pub line: Option<String>,
}

/// Something that a thread holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holding {
    /// What the thread is called, as in `process 'a' (pid 10) MainThread`.
    pub name: String,
    /// The name of the task that it runs; `None` for a thread that is no task.
    pub task: Option<String>,
    /// Its process.
    pub pid: i32,
    /// The system's number of it.
    pub thread: i32,
    /// What it holds, as in `Lock 3`.
    pub holds: String,
    /// How long it has had that, to within some milliseconds; `None` of what does not note it.
    pub held: Option<Duration>,
    /// Where the thread stands now; `None` when that is not known, as of a Rust thread that does
    /// not wait.
    pub line: Option<String>,
}

/// Who waits for whom, at one moment: what [`deadlocks`] returns. Displayed, it is a text for
/// people.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The deadlocks: threads that wait for one another, each for the next one, and the last for
    /// the first.
    pub cycles: Vec<Vec<Waiting>>,
    /// Cycles that are no deadlock, because somebody in them waits with a timeout.
    pub passing: Vec<Vec<Waiting>>,
    /// All threads that wait in tarefa.
    pub waiting: Vec<Waiting>,
    /// All that threads hold.
    pub holding: Vec<Holding>,
    text: Option<String>,
}

impl Report {
    /// Whether somebody waits for ever.
    #[must_use]
    pub fn is_deadlock(&self) -> bool {
        !self.cycles.is_empty()
    }

    fn of(report: &report::Report) -> Self {
        let ago = |since: u64| Duration::from_nanos(report.at_ns.saturating_sub(since));
        let waiting = |it: &Standing| {
            it.waits.as_ref().map(|waits| Waiting {
                name: it.to_string(),
                task: it.task_name.clone(),
                pid: it.pid,
                thread: it.tid,
                waits_for: waits.things.iter().map(|t| t.name.clone()).collect(),
                waited: ago(waits.since_ns),
                timeout: waits
                    .until_ns
                    .map(|until| Duration::from_nanos(until.saturating_sub(report.at_ns))),
                line: it.place.clone(),
            })
        };
        let held = report.threads.iter().flat_map(|it| it.holds.iter().map(move |h| (it, h)));
        let cycle =
            |c: &Vec<usize>| c.iter().filter_map(|i| waiting(&report.threads[*i])).collect();
        Self {
            cycles: report.cycles.iter().map(cycle).collect(),
            passing: report.passing.iter().map(cycle).collect(),
            waiting: report.threads.iter().filter_map(waiting).collect(),
            holding: held
                .map(|(it, holds)| Holding {
                    name: it.to_string(),
                    task: it.task_name.clone(),
                    pid: it.pid,
                    thread: it.tid,
                    holds: holds.name.clone(),
                    held: holds.since_ns.map(ago),
                    line: it.place.clone(),
                })
                .collect(),
            text: Some(report.to_string()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text.as_deref().unwrap_or("no deadlock: nobody waits\n").trim_end())
    }
}

/// Looks at who waits for whom now, over all threads and processes of the runtime.
///
/// Seen are waits in tarefa: for its locks and other objects, in `join`, `result`, [`wait`]. Nobody
/// is held up by the look, and it works where all others are stuck. A deadlock is a cycle of
/// waits without a timeout, seen twice and unchanged in between. A [`Lock`](crate::Lock) can be
/// released by a thread outside the cycle; such a release is not foreseen.
///
/// ```
/// let report = tarefa::deadlocks();
/// assert!(!report.is_deadlock());
/// assert_eq!(report.to_string(), "no deadlock: nobody waits");
/// ```
///
/// [`wait`]: crate::wait
#[must_use]
pub fn deadlocks() -> Report {
    let found = |runtime: &'static Runtime| runtime.with_me(report::deadlocks);
    Runtime::existing().map_or_else(Report::default, |runtime| Report::of(&found(runtime)))
}

/// Has every wait in tarefa that lasts longer than `after` write a report to standard error, as
/// [`deadlocks`] makes it; once for each wait, which goes on. `None` turns that off, as it is at
/// first. Holds for all processes of the runtime, in waits that go to sleep from now on. The
/// environment variable `TAREFA_REPORT_AFTER` (seconds) sets it from outside.
///
/// # Errors
/// [`CreateError`]: there was no runtime, and none can be made.
pub fn set_report_after(after: impl Into<Option<Duration>>) -> Result<(), CreateError> {
    let after = after.into().filter(|d| !d.is_zero());
    report_request::set_report_after(&runtime::get()?.try_me()?, after);
    Ok(())
}
