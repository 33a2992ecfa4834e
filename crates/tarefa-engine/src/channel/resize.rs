//! How a queue's ring follows what the queue holds.

use super::queue::{Queue, soon};
use super::ring;
use crate::atomic::Ordering;
use crate::os::clock::Deadline;
use crate::shm::arena::offset::Off;
use crate::shm::heap::{self, Kind, OutOfMemory};
use crate::shm::tx::journal::Tx;

impl Queue<'_> {
    /// Words of the ring.
    #[inline]
    pub(super) fn capacity(&self) -> u64 {
        if self.it.ring.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        self.it.mask.load(Ordering::Relaxed) + 1
    }

    /// Has the ring take `more` messages from `tail` on, where the messages begin at `head` or later.
    /// The latch of producers is held. On the way around, a ring that holds little is made smaller. False
    /// where the latch of consumers, which that needs, could not be had soon.
    #[inline]
    pub(super) fn make_room(
        &self,
        head: u64,
        tail: u64,
        more: u64,
        until: Deadline,
    ) -> Result<bool, OutOfMemory> {
        let capacity = self.capacity();
        if tail - head + more > capacity {
            return self.resize((tail - head + more).next_power_of_two().max(ring::LEAST), until);
        }
        if tail & (capacity - 1) == 0 && capacity > ring::SHRINK_FROM && tail - head < capacity / 8
        {
            // Nothing is lost where that fails.
            let _ = self.resize(capacity / 4, Deadline::at(0));
        }
        Ok(true)
    }

    /// Moves the messages to a ring of another size. The latch of producers is held.
    #[cold]
    fn resize(&self, capacity: u64, until: Deadline) -> Result<bool, OutOfMemory> {
        let (me, it) = (self.me, self.it);
        let savepoint = heap::savepoint(me);
        let bytes = heap::HEADER + capacity * ring::WORD;
        let fresh = match heap::within(until, || heap::alloc(me, Kind::RAW, bytes)) {
            Err(e) if e.is_held_up() => return Ok(false),
            fresh => fresh?,
        };
        let latch = it.get.latch.lock_until(me, || soon(until));
        let moved = latch.is_some();
        if let Some(_latch) = latch {
            let (head, tail) =
                (it.get.head.load(Ordering::Relaxed), it.put.tail.load(Ordering::Relaxed));
            for position in head..tail {
                let old = self.word(position).load(Ordering::Relaxed);
                ring::word(me, fresh, capacity - 1, position).store(old, Ordering::Relaxed);
            }
            crash_point!("ring.moved");
            let old = Off(it.ring.load(Ordering::Relaxed));
            let mut tx = Tx::begin(me);
            tx.set(&it.ring, fresh.0);
            tx.set(&it.mask, capacity - 1);
            heap::release_to(me, &mut tx, savepoint);
            if !old.is_none() {
                heap::defer_free(me, &mut tx, old);
            }
            crash_point!("ring.swapping");
            tx.commit();
            crash_point!("ring.swapped");
        }
        heap::free_deferred(me, savepoint);
        Ok(moved)
    }
}
