//! What is to be done about the data that a lock guards when its owner has died: something that a
//! front has encoded, kept with the lock.
//!
//! - It is a blob, whose offset is a word of the lock (`repair`); who changes the word has the
//!   latch of the object's reference count. The object owns the blob.
//! - That there is something to repair is what the lock says of itself: `poisoned`. Whoever takes
//!   such a lock does it while he holds it, and says so by `clear_poison`; until then everybody
//!   who takes the lock finds it so, whatever becomes of those who try.
//! - A blob holds no reference to the object that it belongs to, which would keep itself alive.

use crate::atomic::{AtomicU64, Ordering};
use crate::shm::Member;
use crate::shm::arena::offset::Off;
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::object::{self, blob};
use crate::shm::tx::journal::Tx;

/// A copy of it; what it mentions is held until it is dropped.
#[derive(Debug)]
pub struct Repair {
    /// How to read the bytes.
    pub tag: u8,
    /// The content.
    pub bytes: Vec<u8>,
    _held: blob::HeldBlob,
}

/// Keeps it in `word`, of the object at `object`; what is there already stays if it is the same.
/// True if there was none.
///
/// # Errors
/// [`OutOfMemory`]; what was there stays.
pub(super) fn set(
    me: &Member,
    object: Off,
    word: &AtomicU64,
    (tag, parts, mentioned): (u8, &[&[u8]], &[Off]),
) -> Result<bool, OutOfMemory> {
    if is(me, object, word, tag, parts) {
        return Ok(false);
    }
    let savepoint = heap::savepoint(me);
    let mentioned: Vec<Off> = mentioned.iter().copied().filter(|off| *off != object).collect();
    let made = blob::create(me, tag, parts, &mentioned);
    let result = made.map(|new| {
        let _latch = object::latch(me, object).lock(me);
        let old = Off(word.load(Ordering::Relaxed));
        let mut tx = Tx::begin(me);
        tx.set(word, new.0);
        heap::release_to(me, &mut tx, savepoint);
        if !old.is_none() {
            heap::defer_free(me, &mut tx, old);
        }
        crash_point!("repair.keeping");
        tx.commit();
        crash_point!("repair.kept");
        old.is_none()
    });
    heap::free_deferred(me, savepoint);
    result
}

fn is(me: &Member, object: Off, word: &AtomicU64, tag: u8, parts: &[&[u8]]) -> bool {
    let _latch = object::latch(me, object).lock(me);
    let there = Off(word.load(Ordering::Relaxed));
    !there.is_none() && blob::tag(me, there) == tag && blob::read(me, there) == parts.concat()
}

/// A copy of what `word` keeps, of the object at `object`; `None` if there is none.
///
/// # Errors
/// [`OutOfMemory`]: what it mentions cannot be held.
pub(super) fn read(
    me: &Member,
    object: Off,
    word: &AtomicU64,
) -> Result<Option<Repair>, OutOfMemory> {
    loop {
        let there = Off(word.load(Ordering::Acquire));
        if there.is_none() {
            return Ok(None);
        }
        let latch = object::latch(me, object).lock(me);
        if word.load(Ordering::Relaxed) != there.0 {
            continue;
        }
        let (tag, bytes) = (blob::tag(me, there), blob::read(me, there));
        drop(latch);
        // Who takes part in the lock does not change it while a repair is under way, but for one
        // that gives it another: then that one is read.
        let held = blob::hold(me, there)?;
        if word.load(Ordering::Acquire) == there.0 {
            return Ok(Some(Repair { tag, bytes, _held: held }));
        }
    }
}

/// One step of taking an object apart: hooks what `word` keeps on the thread's chain; false if
/// there is nothing.
pub(crate) fn destroy_step(me: &Member, word: &AtomicU64) -> bool {
    let there = Off(word.load(Ordering::Relaxed));
    if there.is_none() {
        return false;
    }
    let mut tx = Tx::begin(me);
    tx.set(word, 0);
    heap::defer_free(me, &mut tx, there);
    crash_point!("repair.dismantled");
    tx.commit();
    crash_point!("repair.dismantled_done");
    true
}
