//! What this process may use: processors, memory, descriptors, processes.

use std::fs;
use std::path::{Path, PathBuf};

use super::sysconf;
use crate::atomic::{AtomicU64, Ordering};

/// The memory limit of the cgroup this process is in, bytes; `None` without one.
#[must_use]
pub fn cgroup_memory() -> Option<u64> {
    let v2 = cgroup_dirs("").into_iter().filter_map(|d| read_number(&d.join("memory.max")));
    let v1 = cgroup_dirs("memory")
        .into_iter()
        .filter_map(|d| read_number(&d.join("memory.limit_in_bytes")));
    // v1 says "no limit" with a number near 2^63.
    v2.chain(v1).filter(|&n| n < 1 << 60).min()
}

/// Bytes the cgroup may still take before it reaches its limit; `None` without a limit.
#[must_use]
pub fn cgroup_memory_left() -> Option<u64> {
    let files = [
        ("", "memory.max", "memory.current"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ];
    files
        .iter()
        .flat_map(|&(controller, max, current)| {
            cgroup_dirs(controller).into_iter().filter_map(move |d| {
                let max = read_number(&d.join(max)).filter(|&n| n < 1 << 60)?;
                // Clean file cache counts as used but is given back on demand.
                let cache = inactive_file(&d.join("memory.stat"));
                Some(max.saturating_sub(read_number(&d.join(current))?.saturating_sub(cache)))
            })
        })
        .min()
}

fn inactive_file(path: &Path) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("inactive_file "));
    line.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
}

/// Physical memory of the machine, bytes.
#[must_use]
pub fn physical_memory() -> u64 {
    sysconf(libc::_SC_PHYS_PAGES) as u64 * sysconf(libc::_SC_PAGESIZE) as u64
}

/// Processors this process can use: its affinity, cut by its cgroup's quota; at least 1.
#[must_use]
pub fn cpu_count() -> usize {
    let affinity = affinity_count();
    let quota = cgroup_cpu_quota().map_or(affinity, |q| (q.ceil() as usize).max(1));
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

fn cgroup_cpu_quota() -> Option<f64> {
    let v2 = cgroup_dirs("").into_iter().filter_map(|d| {
        let text = fs::read_to_string(d.join("cpu.max")).ok()?;
        let mut words = text.split_whitespace().map(str::parse::<f64>);
        Some(words.next()?.ok()? / words.next()?.ok()?)
    });
    let v1 = cgroup_dirs("cpu").into_iter().filter_map(|d| {
        let quota =
            fs::read_to_string(d.join("cpu.cfs_quota_us")).ok()?.trim().parse::<f64>().ok()?;
        let period = fs::read_to_string(d.join("cpu.cfs_period_us")).ok()?;
        let period = period.trim().parse::<f64>().ok()?;
        (quota > 0.0).then_some(quota / period)
    });
    v2.chain(v1).reduce(f64::min)
}

/// The folders of this process's cgroup and its ancestors; "" names the unified hierarchy.
fn cgroup_dirs(controller: &str) -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let found = if controller.is_empty() {
            controllers.is_empty()
        } else {
            controllers.split(',').any(|c| c == controller)
        };
        found.then(|| path.to_owned())
    });
    let Some(path) = path else { return Vec::new() };
    let mount = Path::new("/sys/fs/cgroup").join(controller);
    let mut dirs: Vec<PathBuf> = Path::new(&path)
        .ancestors()
        .map(|a| mount.join(a.strip_prefix("/").unwrap_or(a)))
        .collect();
    dirs.push(mount);
    dirs.dedup();
    dirs
}

fn read_number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A soft limit of this process, for messages: `None` is unlimited.
#[must_use]
pub fn descriptors() -> Option<u64> {
    rlimit(libc::RLIMIT_NOFILE)
}

/// The soft limit on processes of this user: `None` is unlimited.
#[must_use]
pub fn processes() -> Option<u64> {
    rlimit(libc::RLIMIT_NPROC)
}

/// Takes over the soft limit on processes of process `pid`, as far as it may.
pub fn follow_processes_of(pid: i32) {
    let zero = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let (mut theirs, mut mine) = (zero, zero);
    // SAFETY: both are readable and writable for the length of the calls.
    unsafe {
        if libc::prlimit(pid, libc::RLIMIT_NPROC, std::ptr::null(), &raw mut theirs) != 0
            || libc::getrlimit(libc::RLIMIT_NPROC, &raw mut mine) != 0
        {
            return;
        }
        let wanted = theirs.rlim_cur.min(mine.rlim_max);
        if wanted != mine.rlim_cur {
            mine.rlim_cur = wanted;
            libc::setrlimit(libc::RLIMIT_NPROC, &raw const mine);
        }
    }
}

/// What [`limit_private_memory`] was told last, 0 for nothing, and the limit before.
static PRIVATE: AtomicU64 = AtomicU64::new(0);
static BEFORE: AtomicU64 = AtomicU64::new(0);

/// From now on this process can have `bytes` more of private memory that it may write to than it
/// has now; what goes beyond is refused. Its stack is not counted, those of other threads are.
/// False where the system does not say how much it has.
pub fn limit_private_memory(bytes: u64) -> bool {
    let pid = super::process::pid();
    let Some(now) = crate::os::procfs::status_number(pid, pid, "VmData") else { return false };
    let Some(limit) = data_limit() else { return false };
    BEFORE.store(limit.rlim_cur, Ordering::Relaxed);
    PRIVATE.store(bytes, Ordering::Relaxed);
    set_data_limit(now.saturating_add(bytes).min(limit.rlim_cur))
}

/// What [`limit_private_memory`] has set holds no longer.
pub fn lift_private_memory() {
    if PRIVATE.swap(0, Ordering::Relaxed) != 0 {
        set_data_limit(BEFORE.load(Ordering::Relaxed));
    }
}

/// In a process that is about to execute a program for one whose private memory is limited: the
/// program can have as much. Async-signal-safe.
pub fn limit_program() {
    let bytes = PRIVATE.load(Ordering::Relaxed);
    if bytes != 0 {
        set_data_limit(bytes);
    }
}

fn data_limit() -> Option<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable for the length of the call.
    (unsafe { libc::getrlimit(libc::RLIMIT_DATA, &raw mut limit) } == 0).then_some(limit)
}

/// The soft limit; the hard one stays, so that it can be raised again.
fn set_data_limit(bytes: u64) -> bool {
    let Some(mut limit) = data_limit() else { return false };
    limit.rlim_cur = bytes.min(limit.rlim_max);
    // SAFETY: `limit` is readable for the length of the call.
    unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) == 0 }
}

fn rlimit(which: libc::__rlimit_resource_t) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable for the length of the call.
    let ret = unsafe { libc::getrlimit(which, &raw mut limit) };
    (ret == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}
