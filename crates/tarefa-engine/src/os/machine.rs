//! What this process may use of the machine: processors and memory.

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
