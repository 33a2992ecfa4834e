//! The task that runs on the calling thread, as its target sees it.

use tarefa_engine::shm::object::handle::Handle;

use crate::runtime::interrupt;
use crate::task::TaskHandle;

/// The task that runs on the calling thread; `None` outside of one.
///
/// ```
/// use tarefa::{Thread, current_task};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let task = Thread::new(|| current_task().map(|t| t.name()), ()).named("ana");
/// task.start()?;
/// assert_eq!(task.result(None)?.as_deref(), Some("ana"));
/// assert!(current_task().is_none());
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn current_task() -> Option<TaskHandle> {
    let (runtime, off) = interrupt::running()?;
    runtime.with_me(|me| Handle::of(me, off)).ok().flatten().map(TaskHandle::of)
}
