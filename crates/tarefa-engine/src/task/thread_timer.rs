//! The clock for the time limits of this process's threads.
//!
//! One thread, made when the first deadline is set and gone a while after the last. A front's
//! threads are interrupted by what only their own process can do, so it is not the supervisor's
//! affair; and what the front does may take its language's lock, on which the supervisor never
//! waits. It sleeps until the first deadline, and runs what belongs to it without its own lock.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::deadlines::Deadlines;
use super::limits::GRACE;
use crate::atomic::{AtomicU64, Ordering};
use crate::os::clock::now_ns;
use crate::os::{process, signal};
use crate::shm::member::fork_safe_lock::Latest;

/// What is done when the time is up, and again after each further [`GRACE`].
pub type Act = Arc<dyn Fn() + Send + Sync>;

/// How long the thread stays without a deadline.
const LINGER: Duration = Duration::from_secs(1);

#[derive(Default)]
struct State {
    deadlines: Deadlines<u64>,
    acts: HashMap<u64, Act>,
    /// Those that run once.
    once: HashSet<u64>,
    runs: bool,
    /// See [`stop`].
    stopped: bool,
}

struct Timekeeper {
    /// A fork leaves the thread behind, and perhaps a locked lock: its child makes another.
    pid: i32,
    state: Mutex<State>,
    changed: Condvar,
    /// Held while an act runs.
    acting: Mutex<()>,
}

impl fmt::Debug for Timekeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timekeeper").field("pid", &self.pid).finish_non_exhaustive()
    }
}

static KEEPER: Latest<Timekeeper> = Latest::none();
static IDS: AtomicU64 = AtomicU64::new(0);

/// A deadline that is kept; forgotten when dropped.
#[derive(Debug)]
pub struct Kept {
    keeper: &'static Timekeeper,
    id: u64,
}

/// Has `act` run at `at` on the monotonic clock, in nanoseconds, until the deadline is dropped.
///
/// # Errors
/// `EAGAIN` when there is no thread to be had.
pub fn keep(at: u64, act: Act) -> io::Result<Kept> {
    let keeper = Timekeeper::here();
    keeper.add(at, act, false).map(|id| Kept { keeper, id })
}

/// Has `act` run once, soon.
///
/// # Errors
/// As of [`keep`].
pub fn run_soon(act: Act) -> io::Result<()> {
    Timekeeper::here().add(now_ns(), act, true).map(drop)
}

/// Ends it for this process, once the act that runs now, if any, is over: nothing is kept any
/// more. For a program that ends, where nobody may take the language's lock any more.
pub fn stop() {
    let keeper = Timekeeper::here();
    let acts = {
        let mut state = keeper.lock();
        state.stopped = true;
        state.deadlines = Deadlines::default();
        std::mem::take(&mut state.acts)
    };
    drop(acts);
    drop(keeper.acting.lock());
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.keeper.pid != process::pid() {
            return;
        }
        let act = {
            let mut state = self.keeper.lock();
            state.deadlines.remove(self.id);
            state.acts.remove(&self.id)
        };
        drop(act);
    }
}

impl Timekeeper {
    /// Of this process. Two threads that need the first at once may get one each, which is as
    /// good.
    fn here() -> &'static Self {
        let pid = process::pid();
        loop {
            if let Some(keeper) = KEEPER.get().filter(|k| k.pid == pid) {
                return keeper;
            }
            KEEPER.set(Self {
                pid,
                state: Mutex::default(),
                changed: Condvar::new(),
                acting: Mutex::default(),
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the deadline.
    fn add(&'static self, at: u64, act: Act, once: bool) -> io::Result<u64> {
        // not shared: a number of this process alone.
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        if state.stopped {
            return Ok(id);
        }
        if !state.runs {
            let thread =
                std::thread::Builder::new().name("tarefa-clock".into()).stack_size(256 * 1024);
            thread.spawn(move || self.run())?;
            state.runs = true;
        }
        let sooner = state.deadlines.first().is_none_or(|first| at < first);
        state.deadlines.set(id, at);
        state.acts.insert(id, act);
        if once {
            state.once.insert(id);
        }
        if sooner {
            self.changed.notify_one();
        }
        Ok(id)
    }

    fn run(&self) {
        signal::block_all();
        let mut state = self.lock();
        loop {
            let now = now_ns();
            if let Some(id) = state.deadlines.take_passed(now) {
                let act = state.acts.get(&id).cloned();
                // Before the state is let go, so that `stop` waits for it.
                let acting = self.acting.lock();
                drop(state);
                if let Some(act) = act {
                    act();
                }
                drop(acting);
                state = self.lock();
                if state.once.remove(&id) {
                    state.acts.remove(&id);
                } else if state.acts.contains_key(&id) {
                    state.deadlines.set(id, now_ns() + GRACE.as_nanos() as u64);
                }
                continue;
            }
            let first = state.deadlines.first();
            let left = first.map_or(LINGER, |at| Duration::from_nanos(at.saturating_sub(now)));
            let waited = self.changed.wait_timeout(state, left);
            let timed_out;
            (state, timed_out) = match waited {
                Ok((state, timeout)) => (state, timeout.timed_out()),
                Err(poisoned) => (poisoned.into_inner().0, false),
            };
            if timed_out && first.is_none() && state.deadlines.first().is_none() {
                state.runs = false;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::atomic::{AtomicU64, Ordering};
    use std::sync::Arc;
    use std::time::Duration;

    use super::{keep, now_ns, run_soon};

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no signals")]
    fn each_runs_at_its_time_and_what_is_dropped_never_does() {
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let late = Arc::new(AtomicU64::new(0));
        let now = now_ns();
        let kept: Vec<_> = [30u64, 10, 20, 400]
            .into_iter()
            .map(|ms| {
                let (order, late) = (Arc::clone(&order), Arc::clone(&late));
                let at = now + ms * 1_000_000;
                let act = move || {
                    late.fetch_add(u64::from(now_ns() < at), Ordering::Relaxed);
                    order.lock().unwrap().push(ms);
                };
                keep(at, Arc::new(act)).unwrap()
            })
            .collect();
        let mut kept = kept.into_iter();
        let rest: Vec<_> = kept.by_ref().take(3).collect();
        drop(kept);
        while order.lock().unwrap().len() < 3 {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(450));
        drop(rest);
        assert_eq!(*order.lock().unwrap(), [10, 20, 30]);
        assert_eq!(late.load(Ordering::Relaxed), 0, "before its time");
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no signals")]
    fn what_is_to_run_once_does() {
        let runs = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&runs);
        run_soon(Arc::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        }))
        .unwrap();
        while Arc::strong_count(&runs) > 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    }
}
