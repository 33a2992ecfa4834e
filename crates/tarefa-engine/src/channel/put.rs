//! Putting messages into a queue.
//!
//! - A message that is a word is one store: the position behind it (`put.tail`). One with a blob is one
//!   [`Tx`], which takes the blob off the thread's chain at the same instant.
//! - Consumers do not look at `put.tail`, which may be undone, but at `tail`, which is stored once the
//!   change is final. Who dies between the two leaves that to the next producer, or to a consumer that
//!   finds nothing and is about to say so.

use super::get::Discarded;
use super::queue::{Order, Queue, shut, soon};
use super::ring;
use crate::atomic::{AtomicU32, Ordering};
use crate::collections::value::{self, Item};
use crate::os::clock::Deadline;
use crate::shm::Member;
use crate::shm::arena::offset::Off;
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::member::slots;
use crate::shm::object::blob;
use crate::shm::tx::journal::Tx;
use crate::sync::wait::{self, Awaited, BlockingHooks, Outcome};

/// Why a message is not in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PutError {
    /// There was no room, or none in time.
    #[error("the queue is full")]
    Full,
    /// The hooks ended the wait.
    #[error("interrupted while the queue was full")]
    Interrupted,
    /// Nothing more comes in.
    #[error("the queue has been shut down")]
    ShutDown,
    /// It would not fit if it were alone.
    #[error("a message of {size} bytes is larger than the queue may hold, which is {most} bytes")]
    TooLarge {
        /// Bytes of the message.
        size: u64,
        /// Bytes that the queue may hold.
        most: u64,
    },
    /// See [`OutOfMemory`].
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
}

/// A message that is not yet in a queue: its blob, if it has one, hangs on the thread's chain.
#[derive(Clone, Copy, Debug)]
struct Message {
    word: u64,
    /// As it counts for the bound, without its word.
    bytes: u64,
}

/// What a message was made from, which is told once the message has references of its own to what it
/// mentions, and before anybody can take it: who is then the only one that has it is to see that.
pub trait Source: std::fmt::Debug {
    /// The message lies in the arena, and is in no queue yet.
    fn stored(&self);
}

/// A message on its way in.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    item: Item<'a>,
    beside: u64,
    source: Option<&'a dyn Source>,
}

impl<'a> Outgoing<'a> {
    /// A message whose bytes mention buffers of so many bytes that are in no other memory than the
    /// message's: they count for the queue's bound with its own.
    #[must_use]
    pub fn with_beside(item: Item<'a>, beside: u64, source: &'a dyn Source) -> Self {
        Self { item, beside, source: Some(source) }
    }

    /// Bytes of it, as the bound counts them.
    #[must_use]
    pub fn size(&self) -> u64 {
        size_of_item(self.item) + blob::rounded(self.beside)
    }
}

impl<'a> From<Item<'a>> for Outgoing<'a> {
    fn from(item: Item<'a>) -> Self {
        Self { item, beside: 0, source: None }
    }
}

impl Message {
    fn store(me: &Member, message: Outgoing<'_>) -> Result<Self, OutOfMemory> {
        let word = value::store(me, message.item)?;
        if let Some(source) = message.source {
            source.stored();
        }
        let bytes = value::blob_of(word).map_or(0, |at| {
            // For whoever cannot read it.
            blob::sign(me, at, pid(me), message.beside);
            blob::weight(me, at)
        });
        Ok(Self { word, bytes })
    }
}

/// The calling process, without a call of the system.
fn pid(me: &Member) -> i32 {
    let process = me.slot().owner.load(Ordering::Relaxed).saturating_sub(1) as u32;
    slots::owner(slots::process_slot(me.arena(), process)).0
}

/// Bytes of a message beside its word, as [`super::Wanted::Room`] takes them.
#[must_use]
pub fn blob_bytes(message: Outgoing<'_>) -> u64 {
    if let Item::Word(_) = message.item { 0 } else { message.size() }
}

/// Bytes of an item's content.
fn size_of_item(item: Item<'_>) -> u64 {
    match item {
        Item::Word(_) => ring::WORD,
        Item::Blob(_, bytes, _) => bytes.len() as u64,
        Item::Parts(_, parts, _) => parts.iter().map(|p| p.len() as u64).sum(),
    }
}

/// How putting went, without a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Now {
    /// So many messages are in.
    Put(usize),
    /// There is no room: not for one more, or not for that many bytes.
    Full { for_bytes: bool },
    /// Somebody has a latch for long: he is stopped.
    Held,
}

impl Queue<'_> {
    /// Puts a message in if there is room now.
    ///
    /// # Errors
    /// [`PutError`], but for `Interrupted`; the queue is as it was.
    #[inline]
    pub fn try_put<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), PutError> {
        let message = message.into();
        if let Item::Word(word) = message.item {
            return match self.put_now(&[Message { word, bytes: 0 }], Deadline::at(0))? {
                Now::Put(_) => Ok(()),
                Now::Full { .. } | Now::Held => Err(PutError::Full),
            };
        }
        self.put_blob(message, None)
    }

    /// Puts a message in, waiting until there is room for it.
    ///
    /// # Errors
    /// [`PutError`]; the queue is as it was.
    #[inline]
    pub fn put<'a>(
        &self,
        message: impl Into<Outgoing<'a>>,
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
    ) -> Result<(), PutError> {
        let message = message.into();
        if let Item::Word(word) = message.item {
            let message = [Message { word, bytes: 0 }];
            if let Now::Put(_) = self.put_now(&message, deadline)? {
                return Ok(());
            }
            return self.put_all(&message, hooks, deadline).map_err(|(_, e)| e);
        }
        self.put_blob(message, Some((hooks, deadline)))
    }

    /// Puts messages in, in their order, as room comes. Others' messages may come in between where it
    /// has to wait.
    ///
    /// # Errors
    /// How many of them are in the queue, and why the others are not.
    pub fn put_many<'a, M: Copy + Into<Outgoing<'a>>>(
        &self,
        messages: &[M],
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
    ) -> Result<(), (usize, PutError)> {
        self.put_items(messages, hooks, deadline)
    }

    /// Whether a message of so many bytes may be put in at all: for who has not made it yet.
    ///
    /// # Errors
    /// [`PutError::TooLarge`], [`PutError::ShutDown`].
    pub fn check_size(&self, size: u64) -> Result<(), PutError> {
        let most = self.max_bytes();
        if size > most && self.it.any_size.load(Ordering::Relaxed) == 0 {
            return Err(PutError::TooLarge { size, most });
        }
        if self.is_shut() { Err(PutError::ShutDown) } else { Ok(()) }
    }

    /// Puts one message with a blob in.
    fn put_blob(
        &self,
        message: Outgoing<'_>,
        waiting: Option<(&mut dyn BlockingHooks, Deadline)>,
    ) -> Result<(), PutError> {
        self.check_size(message.size())?;
        let me = self.me;
        let savepoint = heap::savepoint(me);
        let mut waiting = waiting;
        let result = self.laid_down(message, &mut waiting).and_then(|message| {
            let until = waiting.as_ref().map_or(Deadline::at(0), |(_, deadline)| *deadline);
            match (self.put_now(&[message], until)?, waiting) {
                (Now::Put(_), _) => Ok(()),
                (Now::Full { .. } | Now::Held, None) => Err(PutError::Full),
                (Now::Full { .. } | Now::Held, Some((hooks, deadline))) => {
                    self.put_all(&[message], hooks, deadline).map_err(|(_, e)| e)
                }
            }
        });
        // A handler that forked goes on in two processes; chain and blob are the parent's.
        if result.is_err() && me.is_here() {
            heap::free_deferred(me, savepoint);
        }
        result
    }

    /// Makes a message, as long as whoever puts it in wants to wait.
    fn laid_down(
        &self,
        message: Outgoing<'_>,
        waiting: &mut Option<(&mut dyn BlockingHooks, Deadline)>,
    ) -> Result<Message, PutError> {
        let me = self.me;
        let until = waiting.as_ref().map_or(Deadline::at(0), |(_, deadline)| *deadline);
        loop {
            match heap::within(until, || Message::store(me, message)) {
                Err(e) if e.is_held_up() => {}
                stored => return Ok(stored?),
            }
            let Some((hooks, _)) = waiting else { return Err(PutError::Full) };
            if hooks.interrupted() || !me.is_here() {
                return Err(PutError::Interrupted);
            }
            if until.passed() {
                return Err(PutError::Full);
            }
        }
    }

    fn put_items<'a, M: Copy + Into<Outgoing<'a>>>(
        &self,
        items: &[M],
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
    ) -> Result<(), (usize, PutError)> {
        let me = self.me;
        items.iter().try_for_each(|m| self.check_size((*m).into().size())).map_err(|e| (0, e))?;
        let savepoint = heap::savepoint(me);
        // The first message's blob is made last: so it is the first on the chain.
        let mut messages = Vec::with_capacity(items.len());
        for item in items.iter().rev() {
            match self.laid_down((*item).into(), &mut Some((&mut *hooks, deadline))) {
                Ok(message) => messages.push(message),
                Err(e) => {
                    if me.is_here() {
                        heap::free_deferred(me, savepoint);
                    }
                    return Err((0, e));
                }
            }
        }
        messages.reverse();
        let result = self.put_all(&messages, hooks, deadline);
        // A handler that forked goes on in two processes; chain and blobs are the parent's.
        if result.is_err() && me.is_here() {
            heap::free_deferred(me, savepoint);
        }
        result
    }

    /// Puts all of them in.
    fn put_all(
        &self,
        messages: &[Message],
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
    ) -> Result<(), (usize, PutError)> {
        let mut put = 0;
        while put < messages.len() {
            let mut condition = PutWait {
                queue: *self,
                messages: &messages[put..],
                for_bytes: false,
                tried_at: None,
                until: deadline,
                held: false,
                result: None,
            };
            let outcome = wait::wait(self.me, hooks, &mut condition, deadline);
            match (outcome, condition.result) {
                (Outcome::Ready, Some(Ok(n))) => put += n,
                (Outcome::Ready, Some(Err(e))) => return Err((put, e)),
                (Outcome::Interrupted, _) => return Err((put, PutError::Interrupted)),
                (Outcome::Ready, None) if condition.held && !deadline.passed() => {
                    if hooks.interrupted() || !self.me.is_here() {
                        return Err((put, PutError::Interrupted));
                    }
                }
                (Outcome::TimedOut | Outcome::Ready, _) => return Err((put, PutError::Full)),
            }
        }
        Ok(())
    }

    /// Whether one more message of so many bytes fits; the latch of producers is held.
    #[inline]
    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.room(1, bytes).is_ok()
    }

    /// Whether `count` more messages with blobs of so many bytes fit; else whether it is for bytes.
    #[inline]
    fn room(&self, count: u64, bytes: u64) -> Result<(), bool> {
        let put = &self.it.put;
        let (tail, all) = (put.tail.load(Ordering::Relaxed), put.bytes.load(Ordering::Relaxed));
        let (most, most_bytes) = (self.maxsize(), self.max_bytes());
        let check = || {
            // What came back takes room again, and may be more than there was room for.
            let back = self.it.get.unacked.returned.load(Ordering::Relaxed);
            let len = tail - put.head_seen.load(Ordering::Relaxed) + back;
            if most != 0 && len + count > most {
                return Err(false);
            }
            let used = all - put.bytes_seen.load(Ordering::Relaxed);
            // One that is alone fits if its content does.
            let alone = len == 0 && count == 1;
            if alone && used == 0 && self.it.any_size.load(Ordering::Relaxed) != 0 {
                return Ok(());
            }
            let wanted = used + bytes + if alone { 0 } else { (len + count) * ring::WORD };
            if wanted > most_bytes { Err(true) } else { Ok(()) }
        };
        check().or_else(|_| {
            self.look_at_consumers();
            check()
        })
    }

    /// What consumers have taken since; the latch of producers is held.
    fn look_at_consumers(&self) {
        let put = &self.it.put;
        // SYNC POINT: pairs with the release store in `publish_get`.
        put.head_seen.store(self.it.head.load(Ordering::Acquire), Ordering::Relaxed);
        put.bytes_seen.store(self.it.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        crash_point!("channel.looked");
    }

    /// Puts as many of the messages in as there is room for now, for one who waits until `until`.
    #[inline]
    fn put_now(&self, messages: &[Message], until: Deadline) -> Result<Now, PutError> {
        let (me, it) = (self.me, self.it);
        let Some(latch) = it.put.latch.lock_until(me, || soon(until)) else {
            // Who shuts a queue down waits for nobody who is stopped, nor does who puts after that.
            return if self.is_shut() { Err(PutError::ShutDown) } else { Ok(Now::Held) };
        };
        if it.shut.load(Ordering::Relaxed) != shut::OPEN {
            return Err(PutError::ShutDown);
        }
        let (mut count, mut bytes) = (0, 0);
        let mut full = false;
        let heap = self.order() == Order::Priority;
        for message in messages.iter().take(if heap { 1 } else { usize::MAX }) {
            if let Err(for_bytes) = self.room(count + 1, bytes + message.bytes) {
                full = for_bytes;
                break;
            }
            count += 1;
            bytes += message.bytes;
        }
        if count == 0 {
            return Ok(Now::Full { for_bytes: full });
        }
        let tail = it.put.tail.load(Ordering::Relaxed);
        if tail - it.put.head_seen.load(Ordering::Relaxed) + count > self.capacity() {
            self.look_at_consumers();
        }
        if !self.make_room(it.put.head_seen.load(Ordering::Relaxed), tail, count, until)? {
            return Ok(Now::Held);
        }
        let these = &messages[..count as usize];
        if heap {
            self.put_into_heap(these[0]);
            drop(latch);
            it.not_empty.open(1);
            return Ok(Now::Put(1));
        }
        for (i, message) in these.iter().enumerate() {
            self.word(tail + i as u64).store(message.word, Ordering::Relaxed);
            crash_point!("channel.put_word");
        }
        let last_blob = these.iter().rev().find_map(|m| value::blob_of(m.word));
        if let Some(blob) = last_blob {
            let mut tx = Tx::begin(me);
            tx.set(&it.put.tail, tail + count);
            tx.set(&it.put.bytes, it.put.bytes.load(Ordering::Relaxed) + bytes);
            // What hangs below the last of them stays the thread's.
            let below = heap::header(me, blob).next.load(Ordering::Relaxed);
            heap::release_to(me, &mut tx, Off(below));
            crash_point!("channel.putting");
            tx.commit();
        } else {
            it.put.tail.store(tail + count, Ordering::Release);
        }
        crash_point!("channel.put");
        // SYNC POINT: publishes the messages; pairs with the acquire loads of `tail` by consumers.
        it.tail.store(tail + count, Ordering::Release);
        crash_point!("channel.put_done");
        drop(latch);
        it.not_empty.open(count as usize);
        Ok(Now::Put(count as usize))
    }

    /// Puts a message where its order has it; there is room, and the latch of producers is held.
    #[cold]
    fn put_into_heap(&self, message: Message) {
        let (me, it) = (self.me, self.it);
        let (head, tail) =
            (it.get.head.load(Ordering::Relaxed), it.put.tail.load(Ordering::Relaxed));
        let mut tx = Tx::begin(me);
        self.sift_up(&mut tx, head, tail, message.word);
        tx.set(&it.put.tail, tail + 1);
        if let Some(blob) = value::blob_of(message.word) {
            tx.set(&it.put.bytes, it.put.bytes.load(Ordering::Relaxed) + message.bytes);
            let below = heap::header(me, blob).next.load(Ordering::Relaxed);
            heap::release_to(me, &mut tx, Off(below));
        }
        crash_point!("channel.heaping");
        tx.commit();
        crash_point!("channel.heaped");
        self.publish_put();
    }

    /// Throws away what is in a queue that nobody reads any more; another one is left as it is. What a
    /// member that is stopped keeps it from goes with the next who looks, or with the queue.
    pub fn throw_away(&self) {
        self.throw_away_for(Deadline::NEVER);
    }

    /// The same for one who waits until `until`; whether all is gone.
    pub(super) fn throw_away_for(&self, until: Deadline) -> bool {
        if self.it.shut.load(Ordering::Acquire) != shut::ALL {
            return true;
        }
        loop {
            let savepoint = heap::savepoint(self.me);
            let Some(latches) = self.alone_until(soon(until)) else { return false };
            let mut left = Discarded::More;
            for _ in 0..64 {
                left = self.discard_one();
                if left == Discarded::All {
                    break;
                }
            }
            drop(latches);
            heap::free_deferred(self.me, savepoint);
            if left == Discarded::All {
                return true;
            }
        }
    }

    /// Whether consumers change the end that producers put to.
    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        self.order() != Order::Fifo
    }
}

/// A thread that waits for room.
struct PutWait<'a> {
    queue: Queue<'a>,
    messages: &'a [Message],
    for_bytes: bool,
    /// What consumers had taken at the last try: messages, bytes, and what had come back.
    tried_at: Option<(u64, u64, u64)>,
    until: Deadline,
    /// Somebody who is stopped has a latch: the wait ends, and begins anew.
    held: bool,
    result: Option<Result<usize, PutError>>,
}

impl PutWait<'_> {
    fn try_now(&mut self) -> bool {
        match self.queue.put_now(self.messages, self.until) {
            Ok(Now::Held) => self.held = true,
            Ok(Now::Put(n)) => self.result = Some(Ok(n)),
            Ok(Now::Full { for_bytes }) => {
                self.for_bytes = for_bytes;
                return false;
            }
            Err(e) => self.result = Some(Err(e)),
        }
        true
    }
}

impl Awaited for PutWait<'_> {
    fn word(&self) -> &'static AtomicU32 {
        self.queue.it.not_full.word()
    }

    fn object(&self) -> Off {
        self.queue.off
    }

    fn ready(&mut self) -> bool {
        // Without the latch first: as long as nobody takes anything there is no more room. Where
        // they take at the same end that does not show.
        let it = self.queue.it;
        let taken = (
            it.head.load(Ordering::Acquire),
            it.bytes.load(Ordering::Relaxed),
            it.get.unacked.returned.load(Ordering::Relaxed),
        );
        let same = self.tried_at == Some(taken)
            && !self.queue.is_shared()
            && it.shut.load(Ordering::Relaxed) == shut::OPEN;
        if same {
            return false;
        }
        self.tried_at = Some(taken);
        self.try_now()
    }

    fn announce(&mut self) -> Option<u32> {
        let it = self.queue.it;
        let value = it.not_full.announce(self.for_bytes);
        {
            // A consumer may have died before it said that it took something.
            let latch = it.get.latch.lock_until(self.queue.me, || soon(self.until));
            let Some(_latch) = latch else {
                self.held = true;
                return None;
            };
            self.queue.publish_get();
        }
        let was = self.for_bytes;
        if self.try_now() {
            return None;
        }
        Some(if self.for_bytes && !was { it.not_full.announce(true) } else { value })
    }
}
