//! Queues and pools of a program, seen from outside: how much waits in them.
//!
//! Read as they stand, without a latch: a length may be one that never was between two messages that
//! come and go meanwhile, and never one of another queue.

use std::collections::BTreeSet;

use crate::channel::Queue;
use crate::kinds;
use crate::pool::Board;
use crate::shm::Member;
use crate::shm::arena::layout::process_state;
use crate::shm::arena::offset::Off;
use crate::shm::member::slots;
use crate::shm::object::entries;
use crate::shm::object::robust_list::Hold;
use crate::sync::object_kinds;

/// Queues and pools that somebody refers to, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// The queues.
    pub queues: Vec<QueueLength>,
    /// The pools of processes.
    pub pools: Vec<PoolWork>,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueLength {
    /// Its name for people, as in `Queue 4`.
    pub name: String,
    /// Messages in it.
    pub length: u64,
    /// The most there may be; 0 for any number.
    pub maxsize: u64,
}

/// A pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolWork {
    /// Its name for people, as in `Pool 4`.
    pub name: String,
    /// Workers that take work.
    pub workers: u32,
    /// Those that run a task now.
    pub busy: u32,
    /// Tasks that wait in batches that workers have begun.
    pub waiting: u64,
    /// Tasks that were begun so far, by those workers.
    pub begun: u64,
}

/// Looks at all of them.
pub(super) fn look(me: &Member) -> Traffic {
    let mut referred = BTreeSet::new();
    for index in slots::processes(me.arena()) {
        if slots::owner(slots::process_slot(me.arena(), index)).1 != process_state::LIVE {
            continue;
        }
        entries::inspect(me, index, &mut |entry| {
            if Hold::unpack(entry).is_none() {
                referred.insert(entry);
            }
            true
        });
    }
    let (mut queues, mut pools) = (Vec::new(), Vec::new());
    for off in referred.into_iter().map(Off) {
        let Some(seen) = object_kinds::see(me, off) else { continue };
        let is_same = || object_kinds::see(me, off) == Some(seen);
        match seen.kind {
            kinds::QUEUE => {
                let queue = Queue::at(me, off);
                let (length, maxsize) = (queue.inspect_len(), queue.maxsize());
                if is_same() {
                    let name = format!("{} {}", object_kinds::name(me, seen), seen.id);
                    queues.push((seen.id, QueueLength { name, length, maxsize }));
                }
            }
            kinds::BOARD => {
                let board = Board::at(me, off);
                // From here on its seats are there, whatever is in them meanwhile.
                if is_same() {
                    let work = work(&board, format!("Pool {}", seen.id));
                    if is_same() {
                        pools.push((seen.id, work));
                    }
                }
            }
            _ => {}
        }
    }
    queues.sort_by_key(|(id, _)| *id);
    pools.sort_by_key(|(id, _)| *id);
    Traffic {
        queues: queues.into_iter().map(|(_, queue)| queue).collect(),
        pools: pools.into_iter().map(|(_, pool)| pool).collect(),
    }
}

fn work(board: &Board<'_>, name: String) -> PoolWork {
    let mut found = PoolWork { name, workers: 0, busy: 0, waiting: 0, begun: 0 };
    for seat in (0..board.seats()).filter(|seat| board.is_ready(*seat)) {
        found.workers += 1;
        found.begun += board.claimed(seat);
        if let Some(running) = board.running(seat) {
            found.busy += 1;
            found.waiting += u64::from(running.waiting);
        }
    }
    found
}
