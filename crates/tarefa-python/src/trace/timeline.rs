//! Timelines, as Python sees them.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use tarefa_engine::trace::timeline::{Kind, Options, Recording, Timeline, Words, check};

use crate::runtime::member;

/// A recording that goes on until it is stopped.
#[pyclass(frozen, module = "tarefa._engine")]
#[derive(Debug)]
pub(crate) struct RecordingCore {
    recording: Mutex<Option<Recording>>,
}

#[pymethods]
impl RecordingCore {
    /// Begins one; with samples only, the kernel is not asked when threads are on a core.
    #[new]
    fn new(py: Python<'_>, only_samples: bool) -> PyResult<Self> {
        let me = member::me(py)?;
        let options = Options { only_samples, ..Options::default() };
        let recording = Recording::start(&me, options)
            .map_err(|e| PyMemoryError::new_err(format!("tarefa: {e}")))?;
        Ok(Self { recording: Mutex::new(Some(recording)) })
    }

    /// All so far, or what the workers of some pools did; None once it is stopped.
    fn timeline(&self, py: Python<'_>, pools: Option<Vec<u64>>) -> Option<TimelineCore> {
        let timeline = py.detach(|| {
            let mut recording = self.recording.lock().unwrap_or_else(PoisonError::into_inner);
            let whole = recording.as_mut()?.timeline();
            Some(match &pools {
                Some(pools) => whole.of_pools(pools),
                None => whole,
            })
        });
        timeline.map(|timeline| TimelineCore { timeline })
    }

    /// Stops it: nothing is written down for it any more.
    fn stop(&self, py: Python<'_>) {
        py.detach(|| {
            self.recording.lock().unwrap_or_else(PoisonError::into_inner).take();
        });
    }
}

/// What ran when.
#[pyclass(frozen, module = "tarefa._engine")]
#[derive(Debug)]
pub(crate) struct TimelineCore {
    timeline: Timeline,
}

/// A slice: row, depth, kind, task or index, name, beginning, end, how it ended.
type Sliced = (u32, u32, &'static str, u64, String, f64, f64, String);

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[pymethods]
impl TimelineCore {
    /// Beginning and end, by the monotonic clock.
    #[getter]
    fn span(&self) -> (f64, f64) {
        (seconds(self.timeline.start_ns), seconds(self.timeline.end_ns))
    }

    /// How it is known when threads were on a core.
    #[getter]
    fn source(&self) -> &'static str {
        self.timeline.source.word()
    }

    /// Events that are missing.
    #[getter]
    fn lost(&self) -> u64 {
        self.timeline.lost
    }

    /// The threads: pid, tid, name.
    fn rows(&self) -> Vec<(i32, i32, String)> {
        self.timeline.rows.iter().map(|row| (row.pid, row.tid, row.name.clone())).collect()
    }

    /// The slices, each with its row.
    fn slices(&self) -> Vec<Sliced> {
        let slices = self.timeline.slices.iter().map(|s| {
            let (kind, number) = match s.kind {
                Kind::Process => ("process", s.task),
                Kind::Thread => ("thread", s.task),
                Kind::Call { index, .. } => ("call", u64::from(index)),
            };
            let name = self.timeline.name_of(s).to_owned();
            let (start, end) = (seconds(s.start_ns), seconds(s.end_ns));
            (s.row, s.depth, kind, number, name, start, end, s.end.word())
        });
        slices.collect()
    }

    /// When the rows were on a core: row, core, beginning, end.
    fn on_core(&self) -> Vec<(u32, u32, f64, f64)> {
        let on_core = self.timeline.on_core.iter();
        on_core.map(|on| (on.row, on.cpu, seconds(on.start_ns), seconds(on.end_ns))).collect()
    }

    /// Writes it as Perfetto reads it: in protocol buffers, or as JSON.
    fn write(&self, py: Python<'_>, path: PathBuf, as_json: bool) -> PyResult<()> {
        py.detach(|| {
            let mut file = BufWriter::new(File::create(path)?);
            if as_json {
                self.timeline.write_json(&mut file)?;
            } else {
                self.timeline.write_protobuf(&mut file)?;
            }
            Ok(file.flush()?)
        })
    }

    /// As an SVG document.
    fn svg(&self, py: Python<'_>) -> String {
        py.detach(|| self.timeline.svg(&Words::ENGLISH))
    }

    /// As a page, or as a part of one.
    fn html(&self, py: Python<'_>, whole: bool) -> String {
        py.detach(|| {
            let part = if whole { Timeline::html } else { Timeline::html_part };
            part(&self.timeline, &Words::ENGLISH)
        })
    }

    /// As text, so many characters wide.
    fn text(&self, py: Python<'_>, width: usize) -> String {
        py.detach(|| self.timeline.text(width, &Words::ENGLISH))
    }

    /// What does not hold of it that must hold of any.
    fn check(&self) -> Vec<String> {
        check::check(&self.timeline)
    }
}
