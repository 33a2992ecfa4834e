//! The queue: messages from threads and processes to threads and processes.
//!
//! What lies in the arena, how it comes to be and goes, and what is asked about it. `put.rs` and
//! `get.rs` move messages, `pending.rs` counts those that are not done yet, `ring.rs` keeps them,
//! `gate.rs` is where threads sleep. `README.md` beside this file says who owns each byte, and what a
//! death leaves at each step.

use super::gate::Gate;
use super::ring;
use crate::atomic::{AtomicU64, Ordering};
use crate::collections::value;
use crate::kinds;
use crate::os::clock::Deadline;
use crate::shm::Member;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::object::{self, ObjectHeader, refcount};
use crate::shm::tx::journal::Tx;
use crate::shm::tx::latch::{Latch, Latched, PATIENCE};
use crate::sync::wait::BlockingHooks;

/// Bytes that a queue may hold if nobody says otherwise.
pub const MAX_BYTES: u64 = 256 << 20;

/// In which order messages come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// First in, first out.
    Fifo,
    /// Last in, first out.
    Lifo,
    /// The least first.
    Priority,
}

/// Processes whose notes lie in one block.
pub(super) const PER_NOTES: usize = 128;
/// Blocks of notes: enough for all processes that there can be.
pub(super) const NOTES: usize = (crate::shm::arena::layout::PROCESSES as usize).div_ceil(PER_NOTES);

/// Words between parts that different threads write: a cache line, wherever the block begins.
type Apart = [AtomicU64; 8];

/// States of [`QueueObject::shut`].
pub(super) mod shut {
    pub(in crate::channel) const OPEN: u64 = 0;
    /// Nothing more comes in.
    pub(in crate::channel) const PUT: u64 = 1;
    /// What is in it is to be thrown away, too.
    pub(in crate::channel) const ALL: u64 = 2;
}

/// What producers change, under their latch.
#[repr(C)]
#[derive(Debug)]
pub(super) struct PutSide {
    pub(super) latch: Latch,
    /// Position after the last message.
    pub(super) tail: AtomicU64,
    /// Bytes of all blobs ever put.
    pub(super) bytes: AtomicU64,
    /// What was last seen of the other side: never more than the truth.
    pub(super) head_seen: AtomicU64,
    pub(super) bytes_seen: AtomicU64,
}

/// What consumers change, under theirs.
#[repr(C)]
#[derive(Debug)]
pub(super) struct GetSide {
    pub(super) latch: Latch,
    /// Position of the first message.
    pub(super) head: AtomicU64,
    /// Bytes of all blobs ever taken.
    pub(super) bytes: AtomicU64,
    pub(super) tail_seen: AtomicU64,
    /// Messages taken at the other end; positions there come again.
    pub(super) popped: AtomicU64,
    /// Messages that are done, or that nobody will do any more.
    pub(super) done: AtomicU64,
    /// Messages that were taken by processes that have ended since.
    pub(super) lost: AtomicU64,
    /// As many of those as somebody was told of.
    pub(super) told: AtomicU64,
    /// The last such process.
    pub(super) lost_pid: AtomicU64,
    pub(super) unacked: Unacked,
}

/// What a queue knows of messages that are not acknowledged.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Unacked {
    /// The block of entries, and how many there are.
    pub(super) table: AtomicU64,
    pub(super) room: AtomicU64,
    /// The first free entry, 0 for none; entries count from 1.
    pub(super) free: AtomicU64,
    /// Messages that processes hold.
    pub(super) held: AtomicU64,
    /// Messages that came back, and the entry of the first.
    pub(super) returned: AtomicU64,
    pub(super) first: AtomicU64,
    /// How often a message was handed out to be acknowledged.
    pub(super) deliveries: AtomicU64,
    /// The deaths that were known when somebody last looked for what the dead hold.
    pub(super) deaths_seen: AtomicU64,
}

/// What lies in the arena.
#[repr(C)]
#[derive(Debug)]
pub struct QueueObject {
    object: ObjectHeader,
    /// 0: first in, first out; 1: last in, first out; 2: the least first.
    order: AtomicU64,
    /// The front's: what it calls the queue.
    label: AtomicU64,
    /// The most messages; 0 for any number.
    pub(super) maxsize: AtomicU64,
    pub(super) max_bytes: AtomicU64,
    /// Whether a message that is alone fits however large it is.
    pub(super) any_size: AtomicU64,
    /// One of [`shut`].
    pub(super) shut: AtomicU64,
    /// The block of words, and how many there are less one.
    pub(super) ring: AtomicU64,
    pub(super) mask: AtomicU64,
    apart0: Apart,
    pub(super) put: PutSide,
    apart1: Apart,
    pub(super) get: GetSide,
    apart2: Apart,
    /// `put.tail`, as soon as it is final.
    pub(super) tail: AtomicU64,
    pub(super) not_empty: Gate,
    apart3: Apart,
    /// `get.head` and `get.bytes`, as soon as they are final.
    pub(super) head: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) not_full: Gate,
    /// Whoever waits until all is done.
    pub(super) idle: Gate,
    apart4: Apart,
    /// Blocks of notes of what each process has taken and not done, by the number of its slot.
    pub(super) notes: [AtomicU64; NOTES],
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for QueueObject {}

/// A queue, for a thread that holds a reference to it.
#[derive(Clone, Copy, Debug)]
pub struct Queue<'a> {
    pub(super) me: &'a Member,
    pub(super) off: Off,
    pub(super) it: &'static QueueObject,
}

/// Makes a queue; this process holds a reference to it. It has no bound but [`MAX_BYTES`].
///
/// # Errors
/// [`OutOfMemory`].
pub fn create(me: &Member, order: Order) -> Result<Off, OutOfMemory> {
    let savepoint = heap::savepoint(me);
    let made = make(me, order).and_then(|off| refcount::adopt(me, off, savepoint).map(|()| off));
    if made.is_err() {
        heap::free_deferred(me, savepoint);
    }
    made
}

/// Makes a queue that nobody refers to; it hangs on the thread's chain.
pub(super) fn make(me: &Member, order: Order) -> Result<Off, OutOfMemory> {
    let off = object::create(me, kinds::QUEUE, size_of::<QueueObject>() as u64)?;
    let it: &'static QueueObject = me.arena().at(off);
    it.order.store(order as u64, Ordering::Relaxed);
    it.max_bytes.store(MAX_BYTES, Ordering::Relaxed);
    crash_point!("channel.made");
    Ok(off)
}

impl<'a> Queue<'a> {
    /// The queue at `off`.
    #[must_use]
    #[inline]
    pub fn at(me: &'a Member, off: Off) -> Self {
        Self { me, off, it: me.arena().at(off) }
    }

    /// Bounds the queue: so many messages, 0 for any number, and so many bytes. What is in it stays.
    pub fn set_bounds(&self, maxsize: u64, max_bytes: u64) {
        {
            let _latch = self.it.put.latch.lock(self.me);
            let mut tx = Tx::begin(self.me);
            tx.set(&self.it.maxsize, maxsize);
            tx.set(&self.it.max_bytes, max_bytes);
            crash_point!("channel.bounding");
            tx.commit();
            crash_point!("channel.bounded");
        }
        self.it.not_full.open_all();
    }

    /// Bounds its messages, and has one of any size fit where it is alone. Before others have the queue.
    pub(super) fn is_of_a_pipe(&self, maxsize: u64) {
        // crash: nobody else knows of the queue yet.
        self.it.any_size.store(1, Ordering::Relaxed);
        // crash: as above.
        self.it.maxsize.store(maxsize, Ordering::Relaxed);
    }

    /// What the front calls it, a number of its own. Before others have the queue.
    pub fn set_label(&self, label: u64) {
        self.it.label.store(label, Ordering::Release);
        crash_point!("channel.labelled");
    }

    /// What [`Queue::set_label`] said; 0 at first.
    #[must_use]
    pub fn label(&self) -> u64 {
        self.it.label.load(Ordering::Acquire)
    }

    /// The most messages; 0 for any number.
    #[must_use]
    pub fn maxsize(&self) -> u64 {
        self.it.maxsize.load(Ordering::Relaxed)
    }

    /// The most bytes.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.it.max_bytes.load(Ordering::Relaxed)
    }

    /// In which order messages come out.
    #[must_use]
    pub fn order(&self) -> Order {
        match self.it.order.load(Ordering::Relaxed) {
            0 => Order::Fifo,
            1 => Order::Lifo,
            _ => Order::Priority,
        }
    }

    /// The word of a position; one of the latches is held, and there is a ring.
    #[inline]
    pub(super) fn word(&self, position: u64) -> &'static AtomicU64 {
        let ring = Off(self.it.ring.load(Ordering::Acquire));
        ring::word(self.me, ring, self.it.mask.load(Ordering::Relaxed), position)
    }

    /// Takes both latches, in the one order in which they are taken, if they can be had by then (see
    /// [`soon`]): nobody changes anything until they are let go, and all that is final is published.
    pub(super) fn alone_until(&self, limit: Deadline) -> Option<(Latched<'a>, Latched<'a>)> {
        let put = self.it.put.latch.lock_until(self.me, || limit)?;
        let get = self.it.get.latch.lock_until(self.me, || limit)?;
        self.publish_put();
        self.publish_get();
        self.return_of_the_dead();
        Some((get, put))
    }

    /// The same for one whom an interrupt may call away while a stopped member has one of them: `None`
    /// then.
    pub(super) fn alone_with(
        &self,
        hooks: &mut dyn BlockingHooks,
    ) -> Option<(Latched<'a>, Latched<'a>)> {
        self.unless_interrupted(hooks, || self.alone_until(soon(Deadline::NEVER)))
    }

    /// The latch of consumers, for such a one.
    pub(super) fn get_latch_with(&self, hooks: &mut dyn BlockingHooks) -> Option<Latched<'a>> {
        let latch = &self.it.get.latch;
        self.unless_interrupted(hooks, || latch.lock_until(self.me, || soon(Deadline::NEVER)))
    }

    fn unless_interrupted<T>(
        &self,
        hooks: &mut dyn BlockingHooks,
        mut attempt: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        loop {
            if let Some(latched) = attempt() {
                return Some(latched);
            }
            // A signal's handler that forks goes on in two processes, and the operation is the parent's.
            if hooks.interrupted() || !self.me.is_here() {
                return None;
            }
        }
    }

    /// Publishes what was put and is final; the latch of producers is held. Who died before it came
    /// to that leaves it to the next.
    pub(super) fn publish_put(&self) {
        let tail = self.it.put.tail.load(Ordering::Relaxed);
        if self.it.tail.load(Ordering::Relaxed) != tail {
            // SYNC POINT: pairs with the acquire loads of `tail` by consumers.
            self.it.tail.store(tail, Ordering::Release);
            crash_point!("channel.put_published");
        }
    }

    /// The same of what was taken; the latch of consumers is held.
    pub(super) fn publish_get(&self) {
        let head = self.it.get.head.load(Ordering::Relaxed);
        let bytes = self.it.get.bytes.load(Ordering::Relaxed);
        self.it.bytes.store(bytes, Ordering::Relaxed);
        if self.it.head.load(Ordering::Relaxed) != head {
            // SYNC POINT: pairs with the acquire loads of `head` by producers, which then store
            // where the messages were.
            self.it.head.store(head, Ordering::Release);
        }
        crash_point!("channel.get_published");
    }

    /// Messages in it at this instant.
    #[must_use]
    pub fn len(&self) -> u64 {
        let it = self.it;
        let latches = self.alone_until(soon(Deadline::NEVER));
        if it.shut.load(Ordering::Relaxed) == shut::ALL {
            return 0;
        }
        if latches.is_some() {
            return self.len_alone();
        }
        // Somebody is stopped with a latch: what he has not published is not there for anybody.
        let head = it.head.load(Ordering::Acquire);
        let back = it.get.unacked.returned.load(Ordering::Relaxed);
        it.tail.load(Ordering::Acquire).saturating_sub(head) + back
    }

    /// Messages in it, for who takes no latch and only looks: one that comes or goes just now may count
    /// or not.
    #[must_use]
    pub fn inspect_len(&self) -> u64 {
        if self.it.shut.load(Ordering::Acquire) == shut::ALL {
            return 0;
        }
        let head = self.it.get.head.load(Ordering::Acquire);
        let tail = self.it.put.tail.load(Ordering::Acquire);
        tail.saturating_sub(head) + self.it.get.unacked.returned.load(Ordering::Relaxed)
    }

    /// Whether there are none at this instant.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Messages in it; both latches are held.
    pub(super) fn len_alone(&self) -> u64 {
        self.ring_len() + self.it.get.unacked.returned.load(Ordering::Relaxed)
    }

    /// Messages in the ring; both latches are held.
    pub(super) fn ring_len(&self) -> u64 {
        let (tail, head) = (&self.it.put.tail, &self.it.get.head);
        tail.load(Ordering::Relaxed) - head.load(Ordering::Relaxed)
    }

    /// Bytes in it at this instant, as they count for the bound.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        let latches = self.alone_until(soon(Deadline::NEVER));
        let (put, get) = (&self.it.put.bytes, &self.it.get.bytes);
        // Somebody may be stopped with a latch, in the middle of a change.
        let blobs = put.load(Ordering::Relaxed).saturating_sub(get.load(Ordering::Relaxed));
        let len = if latches.is_some() { self.len_alone() } else { self.inspect_len() };
        blobs + len * ring::WORD
    }

    /// Whether nothing more can be put at this instant, however small.
    #[must_use]
    pub fn is_full(&self) -> bool {
        if let Some(_latches) = self.alone_until(soon(Deadline::NEVER)) {
            return !self.has_room(0);
        }
        // Somebody is stopped with a latch: what counts is what he has published.
        let (len, most) = (self.inspect_len(), self.maxsize());
        let blobs = self.it.put.bytes.load(Ordering::Relaxed);
        let used = blobs.saturating_sub(self.it.bytes.load(Ordering::Relaxed)) + len * ring::WORD;
        most != 0 && len >= most || used + ring::WORD > self.max_bytes()
    }

    /// Whether it was shut down.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        self.it.shut.load(Ordering::Acquire) != shut::OPEN
    }

    /// Lets nothing more in; `immediate`: what is in it is thrown away, and counts as done. Wakes all
    /// who wait. Who has to wait no more is told even if this thread dies in the middle: the state
    /// changes first, and a death has all waiters look around.
    pub fn shut_down(&self, immediate: bool) {
        {
            // Not for ever: where somebody is stopped with a latch, what he is about to put comes before.
            let _latches = self.alone_until(soon(Deadline::NEVER));
            let state = if immediate { shut::ALL } else { shut::PUT };
            if state > self.it.shut.load(Ordering::Relaxed) {
                self.it.shut.fetch_max(state, Ordering::AcqRel);
                crash_point!("channel.shut");
            }
        }
        self.it.not_full.open_all();
        self.it.not_empty.open_all();
        if immediate {
            self.throw_away();
        }
        self.it.idle.open_all();
    }

    /// Nobody puts any more, or with [`shut::ALL`] nobody takes: all who had the other side are gone.
    /// Takes no latch, for this may be the supervisor, and whoever has the latch stopped. What is in the
    /// queue goes with it.
    pub(super) fn side_is_gone(&self, state: u64) {
        self.it.shut.fetch_max(state, Ordering::AcqRel);
        crash_point!("channel.side_gone");
        self.it.not_full.open_for_all();
        self.it.not_empty.open_for_all();
    }

    /// The queue's offset.
    #[must_use]
    pub fn offset(&self) -> Off {
        self.off
    }
}

/// How long a thread that waits until `until`, or not at all, waits for a latch at once: whoever has it may
/// be stopped, and time limits and interrupts are to hold.
#[inline]
pub(super) fn soon(until: Deadline) -> Deadline {
    let soon = Deadline::after(Some(PATIENCE));
    if until.passed() { soon } else { soon.min(until) }
}

/// One step of taking a queue apart: its last message, then the blocks that it consists of.
pub(super) fn destroy_step(me: &Member, off: Off) -> bool {
    let queue = Queue::at(me, off);
    let it = queue.it;
    let ring = Off(it.ring.load(Ordering::Relaxed));
    let (tail, head) = (it.put.tail.load(Ordering::Relaxed), it.get.head.load(Ordering::Relaxed));
    let blocks = || it.notes.iter().find(|n| n.load(Ordering::Relaxed) != 0);
    let mut tx = Tx::begin(me);
    if tail > head && !ring.is_none() {
        let position = |i: &u64| value::blob_of(queue.word(*i).load(Ordering::Relaxed));
        // Words refer to nothing: the last blob, with the words behind it.
        match (head..tail).rev().find_map(|i| position(&i).map(|blob| (i, blob))) {
            Some((i, blob)) => {
                tx.set(&it.put.tail, i);
                heap::defer_free(me, &mut tx, blob);
            }
            None => tx.set(&it.put.tail, head),
        }
    } else if !ring.is_none() {
        tx.set(&it.ring, 0);
        heap::defer_free(me, &mut tx, ring);
    } else if let Some((entry, blob)) = queue.last_unacked_blob() {
        // Nobody takes any more: what lies behind it refers to nothing.
        tx.set(&it.get.unacked.room, entry);
        heap::defer_free(me, &mut tx, blob);
    } else if it.get.unacked.table.load(Ordering::Relaxed) != 0 {
        let table = Off(it.get.unacked.table.load(Ordering::Relaxed));
        tx.set(&it.get.unacked.table, 0);
        tx.set(&it.get.unacked.room, 0);
        heap::defer_free(me, &mut tx, table);
    } else if let Some(notes) = blocks() {
        let block = Off(notes.load(Ordering::Relaxed));
        tx.set(notes, 0);
        heap::defer_free(me, &mut tx, block);
    } else {
        drop(tx);
        return true;
    }
    crash_point!("channel.dismantled");
    tx.commit();
    crash_point!("channel.dismantled_done");
    false
}
