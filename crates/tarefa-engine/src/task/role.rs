//! What a process is: values of [`ProcessSlot::role`](crate::shm::arena::layout::ProcessSlot::role).

/// Joined by itself: the root, a fork of the user's, a foreign process.
pub const MEMBER: u64 = 0;
/// Forks children.
pub const ZYGOTE: u64 = 1;
/// Forked ahead, waits for a task.
pub const SPARE: u64 = 2;
/// Runs a task.
pub const TASK: u64 = 3;
