//! A function over many inputs: they go out in batches as they are wanted, and results come back.

use std::fmt;
use std::iter::FusedIterator;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::pool::Sizing;
use tarefa_engine::shm::Member;

use super::crew::{Crew, Inputs, unless_done};
use super::errors::{PoolError, TaskError};
use super::settings::Limits;
use super::sink::{Given, Many, Sink, locked};
use super::turns::Waited;
use crate::runtime::blocking::Here;
use crate::task::target::Target;

/// Batches that wait for each worker, besides the one that it is at.
const AHEAD: usize = 2;
/// Inputs given out whose results are not taken, at most, if nothing else is said.
const READ_AHEAD: usize = 1 << 14;
/// How long nothing comes before what waits behind tasks that take long is shared out.
const STALE: Duration = Duration::from_millis(50);

/// What [`Pool::map`](crate::Pool::map) returns: an iterator over results.
///
/// One that is dropped before its end stops: of what it has given out only those tasks end that run.
#[must_use = "inputs are given out as results are taken"]
pub struct Map<'p, I, T, R, F, M>
where
    R: Serialize + DeserializeOwned + Send + 'static,
{
    crew: Option<Crew>,
    inputs: I,
    many: Arc<Many<R>>,
    sizes: Arc<Mutex<Sizing>>,
    limits: Limits,
    /// Inputs given out, and results handed out.
    given: usize,
    handed: usize,
    /// There are no more inputs.
    exhausted: bool,
    /// Why some could not be given out: what comes last.
    error: Option<PoolError>,
    /// Results that are next.
    run: std::vec::IntoIter<Given<R>>,
    pool: PhantomData<&'p ()>,
    function: PhantomData<fn(F, T, M)>,
}

impl<I, T, R, F, M> Map<'_, I, T, R, F, M>
where
    I: Iterator<Item = T>,
    F: Target<(T,), M, Output = R>,
    T: Serialize + DeserializeOwned + Send + 'static,
    M: 'static,
    R: Serialize + DeserializeOwned + Send + 'static,
{
    /// Gives out what the workers take first.
    pub(super) fn start(
        crew: Result<Crew, PoolError>,
        call: &'static str,
        inputs: I,
        limits: Limits,
        ordered: bool,
    ) -> Self {
        let (crew, error) = match crew {
            Ok(crew) => (Some(crew), None),
            Err(error) => (None, Some(error)),
        };
        let mut map = Self {
            exhausted: crew.is_none(),
            crew,
            inputs,
            many: Arc::new(Many::new(call, ordered)),
            sizes: Arc::new(Mutex::new(Sizing::new(1))),
            limits,
            given: 0,
            handed: 0,
            error,
            run: Vec::new().into_iter(),
            pool: PhantomData,
            function: PhantomData,
        };
        if let Some(crew) = map.crew.clone() {
            match crew.me() {
                Ok(me) => map.feed(&crew, &me),
                Err(e) => map.stop_feeding(e.into()),
            }
        }
        map
    }

    fn stop_feeding(&mut self, error: PoolError) {
        self.exhausted = true;
        self.error.get_or_insert(error);
    }

    /// Gives out as many inputs as workers will take soon.
    fn feed(&mut self, crew: &Crew, me: &Member) {
        let workers = crew.settings().workers;
        while self.may_feed(workers) {
            let left = match self.inputs.size_hint() {
                (least, Some(most)) if least == most => Some(least as u64),
                _ => None,
            };
            let size = locked(&self.sizes).next(workers as u32, left) as usize;
            let size = size.min(self.room());
            let args: Vec<_> = self.inputs.by_ref().take(size).map(|input| (input,)).collect();
            self.exhausted = args.len() < size;
            if args.is_empty() {
                return;
            }
            let (first, count) = (self.given, args.len());
            let (limits, sizes) = (self.limits.clone(), Some(Arc::clone(&self.sizes)));
            let inputs = Inputs { first, args, limits, sizes };
            match crew.put::<F, _, M, R, _>(me, &self.many, inputs) {
                Ok(()) => self.given += count,
                Err(e) => self.stop_feeding(e),
            }
        }
    }

    /// How many inputs more may be given out.
    fn room(&self) -> usize {
        let most = self.limits.read_ahead.unwrap_or(READ_AHEAD);
        most.saturating_sub(self.given - self.handed.min(self.given))
    }

    fn may_feed(&self, workers: usize) -> bool {
        !self.exhausted && self.room() > 0 && self.many.progress().1 <= AHEAD * workers
    }

    /// Waits for results that are next; false if there are no more.
    fn wait(&mut self, crew: &Crew, mut here: Here) -> Result<bool, TaskError> {
        let me = crew.me()?;
        let workers = crew.settings().workers;
        let sink = Arc::clone(&self.many) as Arc<dyn Sink>;
        loop {
            if self.many.has(self.handed) {
                return Ok(true);
            }
            self.feed(crew, &me);
            let (came, batches) = self.many.progress();
            if self.many.has(self.handed) {
                return Ok(true);
            }
            if self.exhausted && came >= self.given {
                return Ok(self.many.has(self.handed));
            }
            // Some tasks wait behind others in their batches.
            let crowded = self.given - came > batches;
            let until = Deadline::after(crowded.then_some(STALE));
            let done = || self.many.has(self.handed) || self.may_feed(workers) || self.is_over();
            match crew.wait(&me, &sink, &done, &mut here, until) {
                Waited::Done => {}
                Waited::TimedOut => {
                    if self.many.progress().0 == came {
                        crew.share_out(&me, &sink);
                    }
                }
                waited => {
                    unless_done(waited, || TaskError::Cancelled { call: self.many.call() })?;
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        self.exhausted && self.many.progress().0 >= self.given
    }
}

impl<I, T, R, F, M> Iterator for Map<'_, I, T, R, F, M>
where
    I: Iterator<Item = T>,
    F: Target<(T,), M, Output = R>,
    T: Serialize + DeserializeOwned + Send + 'static,
    M: 'static,
    R: Serialize + DeserializeOwned + Send + 'static,
{
    type Item = Result<R, TaskError>;

    #[track_caller]
    fn next(&mut self) -> Option<Self::Item> {
        let here = Here::now();
        if self.run.as_slice().is_empty() {
            if let Some(crew) = self.crew.clone() {
                match self.wait(&crew, here) {
                    Ok(true) => {}
                    Ok(false) => self.crew = None,
                    // The tasks go on: who asks again may get the result.
                    Err(error) => return Some(Err(error)),
                }
                self.run = self.many.take(self.handed).unwrap_or_default().into_iter();
            }
        }
        match self.run.next() {
            Some(given) => {
                self.handed += 1;
                Some(given.map_err(|error| *error))
            }
            None => self.error.take().map(|error| Err(error.into())),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.inputs.size_hint();
        let (least, most) = if self.exhausted { (0, Some(0)) } else { (least, most) };
        let out = self.given.saturating_sub(self.handed);
        let more = out + usize::from(self.error.is_some());
        (least.saturating_add(out), most.and_then(|most| most.checked_add(more)))
    }
}

impl<I, T, R, F, M> FusedIterator for Map<'_, I, T, R, F, M>
where
    I: Iterator<Item = T>,
    F: Target<(T,), M, Output = R>,
    T: Serialize + DeserializeOwned + Send + 'static,
    M: 'static,
    R: Serialize + DeserializeOwned + Send + 'static,
{
}

impl<I, T, R, F, M> Drop for Map<'_, I, T, R, F, M>
where
    R: Serialize + DeserializeOwned + Send + 'static,
{
    fn drop(&mut self) {
        self.many.stop();
        if let Some(crew) = &self.crew {
            if let Ok(me) = crew.me() {
                let sink = Arc::clone(&self.many) as Arc<dyn Sink>;
                crew.abandon(&me, &sink);
            }
        }
    }
}

impl<I, T, R, F, M> fmt::Debug for Map<'_, I, T, R, F, M>
where
    R: Serialize + DeserializeOwned + Send + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map({} given out, {} handed out)", self.given, self.handed)
    }
}
