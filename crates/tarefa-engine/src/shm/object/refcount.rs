//! The references a process holds, where a survivor finds them.
//!
//! A process counts its own handles of an object in its own memory; the first takes one
//! reference in the arena and the last gives it back. Each such reference is also an entry in
//! a block that hangs on the process's slot ([`super::entries`]), changed in the same [`Tx`] as the object's count,
//! so that [`crate::shm::recovery`] returns exactly what a dead process held.

use std::error::Error;

use crate::atomic::{AtomicU64, Ordering};
use crate::shm::arena::offset::Off;
use crate::shm::heap;
use crate::shm::heap::{OutOfMemory, limit};
use crate::shm::member::Member;
use crate::shm::member::fork;
use crate::shm::member::held::{Holding, Inherited};
use crate::shm::member::runtime;
use crate::shm::member::runtime::Runtime;
use crate::shm::object;
use crate::shm::object::entries::{self, References};
use crate::shm::object::robust_list::Hold;
use crate::shm::tx::journal::Tx;

/// Has forks take over what this process holds.
pub(in crate::shm) fn register() {
    runtime::set_take_over(take_over);
}

/// A fork came too late for what it inherited.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "object {id}, of which it has a handle, was freed before its first use of a shared object; use one \
     right after the fork, while the parent still has its handles"
)]
struct Lost {
    id: u64,
}

fn take_over(runtime: &'static Runtime, held: Vec<Inherited>) -> Result<(), Box<dyn Error>> {
    // Also in the child of a fork that finds no slot for its thread.
    runtime.with_me(|me| {
        for (off, id, handles) in held {
            if !acquire_many(me, off, id, handles)? {
                return Err(Lost { id }.into());
            }
        }
        Ok(())
    })
}

/// The calling thread is about to fork, and what this process has of shared objects is to stay until
/// [`child_is_there`]: else another thread might let go of it before the child has references of its own.
pub fn keep_for_child() {
    fork::keep_for_child();
}

/// After a fork, in the parent: the child has references of its own, or there is none. What was let go of
/// meanwhile goes now.
pub fn child_is_there() {
    for (runtime, off) in fork::take_kept() {
        runtime.with_me(|me| release(me, off));
    }
}

/// Takes over the object just made, the first block of the thread's chain, as this process's.
///
/// # Errors
/// [`OutOfMemory`]: the object is still on the chain.
pub fn adopt(me: &Member, off: Off, savepoint: Off) -> Result<(), OutOfMemory> {
    let mut held = me.runtime().held();
    let entry = held.take_entry(me)?;
    let word: &AtomicU64 = me.arena().at(entry);
    let _latch = match limit::lock(object::latch(me, off), me, 0) {
        Ok(latch) => latch,
        Err(e) => {
            held.give_entry(me, entry);
            return Err(e);
        }
    };
    let mut tx = Tx::begin(me);
    tx.set(word, off.0);
    object::add(me, &mut tx, off);
    heap::release_to(me, &mut tx, savepoint);
    crash_point!("refcount.adopted");
    tx.commit();
    crash_point!("refcount.adopted_done");
    let id = object::header(me, off).id.load(Ordering::Relaxed);
    held.objects.insert(off, Holding { handles: 1, entry, id });
    Ok(())
}

/// The ids of the objects of which this process has handles.
#[must_use]
pub fn held_ids(me: &Member) -> Vec<u64> {
    me.runtime().held().objects.values().map(|holding| holding.id).collect()
}

/// Takes one more handle of the object `off` with `id`; false when it is gone.
///
/// # Errors
/// [`OutOfMemory`].
pub fn acquire(me: &Member, off: Off, id: u64) -> Result<bool, OutOfMemory> {
    acquire_many(me, off, id, 1)
}

pub(in crate::shm) fn acquire_many(
    me: &Member,
    off: Off,
    id: u64,
    n: u64,
) -> Result<bool, OutOfMemory> {
    let mut held = me.runtime().held();
    if let Some(h) = held.objects.get_mut(&off) {
        if h.id == id {
            h.handles += n;
        }
        return Ok(h.id == id);
    }
    let entry = held.take_entry(me)?;
    let word: &AtomicU64 = me.arena().at(entry);
    let latch = match limit::lock(object::latch(me, off), me, 0) {
        Ok(latch) => latch,
        Err(e) => {
            held.give_entry(me, entry);
            return Err(e);
        }
    };
    if !object::exists(me, off, id) {
        drop(latch);
        held.give_entry(me, entry);
        return Ok(false);
    }
    let mut tx = Tx::begin(me);
    tx.set(word, off.0);
    object::add(me, &mut tx, off);
    crash_point!("refcount.acquired");
    tx.commit();
    crash_point!("refcount.acquired_done");
    held.objects.insert(off, Holding { handles: n, entry, id });
    Ok(true)
}

/// Gives one handle back; with the last one the object may be freed.
pub fn release(me: &Member, off: Off) {
    let savepoint = heap::savepoint(me);
    {
        let mut held = me.runtime().held();
        let Some(h) = held.objects.get_mut(&off) else { return };
        h.handles -= 1;
        if h.handles > 0 {
            return;
        }
        let entry = h.entry;
        let word: &AtomicU64 = me.arena().at(entry);
        let latch = object::latch(me, off).lock(me);
        let mut tx = Tx::begin(me);
        tx.set(word, 0);
        object::remove(me, &mut tx, off);
        crash_point!("refcount.released");
        tx.commit();
        crash_point!("refcount.released_done");
        drop(latch);
        held.objects.remove(&off);
        held.give_entry(me, entry);
    }
    heap::free_deferred(me, savepoint);
}

/// How many handles of the object at `off` this process has.
#[must_use]
pub fn handles(me: &Member, off: Off) -> u64 {
    me.runtime().held().objects.get(&off).map_or(0, |h| h.handles)
}

/// Whether one handle of this process is all that refers to the object at `off`, but for `passing`
/// references that are about to fall. Nobody can come to hold it then but through that handle.
#[must_use]
pub fn is_sole(me: &Member, off: Off, passing: u64) -> bool {
    let held = me.runtime().held();
    if held.objects.get(&off).is_none_or(|h| h.handles != 1) {
        return false;
    }
    let _latch = object::latch(me, off).lock(me);
    object::header(me, off).references.load(Ordering::Relaxed) == 1 + passing
}

/// Whether the process in slot `process` holds a reference to the object at `off`: what it takes or
/// gives back meanwhile may be seen or not.
#[must_use]
pub fn is_held_by(me: &Member, process: u32, off: Off) -> bool {
    let mut found = false;
    entries::inspect(me, process, &mut |entry| {
        found |= entry == off.0;
        !found
    });
    found
}

/// One step of returning a dead process's references: true once none is left.
pub(in crate::shm) fn destroy_step(me: &Member, block: Off) -> bool {
    !return_one(me, me.arena().at(block), &[])
}

/// Returns a reference of a dead process whose blocks begin with that of `first`, to another object than
/// those in `kept`; false if there is none.
pub(in crate::shm) fn return_next(me: &Member, first: &AtomicU64, kept: &[Off]) -> bool {
    let mut block = Off(first.load(Ordering::Acquire));
    while !block.is_none() {
        let refs: &References = me.arena().at(block);
        if return_one(me, refs, kept) {
            return true;
        }
        block = Off(refs.next.load(Ordering::Acquire));
    }
    false
}

fn return_one(me: &Member, refs: &References, kept: &[Off]) -> bool {
    for entry in &refs.entries {
        let word = entry.load(Ordering::Relaxed);
        if word == 0 || Hold::unpack(word).is_some() || kept.contains(&Off(word)) {
            continue;
        }
        let off = Off(word);
        let _latch = object::latch(me, off).lock(me);
        let mut tx = Tx::begin(me);
        tx.set(entry, 0);
        object::remove(me, &mut tx, off);
        crash_point!("refcount.returned");
        tx.commit();
        crash_point!("refcount.returned_done");
        return true;
    }
    false
}
