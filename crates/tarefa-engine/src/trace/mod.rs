//! Looking at a runtime from outside, while it runs or hangs.
//!
//! - [`snapshot`]: who waits for what and who holds it, over all members, without a latch;
//! - `awaits`: which coroutines await something, as their processes have it;
//! - [`graph`]: who can never go on, and the cycles among them;
//! - [`report`]: both put together, as data and as a text for people;
//! - [`responder`]: reports that a signal or a wait that lasts have asked for;
//! - `picture`: a report as one; [`xml`]: texts in documents; [`plain`]: in lines;
//! - [`report_words`]: what it says, in each language;
//! - `lasting`: which waits such a report is of;
//! - [`observe`]: a program that this process is no member of, mapped for reading;
//! - [`stack_request`]: how a thread is asked for its stack, and answers; [`stacks`]: those of all
//!   threads of a program;
//! - [`members`]: its processes, their threads and tasks; [`memory`]: what its memory holds, and for
//!   whom; [`traffic`]: its queues and pools; [`interrupt`]: what an observer can have a task do;
//! - [`timeline`]: who ran what when.
//!
//! Nothing here blocks a member, and nothing that a member does, its death included, can make a
//! report fault or hang: all is read as it stands and checked afterwards.

mod awaits;
pub mod graph;
pub mod interrupt;
mod lasting;
mod locate;
pub mod members;
pub mod memory;
pub mod observe;
mod picture;
pub mod plain;
pub mod report;
pub mod report_words;
pub mod responder;
pub mod snapshot;
pub mod stack_request;
pub mod stacks;
mod text;
pub mod timeline;
pub mod traffic;
pub mod xml;

pub use locate::{Locate, set_locate};
pub use report::{Report, deadlocks};

use crate::task::supervisor;

/// Tells the layers below who makes reports.
pub fn register() {
    supervisor::set_reporter(responder::report);
}
