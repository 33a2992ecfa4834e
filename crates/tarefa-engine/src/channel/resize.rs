//! How a queue's ring follows what the queue holds.

use super::queue::Queue;
use super::ring;
use crate::atomic::Ordering;
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
    /// The latch of producers is held. On the way around, a ring that holds little is made smaller.
    #[inline]
    pub(super) fn make_room(&self, head: u64, tail: u64, more: u64) -> Result<(), OutOfMemory> {
        let capacity = self.capacity();
        if tail - head + more > capacity {
            return self.resize((tail - head + more).next_power_of_two().max(ring::LEAST));
        }
        if tail & (capacity - 1) == 0 && capacity > ring::SHRINK_FROM && tail - head < capacity / 8
        {
            // Nothing is lost where that fails.
            let _ = self.resize(capacity / 4);
        }
        Ok(())
    }

    /// Moves the messages to a ring of another size. The latch of producers is held.
    #[cold]
    fn resize(&self, capacity: u64) -> Result<(), OutOfMemory> {
        let (me, it) = (self.me, self.it);
        let savepoint = heap::savepoint(me);
        let fresh = heap::alloc(me, Kind::RAW, heap::HEADER + capacity * ring::WORD)?;
        {
            let _latch = it.get.latch.lock(me);
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
        Ok(())
    }
}
