//! What a worker of a pool of threads is at.

use std::sync::Mutex;
use std::time::Duration;

use tarefa_engine::atomic::{AtomicU64, Ordering};
use tarefa_engine::os::clock::now_ns;
use tarefa_engine::shm::Runtime;
use tarefa_engine::shm::trace::{self, Call, Ended};

use super::sink::locked;
use crate::runtime::interrupt;

/// Why a task is being stopped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    /// Its time limit; `None` for one that was cancelled.
    pub(super) limit: Option<Duration>,
    pub(super) at: u64,
}

/// A task, by its piece of work.
#[derive(Debug)]
pub(super) struct At {
    pub(super) number: u64,
    pub(super) began: u64,
    pub(super) stop: Option<Stop>,
}

/// What a worker is at.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) at: Mutex<Option<At>>,
    runtime: &'static Runtime,
    /// What its pool is called in timelines.
    pool: u64,
    /// Tasks that it has begun.
    tasks: AtomicU64,
    /// When it has begun the last one.
    since: AtomicU64,
    times: Mutex<Times>,
}

/// What statistics say of a worker.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    /// When it was ready; 0 before.
    ready: u64,
    /// How long it has had work, before what it has now.
    busy: u64,
    /// What it has now, and since when.
    at: Option<(&'static str, u64)>,
}

/// What a worker is at.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) tasks: u64,
    pub(super) call: Option<&'static str>,
    pub(super) running_for: Duration,
    pub(super) busy: Duration,
    pub(super) waiting: Duration,
}

impl Place {
    pub(super) fn new(runtime: &'static Runtime, pool: u64) -> Self {
        let (tasks, since) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { at: Mutex::default(), runtime, pool, tasks, since, times: Mutex::default() }
    }

    /// The worker takes work from now on.
    pub(super) fn note_ready(&self) {
        locked(&self.times).ready = now_ns();
    }

    /// The worker has work, calls of that function, until this is dropped.
    pub(super) fn work(&self, call: &'static str) -> AtWork<'_> {
        let now = now_ns();
        let mut times = locked(&self.times);
        let began = times.at.map_or(now, |(_, began)| began);
        let former = times.at.replace((call, began));
        AtWork { place: self, former, since: self.since.load(Ordering::Relaxed) }
    }

    /// The worker begins a task, and the coarse clock says that.
    pub(super) fn note_task(&self, now: u64) {
        // not shared: words of this process alone, which one thread writes.
        self.tasks.store(self.tasks.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.since.store(now, Ordering::Relaxed);
    }

    /// What the worker is at.
    pub(super) fn look(&self) -> Look {
        let Times { ready, busy, at } = *locked(&self.times);
        let now = now_ns();
        let ago = |at: u64| now.saturating_sub(at);
        let busy = busy + at.map_or(0, |(_, began)| ago(began));
        let age = if ready == 0 { 0 } else { ago(ready) };
        Look {
            tasks: self.tasks.load(Ordering::Relaxed),
            call: at.map(|(call, _)| call),
            running_for: Duration::from_nanos(ago(self.since.load(Ordering::Relaxed))),
            busy: Duration::from_nanos(busy),
            waiting: Duration::from_nanos(age.saturating_sub(busy)),
        }
    }

    /// Calls that function for a task, which is written down if somebody wants to know.
    pub(super) fn call<T>(
        &self,
        (name, batch, index): (&str, u64, u32),
        act: impl FnOnce() -> T,
        how: impl FnOnce(&T) -> Ended,
    ) -> T {
        let me = trace::is_on_in(self.runtime).then(|| self.runtime.try_me().ok());
        match me.flatten() {
            Some(me) => trace::around(&me, Call { name, pool: self.pool, batch, index }, act, how),
            None => act(),
        }
    }

    /// The worker begins a task that may be stopped; what it was at before, which waits for that one.
    pub(super) fn begin(&self, number: u64) -> Former<'_> {
        let at = At { number, began: now_ns(), stop: None };
        Former { place: self, at: locked(&self.at).replace(at), ended: false }
    }
}

/// A worker has work until this is dropped.
#[derive(Debug)]
pub(super) struct AtWork<'a> {
    place: &'a Place,
    /// What it had before, which waits for that.
    former: Option<(&'static str, u64)>,
    since: u64,
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let now = now_ns();
        let mut times = locked(&self.place.times);
        if let (None, Some((_, began))) = (self.former, times.at) {
            times.busy += now.saturating_sub(began);
        }
        times.at = self.former;
        // not shared: a word of this process alone.
        self.place.since.store(self.since, Ordering::Relaxed);
    }
}

/// What a worker goes back to.
#[derive(Debug)]
pub(super) struct Former<'a> {
    place: &'a Place,
    at: Option<At>,
    ended: bool,
}

impl Former<'_> {
    /// The task has ended: whether it was stopped. An interrupt that it has not had is taken.
    pub(super) fn end(mut self) -> Option<Stop> {
        let stop = self.go_back();
        self.ended = true;
        stop
    }

    fn go_back(&mut self) -> Option<Stop> {
        let mut place = locked(&self.place.at);
        let was = std::mem::replace(&mut *place, self.at.take());
        let stop = was.and_then(|at| at.stop);
        if stop.is_some() {
            let _ = interrupt::check_interrupt();
        }
        stop
    }
}

impl Drop for Former<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.go_back();
        }
    }
}
