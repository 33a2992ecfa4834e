//! Shared memory: the arena, its heap, and who is a member of the runtime.
//!
//! Contract:
//! - everything that several processes see lies in one [`arena`], reached by [`arena::offset`];
//! - a change of more than one word is a [`tx::journal::Tx`]: all of it or nothing after a kill;
//! - a block that no structure holds yet, or no more, hangs on its thread's [`member::slots`] chain,
//!   so that [`recovery`] frees it when the thread's process dies;
//! - no function here blocks for longer than another member holds a [`tx::latch`].
//!
//! See `README.md` beside this file for who owns each byte.

#[macro_use]
pub mod tx;
pub mod arena;
pub mod heap;
pub mod member;
#[cfg(loom)]
pub mod model;
pub mod object;
pub mod recovery;
pub mod trace;

use heap::destroy;
use object::{blob, entries, refcount};

pub use arena::offset::Off;
pub use member::runtime::Runtime;
pub use member::{Member, TooManyThreads};

/// Tells the heap how the blocks of this layer are taken apart, and latches who helps. Before a
/// runtime is made or joined.
pub fn register() {
    destroy::register(blob::BLOB, "blob", blob::destroy_step);
    destroy::register(entries::REFERENCES, "references", refcount::destroy_step);
    destroy::register(object::OBJECT, "object", object::destroy_step);
    refcount::register();
    recovery::register();
}
