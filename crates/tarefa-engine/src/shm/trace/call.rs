//! A call of a pool's worker, from its beginning to its end.

use super::event::{Ended, Event, What};
use super::names;
use super::write::emit;
use crate::os::clock;
use crate::shm::member::Member;

/// A call that a worker makes for its pool.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What the function is called.
    pub name: &'a str,
    /// The pool.
    pub pool: u64,
    /// Its batch.
    pub batch: u64,
    /// The place in the batch.
    pub index: u32,
}

/// Makes a call, and writes down when it begins and ends if somebody wants to know; `how` says how it has ended. It
/// is not to panic.
pub fn around<T>(
    me: &Member,
    call: Call<'_>,
    act: impl FnOnce() -> T,
    how: impl FnOnce(&T) -> Ended,
) -> T {
    let Call { name, pool, batch, index } = call;
    let name = names::intern(me, name.as_bytes());
    let write = |what| emit(me, || Event { at_ns: clock::now_ns(), name, what });
    write(What::CallBegins { pool, batch, index });
    let done = act();
    write(What::CallEnds { pool, batch, index, how: how(&done) });
    done
}
