//! Queues whose least message comes out first: a heap in the ring, changed under both latches.
//!
//! What is compared are numbers, texts, bytes and tuples of them ([`flat`]). A message may have a key
//! of that form in front of something else ([`keyed`]); those with equal keys come out in the order in
//! which they were put. A change moves as many words as the heap has levels, in one [`Tx`].

use std::cmp::Ordering;

use super::queue::Queue;
use crate::atomic::Ordering as Order;
use crate::collections::flat::{self, Part};
use crate::collections::value::{self, tag};
use crate::shm::Member;
use crate::shm::object::blob;
use crate::shm::tx::journal::Tx;

/// Bytes in front of a key: its length, and when its message was put.
const FRONT: usize = 16;

/// The content of a message with a key: the key, a [`flat`] item, then whatever is read by `how`.
#[must_use]
pub fn keyed(key: &[u8], how: u8, content: &[u8]) -> Vec<u8> {
    let len = (key.len() as u64).to_le_bytes();
    [&len[..], &[0; 8], key, &[how], content].concat()
}

/// What such a message is without its key: how to read it, and the bytes.
#[must_use]
pub fn unkeyed(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (how, content) = bytes.get(FRONT + key_len(bytes)?..)?.split_first()?;
    Some((*how, content))
}

fn key_len(bytes: &[u8]) -> Option<usize> {
    let len = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    usize::try_from(len).ok().filter(|len| *len <= bytes.len())
}

/// Which of two messages comes out first; one of the queue's latches is held.
pub(super) fn compare(me: &Member, first: u64, second: u64) -> Ordering {
    let (mut first_own, mut second_own) = (Vec::new(), Vec::new());
    let (a, when_a) = key_of(me, first, &mut first_own);
    let (b, when_b) = key_of(me, second, &mut second_own);
    flat::compare(&mut &a[..], &mut &b[..]).then(when_a.cmp(&when_b))
}

/// The key of a message, and when it was put, where that counts.
fn key_of<'a>(me: &Member, word: u64, own: &'a mut Vec<u8>) -> (&'a [u8], u64) {
    let Some(at) = value::blob_of(word) else {
        flat::put(own, Part::Word(word));
        return (own, 0);
    };
    // SAFETY: the blob is the queue's, whose latch is held, or hangs on the calling thread's chain.
    let bytes: &'static [u8] = unsafe { blob::bytes(me, at) };
    match blob::tag(me, at) {
        tag::TUPLE => (bytes, 0),
        tag::KEYED => {
            let key = key_len(bytes).and_then(|len| bytes.get(FRONT..FRONT + len));
            let when = bytes.get(8..FRONT).and_then(|b| b.try_into().ok());
            (key.unwrap_or_default(), when.map_or(0, u64::from_le_bytes))
        }
        how => {
            let part = match how {
                tag::STR => Part::Str(bytes),
                tag::INT => Part::Int(bytes),
                _ => Part::Bytes(bytes),
            };
            flat::put(own, part);
            (own, 0)
        }
    }
}

impl Queue<'_> {
    /// Puts a word into the heap, whose messages begin at `head` and end before `tail`; the latch of
    /// producers is held.
    pub(super) fn sift_up(&self, tx: &mut Tx<'_>, head: u64, tail: u64, word: u64) {
        if let Some(at) = value::blob_of(word) {
            if blob::tag(self.me, at) == tag::KEYED {
                let ever = tail + self.it.get.popped.load(Order::Relaxed);
                blob::set_content_word(self.me, at, 1, ever);
            }
        }
        let mut place = tail - head;
        while place > 0 {
            let above = (place - 1) / 2;
            let other = self.word(head + above).load(Order::Relaxed);
            if compare(self.me, word, other) != Ordering::Less {
                break;
            }
            tx.set(self.word(head + place), other);
            place = above;
        }
        tx.set(self.word(head + place), word);
        crash_point!("channel.sifted_up");
    }

    /// Takes the least word out of the heap, which ends before `tail` and holds one at least; both
    /// latches are held.
    pub(super) fn sift_down(&self, tx: &mut Tx<'_>, head: u64, tail: u64) {
        let len = tail - head - 1;
        let last = self.word(tail - 1).load(Order::Relaxed);
        let mut place = 0;
        while 2 * place + 1 < len {
            let mut below = 2 * place + 1;
            let at = |i: u64| self.word(head + i).load(Order::Relaxed);
            if below + 1 < len && compare(self.me, at(below + 1), at(below)) == Ordering::Less {
                below += 1;
            }
            if compare(self.me, at(below), last) != Ordering::Less {
                break;
            }
            tx.set(self.word(head + place), at(below));
            place = below;
        }
        if len > 0 {
            tx.set(self.word(head + place), last);
        }
        crash_point!("channel.sifted_down");
    }
}
