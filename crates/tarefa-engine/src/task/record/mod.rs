//! The record of a task: what everybody who has a handle can see of it.
//!
//! The state is one word that joiners sleep on: the state in the low byte, `FORKED`, and a
//! bit that says somebody sleeps. All that a state promises (the outcome, the exit code, the
//! usage) is stored before the state is. A task whose process is dead, by its slot's
//! generation, counts as killed even before the supervisor has said so.

mod join;
mod layout;
mod note;
mod signal;
mod task;
mod traced;

pub use join::{ReturnWhen, Started, join_several};
pub(in crate::task) use layout::{NOTE_HEAD, OVER_TIME, OVER_TIME_KILLED, exit_of, exit_word};
pub use layout::{Record, flag};
pub(in crate::task) use task::destroy_step;
pub use task::{Outgoing, Task, create};
