//! What a timeline consists of.

use std::fmt;

use crate::os::signal;

/// How it is known when a thread was on a core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// It is not known.
    #[default]
    Unknown,
    /// The kernel has told each switch.
    Kernel,
    /// Samples of how long each was on a core: about right.
    Sampled,
    /// Of some threads the one, of others the other.
    Mixed,
}

impl Source {
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, other) | (other, Self::Unknown) => other,
            (one, other) if one == other => one,
            _ => Self::Mixed,
        }
    }

    /// In a word, for tools.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Kernel => "kernel",
            Self::Sampled => "sampled",
            Self::Mixed => "mixed",
        }
    }
}

/// What ran when.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// When it begins, in nanoseconds of the monotonic clock.
    pub start_ns: u64,
    /// When it ends.
    pub end_ns: u64,
    /// The threads, in the order in which they appeared.
    pub rows: Vec<Row>,
    /// The names that slices refer to.
    pub names: Vec<String>,
    /// What they did: by row, then by beginning, the outer ones first.
    pub slices: Vec<Slice>,
    /// When they were on a core: by row, then by beginning.
    pub on_core: Vec<OnCore>,
    /// How that is known.
    pub source: Source,
    /// Events that are missing: there were more than the trace has room for.
    pub lost: u64,
}

/// A thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its process.
    pub pid: i32,
    /// Its number in the system.
    pub tid: i32,
    /// What it is called: a worker's or a task's name, or what its language calls the thread.
    pub name: String,
    /// What names it in the trace: no two threads have the same.
    pub(super) thread: u64,
}

/// What a slice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A task that is a process.
    Process,
    /// A task that is a thread.
    Thread,
    /// A call of a pool's.
    Call {
        /// The pool.
        pool: u64,
        /// Its batch.
        batch: u64,
        /// The place in the batch.
        index: u32,
    },
}

/// How a slice ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It returned.
    Returned,
    /// It raised an error.
    Failed,
    /// It was interrupted.
    Interrupted,
    /// A signal has ended its process.
    Killed(i32),
    /// Its process has exited.
    Exited(i32),
    /// Its process has ended, and nobody is there who could say how.
    Gone,
    /// It ran on when the timeline ended.
    Runs,
    /// The event that would say so is lost.
    Unknown,
}

impl End {
    /// In a word, as tools get it.
    #[must_use]
    pub fn word(self) -> String {
        match self {
            Self::Returned => "returned".into(),
            Self::Failed => "failed".into(),
            Self::Interrupted => "interrupted".into(),
            Self::Killed(signal) => signal::name(signal),
            Self::Exited(code) => format!("exited with {code}"),
            Self::Gone => "ended with its process".into(),
            Self::Runs => "running".into(),
            Self::Unknown => "unknown".into(),
        }
    }

    /// Whether it ended otherwise than it should.
    #[must_use]
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Failed | Self::Killed(_) | Self::Exited(1..) | Self::Gone)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A task or call on a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The thread, by its place in [`Timeline::rows`].
    pub row: u32,
    /// How many slices it lies in.
    pub depth: u32,
    /// What it is.
    pub kind: Kind,
    /// The task's number; for a call 0.
    pub task: u64,
    /// Its name, by its place in [`Timeline::names`].
    pub name: u32,
    /// When it began, in nanoseconds of the monotonic clock.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// How.
    pub end: End,
}

/// A time during which a thread was on a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnCore {
    /// The thread, by its place in [`Timeline::rows`].
    pub row: u32,
    /// The core.
    pub cpu: u32,
    /// Since when, in nanoseconds of the monotonic clock.
    pub start_ns: u64,
    /// Until when.
    pub end_ns: u64,
}

impl Timeline {
    /// The slice's name.
    #[must_use]
    pub fn name_of(&self, slice: &Slice) -> &str {
        self.names.get(slice.name as usize).map_or("", String::as_str)
    }

    /// How long it lasts.
    #[must_use]
    pub fn length_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns).max(1)
    }
}
