//! What the threads of a process hold of an object, so that it comes back when they die.
//!
//! A hold (a semaphore's permit inside a `with`, a reader of a read-write lock) is one entry in
//! the blocks of the process's [`super::entries`], changed in the same
//! [`crate::shm::tx::journal::Tx`] as the object. A survivor finds the entries there; the process itself
//! finds its own in a table of its own memory.
//!
//! | bits of an entry | |
//! |---|---|
//! | 0..4 | what is held; 0 makes the entry a reference |
//! | 4..40 | the object: its offset, a multiple of 16 below 2^40 |
//! | 40..58 | the thread's slot plus 1 |

use crate::atomic::{AtomicU64, Ordering};
use crate::shm::arena::layout::{THREAD_SLOTS, process_state};
use crate::shm::arena::offset::Off;
use crate::shm::heap;
use crate::shm::heap::OutOfMemory;
use crate::shm::member::Member;
use crate::shm::member::held::HoldTable;
use crate::shm::member::slots;
use crate::shm::object::entries::{REFERENCES, References};

const WHAT: u64 = 0xf;
const THREAD_SHIFT: u32 = 40;
const OBJECT: u64 = (1 << THREAD_SHIFT) - 1 - WHAT;

/// Blocks of one process that [`holders`] looks at, at most.
const BLOCKS: usize = 4096;

/// One hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The object.
    pub object: Off,
    /// What of it, 1 to 15: the object's kind says it.
    pub what: u64,
    /// The slot of the thread that has it.
    pub thread: u32,
}

impl Hold {
    /// As an entry.
    #[must_use]
    pub fn pack(self) -> u64 {
        debug_assert!(self.object.0 & !OBJECT == 0 && self.what != 0 && self.what <= WHAT);
        self.object.0 | self.what | (u64::from(self.thread) + 1) << THREAD_SHIFT
    }

    /// From an entry; `None` for a free one or a reference.
    #[must_use]
    pub fn unpack(entry: u64) -> Option<Self> {
        let thread = (entry >> THREAD_SHIFT).checked_sub(1).filter(|t| *t < THREAD_SLOTS)?;
        let (object, what) = (Off(entry & OBJECT), entry & WHAT);
        (what != 0).then_some(Self { object, what, thread: thread as u32 })
    }
}

/// An entry for a hold to come: where the caller's change stores [`Hold::pack`].
///
/// # Errors
/// [`OutOfMemory`].
pub fn reserve(me: &Member) -> Result<Off, OutOfMemory> {
    me.runtime().held().take_entry(me)
}

/// Gives an entry back that is 0.
pub fn unreserve(me: &Member, entry: Off) {
    me.runtime().held().give_entry(me, entry);
}

/// The entry's word.
#[must_use]
pub fn word(me: &Member, entry: Off) -> &'static AtomicU64 {
    me.arena().at(entry)
}

/// Notes for this process that `entry` says `hold` now.
pub fn note(me: &Member, hold: Hold, entry: Off) {
    me.runtime().held().holds.entry(hold.pack()).or_default().push(entry);
}

/// Whether this process has such a hold.
#[must_use]
pub fn has(me: &Member, hold: Hold) -> bool {
    me.runtime().held().holds.contains_key(&hold.pack())
}

/// Forgets such a hold of this process and returns its entry, which the caller clears and then
/// gives back by [`unreserve`].
#[must_use]
pub fn forget(me: &Member, hold: Hold) -> Option<Off> {
    forget_packed(&mut me.runtime().held().holds, hold.pack())
}

/// The same for whichever thread of this process has one.
#[must_use]
pub fn forget_any(me: &Member, object: Off, what: u64) -> Option<Off> {
    let mut held = me.runtime().held();
    let alike =
        |packed: &u64| Hold::unpack(*packed).is_some_and(|h| h.object == object && h.what == what);
    let packed = held.holds.keys().copied().find(alike)?;
    forget_packed(&mut held.holds, packed)
}

fn forget_packed(holds: &mut HoldTable, packed: u64) -> Option<Off> {
    let entries = holds.get_mut(&packed)?;
    let entry = entries.pop();
    if entries.is_empty() {
        holds.remove(&packed);
    }
    entry
}

/// Who holds something of `object`: slots of process and thread, once for each hold.
///
/// A look from outside, which stops nobody: what changes meanwhile may be seen or not.
#[must_use]
pub fn holders(me: &Member, object: Off) -> Vec<(u32, u32)> {
    let runtime = me.runtime();
    let mut found = Vec::new();
    for process in slots::processes(runtime.arena()) {
        let slot = slots::process_slot(runtime.arena(), process);
        if slots::owner(slot).1 != process_state::LIVE {
            continue;
        }
        let mut block = Off(slot.references.load(Ordering::Acquire));
        for _ in 0..BLOCKS {
            // The blocks of a process that dies meanwhile are freed and used for other things.
            if !heap::is_block(me, block, REFERENCES) {
                break;
            }
            let refs: &References = me.arena().at(block);
            let holds = refs.entries.iter().filter_map(|e| Hold::unpack(e.load(Ordering::Acquire)));
            let its = |thread| {
                let owner =
                    slots::thread_slot(runtime.arena(), thread).owner.load(Ordering::Acquire);
                owner == u64::from(process) + 1
            };
            let holds = holds.filter(|h| h.object == object && its(h.thread));
            found.extend(holds.map(|h| (process, h.thread)));
            block = Off(refs.next.load(Ordering::Acquire));
        }
    }
    found
}
