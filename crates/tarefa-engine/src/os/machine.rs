//! What this process may use of the machine: processors and memory.

use std::io;

use super::{cgroup, sysconf};

/// Physical memory of the machine, bytes.
#[must_use]
pub fn physical_memory() -> u64 {
    sysconf(libc::_SC_PHYS_PAGES) as u64 * sysconf(libc::_SC_PAGESIZE) as u64
}

/// Processors this process can use: its affinity, cut by its cgroup's quota; at least 1.
#[must_use]
pub fn cpu_count() -> usize {
    let affinity = affinity_count();
    let quota = cgroup::cpu_quota().map_or(affinity, |q| (q.ceil() as usize).max(1));
    affinity.min(quota)
}

fn affinity_count() -> usize {
    // SAFETY: cpu_set_t is plain data, for which zeroes are a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is writable and as long as said.
    let ret = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) };
    if ret == 0 {
        // SAFETY: `set` was filled by the kernel.
        return (unsafe { libc::CPU_COUNT(&set) }).max(1) as usize;
    }
    sysconf(libc::_SC_NPROCESSORS_ONLN).max(1) as usize
}

/// The processors that this process may use, by their numbers; at least one.
#[must_use]
pub fn usable_processors() -> Vec<usize> {
    // SAFETY: cpu_set_t is plain data, for which zeroes are a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is writable and as long as said.
    if unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) } != 0 {
        return (0..affinity_count()).collect();
    }
    // SAFETY: `set` was filled by the kernel, and a number below its size is asked for.
    let may_use = |core: &usize| unsafe { libc::CPU_ISSET(*core, &set) };
    (0..8 * size_of_val(&set)).filter(may_use).collect()
}

/// Has the calling thread run on these processors alone.
///
/// # Errors
/// Of the system, which does not grant that.
pub fn stay_on(processors: &[usize]) -> io::Result<()> {
    // SAFETY: cpu_set_t is plain data, for which zeroes are a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    for processor in processors {
        if *processor >= 8 * size_of_val(&set) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the number is below the set's size, as just seen.
        unsafe { libc::CPU_SET(*processor, &mut set) };
    }
    // SAFETY: `set` is as long as said.
    if unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}
