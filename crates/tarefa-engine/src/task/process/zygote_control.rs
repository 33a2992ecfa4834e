//! What the root, the zygote and all who start processes share.
//!
//! A block made once, whose offset is in the header's `roots`. The queue of requests and its
//! references are changed under the block's latch; a spare is claimed by one
//! compare-and-swap of its mailbox.

use crate::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use crate::os::futex;
use crate::settings;
use crate::shm::arena::layout::{BlockHeader, ProcessSlot, process_state};
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, Kind, OutOfMemory};
use crate::shm::member::slots;
use crate::shm::tx::journal::Tx;
use crate::shm::tx::latch::Latch;
use crate::shm::{Member, object};
use crate::task::record::Task;

/// Most spares there can be.
pub const SPARES: usize = settings::MOST_SPARES as usize;
const ROOT: usize = 0;

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

/// Values of a spare's mailbox; a claimed one has the claimer's process slot in the bits above.
pub mod mailbox {
    /// Not ready yet.
    pub const COLD: u32 = 0;
    /// Waits for a task.
    pub const IDLE: u32 = 1;
    /// Somebody is about to give it one.
    pub const CLAIMED: u32 = 2;
    /// Has one, in its slot's `task`.
    pub const TASK: u32 = 3;
    /// Is to end.
    pub const LEAVE: u32 = 4;
}

/// See the module.
#[repr(C)]
#[derive(Debug)]
pub struct Control {
    block: BlockHeader,
    latch: Latch,
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
    first: AtomicU64,
    last: AtomicU64,
    /// Spares asked for by the program.
    pub spares_asked: AtomicU64,
    /// Spares wanted now: more than asked for after a burst of starts.
    pub spares_wanted: AtomicU64,
    /// Starts that found no spare.
    pub misses: AtomicU64,
    /// A blob for the front of the zygote (what to import), 0 for none.
    pub message: AtomicU64,
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
    let root = &me.header().roots[ROOT];
    let off = root.load(Ordering::Acquire);
    if off != 0 {
        return Ok(me.arena().at(Off(off)));
    }
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

    /// Queues a request to fork a process for the task; the queue holds a reference to it.
    pub(in crate::task) fn push(&'static self, me: &Member, task: &Task<'_>) {
        {
            let _latch = self.latch.lock(me);
            let _count = object::latch(me, task.offset()).lock(me);
            let off = task.offset().0;
            let mut tx = Tx::begin(me);
            tx.set(&task.it().next_request, 0);
            let last = Off(self.last.load(Ordering::Relaxed));
            if last.is_none() {
                tx.set(&self.first, off);
            } else {
                tx.set(&Task::at(me, last).it().next_request, off);
            }
            tx.set(&self.last, off);
            object::add(me, &mut tx, task.offset());
            crash_point!("zygote_control.pushed");
            tx.commit();
            crash_point!("zygote_control.pushed_done");
        }
        self.ring();
    }

    /// Moves the first request into `slot`, whose `task` takes over the queue's reference.
    pub(in crate::task) fn pop_into(&'static self, me: &Member, slot: &ProcessSlot) -> Option<Off> {
        let _latch = self.latch.lock(me);
        let first = Off(self.first.load(Ordering::Relaxed));
        if first.is_none() {
            return None;
        }
        let next = Task::at(me, first).it().next_request.load(Ordering::Relaxed);
        let mut tx = Tx::begin(me);
        tx.set(&self.first, next);
        if next == 0 {
            tx.set(&self.last, 0);
        }
        tx.set(&slot.task, first.0);
        crash_point!("zygote_control.popped");
        tx.commit();
        crash_point!("zygote_control.popped_done");
        Some(first)
    }

    /// Puts a request back to the front: the zygote died before it had forked.
    pub(in crate::task) fn unpop(&'static self, me: &Member, slot: &ProcessSlot) {
        let _latch = self.latch.lock(me);
        let off = slot.task.load(Ordering::Relaxed);
        let first = self.first.load(Ordering::Relaxed);
        let mut tx = Tx::begin(me);
        tx.set(&Task::at(me, Off(off)).it().next_request, first);
        tx.set(&self.first, off);
        if first == 0 {
            tx.set(&self.last, off);
        }
        tx.set(&slot.task, 0);
        crash_point!("zygote_control.unpopped");
        tx.commit();
        crash_point!("zygote_control.unpopped_done");
    }

    /// Whether somebody waits for a fork.
    #[must_use]
    pub fn has_requests(&self) -> bool {
        self.first.load(Ordering::Acquire) != 0
    }

    /// Spares that are there: (ready, all).
    #[must_use]
    pub fn count_spares(&self, me: &Member) -> (u64, u64) {
        let mut counts = (0, 0);
        for entry in &self.spares {
            if let Some(index) = entry.load(Ordering::Acquire).checked_sub(1) {
                let slot = slots::process_slot(me.runtime(), index as u32);
                counts.1 += 1;
                counts.0 += u64::from(slot.mailbox.load(Ordering::Acquire) == mailbox::IDLE);
            }
        }
        counts
    }

    /// Gives the task to a spare, if one is idle.
    pub(in crate::task) fn hand_to_spare(&'static self, me: &Member, task: &Task<'_>) -> bool {
        let claimed = mailbox::CLAIMED | me.runtime().process_index() << 8;
        for entry in &self.spares {
            let seen = entry.load(Ordering::Acquire);
            let Some(index) = seen.checked_sub(1) else { continue };
            let slot = slots::process_slot(me.runtime(), index as u32);
            let swap = slot.mailbox.compare_exchange(
                mailbox::IDLE,
                claimed,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            crash_point!("zygote_control.claimed");
            if swap.is_err() {
                continue;
            }
            if !self.give(me, task, entry, seen) {
                // It has died meanwhile, and its slot may be another spare's by now.
                let swap = slot.mailbox.compare_exchange(
                    claimed,
                    mailbox::IDLE,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                );
                crash_point!("zygote_control.unclaimed");
                if swap.is_ok() {
                    futex::wake_all(&slot.mailbox);
                }
                continue;
            }
            // SYNC POINT: pairs with the spare's acquire load of its mailbox.
            slot.mailbox.store(mailbox::TASK, Ordering::Release);
            crash_point!("zygote_control.mailed");
            futex::wake_all(&slot.mailbox);
            return true;
        }
        false
    }
}

impl Control {
    /// Puts the task in the slot of the spare that `entry` lists, which is claimed; false if
    /// the spare is no more. Under the latch that a cleaner takes once after it has marked the
    /// slot dead: it finds the task, or nothing is put there.
    fn give(&'static self, me: &Member, task: &Task<'_>, entry: &AtomicU64, seen: u64) -> bool {
        let index = (seen - 1) as u32;
        let slot = slots::process_slot(me.runtime(), index);
        let _latch = self.latch.lock(me);
        let (pid, state) = slots::owner(slot);
        if state != process_state::LIVE || entry.load(Ordering::Acquire) != seen {
            return false;
        }
        task.assign(index, pid);
        let starter = slots::lock_owner(me.runtime(), me.runtime().process_index());
        let _count = object::latch(me, task.offset()).lock(me);
        let mut tx = Tx::begin(me);
        tx.set(entry, 0);
        tx.set(&slot.task, task.offset().0);
        tx.set(&slot.role, crate::task::role::TASK);
        tx.set(&slot.starter, u64::from(starter));
        object::add(me, &mut tx, task.offset());
        crash_point!("zygote_control.given");
        tx.commit();
        crash_point!("zygote_control.given_done");
        true
    }

    /// Runs `tell` with the task, if any, of the process `pid` in `slot`, unless that process
    /// has been buried: for the zygote, which has no reference to the task of its own. Under
    /// the latch of [`Control::release_finished`], so that the task is not freed meanwhile.
    pub(in crate::task) fn with_task(
        &'static self,
        me: &Member,
        slot: &ProcessSlot,
        pid: i32,
        tell: impl FnOnce(Option<Task<'_>>),
    ) {
        let _latch = self.latch.lock(me);
        if slots::owner(slot) == (pid, process_state::LIVE) {
            let task = Off(slot.task.load(Ordering::Acquire));
            tell((!task.is_none()).then(|| Task::at(me, task)));
        }
    }

    /// Lists the spare in slot `index`; false when the list is full. Under the latch, because a
    /// starter that dies while it takes an entry has the entry put back as it was.
    pub(in crate::task) fn list_spare(&'static self, me: &Member, index: u32) -> bool {
        let _latch = self.latch.lock(me);
        let free = self.spares.iter().find(|e| e.load(Ordering::Relaxed) == 0);
        if let Some(entry) = free {
            entry.store(u64::from(index) + 1, Ordering::Release);
            crash_point!("zygote_control.spare_listed");
        }
        free.is_some()
    }

    /// The spare in slot `index` is no more.
    pub(in crate::task) fn unlist_spare(&'static self, me: &Member, index: u32) {
        let _latch = self.latch.lock(me);
        for entry in &self.spares {
            if entry.load(Ordering::Relaxed) == u64::from(index) + 1 {
                entry.store(0, Ordering::Release);
                crash_point!("zygote_control.spare_unlisted");
            }
        }
    }

    /// Waits for whoever is giving a task to a process that is now marked dead, or tells one.
    pub(in crate::task) fn release_finished(&'static self, me: &Member) {
        drop(self.latch.lock(me));
    }

    /// Takes a request away that the dead process `starter` (as [`slots::lock_owner`] named
    /// it) has left, and says that its task ended; false if there is none.
    pub(in crate::task) fn forget_request_of(&'static self, me: &Member, starter: u32) -> bool {
        let mark = heap::savepoint(me);
        let found = {
            let _latch = self.latch.lock(me);
            let (mut before, mut off) = (Off::NONE, Off(self.first.load(Ordering::Relaxed)));
            let wanted = u64::from(starter);
            while !off.is_none() && Task::at(me, off).it().starter.load(Ordering::Relaxed) != wanted
            {
                before = off;
                off = Off(Task::at(me, off).it().next_request.load(Ordering::Relaxed));
            }
            if !off.is_none() {
                Task::at(me, off).killed();
                let next = Task::at(me, off).it().next_request.load(Ordering::Relaxed);
                let _count = object::latch(me, off).lock(me);
                let mut tx = Tx::begin(me);
                if before.is_none() {
                    tx.set(&self.first, next);
                } else {
                    tx.set(&Task::at(me, before).it().next_request, next);
                }
                if next == 0 {
                    tx.set(&self.last, before.0);
                }
                object::remove(me, &mut tx, off);
                crash_point!("zygote_control.forgotten");
                tx.commit();
                crash_point!("zygote_control.forgotten_done");
            }
            !off.is_none()
        };
        heap::free_deferred(me, mark);
        found
    }
}

/// Drops the reference that a slot's `task` holds.
pub(in crate::task) fn drop_slot_task(me: &Member, slot: &ProcessSlot) {
    let off = Off(slot.task.load(Ordering::Acquire));
    if off.is_none() {
        return;
    }
    let mark = heap::savepoint(me);
    {
        let _count = object::latch(me, off).lock(me);
        let mut tx = Tx::begin(me);
        tx.set(&slot.task, 0);
        object::remove(me, &mut tx, off);
        crash_point!("zygote_control.task_dropped");
        tx.commit();
        crash_point!("zygote_control.task_dropped_done");
    }
    heap::free_deferred(me, mark);
}
