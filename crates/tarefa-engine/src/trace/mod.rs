//! Looking at a runtime from outside, while it runs or hangs.
//!
//! - [`snapshot`]: who waits for what and who holds it, over all members, without a latch;
//! - [`graph`]: who can never go on, and the cycles among them;
//! - [`report`]: both put together, as data and as a text for people;
//! - [`responder`]: reports that a signal or a wait that lasts have asked for.
//!
//! Nothing here blocks a member, and nothing that a member does, its death included, can make a
//! report fault or hang: all is read as it stands and checked afterwards.

pub mod graph;
pub mod report;
pub mod responder;
pub mod snapshot;
mod text;

pub use report::{Report, deadlocks};

use crate::shm::member::fork_safe_lock::Latest;
use crate::task::supervisor;

/// Finds out where in the program a thread stands, by asking its process: slot of the process,
/// pid, thread id, and how many milliseconds that may take. In the words of
/// [`crate::sync::wait::wait_record::place`].
pub type Locate = fn(u32, i32, i32, u64) -> Option<String>;

static LOCATE: Latest<Locate> = Latest::none();

/// Says how threads that do not wait are asked where they stand.
pub fn set_locate(locate: Locate) {
    LOCATE.set(locate);
}

/// Tells the layers below who makes reports.
pub fn register() {
    supervisor::set_reporter(responder::report);
}
