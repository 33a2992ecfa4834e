//! The heap: blocks of any size, given out and taken back by any process.
//!
//! A fresh block hangs on its thread's chain ([`crate::shm::arena::layout::ThreadSlot::chain`]): the
//! thread alone owns it, and if the thread's process dies the block is freed. A structure
//! takes the block over in the same [`Tx`](crate::shm::tx::journal::Tx) in which it unhooks it from the chain
//! ([`savepoint`], [`release_to`]); a block taken out of a structure is hooked on the same way
//! ([`defer_free`]) and then freed by [`free_deferred`].
//!
//! `README.md` beside this file says how memory is laid out, kept and wasted. Checked by
//! `tests/property/heap.rs` against [`check`], and by `tests/storm/churn.rs`.

mod alloc;
pub mod backed_pages;
mod blocks;
#[doc(hidden)]
pub mod check;
pub mod destroy;
pub mod journal_room;
mod kind;
pub(in crate::shm) mod limit;
#[doc(hidden)]
pub mod nth_call;
mod page_map;
mod runs;
pub mod size_classes;
mod slab;
pub mod survey;
mod unit_table;
pub mod units;
pub mod usage;

pub(in crate::shm) use alloc::alloc_fresh;
pub use alloc::{alloc, alloc_cleared, alloc_sparse, back, is_block, is_small, trim, unback};
pub use backed_pages::{check_room, overdrawn, whatever_is_full};
pub use blocks::{HEADER, defer_free, header, kind, release_to, savepoint, size};
pub(in crate::shm) use destroy::free_left_over;
pub use destroy::{free_deferred, free_deferred_until};
pub use kind::Kind;
pub use limit::{Interrupted, retry_held_up, retrying, within};
pub use usage::{Cause, OutOfMemory, in_use};

use crate::shm::arena::layout::Latch;
use crate::shm::member::Member;

/// All latches that taking blocks back may take, those of references to objects among them.
pub(in crate::shm) fn latches(me: &Member) -> impl Iterator<Item = &'static Latch> {
    let h = me.header();
    let single = [&h.units_latch, &h.roots_latch, &h.objects_latch];
    let classes = h.classes.iter().map(|class| &class.latch);
    single.into_iter().chain(&h.reference_latches).chain(classes)
}
