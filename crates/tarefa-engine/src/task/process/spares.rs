//! Spares: children forked ahead, which wait for a task. One is claimed by one compare-and-swap of
//! its mailbox; where none is idle, one that warms up is, for it is further than a child that has yet
//! to be forked.

use super::zygote_control::{self, Control, zygote_state};
use crate::atomic::{AtomicU64, Ordering};
use crate::os::clock::Deadline;
use crate::os::{futex, machine};
use crate::settings;
use crate::settings::BadSetting;
use crate::shm::arena::layout::{ProcessSlot, process_state};
use crate::shm::heap::OutOfMemory;
use crate::shm::member::slots;
use crate::shm::tx::journal::Tx;
use crate::shm::{Member, object};
use crate::task::record::Task;
use crate::task::role;

/// Values of a spare's mailbox; a claimed one has the claimer's process slot in the bits above.
pub mod mailbox {
    /// No member yet.
    pub const COLD: u32 = 0;
    /// Warms up, and looks for a task afterwards.
    pub const WARMING: u32 = 5;
    /// Waits for a task.
    pub const IDLE: u32 = 1;
    /// Somebody is about to give it one.
    pub const CLAIMED: u32 = 2;
    /// Has one, in its slot's `task`.
    pub const TASK: u32 = 3;
    /// Is to end.
    pub const LEAVE: u32 = 4;
}

/// How many spares are kept unless somebody sets another number: what the environment says, or
/// twice the processors, so that a burst of starts finds some while others are being made, and
/// at most 8, for each takes memory that may never be used. A burst that finds none makes it
/// more for a while.
///
/// # Errors
/// [`BadSetting`].
pub fn usual_spares() -> Result<u64, BadSetting> {
    Ok(settings::spares()?.unwrap_or_else(|| (2 * machine::cpu_count() as u64).min(8)))
}

/// Sets how many spares are kept: 0 to [`settings::MOST_SPARES`].
///
/// # Errors
/// [`OutOfMemory`].
pub fn set_spares(me: &Member, count: u64) -> Result<(), OutOfMemory> {
    let control = zygote_control::get(me)?;
    let count = count.min(settings::MOST_SPARES);
    control.spares_asked.store(count, Ordering::Release);
    control.spares_wanted.store(count, Ordering::Release);
    crash_point!("process.spares");
    control.ring();
    Ok(())
}

/// A start found no spare: for a while twice as many are kept, up to [`MOST_SPARES`]. The
/// zygote goes back to the number asked for once nothing has been started for some time.
pub(super) fn want_more_spares(control: &Control) {
    let wanted = control.spares_wanted.load(Ordering::Relaxed);
    // None are wanted, or the zygote has yet to make the first ones.
    if wanted == 0 || control.zygote.load(Ordering::Relaxed) != zygote_state::READY {
        return;
    }
    let more = (wanted * 2).min(MOST_SPARES.max(wanted));
    let _ =
        control.spares_wanted.compare_exchange(wanted, more, Ordering::Relaxed, Ordering::Relaxed);
    crash_point!("process.more_spares");
}

/// As many spares as a burst of starts makes the zygote keep.
const MOST_SPARES: u64 = 16;

/// A spare that the list of them names, or named just now.
pub(in crate::task) struct Spare {
    /// Where it is listed, and what was read there: its slot plus 1.
    entry: &'static AtomicU64,
    seen: u64,
    pub(in crate::task) slot: &'static ProcessSlot,
}

/// Changes what the mailbox of a spare says; false if that is something else by now.
#[inline]
pub(in crate::task) fn change(slot: &ProcessSlot, from: u32, to: u32) -> bool {
    // crash: named by the caller.
    slot.mailbox.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
}

impl Spare {
    pub(in crate::task) fn index(&self) -> u32 {
        (self.seen - 1) as u32
    }

    pub(in crate::task) fn is_idle(&self) -> bool {
        self.is(mailbox::IDLE)
    }

    pub(in crate::task) fn is_warming(&self) -> bool {
        self.is(mailbox::WARMING)
    }

    fn is(&self, state: u32) -> bool {
        self.slot.mailbox.load(Ordering::Acquire) == state
    }

    /// Changes what its mailbox says; false if that is something else by now.
    #[inline]
    fn change(&self, from: u32, to: u32) -> bool {
        change(self.slot, from, to)
    }

    /// Sends it away if its mailbox says `from`; whether it goes.
    pub(in crate::task) fn dismiss(&self, from: u32) -> bool {
        let goes = self.change(from, mailbox::LEAVE);
        crash_point!("zygote.dismissed");
        if goes {
            self.entry.store(0, Ordering::Release);
            crash_point!("zygote.unlisted");
            futex::wake_all(&self.slot.mailbox);
        }
        goes
    }
}

impl Control {
    /// The spares, each as it is when it comes up.
    pub(in crate::task) fn list(&'static self, me: &Member) -> impl Iterator<Item = Spare> {
        let arena = me.arena();
        self.spares.iter().filter_map(move |entry| {
            let seen = entry.load(Ordering::Acquire);
            let index = seen.checked_sub(1)?;
            Some(Spare { entry, seen, slot: slots::process_slot(arena, index as u32) })
        })
    }

    /// Spares that are there: (ready, all).
    #[must_use]
    pub fn count_spares(&'static self, me: &Member) -> (u64, u64) {
        self.list(me)
            .fold((0, 0), |(ready, all), spare| (ready + u64::from(spare.is_idle()), all + 1))
    }

    /// Gives the task to a spare: one that is idle, or else one that will be soon.
    pub(in crate::task) fn hand_to_spare(&'static self, me: &Member, task: &Task<'_>) -> bool {
        self.hand_to(me, task, mailbox::IDLE) || self.hand_to(me, task, mailbox::WARMING)
    }

    /// Gives the task to a spare whose mailbox says `state`.
    fn hand_to(&'static self, me: &Member, task: &Task<'_>, state: u32) -> bool {
        let claimed = mailbox::CLAIMED | me.runtime().process_index() << 8;
        for spare in self.list(me) {
            if !spare.is(state) {
                continue;
            }
            let is_claimed = spare.change(state, claimed);
            crash_point!("zygote_control.claimed");
            if !is_claimed {
                continue;
            }
            let mailbox = &spare.slot.mailbox;
            if !self.give(me, task, &spare) {
                // It has died meanwhile, and its slot may be another spare's by now.
                let is_free = spare.change(claimed, mailbox::IDLE);
                crash_point!("zygote_control.unclaimed");
                if is_free {
                    futex::wake_all(mailbox);
                }
                continue;
            }
            // SYNC POINT: pairs with the spare's acquire load of its mailbox.
            mailbox.store(mailbox::TASK, Ordering::Release);
            crash_point!("zygote_control.mailed");
            futex::wake_all(mailbox);
            return true;
        }
        false
    }

    /// Puts the task in the slot of the spare, which is claimed; false if the spare is no more. Under the latch that a cleaner takes once after it has marked the
    /// slot dead: it finds the task, or nothing is put there.
    fn give(&'static self, me: &Member, task: &Task<'_>, spare: &Spare) -> bool {
        let Spare { entry, seen, slot } = *spare;
        let _latch = self.latch.lock(me);
        let (pid, state) = slots::owner(slot);
        if state != process_state::LIVE || entry.load(Ordering::Acquire) != seen {
            return false;
        }
        task.assign(spare.index(), pid);
        let starter = slots::lock_owner(me.arena(), me.runtime().process_index());
        let _count = object::latch(me, task.offset()).lock(me);
        let mut tx = Tx::begin(me);
        tx.set(entry, 0);
        tx.set(&slot.task, task.offset().0);
        tx.set(&slot.role, role::TASK);
        tx.set(&slot.starter, u64::from(starter));
        object::add(me, &mut tx, task.offset());
        crash_point!("zygote_control.given");
        tx.commit();
        crash_point!("zygote_control.given_done");
        true
    }

    /// Whether no start is to take a spare: the zygote has yet to replace them.
    pub(in crate::task) fn are_spares_stale(&self) -> bool {
        self.stale.load(Ordering::Acquire) != 0
    }

    /// In the zygote: they have been replaced.
    pub(in crate::task) fn say_renewed(&self) {
        self.stale.store(0, Ordering::Release);
        crash_point!("zygote.spares_renewed");
    }

    /// Sends all spares away, also those that are not ready yet: who was claimed before has its task.
    pub(in crate::task) fn dismiss_all(&'static self, me: &Member) {
        for spare in self.list(me) {
            // As it goes through them, or it could pass by one that was looked for too early.
            let _ = [mailbox::COLD, mailbox::WARMING, mailbox::IDLE].map(|at| spare.dismiss(at));
        }
    }

    /// Sends one idle spare away: fewer are wanted.
    pub(in crate::task) fn dismiss_one(&'static self, me: &Member) -> bool {
        self.list(me).any(|spare| spare.dismiss(mailbox::IDLE))
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

    /// The process in slot `index` is no spare any more. Waits for whoever is giving it a task, or
    /// telling one; false if that takes longer than until `limit`.
    pub(in crate::task) fn unlist_spare(
        &'static self,
        me: &Member,
        index: u32,
        limit: Deadline,
    ) -> bool {
        let Some(_latch) = self.latch.lock_until(me, || limit) else { return false };
        for entry in &self.spares {
            if entry.load(Ordering::Relaxed) == u64::from(index) + 1 {
                entry.store(0, Ordering::Release);
                crash_point!("zygote_control.spare_unlisted");
            }
        }
        true
    }
}
