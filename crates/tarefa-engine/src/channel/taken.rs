//! Messages that were taken, as their taker has them.

use super::priority::unkeyed;
use super::ring;
use crate::collections::value::{self, Fetched, tag};
use crate::shm::Member;
use crate::shm::arena::offset::Off;
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::object::blob;

/// A message that was handed out to be acknowledged, as its queue knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub(super) entry: u64,
    pub(super) ticket: u64,
}

/// Messages that were taken. Their blobs hang on the thread's chain until this is dropped, in the
/// thread that took them.
#[derive(Debug)]
pub struct Taken {
    me: Member,
    savepoint: Off,
    pub(super) has_blobs: bool,
    first: u64,
    more: Vec<u64>,
    /// Of messages that are to be acknowledged, one for each.
    pub(super) deliveries: Vec<Delivery>,
    pub(super) redelivered: bool,
}

/// A message's content, lent by [`Taken`].
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A word without a blob.
    Word(u64),
    /// How to read the bytes, the bytes, and where the blob is, which keeps what they mention.
    Blob(u8, &'a [u8], Off),
}

impl Taken {
    pub(super) fn new(me: &Member, savepoint: Off) -> Self {
        Self {
            me: *me,
            savepoint,
            has_blobs: false,
            first: 0,
            more: Vec::new(),
            deliveries: Vec::new(),
            redelivered: false,
        }
    }

    pub(super) fn push(&mut self, word: u64) {
        if self.first == 0 {
            self.first = word;
        } else {
            self.more.push(word);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.first == 0 { 0 } else { 1 + self.more.len() }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first == 0
    }

    /// What each message is to its queue, if they are to be acknowledged.
    #[must_use]
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// Whether one of them was handed out before, to somebody who has not acknowledged it.
    #[must_use]
    #[inline]
    pub fn redelivered(&self) -> bool {
        self.redelivered
    }

    /// The first message, if it is a word without a blob.
    #[must_use]
    #[inline]
    pub fn word(&self) -> Option<u64> {
        (self.first != 0 && value::blob_of(self.first).is_none()).then_some(self.first)
    }

    /// Bytes of the messages as bounds count them, with buffers that are in no other memory.
    #[must_use]
    pub fn size(&self) -> u64 {
        let size = |content| match content {
            Content::Word(_) => ring::WORD,
            Content::Blob(_, _, at) => blob::weight(&self.me, at),
        };
        self.contents().map(size).sum()
    }

    /// The messages, in their order.
    pub fn contents(&self) -> impl Iterator<Item = Content<'_>> {
        let first = Some(self.first).filter(|word| *word != 0);
        first.into_iter().chain(self.more.iter().copied()).map(|word| self.content(word))
    }

    /// A copy of the message of that number; what it mentions is held.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    ///
    /// # Panics
    /// If there is no such message.
    pub fn fetch(&self, me: &Member, i: usize) -> Result<Fetched, OutOfMemory> {
        let mut fetched = value::fetch_last(me, self.nth(i))?;
        if let Fetched::Blob(copied) = &mut fetched {
            if copied.tag == tag::KEYED {
                if let Some((tag, bytes)) = unkeyed(&copied.bytes) {
                    (copied.tag, copied.bytes) = (tag, bytes.to_vec());
                }
            }
        }
        Ok(fetched)
    }

    /// The process that put the message of that number in; 0 where it does not say.
    ///
    /// # Panics
    /// If there is no such message.
    #[must_use]
    pub fn signed_by(&self, me: &Member, i: usize) -> i32 {
        value::blob_of(self.nth(i)).map_or(0, |at| blob::signed_by(me, at))
    }

    fn nth(&self, i: usize) -> u64 {
        if i == 0 { self.first } else { self.more[i - 1] }
    }

    fn content(&self, word: u64) -> Content<'_> {
        match value::blob_of(word) {
            None => Content::Word(word),
            Some(at) => {
                let me = &self.me;
                // SAFETY: the blob hangs on the thread's chain, above `savepoint`, until `self` is
                // dropped; what the thread does meanwhile frees nothing below its own savepoints.
                // One that is to be acknowledged is the queue's until this process says so, which
                // it cannot before it has `deliveries`.
                let bytes = unsafe { blob::bytes(me, at) };
                Content::Blob(blob::tag(me, at), bytes, at)
            }
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // In a child that was forked meanwhile the chain is the parent's.
        if self.has_blobs && self.me.is_here() {
            heap::free_deferred(&self.me, self.savepoint);
        }
    }
}
