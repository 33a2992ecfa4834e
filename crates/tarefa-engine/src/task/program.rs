//! What belongs to the program as a whole: a dict that lives as long as the runtime.
//!
//! The header's `roots` hold one reference to it, so what is in it outlives whoever has put it
//! there. Fronts keep there what all processes of a program must find by name.

use std::sync::atomic::Ordering;

use crate::collections::dict;
use crate::kinds;
use crate::shm::heap::OutOfMemory;
use crate::shm::object::refcount;
use crate::shm::tx::journal::Tx;
use crate::shm::{Member, Off, object};

const ROOT: usize = 1;

/// The program's dict, made now if there is none. The header holds a reference to it.
///
/// # Errors
/// [`OutOfMemory`].
pub fn dict(me: &Member) -> Result<Off, OutOfMemory> {
    let root = &me.header().roots[ROOT];
    let off = root.load(Ordering::Acquire);
    if off != 0 {
        return Ok(Off(off));
    }
    let made = dict::create(me, kinds::DICT)?;
    {
        let _latch = me.header().roots_latch.lock(me);
        if root.load(Ordering::Acquire) == 0 {
            let _count = object::latch(me, made).lock(me);
            let mut tx = Tx::begin(me);
            tx.set(root, made.0);
            object::add(me, &mut tx, made);
            crash_point!("program.dict");
            tx.commit();
            crash_point!("program.dict_done");
        }
    }
    refcount::release(me, made);
    Ok(Off(root.load(Ordering::Acquire)))
}
