//! The queue of requests to fork a process: it and its references are changed under the latch of the
//! control block.

use super::zygote_control::Control;
use crate::atomic::Ordering;
use crate::os::clock::Deadline;
use crate::shm::arena::layout::{ProcessSlot, process_state};
use crate::shm::arena::offset::Off;
use crate::shm::heap;
use crate::shm::member::slots;
use crate::shm::tx::journal::Tx;
use crate::shm::{Member, object};
use crate::task::record::Task;

impl Control {
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

    /// Runs `tell` with the task, if any, of the process `pid` in `slot`, unless that process
    /// has been buried: for the zygote, which has no reference to the task of its own. Under
    /// the latch of [`Control::unlist_spare`], so that the task is not freed meanwhile.
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

    /// Takes the requests away that the dead process `starter` (as [`slots::lock_owner`] named it) has
    /// left, and says that their tasks ended; false if the latch was not to be had until `limit`.
    pub(in crate::task) fn forget_requests_of(
        &'static self,
        me: &Member,
        starter: u32,
        limit: Deadline,
    ) -> bool {
        loop {
            match self.forget_request_of(me, starter, limit) {
                Some(true) => {}
                Some(false) => return true,
                None => return false,
            }
        }
    }

    /// Takes one of them away; false if there is none.
    fn forget_request_of(
        &'static self,
        me: &Member,
        starter: u32,
        limit: Deadline,
    ) -> Option<bool> {
        let mark = heap::savepoint(me);
        let found = {
            let _latch = self.latch.lock_until(me, || limit)?;
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
        Some(found)
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
