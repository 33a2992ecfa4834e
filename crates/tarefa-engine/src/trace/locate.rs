//! Where in the program threads stand that do not wait: their own processes are asked.

use crate::shm::member::fork_safe_lock::Latest;

/// Finds out where in the program a thread stands, by asking its process: slot of the process,
/// pid, thread id, and how many milliseconds that may take. In the words of
/// [`crate::sync::wait::wait_record::place`].
pub type Locate = fn(u32, i32, i32, u64) -> Option<String>;

pub(super) static LOCATE: Latest<Locate> = Latest::none();

/// Says how threads that do not wait are asked where they stand.
pub fn set_locate(locate: Locate) {
    LOCATE.set(locate);
}
