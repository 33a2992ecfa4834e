//! Timelines: who ran what when, of a pool or of the whole program.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tarefa_engine::trace::timeline::{
    self as engine, End, Form, NoRecording, Options, Source, Words, WrongEnding,
};

use crate::runtime;
use crate::runtime::errors::{CreateError, TooManyThreads, from_no_slot};

/// How wide a timeline is as text.
const WIDTH: usize = 80;

/// There is no timeline, or it cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimelineError {
    /// The pool has recorded nothing.
    #[error(
        "{pool} has recorded nothing: make it with recorded(), or call timeline() before what is to be seen"
    )]
    NotRecorded {
        /// The pool's name.
        pool: String,
    },
    /// The file's name says no form that there is.
    #[error(transparent)]
    Ending(#[from] WrongEnding),
    /// The file cannot be written.
    #[error("a timeline cannot be written to {path:?}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// There is no memory for what the threads write down.
    #[error(transparent)]
    Memory(#[from] NoRecording),
    /// There was no runtime, and none can be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The calling thread cannot use shared objects: too many others do.
    #[error(transparent)]
    Threads(#[from] TooManyThreads),
}

from_no_slot!(TimelineError);

/// What a [`Slice`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SliceKind {
    /// A task that is a process.
    Process,
    /// A task that is a thread.
    Thread,
    /// A call that a worker of a pool made.
    Call,
}

/// A task, or a call that a worker of a pool made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slice<'a> {
    /// The task's name, or the function's.
    pub name: &'a str,
    /// What it is.
    pub kind: SliceKind,
    /// Of a call its place in its batch; of a task what tells it from others.
    pub number: u64,
    /// The name of the thread that ran it: of a pool's worker, or of the task.
    pub worker: &'a str,
    /// Its process.
    pub pid: i32,
    /// The system's number of the thread.
    pub thread: i32,
    /// When it began, from the timeline's beginning on.
    pub start: Duration,
    /// When it ended; where it ran on, when the timeline did.
    pub end: Duration,
    /// How it ended: also by which signal that its process got.
    pub ended: End,
    /// In how many other slices of its thread it lies.
    pub depth: u32,
}

/// A time during which a thread was on a core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnCore<'a> {
    /// The thread's name, as a slice has it.
    pub worker: &'a str,
    /// Its process.
    pub pid: i32,
    /// The system's number of the thread.
    pub thread: i32,
    /// Which core.
    pub core: u32,
    /// Since when, from the timeline's beginning on.
    pub start: Duration,
    /// Until when.
    pub end: Duration,
}

/// Who ran what when: what [`Pool::timeline`](crate::Pool::timeline) and [`Recording::timeline`] give.
/// Displayed, it is a picture of characters.
#[derive(Clone)]
pub struct Timeline(Arc<engine::Timeline>);

impl Timeline {
    /// How long it is.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.since_start(self.0.end_ns)
    }

    /// How many events are missing: there were more than there is room for, and the oldest are dropped.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost
    }

    /// How it is known when threads were on a core: the kernel has told each switch; or, where that is not
    /// granted, the time that each was on a core was looked at again and again, which is about right.
    #[must_use]
    pub fn on_core_source(&self) -> Source {
        self.0.source
    }

    /// What ran: by thread, and then by when it began.
    pub fn slices(&self) -> impl ExactSizeIterator<Item = Slice<'_>> {
        self.0.slices.iter().map(|it| {
            let row = &self.0.rows[it.row as usize];
            let (kind, number) = match it.kind {
                engine::Kind::Process => (SliceKind::Process, it.task),
                engine::Kind::Thread => (SliceKind::Thread, it.task),
                engine::Kind::Call { index, .. } => (SliceKind::Call, u64::from(index)),
            };
            Slice {
                name: self.0.name_of(it),
                kind,
                number,
                worker: &row.name,
                pid: row.pid,
                thread: row.tid,
                start: self.since_start(it.start_ns),
                end: self.since_start(it.end_ns),
                ended: it.end,
                depth: it.depth,
            }
        })
    }

    /// When the threads were on a core: by thread, and then by when that began.
    pub fn on_core(&self) -> impl ExactSizeIterator<Item = OnCore<'_>> {
        self.0.on_core.iter().map(|it| {
            let row = &self.0.rows[it.row as usize];
            OnCore {
                worker: &row.name,
                pid: row.pid,
                thread: row.tid,
                core: it.cpu,
                start: self.since_start(it.start_ns),
                end: self.since_start(it.end_ns),
            }
        })
    }

    fn since_start(&self, at_ns: u64) -> Duration {
        Duration::from_nanos(at_ns.saturating_sub(self.0.start_ns))
    }

    /// Draws it with characters: a line for each thread, so many characters wide.
    #[must_use]
    pub fn text(&self, width: usize) -> String {
        self.0.text(width, &Words::ENGLISH)
    }

    /// As a picture: an SVG document that needs nothing else.
    #[must_use]
    pub fn svg(&self) -> String {
        self.0.svg(&Words::ENGLISH)
    }

    /// As a page: the picture, and a table of what ran.
    #[must_use]
    pub fn html(&self) -> String {
        self.0.html(&Words::ENGLISH)
    }

    /// Writes it to a file, in the form that its name ends with: `.pftrace` for
    /// [Perfetto](https://ui.perfetto.dev) in its own form, `.json` for it and Chrome's tracing, which is
    /// three times as large, `.svg` for a picture, `.html` for a page with the picture and a table, `.txt`
    /// for text.
    ///
    /// # Errors
    /// [`TimelineError::Ending`], [`TimelineError::File`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), TimelineError> {
        let path = path.as_ref();
        Form::of(path)?;
        let refused = |source| TimelineError::File { path: path.to_owned(), source };
        self.0.save(path, &Words::ENGLISH).map_err(refused)
    }

    /// What does not hold of it that must hold of any. Not part of the interface.
    #[doc(hidden)]
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        engine::check::check(&self.0)
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(WIDTH))
    }
}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (slices, threads) = (self.0.slices.len(), self.0.rows.len());
        let lost = match self.0.lost {
            0 => String::new(),
            lost => format!(", {lost} events lost"),
        };
        let length = self.length();
        write!(f, "Timeline({slices} slices on {threads} threads in {length:.3?}{lost})")
    }
}

#[derive(Debug)]
struct State {
    recording: Option<engine::Recording>,
    /// Once it is stopped.
    last: Timeline,
    /// The pools that it is of; `None` for the whole program.
    pools: Option<Vec<u64>>,
}

impl State {
    fn look(&mut self) -> Timeline {
        let Some(recording) = &mut self.recording else { return self.last.clone() };
        let whole = recording.timeline();
        Timeline(Arc::new(match &self.pools {
            Some(pools) => whole.of_pools(pools),
            None => whole,
        }))
    }
}

/// A timeline that is being recorded, by [`timeline`](crate::timeline) of the whole program or by a pool
/// of its own calls ([`Pool::recording`](crate::Pool::recording)). It goes on until it is stopped, until
/// its last copy is dropped, or until its pool has ended; what was recorded stays.
#[derive(Clone, Debug)]
pub struct Recording(Arc<Mutex<State>>);

impl Recording {
    fn start(pools: Option<Vec<u64>>, options: Options) -> Result<Self, TimelineError> {
        let me = runtime::get()?.try_me()?;
        let recording = Some(engine::Recording::start(&me, options)?);
        let last = Timeline(Arc::default());
        Ok(Self(Arc::new(Mutex::new(State { recording, last, pools }))))
    }

    /// One of pools that are told to it.
    pub(super) fn of_pool() -> Result<Self, TimelineError> {
        Self::start(Some(Vec::new()), Options::default())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is of that pool, too.
    pub(super) fn add(&self, pool: u64) {
        if let Some(pools) = &mut self.state().pools {
            pools.push(pool);
        }
    }

    /// All that has run so far; once it is stopped, all until then.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        self.state().look()
    }

    /// Records no more; what was recorded.
    #[allow(clippy::must_use_candidate)]
    pub fn stop(&self) -> Timeline {
        let mut state = self.state();
        state.last = state.look();
        state.recording = None;
        state.last.clone()
    }

    /// Its pool has ended: what was recorded stays for who wants it.
    pub(super) fn end(self) {
        if Arc::strong_count(&self.0) > 1 {
            self.stop();
        }
    }

    /// Writes what was recorded so far to a file: see [`Timeline::save`].
    ///
    /// # Errors
    /// [`TimelineError::Ending`], [`TimelineError::File`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), TimelineError> {
        Form::of(path.as_ref())?;
        self.timeline().save(path)
    }
}

/// Records who runs what when in the whole program, its processes included, from now on.
///
/// ```
/// use tarefa::{Process, Thread};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let recording = tarefa::timeline()?;
/// let one = Process::new(|n: u32| n + 1, (1,)).named("one");
/// one.start()?;
/// one.join(None)?;
/// let two = Thread::new(|n: u32| n + 1, (2,)).named("two");
/// two.start()?;
/// two.join(None)?;
/// let timeline = recording.stop();
/// let names: Vec<_> = timeline.slices().map(|slice| slice.name).collect();
/// assert_eq!(names, ["one", "two"]);
/// println!("{timeline}");
/// # Ok(())
/// # }
/// ```
///
/// When threads were on a core is asked of the kernel; where that does not say it, samples are taken.
///
/// # Errors
/// [`TimelineError`]: there is no memory for what the threads write down, or no runtime can be made.
pub fn timeline() -> Result<Recording, TimelineError> {
    Recording::start(None, Options::default())
}

/// Fails for a file that a timeline cannot be written to.
pub(super) fn check_ending(path: &Path) -> Result<(), TimelineError> {
    Form::of(path)?;
    Ok(())
}
