//! The locks of user code: held across calls, robust. A [`LockWord`] in an object of its own.

mod acquire;
pub mod handoff;
mod release;
mod wait_unlocked;
pub mod word;

use crate::atomic::Ordering;
use crate::kinds;
use crate::shm::Member;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::object::refcount;
use crate::shm::object::{self, ObjectHeader};
use crate::sync::lock::word::{LockWord, Recursion};

pub use crate::sync::lock::word::{Acquired, Holder, NotHeld};

#[repr(C)]
#[derive(Debug)]
struct LockObject {
    object: ObjectHeader,
    cell: LockWord,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for LockObject {}

/// Makes a lock, recursive or not; this process holds a reference to it.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create(me: &Member, recursion: Recursion) -> Result<Off, OutOfMemory> {
    let kind = match recursion {
        Recursion::Forbidden => kinds::LOCK,
        Recursion::Allowed => kinds::RLOCK,
    };
    let savepoint = heap::savepoint(me);
    let made = object::create(me, kind, size_of::<LockObject>() as u64)
        .and_then(|off| refcount::adopt(me, off, savepoint).map(|()| off));
    if made.is_err() {
        heap::free_deferred(me, savepoint);
    }
    made
}

/// Who holds the lock at `off`; for [`crate::sync::object_kinds`].
pub(super) fn holders(me: &Member, off: Off) -> Vec<Holder> {
    let lock = me.arena().at::<LockObject>(off);
    let recursive = lock.object.kind.load(Ordering::Relaxed) == kinds::RLOCK;
    let recursion = if recursive { Recursion::Allowed } else { Recursion::Forbidden };
    lock.cell.taken_by(me, recursion).into_iter().collect()
}

/// One step of taking a lock apart: what it keeps for repairs.
pub(super) fn destroy_step(me: &Member, off: Off) -> bool {
    !cell(me, off).drop_repair(me)
}

/// The cell of the lock at `off`.
#[inline]
#[must_use]
pub fn cell(me: &Member, off: Off) -> &'static LockWord {
    &me.arena().at::<LockObject>(off).cell
}
