//! What the root, the zygote and all who start processes share: a block made once, whose offset is
//! in the header's `roots`. Its parts are `requests` and `spares`.

use crate::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::os::futex;
use crate::settings;
use crate::shm::Member;
use crate::shm::arena::layout::BlockHeader;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, Kind, OutOfMemory};
use crate::shm::tx::journal::Tx;
use crate::shm::tx::latch::Latch;

/// Most spares there can be.
pub const SPARES: usize = settings::MOST_SPARES as usize;
const ROOT: usize = 0;

/// The error number for a zygote that does not come up.
pub(in crate::task) const NO_ZYGOTE: i32 = -1;

/// States of the zygote.
pub mod zygote_state {
    /// There is none.
    pub const NONE: u64 = 0;
    /// The supervisor is asked for one.
    pub const WANTED: u64 = 1;
    /// It is being started.
    pub const STARTING: u64 = 2;
    /// It serves.
    pub const READY: u64 = 3;
}

/// See the module.
#[repr(C)]
#[derive(Debug)]
pub struct Control {
    block: BlockHeader,
    pub(super) latch: Latch,
    /// See [`zygote_state`].
    pub zygote: AtomicU64,
    /// The zygote's process slot plus 1.
    pub zygote_slot: AtomicU64,
    /// Zygotes made so far.
    pub zygotes: AtomicU64,
    /// The zygote sleeps on it: bumped with every wish.
    pub zygote_futex: AtomicU32,
    /// Set while the zygote sleeps.
    pub asleep: AtomicU32,
    /// 1 once somebody is about to ask for a process: a hint, see `rouse`.
    pub(super) expected: AtomicU32,
    unused: AtomicU32,
    pub(super) first: AtomicU64,
    pub(super) last: AtomicU64,
    /// Spares asked for by the program.
    pub spares_asked: AtomicU64,
    /// Spares wanted now: more than asked for after a burst of starts.
    pub spares_wanted: AtomicU64,
    /// Starts that found no spare.
    pub misses: AtomicU64,
    /// How deep processes may start processes; 0 for as deep as usual.
    pub max_depth: AtomicU64,
    /// A blob for the front of the zygote (what to import), 0 for none.
    pub message: AtomicU64,
    /// 1 while the zygote has yet to hear of what makes its spares slow: no start takes one then.
    pub(in crate::task) stale: AtomicU64,
    /// A number of what user, groups and so on the zygote has, 0 while nobody knows; and a blob of
    /// what it is to have. See [`crate::task::identity`].
    pub(in crate::task) identity: AtomicU64,
    pub(in crate::task) lower: AtomicU64,
    /// 1 once somebody has started a task that is to have others.
    pub(in crate::task) others: AtomicU64,
    /// Process slot plus 1 of each spare.
    pub spares: [AtomicU64; SPARES],
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for Control {}

/// The control block, made now if there is none.
///
/// # Errors
/// [`OutOfMemory`].
pub fn get(me: &Member) -> Result<&'static Control, OutOfMemory> {
    if let Some(control) = there(me) {
        return Ok(control);
    }
    let root = &me.header().roots[ROOT];
    let _latch = me.header().roots_latch.lock(me);
    if root.load(Ordering::Acquire) == 0 {
        let mark = heap::savepoint(me);
        let size = size_of::<Control>() as u64;
        let block = heap::alloc(me, Kind::RAW, size)?;
        for at in (heap::HEADER..size).step_by(8) {
            me.arena().at::<AtomicU64>(block.plus(at)).store(0, Ordering::Relaxed);
            crash_point!("zygote_control.cleared");
        }
        let mut tx = Tx::begin(me);
        tx.set(root, block.0);
        heap::release_to(me, &mut tx, mark);
        crash_point!("zygote_control.made");
        tx.commit();
        crash_point!("zygote_control.ready");
    }
    Ok(me.arena().at(Off(root.load(Ordering::Acquire))))
}

/// The control block, if somebody has made it.
pub(super) fn there(me: &Member) -> Option<&'static Control> {
    let off = me.header().roots[ROOT].load(Ordering::Acquire);
    (off != 0).then(|| me.arena().at(Off(off)))
}

impl Control {
    /// Wakes the zygote.
    pub fn ring(&self) {
        self.zygote_futex.fetch_add(1, Ordering::AcqRel);
        crash_point!("zygote_control.rung");
        // Either the zygote is seen asleep, or it sees the bell changed.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Acquire) != 0 {
            futex::wake_all(&self.zygote_futex);
        }
    }

    /// Whether the zygote has been sent what it has not taken.
    pub(in crate::task) fn has_message(&self) -> bool {
        self.message.load(Ordering::Acquire) != 0
    }

    /// Asks for a zygote if there is none.
    pub(in crate::task) fn want_zygote(&self, me: &Member) {
        // The request before the look at the state: see the supervisor's `zygote_ended`.
        fence(Ordering::SeqCst);
        let swap = self.zygote.compare_exchange(
            zygote_state::NONE,
            zygote_state::WANTED,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        crash_point!("zygote_control.wanted");
        if swap.is_ok() {
            me.runtime().ring();
        }
    }
}
