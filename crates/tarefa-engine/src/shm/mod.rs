//! Shared memory: the arena, its heap, and who is a member of the runtime.
//!
//! Contract:
//! - everything that several processes see lies in one [`arena`], reached by [`offset`];
//! - a change of more than one word is a [`journal::Tx`]: all of it or nothing after a kill;
//! - a block that no structure holds yet, or no more, hangs on its thread's [`slots`] chain,
//!   so that [`reclaim`] frees it when the thread's process dies;
//! - no function here blocks for longer than another member holds a [`latch`].
//!
//! See `README.md` beside this file for who owns each byte.

#[macro_use]
pub mod crash;

pub mod address;
pub mod arena;
pub mod asking;
pub mod blob;
pub mod heap;
pub mod holds;
pub mod journal;
pub mod latch;
pub mod layout;
pub mod local;
pub mod me;
pub mod object;
pub mod offset;
pub mod reclaim;
pub mod references;
pub mod runtime;
pub mod slots;
pub mod text;
pub mod waiters;

pub use me::Me;
pub use offset::Off;
pub use runtime::Runtime;
