//! Threads of this process that use what a member uses that is about to die.

use std::time::Duration;

use crate::support::{self, Shared, Words, int};
use tarefa_engine::atomic::{AtomicBool, AtomicU64, Ordering};
use tarefa_engine::collections::list::List;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Runtime;
use tarefa_engine::sync::lock::word::{Acquired, Recursion};
use tarefa_engine::sync::wait::Plain;
use tarefa_engine::sync::{event, lock};

/// Uses the lock and the event without end.
pub(crate) struct Rival {
    pub(crate) stop: AtomicBool,
    pub(crate) died: AtomicU64,
}

impl Rival {
    pub(crate) fn run(&self, runtime: &'static Runtime, shared: &Shared) -> Result<(), String> {
        let me = runtime.me();
        while !self.stop.load(Ordering::Relaxed) {
            self.died
                .fetch_add(u64::from(support::try_lock(&me, shared.lock.0)?), Ordering::Relaxed);
            // Longer than anybody spins.
            let cell = lock::cell(&me, shared.lock.0);
            if cell.try_acquire(&me, Recursion::Forbidden) == Some(Acquired::Yes) {
                std::thread::sleep(Duration::from_micros(150));
                let _ = cell.release(&me, Recursion::Forbidden);
            }
            event::set(&me, shared.event.0);
            std::thread::sleep(Duration::from_micros(50));
            {
                let _latch = Words::at(&me, shared.words.0).latch().lock(&me);
                std::thread::sleep(Duration::from_micros(150));
            }
            // Holds the list's latch for long.
            let child = List::at(&me, shared.child.0);
            for _ in 0..4 {
                child.insert(1, int(8)).map_err(|e| e.to_string())?;
                child.remove(1).map_err(|e| e.to_string())?;
            }
            for _ in 0..300 {
                child.append(int(8)).map_err(|e| e.to_string())?;
                child.pop().map_err(|e| e.to_string())?;
            }
        }
        Ok(())
    }
}

/// Holds the lock for long, or the child's guard, and takes it again at once.
pub(crate) fn overtake(
    runtime: &'static Runtime,
    stop: &AtomicBool,
    shared: &Shared,
    sort: Recursion,
) -> Result<(), String> {
    let me = runtime.me();
    let (cell, off) = match sort {
        Recursion::Forbidden => (lock::cell(&me, shared.lock.0), shared.lock.0),
        Recursion::Allowed => (List::at(&me, shared.child.0).object_lock(), shared.child.0),
    };
    let mut died = 0;
    while !stop.load(Ordering::Relaxed) {
        let limit = Deadline::after(Some(Duration::from_secs(20)));
        match cell.acquire(&me, sort, off, &mut Plain, limit) {
            Acquired::Yes => {
                std::thread::sleep(Duration::from_micros(700));
                cell.release(&me, sort).map_err(|e| e.to_string())?;
            }
            Acquired::OwnerDied(_) => died += 1,
            other => return Err(format!("{sort:?}: {other:?}")),
        }
    }
    if died > 1 { Err(format!("{sort:?}: the owner died {died} times")) } else { Ok(()) }
}
