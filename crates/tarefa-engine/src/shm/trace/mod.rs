//! What threads write down of what they do, while somebody wants to know.
//!
//! ```text
//!   Header::trace.word ── odd: on ─┐         arena, behind the bitmap of pages
//!                                  ▼        ┌───────┬─────────┬────────┬────────┬─ ─
//!   thread ── emit ──▶ its chunk ──────────▶│ names │ headers │ chunk 0│ chunk 1│
//!                        │ full             └───────┴─────────┴────────┴────────┴─ ─
//!                        ▼                                         │
//!              the next that nobody writes to                      ▼
//!              (the oldest: its events are dropped)       Reader: in another process
//! ```
//!
//! - Off, which is the usual case, an event costs one load and one branch.
//! - A **chunk** is written by one thread at a time, its owner. An event is there with one store of the
//!   chunk's `progress`, which counts the events that were ever dropped from it and those that are in it. So a
//!   thread may be killed or stopped at any step, and everything that it had written before is read.
//! - A thread takes the next chunk when its own is full, round and round: where that still holds events, the oldest
//!   are dropped, and **a reader knows how many it has not read**. One that belongs to another thread that
//!   lives is passed over; that of a dead thread is nobody's.
//! - Each process counts in its slot how many of its own want a trace. With the last one the trace is off: who stops, or
//!   the cleaner of a process that died, gives all of its memory back. So an observer that is killed leaves nothing.
//! - The memory has a place of its own beside the heap, and nothing else ever lies there: a thread that was stopped
//!   in the middle of an event for longer than the trace can harm nothing when it goes on.

mod call;
mod chunks;
mod event;
mod names;
mod read;
mod switch;
mod write;

pub use call::{Call, around};
pub use event::{Ended, Event, What};
pub use names::intern;
pub use read::{Reader, Written};
pub use switch::{NoRoom, off_if_unwanted, start, stop};
pub use write::{emit, is_on, is_on_in};
