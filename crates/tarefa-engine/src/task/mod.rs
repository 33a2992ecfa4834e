//! Tasks: one run of a target, as a thread or as a process.
//!
//! - [`record`]: what everybody can see of a task, and its state machine;
//! - [`process::zygote_control`]: what the root, the zygote and the starters share;
//! - [`inspect`]: a look at a task without a reference to it;
//! - [`program`]: what belongs to the program as a whole;
//! - [`process`]: starting one: a spare if there is one, else a fork by the zygote;
//! - [`zygote`]: the single-threaded process that forks children;
//! - [`supervisor`]: the root's thread that notices deaths, cleans up after them, and ends what
//!   runs too long;
//! - [`cause_of_death`]: why a task's process ended, in words;
//! - [`unretrieved`]: failures that nobody asked about;
//! - `identity`: user, groups, capabilities and root folder, which are the starter's;
//! - [`limits`], [`thread_timer`]: how long a task may run, and how much memory it may take.

pub mod announce;
pub mod cause_of_death;
mod crash_note;
mod deadlines;
mod depth;
mod identity;
pub mod inspect;
pub mod last_line;
pub mod limits;
pub mod origin;
pub mod process;
pub mod program;
pub mod record;
pub mod role;
pub mod state;
pub mod supervisor;
pub mod thread_timer;
pub mod unretrieved;
pub mod zygote;

pub use state::State;

use crate::channel;
use crate::collections;
use crate::kinds;
use crate::shm::Runtime;
use crate::shm::member::succession;
use crate::shm::object;
use crate::sync;
use crate::sync::object_kinds;
use crate::sync::object_kinds::KindInfo;

/// Tells the heap how the engine's things are taken apart.
pub fn register() {
    succession::set_on_loss(|runtime| {
        // Where it cannot, the next to look tries again.
        let _ = supervisor::ensure(runtime);
    });
    sync::register();
    collections::register();
    channel::register();
    object::register(kinds::TASK, record::destroy_step);
    object_kinds::register(kinds::TASK, KindInfo::held(inspect::holders));
}

/// The runtime of this process, with its supervisor if this is the root.
///
/// # Errors
/// What the system answered: no descriptors, no address space, no thread.
pub fn runtime() -> std::io::Result<&'static Runtime> {
    if let Some(runtime) = Runtime::existing() {
        // Where it could not be started before, it may be now.
        supervisor::ensure(runtime)?;
        return Ok(runtime);
    }
    register();
    let runtime = Runtime::default()?;
    supervisor::ensure(runtime)?;
    announce::announce(runtime);
    Ok(runtime)
}
