//! What the system's lists of processes show as a process's command line.
//!
//! The kernel reads it from where it put the arguments. Only for programs that have copied them.

use std::fs;

use crate::atomic::{AtomicU64, Ordering};

/// Where the arguments lie, and how many bytes they have; the length is stored last.
static START: AtomicU64 = AtomicU64::new(0);
static LENGTH: AtomicU64 = AtomicU64::new(0);

/// Looks where this process's arguments are; its children forked from now on know it too.
pub fn prepare() {
    let Ok(text) = fs::read_to_string("/proc/self/stat") else { return };
    let Some(at) = text.rfind(')') else { return };
    // From the third on; the arguments are the fields 48 and 49.
    let fields: Vec<&str> = text[at + 1..].split_whitespace().collect();
    let number = |i: usize| fields.get(i - 3).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    let (start, end) = (number(48), number(49));
    if start != 0 && end > start {
        // not shared: numbers of this process alone.
        START.store(start, Ordering::Relaxed);
        LENGTH.store(end - start, Ordering::Release);
    }
}

/// Shows `text` instead of the arguments, cut where they ended.
///
/// # Safety
/// Nobody reads this process's arguments where the system put them.
pub unsafe fn set(text: &str) {
    let length = LENGTH.load(Ordering::Acquire) as usize;
    if length < 2 {
        return;
    }
    let shown = text.len().min(length - 1);
    let start = std::ptr::with_exposed_provenance_mut::<u8>(START.load(Ordering::Relaxed) as usize);
    // SAFETY: the kernel gave this memory to the process, for its arguments; it is writable and
    // never unmapped. Nobody else looks at it, says the caller.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), start, shown);
        std::ptr::write_bytes(start.add(shown), 0, length - shown);
    }
}
