//! Takes all slots of threads that are free in another program's runtime, so that no more of its
//! threads can use shared objects: for `tests/python/runtime/test_too_many_threads.py`. Or stays in the
//! middle of an operation, with a latch of the heap's: for `tests/python/sync/test_stopped_members.py`.
//!
//! ```text
//! crowd event
//! crowd event stays
//! ```
//!
//! It raises the event once they are taken, and gives them back as it is killed: they are its own. One
//! that stays goes on once there is something to read.

use std::error::Error;
use std::io::Read;

use tarefa::{Event, attach};
use tarefa_engine::atomic::Ordering;
use tarefa_engine::shm::Runtime;
use tarefa_engine::shm::arena::layout::THREADS;
use tarefa_engine::shm::member::slots;

fn main() -> Result<(), Box<dyn Error>> {
    let ready: Event = attach(&std::env::args().nth(1).ok_or("usage: crowd event")?)?;
    // The one that it joined: it has none of its own.
    let runtime = Runtime::existing().ok_or("no runtime")?;
    if std::env::args().nth(2).is_some() {
        let me = runtime.try_me()?;
        let latched = runtime.header().units_latch.lock(&me);
        ready.set();
        let _ = std::io::stdin().read(&mut [0]);
        drop(latched);
        return Ok(());
    }
    let own = u64::from(runtime.process_index()) + 1;
    for index in 0..THREADS as u32 {
        // Before the slot is taken, as always, so that the clean-up finds it.
        let top = &runtime.header().thread_top;
        top.fetch_max(u64::from(index) + 1, Ordering::AcqRel);
        let owner = &slots::thread_slot(runtime.arena(), index).owner;
        let _ = owner.compare_exchange(0, own, Ordering::AcqRel, Ordering::Relaxed);
    }
    ready.set();
    let _ = std::io::stdin().read(&mut [0]);
    Ok(())
}
