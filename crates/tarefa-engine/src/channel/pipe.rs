//! Pipes: two ends, each an object of its own, and a queue for each direction.
//!
//! - An end refers to the queue that it reads and to the one that it writes. Who has it is counted as
//!   with any object: by processes, and by messages that it travels in. When the last of them closes it
//!   or dies, the end is taken apart, and that is what the other side sees: what it reads has an end,
//!   what it writes goes nowhere.
//! - What an end has sent before is read to its end.
//!
//! ```text
//!  end A ──writes──> queue ──read by──> end B
//!    ^                                    │
//!    └──read by── queue <──────writes─────┘      (only of a duplex pipe)
//! ```

use super::queue::{self, MAX_BYTES, Order, Queue, shut};
use crate::atomic::{AtomicU64, Ordering};
use crate::kinds;
use crate::shm::Member;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::object::{self, ObjectHeader, refcount};
use crate::shm::tx::journal::Tx;

/// What lies in the arena.
#[repr(C)]
#[derive(Debug)]
struct EndObject {
    object: ObjectHeader,
    /// The queue that it reads; 0 for none.
    reads: AtomicU64,
    /// The one that it writes.
    writes: AtomicU64,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for EndObject {}

/// An end of a pipe, for a thread that holds a reference to it.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    me: &'a Member,
    it: &'static EndObject,
}

/// Makes a pipe; this process holds a reference to each of its ends. What the second one writes the
/// first one reads, and of a `duplex` one the other way round as well.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create(me: &Member, duplex: bool) -> Result<(Off, Off), OutOfMemory> {
    create_with(me, duplex, 0)
}

/// Makes a pipe in one direction, which holds at most so many messages, 0 for any number; this process
/// holds a reference to the end that reads, which is the first, and to the one that writes.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create_one_way(me: &Member, maxsize: u64) -> Result<(Off, Off), OutOfMemory> {
    create_with(me, false, maxsize)
}

fn create_with(me: &Member, duplex: bool, maxsize: u64) -> Result<(Off, Off), OutOfMemory> {
    let savepoint = heap::savepoint(me);
    let made = make(me, duplex, maxsize, savepoint);
    if made.is_err() {
        heap::free_deferred(me, savepoint);
    }
    made
}

fn make(
    me: &Member,
    duplex: bool,
    maxsize: u64,
    savepoint: Off,
) -> Result<(Off, Off), OutOfMemory> {
    let size = size_of::<EndObject>() as u64;
    let first = object::create(me, kinds::PIPE_END, size)?;
    let below = heap::savepoint(me);
    let second = object::create(me, kinds::PIPE_END, size)?;
    let ends = heap::savepoint(me);
    let to_first = make_queue(me, maxsize)?;
    let to_second = if duplex { make_queue(me, maxsize)? } else { Off::NONE };
    let (a, b): (&EndObject, &EndObject) = (me.arena().at(first), me.arena().at(second));
    let mut tx = Tx::begin(me);
    tx.set(&a.reads, to_first.0);
    tx.set(&b.writes, to_first.0);
    tx.set(&a.writes, to_second.0);
    tx.set(&b.reads, to_second.0);
    // From here on the queues are the ends', which are the thread's.
    heap::release_to(me, &mut tx, ends);
    crash_point!("pipe.joining");
    tx.commit();
    crash_point!("pipe.joined");
    refcount::adopt(me, second, below)?;
    if let Err(e) = refcount::adopt(me, first, savepoint) {
        refcount::release(me, second);
        return Err(e);
    }
    Ok((first, second))
}

/// A queue to which two ends will refer, on the thread's chain.
fn make_queue(me: &Member, maxsize: u64) -> Result<Off, OutOfMemory> {
    let off = queue::make(me, Order::Fifo)?;
    Queue::at(me, off).is_of_a_pipe(maxsize);
    // crash: nobody else knows of the queue yet, and the chain does not look at its count.
    object::header(me, off).references.store(2, Ordering::Relaxed);
    Ok(off)
}

impl<'a> End<'a> {
    /// The end at `off`.
    #[must_use]
    #[inline]
    pub fn at(me: &'a Member, off: Off) -> Self {
        Self { me, it: me.arena().at(off) }
    }

    /// What it reads, if it does.
    #[must_use]
    #[inline]
    pub fn reads(&self) -> Option<Queue<'a>> {
        self.queue(&self.it.reads)
    }

    /// What it writes, if it does.
    #[must_use]
    #[inline]
    pub fn writes(&self) -> Option<Queue<'a>> {
        self.queue(&self.it.writes)
    }

    fn queue(&self, word: &AtomicU64) -> Option<Queue<'a>> {
        let off = Off(word.load(Ordering::Acquire));
        (!off.is_none()).then(|| Queue::at(self.me, off))
    }

    /// Whether the end `other` is of the same pipe: it may not be sent through it, for a message that
    /// holds an end of its own pipe keeps that pipe for ever.
    #[must_use]
    pub fn is_of_one_pipe(&self, other: &End<'_>) -> bool {
        let queues =
            |end: &End<'_>| [&end.it.reads, &end.it.writes].map(|w| w.load(Ordering::Acquire));
        let theirs = queues(other);
        queues(self).iter().any(|queue| *queue != 0 && theirs.contains(queue))
    }
}

/// Whether one of `objects`, which are held, is the queue at that place or an end that has it: a message
/// in the queue that mentions it keeps it for ever.
#[must_use]
pub fn lead_to(me: &Member, objects: &[Off], queue: Off) -> bool {
    objects.iter().any(|off| {
        let is_end = object::header(me, *off).kind.load(Ordering::Relaxed) == kinds::PIPE_END;
        let end = is_end.then(|| me.arena().at::<EndObject>(*off));
        *off == queue
            || end.is_some_and(|end| {
                [&end.reads, &end.writes].iter().any(|w| w.load(Ordering::Acquire) == queue.0)
            })
    })
}

/// One step of taking an end apart: the other side hears of it, and then it lets go of the queue.
pub(super) fn destroy_step(me: &Member, off: Off) -> bool {
    let it: &'static EndObject = me.arena().at(off);
    let queue_of = |word: &AtomicU64| Off(word.load(Ordering::Acquire));
    // Both directions before the first is let go, and this one first: who reads the end of the one
    // writes into the other no more.
    for (word, state) in [(&it.reads, shut::ALL), (&it.writes, shut::PUT)] {
        if !queue_of(word).is_none() {
            Queue::at(me, queue_of(word)).side_is_gone(state);
        }
    }
    for word in [&it.writes, &it.reads] {
        let queue = queue_of(word);
        if queue.is_none() {
            continue;
        }
        let _latch = object::latch(me, queue).lock(me);
        let mut tx = Tx::begin(me);
        tx.set(word, 0);
        object::remove(me, &mut tx, queue);
        crash_point!("pipe.letting_go");
        tx.commit();
        crash_point!("pipe.let_go");
        return false;
    }
    true
}

/// Bytes that a direction of a pipe holds before a sender waits; a larger message waits until it is
/// alone.
pub const HOLDS: u64 = MAX_BYTES;
