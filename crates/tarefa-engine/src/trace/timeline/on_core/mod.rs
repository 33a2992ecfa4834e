//! When each thread was on a core: from the kernel where it says so, else sampled.
//!
//! A thread of this process looks at all threads of the program every millisecond or two, and never for more than a twentieth of
//! the time. It asks the kernel for the switches of each that it sees for the first time; of one for which that is refused
//! it reads how long it was on a core.

mod kernel;
mod sampled;
mod span;

use std::collections::HashMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

pub(super) use self::span::{Span, Who};
use super::data::Source;
use crate::atomic::Ordering;
use crate::os::clock;
use crate::os::signal;
use crate::shm::Runtime;
use crate::shm::arena::layout::process_state;
use crate::shm::member::slots;

/// How often threads are looked at.
const EVERY: Duration = Duration::from_millis(1);
/// The part of the time that a look may take: one in so many.
const SHARE: u32 = 20;
/// Spans that are kept: beyond that the timeline says that some are lost.
const MOST: usize = 1 << 21;
const STACK: usize = 256 * 1024;

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) spans: Vec<Span>,
    /// Of each thread, how it is known.
    pub(super) sources: HashMap<Who, Source>,
    /// Switches that are missing.
    pub(super) lost: u64,
}

/// Asks for what was found.
type Ask = mpsc::Sender<Found>;

/// Watches until it is dropped.
#[derive(Debug)]
pub(super) struct Watcher {
    ask: Option<mpsc::Sender<Ask>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watcher {
    /// `None` where no thread can be made.
    pub(super) fn start(runtime: &'static Runtime, only_samples: bool) -> Option<Self> {
        let (ask, asked) = mpsc::channel();
        let thread = thread::Builder::new().name("tarefa-cores".into()).stack_size(STACK);
        let thread = thread.spawn(move || {
            signal::block_all();
            watch(&mut Looks::new(runtime, only_samples), &asked);
        });
        Some(Self { ask: Some(ask), thread: Some(thread.ok()?) })
    }

    /// Has a last look taken: what was seen so far.
    pub(super) fn collect(&self) -> Found {
        let (answer, answered) = mpsc::channel();
        // The thread may have ended with a panic.
        let asked = self.ask.as_ref().is_some_and(|ask| ask.send(answer).is_ok());
        asked.then(|| answered.recv().ok()).flatten().unwrap_or_default()
    }

    /// In the child of a fork, which has no such thread.
    pub(super) fn forget(&mut self) {
        std::mem::forget(self.ask.take());
        std::mem::forget(self.thread.take());
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // The thread ends when nobody can ask it any more.
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn watch(looks: &mut Looks, asked: &mpsc::Receiver<Ask>) {
    let (mut pause, mut found) = (Duration::ZERO, Found::default());
    loop {
        let asker = match asked.recv_timeout(pause) {
            Ok(asker) => Some(asker),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let began = Instant::now();
        looks.look(&mut found, asker.is_some());
        found.lost += found.spans.len().saturating_sub(MOST) as u64;
        found.spans.truncate(MOST);
        if let Some(asker) = asker {
            let _ = asker.send(found.clone());
        }
        pause = EVERY.max(began.elapsed() * SHARE);
    }
}

/// How a thread is watched.
enum Way {
    Kernel(kernel::Watched),
    Sampled(sampled::Watched),
}

struct Looks {
    runtime: &'static Runtime,
    only_samples: bool,
    threads: HashMap<Who, (Way, u64)>,
    cores: sampled::Cores,
    round: u64,
}

impl Looks {
    fn new(runtime: &'static Runtime, only_samples: bool) -> Self {
        let (threads, cores) = (HashMap::new(), sampled::Cores::default());
        Self { runtime, only_samples, threads, cores, round: 0 }
    }

    /// Looks at all threads; also at those that are on a core now, as if they went off it, if it `closes`.
    fn look(&mut self, found: &mut Found, closes: bool) {
        self.round += 1;
        let (round, only_samples) = (self.round, self.only_samples);
        for who in members(self.runtime) {
            let known = self.threads.entry(who);
            known.or_insert_with(|| (way(who, only_samples), round)).1 = round;
        }
        let now_ns = clock::now_ns();
        let mut changes = Vec::new();
        for (who, (way, _)) in &mut self.threads {
            let source = match way {
                Way::Kernel(watched) => {
                    found.lost += watched.read(*who, closes.then_some(now_ns), &mut found.spans);
                    Source::Kernel
                }
                Way::Sampled(watched) => {
                    changes.extend(watched.look(*who));
                    Source::Sampled
                }
            };
            let known = found.sources.entry(*who).or_insert(source);
            *known = known.and(source);
        }
        self.cores.place(now_ns, changes, &mut found.spans);
        // Its last switches were just read.
        self.threads.retain(|_, (_, seen)| *seen == round);
    }
}

fn way(who: Who, only_samples: bool) -> Way {
    if !only_samples {
        if let Ok(watched) = kernel::Watched::of(who) {
            return Way::Kernel(watched);
        }
    }
    Way::Sampled(sampled::Watched::of(who))
}

/// The threads that are members now.
fn members(runtime: &'static Runtime) -> Vec<Who> {
    let arena = runtime.arena();
    let found = slots::threads(arena).filter_map(|index| {
        let slot = slots::thread_slot(arena, index);
        let tid = slot.tid.load(Ordering::Acquire) as i32;
        let owner = slot.owner.load(Ordering::Acquire);
        if tid == 0 || owner == 0 {
            return None;
        }
        let (pid, state) = slots::owner(slots::process_slot(arena, owner as u32 - 1));
        (state == process_state::LIVE).then_some((pid, tid))
    });
    found.collect()
}
