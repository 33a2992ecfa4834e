//! Giving back what the dead hold of objects.

use crate::atomic::{AtomicU64, Ordering};
use crate::os::clock::Deadline;
use crate::shm::arena::offset::Off;
use crate::shm::heap;
use crate::shm::member::Member;
use crate::shm::object::entries::References;
use crate::shm::object::robust_list;
use crate::shm::object::robust_list::Hold;
use crate::shm::recovery::round::Round;
use crate::shm::recovery::wait_nodes;

/// The calling thread ends: gives back what only it could.
pub(in crate::shm) fn return_of_thread(me: &Member) {
    if me.slot().left_over.load(Ordering::Relaxed) != 0 && heap::savepoint(me).is_none() {
        // What is left still is for the next thread in the slot, or for the process's end.
        heap::free_left_over(me);
    }
    let mine: Vec<Hold> = {
        let held = me.runtime().held();
        let holds = held.holds.keys().filter_map(|packed| Hold::unpack(*packed));
        holds.filter(|hold| hold.thread == me.index()).collect()
    };
    for hold in mine {
        let Some(recovery) = wait_nodes::recovery(me, hold.object).filter(|r| r.with_thread) else {
            continue;
        };
        while let Some(entry) = robust_list::forget(me, hold) {
            (recovery.return_hold)(me, robust_list::word(me, entry), hold, Deadline::NEVER);
            robust_list::unreserve(me, entry);
        }
    }
}

/// The objects that a dead process holds something of.
pub(in crate::shm) fn objects(me: &Member, references: &AtomicU64) -> Vec<Off> {
    let mut found = Vec::new();
    let mut block = Off(references.load(Ordering::Acquire));
    while !block.is_none() {
        let refs: &'static References = me.arena().at(block);
        let entries = refs.entries.iter().map(|entry| entry.load(Ordering::Acquire));
        found.extend(entries.filter_map(Hold::unpack).map(|hold| hold.object));
        block = Off(refs.next.load(Ordering::Acquire));
    }
    found
}

/// Gives back all that a dead process holds: `references` is its list of blocks, and `dead` one
/// of its threads. False if some of it is left for another round.
pub(in crate::shm) fn return_all(dead: &Member, references: &AtomicU64, round: &mut Round) -> bool {
    let mut all = true;
    let mut block = Off(references.load(Ordering::Acquire));
    while !block.is_none() {
        let refs: &'static References = dead.arena().at(block);
        for entry in &refs.entries {
            let Some(hold) = Hold::unpack(entry.load(Ordering::Acquire)) else { continue };
            if let Some(recovery) = wait_nodes::recovery(dead, hold.object) {
                let back = |limit| (recovery.return_hold)(dead, entry, hold, limit);
                if !round.give_up(hold.object, back) {
                    all = false;
                    continue;
                }
            }
            debug_assert_eq!(entry.load(Ordering::Relaxed), 0);
            entry.store(0, Ordering::Release);
            crash_point!("robust_list.returned");
        }
        block = Off(refs.next.load(Ordering::Acquire));
    }
    all
}
