//! Batches of tasks of a pool of processes, as their pool keeps them until each task has its result.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tarefa_engine::os::code_place::CodePlace;
use tarefa_engine::pool::{Sizing, Units};
use tarefa_engine::shm::{Off, Runtime};

use super::errors::Attempt;
use super::settings::Limits;
use super::sink::Sink;
use crate::convert::codec::Encoded;
use crate::convert::encoding;

/// The arguments of tasks, one after the other.
#[derive(Debug, Default)]
pub(super) struct Calls {
    encoded: Encoded,
    ends: Vec<u64>,
}

impl Calls {
    pub(super) fn len(&self) -> u32 {
        self.ends.len() as u32
    }

    /// What is encoded, to add to: see [`Calls::note_end`].
    pub(super) fn encoded(&mut self) -> &mut Encoded {
        &mut self.encoded
    }

    /// What was added since the last time are the arguments of one more task.
    pub(super) fn note_end(&mut self) {
        self.ends.push(self.encoded.bytes.len() as u64);
    }

    fn start_of(&self, index: u32) -> u64 {
        index.checked_sub(1).map_or(0, |before| self.ends[before as usize])
    }

    /// Where the arguments of some tasks end, from the start of the first one's, and all of them.
    pub(super) fn part(&self, range: &Range<u32>) -> (Vec<u64>, &[u8]) {
        let start = self.start_of(range.start);
        let ends = &self.ends[range.start as usize..range.end as usize];
        let bytes = &self.encoded.bytes[start as usize..self.start_of(range.end) as usize];
        (ends.iter().map(|end| end - start).collect(), bytes)
    }

    /// One of them, for people.
    pub(super) fn text(&self, call: &str, index: u32) -> String {
        format!("{call}{}", encoding::arguments(self.part(&(index..index + 1)).1))
    }

    pub(super) fn references(&self, runtime: &Runtime) -> Vec<Off> {
        self.encoded.references(runtime)
    }
}

/// What a batch is made of.
pub(super) struct Tasks {
    pub(super) calls: Arc<Calls>,
    /// Which of the calls.
    pub(super) range: Range<u32>,
    /// What calls the function.
    pub(super) place: CodePlace,
    pub(super) sink: Arc<dyn Sink>,
    /// What the sink calls the first of them.
    pub(super) first: usize,
    pub(super) limits: Limits,
    /// How long they take is told to these.
    pub(super) sizes: Option<Arc<Mutex<Sizing>>>,
    /// Which attempt it is.
    pub(super) attempt: u32,
    /// Former attempts at the only one of them.
    pub(super) deaths: Vec<Attempt>,
    /// What it has of resources.
    pub(super) units: Units,
}

impl Tasks {
    /// One of them, by itself.
    pub(super) fn single(&self, index: u32) -> Self {
        let at = self.range.start + index;
        Self {
            calls: Arc::clone(&self.calls),
            range: at..at + 1,
            place: self.place,
            sink: Arc::clone(&self.sink),
            first: self.first + index as usize,
            limits: self.limits.clone(),
            sizes: None,
            attempt: 1,
            deaths: Vec::new(),
            units: Units::new(),
        }
    }
}

/// A batch that was given out, or waits for resources.
pub(super) struct Batch {
    pub(super) tasks: Tasks,
    /// Those that have a result, or are not this batch's any more.
    got: Vec<bool>,
    /// How many have none.
    pub(super) left: u32,
    /// The worker will say how long it took.
    pub(super) timed: bool,
    /// It has, or had, a place in the schedule.
    pub(super) scheduled: bool,
    /// The schedule has given it to workers.
    pub(super) counts: bool,
    /// Former attempts at tasks, by their places.
    pub(super) deaths: BTreeMap<u32, Vec<Attempt>>,
}

impl Batch {
    pub(super) fn new(mut tasks: Tasks) -> Self {
        let count = tasks.range.len();
        let mut deaths = BTreeMap::new();
        let former = std::mem::take(&mut tasks.deaths);
        if !former.is_empty() {
            deaths.insert(0, former);
        }
        let timed = tasks.sizes.is_some();
        Self {
            tasks,
            got: vec![false; count],
            left: count as u32,
            timed,
            scheduled: false,
            counts: false,
            deaths,
        }
    }

    /// What it was made of, if nobody has begun it: former attempts belong to the only task.
    pub(super) fn into_tasks(mut self) -> Tasks {
        self.tasks.deaths = self.deaths.remove(&0).unwrap_or_default();
        self.tasks
    }

    pub(super) fn count(&self) -> u32 {
        self.got.len() as u32
    }

    /// One of its tasks, for people.
    pub(super) fn text(&self, index: u32) -> String {
        self.tasks.calls.text(self.tasks.sink.call(), self.tasks.range.start + index)
    }

    pub(super) fn time_limit(&self) -> Option<Duration> {
        self.tasks.limits.time_limit
    }

    /// Whether something may have to be done for it while nobody waits.
    pub(super) fn is_watched(&self) -> bool {
        let limits = &self.tasks.limits;
        limits.time_limit.is_some() || limits.retries > 0 || self.scheduled
    }

    /// Whether the task has none yet: the caller is to give it one, or to take it away.
    pub(super) fn claim(&mut self, index: u32) -> bool {
        match self.got.get_mut(index as usize) {
            Some(got) => !std::mem::replace(got, true),
            None => false,
        }
    }

    /// Whether the task has none, and nobody is at it.
    pub(super) fn lacks(&self, index: u32) -> bool {
        self.got.get(index as usize) == Some(&false)
    }

    /// The same for tasks that follow each other: those that have none, in pieces.
    pub(super) fn claim_run(&mut self, first: u32, count: u32) -> Vec<Range<u32>> {
        let end = first.saturating_add(count).min(self.count());
        let mut runs: Vec<Range<u32>> = Vec::new();
        for index in first..end {
            if !self.claim(index) {
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.end == index => run.end += 1,
                _ => runs.push(index..index + 1),
            }
        }
        runs
    }

    /// All that have none.
    pub(super) fn claim_all(&mut self) -> Vec<Range<u32>> {
        self.claim_run(0, self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_cut_into_parts() {
        let mut calls = Calls::default();
        for text in ["a", "", "bcd"] {
            calls.encoded().push(text).unwrap();
            calls.note_end();
        }
        let (ends, bytes) = calls.part(&(0..3));
        assert_eq!((calls.len(), ends.len(), ends[2]), (3, 3, bytes.len() as u64));
        let (ends, last) = calls.part(&(2..3));
        assert_eq!(ends, [last.len() as u64]);
        assert!(bytes.ends_with(last) && last.ends_with(b"bcd"));
    }
}
