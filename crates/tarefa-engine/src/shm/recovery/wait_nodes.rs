//! Places of threads in queues, and what becomes of them when their thread dies.
//!
//! The layer above links the nodes into its queues. Here is only what [`crate::shm::recovery`] needs:
//! a dead thread's nodes are found in its slot, and the kind of the object that each belongs to
//! says how it is given up.

use std::sync::OnceLock;

use crate::atomic::{AtomicU64, Ordering};
use crate::kinds;
use crate::shm::arena::layout::{NODES, THREAD_SLOTS, WaitNode};
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;
use crate::shm::member::runtime::Runtime;
use crate::shm::member::slots;
use crate::shm::object;
use crate::shm::object::robust_list::Hold;

/// What is done for the dead, by the kind of object. Each is safe to do again.
#[derive(Clone, Copy, Debug)]
pub struct Recovery {
    /// The thread whose `node` belongs to the object will not come back: takes the node out,
    /// frees it, and passes on what it was given and has not taken.
    pub abandon: fn(dead: &Member, node: &'static WaitNode, object: Off),
    /// The thread will not give back what the `entry` says it holds: gives it back, and clears
    /// the entry in the same change.
    pub return_hold: fn(dead: &Member, entry: &'static AtomicU64, hold: Hold),
    /// Whether a thread that ends while its process lives on gives back what it holds.
    pub with_thread: bool,
}

static RECOVERIES: [OnceLock<Recovery>; kinds::COUNT] = [const { OnceLock::new() }; kinds::COUNT];

/// Says what is done for objects of `kind`. The first call for a kind counts.
pub fn register(kind: u64, recovery: Recovery) {
    let _ = RECOVERIES[kind as usize].set(recovery);
}

/// What is done for the object at `off`.
pub(in crate::shm) fn recovery(me: &Member, off: Off) -> Option<&'static Recovery> {
    let kind = object::header(me, off).kind.load(Ordering::Acquire);
    RECOVERIES.get(kind as usize).and_then(|r| r.get())
}

/// The node with the number `id`, which is not 0.
#[must_use]
pub fn node(runtime: &'static Runtime, id: u64) -> &'static WaitNode {
    let (thread, place) = ((id - 1) / NODES as u64, (id - 1) % NODES as u64);
    &slots::thread_slot(runtime.arena(), thread as u32).nodes[place as usize]
}

/// The thread slot of the node with the number `id`.
#[must_use]
pub fn thread_of(id: u64) -> u32 {
    (id.saturating_sub(1) / NODES as u64).min(THREAD_SLOTS - 1) as u32
}

/// The number of a node of the calling thread that is free; `None` when it waits in too many
/// places at once.
#[must_use]
pub fn free_node(me: &Member) -> Option<u64> {
    let free = |node: &WaitNode| node.object.load(Ordering::Relaxed) == 0;
    let place = me.slot().nodes.iter().position(free)?;
    Some(u64::from(me.index()) * NODES as u64 + place as u64 + 1)
}

/// Gives up all places of a dead thread.
pub(in crate::shm) fn abandon_all(dead: &Member) {
    for node in &dead.slot().nodes {
        let off = Off(node.object.load(Ordering::Acquire));
        if off.is_none() {
            continue;
        }
        if let Some(recovery) = recovery(dead, off) {
            (recovery.abandon)(dead, node, off);
        }
        debug_assert_eq!(node.object.load(Ordering::Relaxed), 0);
        node.object.store(0, Ordering::Release);
        crash_point!("wait_nodes.abandoned");
    }
}
