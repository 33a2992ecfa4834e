//! Pieces of work of a pool of threads: a function and the arguments of its tasks.

use std::marker::PhantomData;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::Serialize;
use tarefa_engine::os::{clock, process};
use tarefa_engine::pool::Sizing;
use tarefa_engine::shm::trace::Ended;
use tarefa_engine::task::State;

use super::errors::TaskError;
use super::place::{Former, Place};
use super::running;
use super::settings::Limits;
use super::sink::{Given, Sink, TypedSink, locked};
use super::threads::{Handed, Work};
use crate::task::panics;
use crate::task::target::{self, Target};

/// See the module.
pub(super) struct Calls<F, A, M, R> {
    tasks: Mutex<Tasks<A, R>>,
    typed: Arc<dyn TypedSink<R>>,
    sink: Arc<dyn Sink>,
    limits: Limits,
    /// How long tasks take is told to these.
    sizes: Option<Arc<Mutex<Sizing>>>,
    /// Whether its tasks may be stopped one by one.
    tracked: bool,
    function: PhantomData<fn(F, M)>,
}

struct Tasks<A, R> {
    /// Of those that nobody has begun.
    inputs: std::vec::IntoIter<A>,
    /// How many were begun.
    begun: u32,
    /// What the sink calls the first.
    first: usize,
    /// Results that are not handed over.
    done: Vec<Given<R>>,
    /// How many of those that were begun have their results handed over.
    handed: u32,
    /// How many there are.
    count: u32,
}

impl<A, R> Tasks<A, R> {
    /// Takes away what nobody has begun: what the sink calls the first of it, and whether the others are over.
    fn take_rest(&mut self) -> (Vec<A>, usize, bool) {
        let rest: Vec<_> = self.inputs.by_ref().collect();
        self.count -= rest.len() as u32;
        (rest, self.first + self.begun as usize, self.are_over())
    }

    fn are_over(&self) -> bool {
        self.handed == self.count
    }
}

impl<F, A, M, R> Calls<F, A, M, R> {
    pub(super) fn new<S>(
        sink: Arc<S>,
        first: usize,
        inputs: Vec<A>,
        limits: Limits,
        sizes: Option<Arc<Mutex<Sizing>>>,
    ) -> Self
    where
        S: TypedSink<R> + 'static,
        R: 'static,
    {
        Self::of(Arc::clone(&sink) as Arc<dyn TypedSink<R>>, sink, first, inputs, limits, sizes)
    }

    fn of(
        typed: Arc<dyn TypedSink<R>>,
        sink: Arc<dyn Sink>,
        first: usize,
        inputs: Vec<A>,
        limits: Limits,
        sizes: Option<Arc<Mutex<Sizing>>>,
    ) -> Self {
        let count = inputs.len() as u32;
        let tracked = count == 1 || limits.time_limit.is_some();
        let inputs = inputs.into_iter();
        let tasks = Tasks { inputs, begun: 0, first, done: Vec::new(), handed: 0, count };
        let tasks = Mutex::new(tasks);
        Self { tasks, typed, sink, limits, sizes, tracked, function: PhantomData }
    }
}

impl<F, A, M, R> Work for Calls<F, A, M, R>
where
    F: Target<A, M, Output = R>,
    A: Send + 'static,
    M: 'static,
    R: Serialize + Send + 'static,
{
    fn sink(&self) -> &Arc<dyn Sink> {
        &self.sink
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn run(&self, number: u64, place: &Place, most: u32, handed: Handed<'_>) -> u32 {
        let began = Instant::now();
        let mut told = clock::coarse_ns();
        let mut result: Option<Given<R>> = None;
        let mut ran = 0;
        loop {
            let next = {
                let mut tasks = locked(&self.tasks);
                tasks.done.extend(result.take());
                let next = if ran == most { None } else { tasks.inputs.next() };
                let index = tasks.begun;
                tasks.begun += u32::from(next.is_some());
                next.map(|args| (args, index))
            };
            let Some((args, index)) = next else { break };
            let now = clock::coarse_ns();
            if now != told {
                // So that nobody waits long for what is there.
                self.flush(handed);
                told = now;
            }
            place.note_task(now);
            let former = self.tracked.then(|| place.begin(number));
            let call = self.sink.call();
            let act = || panic::catch_unwind(AssertUnwindSafe(|| target::call::<F, A, M>(args)));
            let called = place.call((call, number, index), act, |called| match called {
                Ok(value) => running::how(value),
                Err(_) => Ended::Failed,
            });
            let stop = former.and_then(Former::end);
            result = Some(match (called, stop) {
                (Ok(value), Some(stop)) if target::verdict(&value) == State::Interrupted => {
                    target::drop_quietly(value);
                    Err(Box::new(match stop.limit {
                        Some(limit) => TaskError::OverTime { call, limit },
                        None => TaskError::Cancelled { call },
                    }))
                }
                (Ok(value), _) => Ok(value),
                (Err(payload), _) => {
                    let message = panics::caught(&*payload);
                    target::drop_quietly(payload);
                    Err(Box::new(TaskError::Panicked { call, pid: process::pid(), message }))
                }
            });
            ran += 1;
        }
        if let (Some(sizes), true) = (&self.sizes, ran > 0) {
            let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            locked(sizes).measured(ran, took);
        }
        self.flush(handed);
        ran
    }

    fn left(&self) -> usize {
        locked(&self.tasks).inputs.len()
    }

    fn flush(&self, handed: Handed<'_>) {
        let (first, done, all) = {
            let mut tasks = locked(&self.tasks);
            let done = std::mem::take(&mut tasks.done);
            let first = tasks.first + tasks.handed as usize;
            tasks.handed += done.len() as u32;
            (first, done, tasks.are_over())
        };
        if !done.is_empty() {
            self.typed.give(first, done);
            handed(all);
        }
    }

    fn take_rest(&self, handed: Handed<'_>) -> Vec<Arc<dyn Work>> {
        let (rest, first, all) = locked(&self.tasks).take_rest();
        let empty = rest.is_empty();
        let single = |(i, args)| {
            let (typed, sink) = (Arc::clone(&self.typed), Arc::clone(&self.sink));
            let limits = self.limits.clone();
            let single = Self::of(typed, sink, first + i, vec![args], limits, None);
            Arc::new(single) as Arc<dyn Work>
        };
        let rest = rest.into_iter().enumerate().map(single).collect();
        if all && !empty {
            handed(true);
        }
        rest
    }

    fn fail_rest(&self, error: &dyn Fn(&'static str) -> TaskError, handed: Handed<'_>) {
        let (rest, first, all) = locked(&self.tasks).take_rest();
        if rest.is_empty() {
            return;
        }
        for i in 0..rest.len() {
            self.sink.failed(first + i, error(self.sink.call()));
        }
        target::drop_quietly(rest);
        handed(all);
    }
}
