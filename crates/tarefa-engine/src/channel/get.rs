//! Taking messages out of a queue.
//!
//! - A message is taken by one [`Tx`]: the position, the note of what the process has taken and not
//!   done, and its blob, which hangs on the thread's chain from then on. So it is in the queue or its
//!   taker's, and falls with a taker that dies.
//! - One that is to be acknowledged goes to the queue's table instead: see `unacked.rs`.
//! - Producers do not look at `get.head`, which may be undone, but at `head`, which is stored once the
//!   change is final.

use super::queue::{Order, Queue, shut, soon};
use super::taken::Taken;
use crate::atomic::{AtomicU32, Ordering};
use crate::collections::value;
use crate::os::clock::Deadline;
use crate::shm::arena::offset::Off;
use crate::shm::heap::journal_room::{self, JournalRoom};
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::object::blob;
use crate::shm::tx::journal::Tx;
use crate::sync::wait::{self, Awaited, BlockingHooks, Outcome};

/// Looks before the wait: about a microsecond.
const SPINS: u32 = 60;
/// Messages of a heap that has 20 levels.
const MANY: u64 = 1 << 20;

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// There was none, or none in time.
    #[error("the queue is empty")]
    Empty,
    /// The hooks ended the wait.
    #[error("interrupted while the queue was empty")]
    Interrupted,
    /// There is none, and none will come.
    #[error("the queue has been shut down")]
    ShutDown,
    /// See [`OutOfMemory`]; the message is still in the queue.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
}

/// How a look for messages went.
enum Got {
    Taken(Result<Taken, GetError>),
    /// Nothing is there, and something may come.
    Nothing,
    /// Somebody has a latch for long: he is stopped.
    Held,
}

/// What is left to throw away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Discarded {
    More,
    All,
}

impl Queue<'_> {
    /// Takes a message if there is one now.
    ///
    /// # Errors
    /// [`GetError`], but for `Interrupted`.
    #[inline]
    pub fn try_get(&self) -> Result<Taken, GetError> {
        self.try_get_many(1)
    }

    /// Takes as many messages as there are now, at most `most`, and at least one.
    ///
    /// # Errors
    /// [`GetError`], but for `Interrupted`.
    #[inline]
    pub fn try_get_many(&self, most: usize) -> Result<Taken, GetError> {
        self.try_take(most, false)
    }

    /// The same for messages that are to be acknowledged: they stay the queue's until
    /// [`Queue::ack`], and are the next that come out if this process ends before that.
    ///
    /// # Errors
    /// [`GetError`], but for `Interrupted`.
    pub fn try_get_to_ack(&self, most: usize) -> Result<Taken, GetError> {
        self.try_take(most, true)
    }

    #[inline]
    fn try_take(&self, most: usize, to_ack: bool) -> Result<Taken, GetError> {
        let now = Deadline::at(0);
        match self.get_now(most, to_ack, now) {
            Got::Taken(result) => return result,
            Got::Held => return Err(GetError::Empty),
            Got::Nothing => {}
        }
        // A producer may have died before it said that it put something.
        drop(self.alone_until(soon(now)));
        match self.get_now(most, to_ack, now) {
            Got::Taken(result) => result,
            Got::Nothing | Got::Held => Err(GetError::Empty),
        }
    }

    /// Takes a message, waiting for it.
    ///
    /// # Errors
    /// [`GetError`].
    #[inline]
    pub fn get(
        &self,
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
    ) -> Result<Taken, GetError> {
        self.get_many(1, hooks, deadline)
    }

    /// Takes as many messages as there are, at most `most`, waiting for the first.
    ///
    /// # Errors
    /// [`GetError`].
    #[inline]
    pub fn get_many(
        &self,
        most: usize,
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
    ) -> Result<Taken, GetError> {
        self.take(most, false, hooks, deadline)
    }

    /// The same for messages that are to be acknowledged: see [`Queue::try_get_to_ack`].
    ///
    /// # Errors
    /// [`GetError`].
    pub fn get_to_ack(
        &self,
        most: usize,
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
    ) -> Result<Taken, GetError> {
        self.take(most, true, hooks, deadline)
    }

    #[inline]
    fn take(
        &self,
        most: usize,
        to_ack: bool,
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
    ) -> Result<Taken, GetError> {
        if let Got::Taken(result) = self.get_now(most, to_ack, deadline) {
            return result;
        }
        // What is under way is not worth what the hooks do around a wait.
        for _ in 0..self.me.runtime().spins(SPINS) {
            std::hint::spin_loop();
            if !self.looks_empty() {
                if let Got::Taken(result) = self.get_now(most, to_ack, deadline) {
                    return result;
                }
            }
        }
        loop {
            let mut condition =
                GetWait { queue: *self, most, to_ack, until: deadline, held: false, result: None };
            let outcome = wait::wait(self.me, hooks, &mut condition, deadline);
            match (outcome, condition.result) {
                (_, Some(result)) => return result,
                (Outcome::Interrupted, None) => return Err(GetError::Interrupted),
                (Outcome::Ready, None) if condition.held && !deadline.passed() => {
                    if hooks.interrupted() || !self.me.is_here() {
                        return Err(GetError::Interrupted);
                    }
                }
                (Outcome::TimedOut | Outcome::Ready, None) => return Err(GetError::Empty),
            }
        }
    }

    /// Whether a look without a latch shows no message.
    #[inline]
    fn looks_empty(&self) -> bool {
        let it = self.it;
        it.head.load(Ordering::Relaxed) == it.tail.load(Ordering::Acquire)
            && it.shut.load(Ordering::Relaxed) == shut::OPEN
            && !self.something_returned()
    }

    /// Takes what is there now, for one who waits until `until`.
    #[inline]
    fn get_now(&self, most: usize, to_ack: bool, until: Deadline) -> Got {
        if self.looks_empty() {
            return Got::Nothing;
        }
        let (me, it) = (self.me, self.it);
        // The latch of producers comes first where both are taken.
        let shared = self.is_shared();
        let put = if shared { it.put.latch.lock_until(me, || soon(until)) } else { None };
        if shared && put.is_none() {
            return self.held_up();
        }
        let Some(get) = it.get.latch.lock_until(me, || soon(until)) else { return self.held_up() };
        self.return_of_the_dead();
        let state = it.shut.load(Ordering::Acquire);
        if state == shut::ALL {
            drop((get, put));
            // Who shut it down may have died before all of it was thrown away.
            self.throw_away();
            return Got::Taken(Err(GetError::ShutDown));
        }
        let mut taken = Taken::new(me, heap::savepoint(me));
        while taken.len() < most {
            match self.take_one(shared, to_ack, until, &mut taken) {
                Ok(true) => {}
                Err(e) if taken.is_empty() && e.is_held_up() => return Got::Held,
                Err(e) if taken.is_empty() => return Got::Taken(Err(e.into())),
                Ok(false) | Err(_) => break,
            }
        }
        if taken.is_empty() {
            let end = state != shut::OPEN;
            drop((get, put));
            if end {
                // Nothing comes after the state, but what was put before may not be published.
                let Some(_latches) = self.alone_until(soon(until)) else { return Got::Held };
                let is_over = self.len_alone() == 0;
                return if is_over { Got::Taken(Err(GetError::ShutDown)) } else { Got::Nothing };
            }
            return Got::Nothing;
        }
        drop((get, put));
        it.not_full.open(taken.len());
        Got::Taken(Ok(taken))
    }

    /// Somebody who is stopped has a latch.
    #[cold]
    fn held_up(&self) -> Got {
        if self.it.shut.load(Ordering::Acquire) == shut::ALL {
            return Got::Taken(Err(GetError::ShutDown));
        }
        Got::Held
    }

    /// Takes the next message; false if there is none. The latch of consumers is held; if it is at the
    /// `shared` end, that of producers as well.
    #[inline]
    fn take_one(
        &self,
        shared: bool,
        to_ack: bool,
        until: Deadline,
        taken: &mut Taken,
    ) -> Result<bool, OutOfMemory> {
        let (me, it) = (self.me, self.it);
        let get = &it.get;
        let head = get.head.load(Ordering::Relaxed);
        let mut tail = if shared { &it.put.tail } else { &get.tail_seen }.load(Ordering::Relaxed);
        if head == tail && !shared {
            // SYNC POINT: pairs with the release store of `put_now`.
            tail = it.tail.load(Ordering::Acquire);
            get.tail_seen.store(tail, Ordering::Relaxed);
        }
        crash_point!("channel.tail_seen");
        let next = || (head != tail).then(|| self.word(head).load(Ordering::Relaxed));
        if let Some(back) = self.first_returned(next) {
            self.take_returned(back, self.note(until)?, to_ack, taken);
            return Ok(true);
        }
        if head == tail {
            return Ok(false);
        }
        let note = self.note(until)?;
        if to_ack {
            self.reserve_entry(until)?;
        }
        let heap = shared && self.order() == Order::Priority;
        let position = if shared && !heap { tail - 1 } else { head };
        let word = self.word(position).load(Ordering::Relaxed);
        // A heap with more levels than the journal has room for beside the rest.
        let more = (heap && tail - head > MANY)
            .then(|| {
                heap::within(until, || heap::whatever_is_full(|| journal_room::reserve(me, 80)))
            })
            .transpose()?;
        let mut tx = more.as_ref().map_or_else(|| Tx::begin(me), JournalRoom::begin);
        if heap {
            self.sift_down(&mut tx, head, tail);
        }
        if shared {
            tx.set(&it.put.tail, tail - 1);
            tx.set(&get.popped, get.popped.load(Ordering::Relaxed) + 1);
        } else {
            tx.set(&get.head, head + 1);
        }
        self.count_taken(&mut tx, note);
        if to_ack {
            taken.deliveries.push(self.hand_out(&mut tx, word));
        } else if let Some(blob) = value::blob_of(word) {
            let bytes = blob::weight(me, blob);
            tx.set(&get.bytes, get.bytes.load(Ordering::Relaxed) + bytes);
            heap::defer_free(me, &mut tx, blob);
            taken.has_blobs = true;
        }
        crash_point!("channel.taking");
        tx.commit();
        crash_point!("channel.taken");
        if shared {
            self.publish_put();
        }
        self.publish_get();
        taken.push(word);
        Ok(true)
    }

    /// Throws the first message away; both latches are held.
    pub(super) fn discard_one(&self) -> Discarded {
        let (me, it) = (self.me, self.it);
        if it.get.unacked.returned.load(Ordering::Relaxed) != 0 {
            self.discard_returned();
            return Discarded::More;
        }
        if self.ring_len() == 0 {
            return Discarded::All;
        }
        let get = &it.get;
        let head = get.head.load(Ordering::Relaxed);
        let word = self.word(head).load(Ordering::Relaxed);
        let mut tx = Tx::begin(me);
        tx.set(&get.head, head + 1);
        self.count_discarded(&mut tx);
        if let Some(blob) = value::blob_of(word) {
            let bytes = blob::weight(me, blob);
            tx.set(&get.bytes, get.bytes.load(Ordering::Relaxed) + bytes);
            heap::defer_free(me, &mut tx, blob);
        }
        crash_point!("channel.discarding");
        tx.commit();
        crash_point!("channel.discarded");
        self.publish_get();
        Discarded::More
    }
}

/// A thread that waits for a message.
struct GetWait<'a> {
    queue: Queue<'a>,
    most: usize,
    to_ack: bool,
    until: Deadline,
    /// Somebody who is stopped has a latch: the wait ends, and begins anew.
    held: bool,
    result: Option<Result<Taken, GetError>>,
}

impl Awaited for GetWait<'_> {
    fn word(&self) -> &'static AtomicU32 {
        self.queue.it.not_empty.word()
    }

    fn object(&self) -> Off {
        self.queue.off
    }

    fn ready(&mut self) -> bool {
        match self.queue.get_now(self.most, self.to_ack, self.until) {
            Got::Taken(result) => self.result = Some(result),
            Got::Held => self.held = true,
            Got::Nothing => return false,
        }
        true
    }

    fn announce(&mut self) -> Option<u32> {
        let value = self.queue.it.not_empty.announce(false);
        {
            // A producer may have died before it said that it put something.
            let latch = &self.queue.it.put.latch;
            let Some(_latch) = latch.lock_until(self.queue.me, || soon(self.until)) else {
                self.held = true;
                return None;
            };
            self.queue.publish_put();
        }
        if self.ready() { None } else { Some(value) }
    }
}
