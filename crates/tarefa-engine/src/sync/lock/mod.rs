//! The locks of user code: held across calls, robust. A [`LockCell`] in an object of its own.

pub mod word;

use super::kinds;
use crate::atomic::Ordering;
use crate::shm::Me;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::object::refcount;
use crate::shm::object::{self, ObjectHeader};
use crate::sync::lock::word::{LockCell, Sort};

pub use crate::sync::lock::word::{Acquired, Holder, NotHeld};

#[repr(C)]
#[derive(Debug)]
struct LockObject {
    object: ObjectHeader,
    cell: LockCell,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for LockObject {}

/// Makes a lock of that sort; this process holds a reference to it.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create(me: &Me, sort: Sort) -> Result<Off, OutOfMemory> {
    let kind = match sort {
        Sort::Plain => kinds::LOCK,
        Sort::Recursive => kinds::RLOCK,
    };
    let mark = heap::mark(me);
    let made = object::create(me, kind, size_of::<LockObject>() as u64)
        .and_then(|off| refcount::adopt(me, off, mark).map(|()| off));
    if made.is_err() {
        heap::drain(me, mark);
    }
    made
}

/// Who holds the lock at `off`; for [`crate::sync::object_kinds`].
pub(super) fn holders(me: &Me, off: Off) -> Vec<Holder> {
    let lock = me.arena().at::<LockObject>(off);
    let recursive = lock.object.kind.load(Ordering::Relaxed) == kinds::RLOCK;
    let sort = if recursive { Sort::Recursive } else { Sort::Plain };
    lock.cell.taken_by(me, sort).into_iter().collect()
}

/// The cell of the lock at `off`.
#[inline]
#[must_use]
pub fn cell(me: &Me, off: Off) -> &'static LockCell {
    &me.arena().at::<LockObject>(off).cell
}
