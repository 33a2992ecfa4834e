//! What a worker process of a pool does, from its start to its end.
//!
//! It holds a batch's message, unacknowledged, until all of it is done, claims each task on the board
//! before it runs it, and has the result in the queue of results, or kept at its seat, before it claims the
//! next one. So it may be killed anywhere: see the engine's `pool/README.md`.

use std::cell::Cell;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tarefa_engine::channel::{Content, GetError, Taken};
use tarefa_engine::os::clock::{self, Deadline};
use tarefa_engine::pool::{Board, Claim, Growth};
use tarefa_engine::shm::{Member, Off, trace};
use tarefa_engine::task::State;

use super::budget::Share;
use super::call::{Call, Called, Callee, Known};
use super::running::{self, Running};
use super::settings;
use super::shared::{Messages, SharedBoard};
use super::wire::{self, Arrived, Status};
use crate::runtime;
use crate::runtime::blocking::{self, Here};
use crate::runtime::interrupt;
use crate::sync::errors::LockError;
use crate::sync::lock::{Lock, LockGuard};

/// How long a worker waits for an interrupt that is on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(5);

/// What a worker is started with.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Job {
    pub(super) seat: u32,
    pub(super) board: SharedBoard,
    pub(super) tasks: Messages,
    pub(super) results: Messages,
    /// How many tasks it runs.
    pub(super) limit: Option<u32>,
    /// By how much its memory may grow.
    pub(super) soft_memory_limit: Option<u64>,
    pub(super) resources: Vec<Resource>,
    /// How many processors it has.
    pub(super) share: Share,
    /// On which alone it runs; empty for any.
    pub(super) processors: Vec<usize>,
}

/// A resource: a lock for each of its units.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Resource {
    pub(super) name: String,
    pub(super) units: Vec<Lock>,
}

/// The worker cannot go on; its pool hires another.
type Broken = String;

/// Is a worker: the target of its process.
pub(super) fn main(job: Job, initializer: Option<Call>) -> Result<(), Broken> {
    job.share.take();
    settings::pin(&job.processors)?;
    if let Some(initializer) = initializer {
        initializer.call()?;
    }
    let runtime = runtime::get().map_err(|e| e.to_string())?;
    let me = runtime.try_me().map_err(|e| e.to_string())?;
    let growth = job.soft_memory_limit.map(Growth::new);
    let (known, carried) = (Known::default(), Cell::default());
    Worker { me: &me, job: &job, known, done: 0, growth, carried }.run()
}

struct Worker<'a> {
    me: &'a Member,
    job: &'a Job,
    known: Known,
    /// Tasks that it has run.
    done: u32,
    growth: Option<Growth>,
    /// Bytes of messages that it has taken and sent.
    carried: Cell<u64>,
}

impl Worker<'_> {
    fn board(&self) -> Board<'_> {
        self.job.board.board(self.me)
    }

    fn run(&mut self) -> Result<(), Broken> {
        let (seat, tasks) = (self.job.seat, self.job.tasks.queue(self.me));
        if !self.board().note_ready(seat) {
            return Err("its initializer has returned too late".to_owned());
        }
        loop {
            let taken = match tasks.get_to_ack(1, &mut Here::now(), Deadline::NEVER) {
                Ok(taken) => taken,
                Err(GetError::ShutDown) => return Ok(()),
                // It was meant for a task that has ended.
                Err(GetError::Interrupted | GetError::Empty) => continue,
                Err(GetError::Memory(e)) => return Err(e.to_string()),
            };
            let deliveries = taken.deliveries().to_vec();
            let whole = self.serve(&taken)?;
            drop(taken);
            if !whole {
                // The rest goes to others, by way of the queue.
                self.board().disown(seat);
                return tasks.give_back(&deliveries).map_err(|e| e.to_string());
            }
            tasks.ack(&deliveries).map_err(|e| e.to_string())?;
            self.board().leave(seat, self.carried.get());
            let is_past = self.growth.as_mut().is_some_and(Growth::is_past);
            if is_past || self.job.limit.is_some_and(|limit| self.done >= limit) {
                return Ok(());
            }
        }
    }

    /// Runs a batch; false if it is to go to another worker before its end.
    fn serve(&mut self, taken: &Taken) -> Result<bool, Broken> {
        let Some(Content::Blob(_, bytes, _)) = taken.contents().next() else { return Ok(true) };
        self.carry(bytes.len());
        let Some(arrived) = Arrived::of(bytes) else { return Ok(true) };
        let job = self.job;
        let held = hold(&job.resources, &arrived.units)?;
        let name = |n: u32| job.resources.get(n as usize).map(|it| it.name.as_str());
        let _running = Running::begin(arrived.head.attempt, running::leases(&arrived.units, name));
        let (seat, number, count) = (job.seat, arrived.head.number, arrived.head.count);
        if taken.redelivered() {
            let Some(blamed) = self.board().take_over(seat, number, count) else { return Ok(true) };
            for kept in self.board().kept_of(number) {
                self.put(number, kept.first, Status::Kept, &kept.bytes, &[])?;
            }
            for blamed in blamed {
                let worker = blamed.worker.to_le_bytes();
                self.put(number, blamed.task, Status::Died, &worker, &[])?;
            }
            self.board().taken_over(seat, number);
        } else if !self.board().begin(seat, number, count) {
            return Ok(true);
        }
        let whole = self.run_batch(&arrived)?;
        drop(held);
        Ok(whole)
    }

    fn run_batch(&mut self, arrived: &Arrived<'_>) -> Result<bool, Broken> {
        let (seat, number) = (self.job.seat, arrived.head.number);
        let timed = arrived.head.flags & wire::TIMED != 0;
        let began = Instant::now();
        let mut ran = 0_u64;
        let mut told = clock::coarse_ns();
        let callee = self.known.find(arrived.head.place);
        loop {
            let now = clock::coarse_ns();
            if now != told {
                // So that nobody waits long for what is there.
                self.tell(number)?;
                told = now;
            }
            match self.board().claim_at(seat, now) {
                Claim::Task(index) => {
                    self.run_task(arrived, callee, index)?;
                    ran += 1;
                    self.done += 1;
                    let is_last = || self.board().running(seat).is_none_or(|r| r.waiting == 0);
                    if self.job.limit.is_some_and(|limit| self.done >= limit) && !is_last() {
                        self.tell(number)?;
                        return Ok(false);
                    }
                }
                Claim::Done => break,
                Claim::Held => self.let_interrupt_come(),
            }
        }
        if timed {
            let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
            let took = wire::pair(took, ran);
            self.put(number, 0, Status::Took, &took, &[])?;
        }
        self.tell(number)?;
        Ok(true)
    }

    fn run_task(
        &self,
        arrived: &Arrived<'_>,
        callee: Option<Callee>,
        index: u32,
    ) -> Result<(), Broken> {
        let (seat, number) = (self.job.seat, arrived.head.number);
        let before = interrupt::told();
        let called = match callee {
            Some(callee) if trace::is_on(self.me) => {
                let call = trace::Call {
                    name: callee.name,
                    pool: self.job.board.number(),
                    batch: number,
                    index,
                };
                trace::around(self.me, call, || (callee.call)(arrived.call(index)), Called::how)
            }
            Some(callee) => (callee.call)(arrived.call(index)),
            None => {
                Called::Unread("its code is in a library that this process does not have".into())
            }
        };
        if interrupt::told() != before && self.board().is_held(seat) {
            // The task has had the interrupt that was meant for it.
            self.board().resume(seat);
        }
        let (status, text) = match called {
            Called::Word(word) if arrived.head.count > 1 => {
                if !self.board().keep(seat, index, word) {
                    self.tell(number)?;
                    if !self.board().keep(seat, index, word) {
                        return self.put(number, index, Status::Kept, &word.to_le_bytes(), &[]);
                    }
                }
                return Ok(());
            }
            Called::Word(word) => {
                return self.put(number, index, Status::Kept, &word.to_le_bytes(), &[]);
            }
            Called::Value(value, verdict) => {
                let interrupted = verdict == State::Interrupted;
                let status = if interrupted { Status::Interrupted } else { Status::Value };
                let references = value.references(self.me.runtime());
                match self.tell_and_put(number, index, status, &value.bytes, &references) {
                    Ok(()) => return Ok(()),
                    Err(why) => (Status::Unsent, why),
                }
            }
            Called::Panicked(text) => (Status::Panicked, text),
            Called::Unread(text) => (Status::Unread, text),
            Called::Unsent(text) => (Status::Unsent, text),
        };
        self.tell_and_put(number, index, status, text.as_bytes(), &[])
    }

    /// Tells the results that are kept at the seat.
    fn tell(&self, number: u64) -> Result<(), Broken> {
        if let Some(kept) = self.board().kept(self.job.seat, number) {
            self.put(number, kept.first, Status::Kept, &kept.bytes, &[])?;
            self.board().told(self.job.seat);
        }
        Ok(())
    }

    fn tell_and_put(
        &self,
        number: u64,
        index: u32,
        status: Status,
        bytes: &[u8],
        references: &[Off],
    ) -> Result<(), Broken> {
        self.tell(number)?;
        self.put(number, index, status, bytes, references)
    }

    fn put(
        &self,
        number: u64,
        index: u32,
        status: Status,
        bytes: &[u8],
        references: &[Off],
    ) -> Result<(), Broken> {
        let head = wire::result(number, index, status);
        self.carry(head.len() + bytes.len());
        let put = self.job.results.put(self.me, &[&head, bytes], references);
        put.map_err(|e| e.to_string())
    }

    fn carry(&self, bytes: usize) {
        self.carried.set(self.carried.get() + bytes as u64);
    }

    /// The pool has sent an interrupt to the task that has just ended.
    fn let_interrupt_come(&self) {
        let _ = blocking::sleep(ON_ITS_WAY);
        self.board().resume(self.job.seat);
    }
}

/// Holds the locks of some units.
fn hold<'a>(resources: &'a [Resource], units: &[(u32, u32)]) -> Result<Vec<LockGuard<'a>>, Broken> {
    let mut held = Vec::with_capacity(units.len());
    for (resource, unit) in units {
        let lock = resources.get(*resource as usize).and_then(|it| it.units.get(*unit as usize));
        let Some(lock) = lock else { continue };
        held.push(loop {
            match lock.lock(None) {
                Ok(guard) => break guard,
                // That is told once, and what the lock guards is not ours to repair; an interrupt was
                // meant for a task that has ended.
                Err(LockError::OwnerDied(_) | LockError::Interrupted(_) | LockError::TimedOut) => {}
                Err(e @ LockError::Threads(_)) => return Err(e.to_string()),
            }
        });
    }
    Ok(held)
}
