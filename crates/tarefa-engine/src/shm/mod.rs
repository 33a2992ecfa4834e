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
pub mod object;
pub mod recovery;

pub use arena::offset::Off;
pub use member::Member;
pub use member::runtime::Runtime;
