//! How deep processes may start processes: a program that starts itself ends with an error.

use super::zygote_control;
use crate::atomic::Ordering;
use crate::settings::{self, BadSetting, USUAL_DEPTH};
use crate::shm::Member;
use crate::shm::heap::OutOfMemory;

/// What the environment says, or what holds without that.
///
/// # Errors
/// [`BadSetting`].
pub fn usual_depth() -> Result<u64, BadSetting> {
    Ok(settings::max_depth()?.unwrap_or(USUAL_DEPTH))
}

/// Sets that, unless somebody has set another.
///
/// # Errors
/// [`OutOfMemory`].
pub fn set_usual_depth(me: &Member, depth: u64) -> Result<(), OutOfMemory> {
    let most = &zygote_control::get(me)?.max_depth;
    let _ = most.compare_exchange(0, depth, Ordering::AcqRel, Ordering::Relaxed);
    crash_point!("process.usual_depth");
    Ok(())
}

/// Sets how deep a task may be that is a process: 1 or more. Those that the program itself starts
/// are at depth 1.
///
/// # Errors
/// [`OutOfMemory`].
pub fn set_max_depth(me: &Member, depth: u64) -> Result<(), OutOfMemory> {
    zygote_control::get(me)?.max_depth.store(depth.max(1), Ordering::Release);
    crash_point!("process.max_depth");
    Ok(())
}
