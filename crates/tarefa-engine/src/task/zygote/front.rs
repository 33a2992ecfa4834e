//! What the zygote wants of a language.

use crate::shm::Runtime;
use crate::shm::arena::offset::Off;

/// What a language does in the zygote and in its children.
pub trait Front {
    /// Before a fork, in the zygote.
    fn before_fork(&mut self);
    /// After it, in the zygote.
    fn after_fork_in_parent(&mut self);
    /// After it, in the child; `spare` says that no task waits yet, so there is time to warm up.
    fn after_fork_in_child(&mut self, runtime: &'static Runtime, spare: bool);
    /// Runs the task in the child, then ends it with [`leave`](super::leave).
    fn run(&mut self, runtime: &'static Runtime, task: Off) -> !;
    /// A message for the zygote: what to import. True if children forked from now on differ
    /// from those forked before, so that spares are to be replaced.
    fn message(&mut self, bytes: &[u8]) -> bool;
    /// A child is about to be forked for a task that waits: what it would have to read first is
    /// better read here, for all that come after it. True if there was so much of it that children
    /// forked before are of no use, and a few more forks make no difference to who waits.
    fn before_request(&mut self) -> bool {
        false
    }
    /// Reads what children may need of the system's files, which may not be readable soon: this
    /// process is about to have another user or root folder.
    fn get_ready(&mut self) {}
    /// One short step of what lets later children start faster, taken while nobody waits for a
    /// fork; true while there is more of it. Messages and spares wait until it is over.
    fn warm_up(&mut self) -> bool {
        false
    }
}
