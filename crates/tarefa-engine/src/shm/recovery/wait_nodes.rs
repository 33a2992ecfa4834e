//! Places of threads in queues, and what becomes of them when their thread dies.
//!
//! The layer above links the nodes into its queues. Here is only what [`crate::shm::recovery`] needs:
//! a dead thread's nodes are found in its slot, and the kind of the object that each belongs to
//! says how it is given up.

use std::cell::RefCell;
use std::sync::OnceLock;

use crate::atomic::{AtomicU64, Ordering};
use crate::kinds;
use crate::os::clock::Deadline;
use crate::shm::arena::layout::{NODES, THREAD_SLOTS, WaitNode};
use crate::shm::arena::offset::Off;
use crate::shm::member::Member;
use crate::shm::member::runtime::Runtime;
use crate::shm::member::slots;
use crate::shm::object;
use crate::shm::object::refcount;
use crate::shm::object::robust_list::Hold;
use crate::shm::recovery::round::Round;

/// See [`Recovery::give_up`]: the last is where what the thread gets would be noted.
pub type GiveUp = fn(me: &Member, node: &'static WaitNode, object: Off, entry: Off) -> bool;

/// What is done for the dead, by the kind of object. Each is safe to do again, and does nothing, and
/// says false, where the object's latch is not to be had by the time given.
#[derive(Clone, Copy, Debug)]
pub struct Recovery {
    /// The thread whose `node` belongs to the object will not come back: takes the node out,
    /// frees it, and passes on what it was given and has not taken.
    pub abandon: fn(dead: &Member, node: &'static WaitNode, object: Off, limit: Deadline) -> bool,
    /// The thread will not give back what the `entry` says it holds: gives it back, and clears
    /// the entry in the same change.
    pub return_hold:
        fn(dead: &Member, entry: &'static AtomicU64, hold: Hold, limit: Deadline) -> bool,
    /// The thread whose `node` it is has gone on without waiting for the object's latch, and does
    /// not want what it waited for: as `abandon`, for the living. False if the latch is not to be
    /// had before long. `None` for kinds whose waits end with the latch only.
    pub give_up: Option<GiveUp>,
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
    if me.slot().nodes.iter().any(|node| node.deferred.load(Ordering::Relaxed) != 0) {
        give_up_deferred(me);
    }
    let free = |node: &WaitNode| {
        node.object.load(Ordering::Relaxed) == 0 && node.deferred.load(Ordering::Relaxed) == 0
    };
    let place = me.slot().nodes.iter().position(free)?;
    Some(u64::from(me.index()) * NODES as u64 + place as u64 + 1)
}

thread_local! {
    /// Of the nodes that the thread has deferred: the entries.
    static ENTRIES: RefCell<Vec<(*const WaitNode, Off)>> = const { RefCell::new(Vec::new()) };
}

/// The calling thread goes on, and gives its `node` up later: the latch of the object at `object`
/// is not to be had, for whoever has it is stopped. The object stays until then. `entry` is where
/// what the thread gets would be noted.
pub fn defer(me: &Member, node: &'static WaitNode, object: Off, entry: Option<Off>) {
    let id = object::header(me, object).id.load(Ordering::Relaxed);
    // This process has a handle already, so this only counts.
    let _ = refcount::acquire(me, object, id);
    ENTRIES.with_borrow_mut(|entries| {
        entries.push((std::ptr::from_ref(node), entry.unwrap_or_default()));
    });
    node.deferred.store(1, Ordering::Release);
    crash_point!("wait_nodes.deferred");
}

/// Gives up what the calling thread has deferred, as far as the latches can be had now.
pub fn give_up_deferred(me: &Member) {
    for node in &me.slot().nodes {
        if node.deferred.load(Ordering::Relaxed) == 0 {
            continue;
        }
        let off = Off(node.object.load(Ordering::Acquire));
        // Not where the thread is ending: its process returns the entry with the others.
        let entry = ENTRIES.try_with(|entries| {
            let entries = entries.borrow();
            entries.iter().find(|(of, _)| std::ptr::eq(*of, node)).map(|(_, entry)| *entry)
        });
        let entry = entry.ok().flatten().unwrap_or_default();
        let give_up = recovery(me, off).and_then(|r| r.give_up);
        if give_up.is_none_or(|give_up| give_up(me, node, off, entry)) {
            let _ = ENTRIES.try_with(|entries| {
                entries.borrow_mut().retain(|(of, _)| !std::ptr::eq(*of, node));
            });
            node.deferred.store(0, Ordering::Release);
            crash_point!("wait_nodes.given_up");
            refcount::release(me, off);
        }
    }
}

/// The thread ends: what it has deferred is given up before its slot is another's.
pub(in crate::shm) fn give_up_all_deferred(me: &Member) {
    while me.slot().nodes.iter().any(|node| node.deferred.load(Ordering::Relaxed) != 0) {
        give_up_deferred(me);
    }
}

/// Gives up all places of a dead thread; false if some are left for another round.
pub(in crate::shm) fn abandon_all(dead: &Member, round: &mut Round) -> bool {
    let mut all = true;
    for node in &dead.slot().nodes {
        let off = Off(node.object.load(Ordering::Acquire));
        if off.is_none() {
            continue;
        }
        if let Some(recovery) = recovery(dead, off) {
            if !round.give_up(off, |limit| (recovery.abandon)(dead, node, off, limit)) {
                all = false;
                continue;
            }
        }
        debug_assert_eq!(node.object.load(Ordering::Relaxed), 0);
        node.deferred.store(0, Ordering::Relaxed);
        node.object.store(0, Ordering::Release);
        crash_point!("wait_nodes.abandoned");
    }
    all
}
