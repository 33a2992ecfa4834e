//! The cgroup this process is in: what it may take of memory and processors, in versions 1 and 2.

use std::fs;
use std::path::{Path, PathBuf};

/// The memory limit of the cgroup this process is in, bytes; `None` without one.
#[must_use]
pub fn memory() -> Option<u64> {
    let v2 = dirs("").into_iter().filter_map(|d| read_number(&d.join("memory.max")));
    let v1 =
        dirs("memory").into_iter().filter_map(|d| read_number(&d.join("memory.limit_in_bytes")));
    // v1 says "no limit" with a number near 2^63.
    v2.chain(v1).filter(|&n| n < 1 << 60).min()
}

/// What a cgroup may have of memory, and has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes it may still take before it reaches its limit.
    pub left: u64,
    /// Its limit.
    pub limit: u64,
}

/// Of the cgroup this process is in, or of the one above it that has the least left; `None`
/// without a limit.
#[must_use]
pub fn memory_left() -> Option<Room> {
    if cfg!(any(miri, loom)) {
        return None;
    }
    let files = [
        ("", "memory.max", "memory.current"),
        ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ];
    files
        .iter()
        .flat_map(|&(controller, max, current)| {
            dirs(controller).into_iter().filter_map(move |d| {
                let limit = read_number(&d.join(max)).filter(|&n| n < 1 << 60)?;
                // Clean file cache counts as used but is given back on demand.
                let cache = inactive_file(&d.join("memory.stat"));
                let used = read_number(&d.join(current))?.saturating_sub(cache);
                Some(Room { left: limit.saturating_sub(used), limit })
            })
        })
        .min_by_key(|room| room.left)
}

fn inactive_file(path: &Path) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("inactive_file "));
    line.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
}

/// Processors that its quota allows, a part of one too; `None` without a quota.
#[must_use]
pub fn cpu_quota() -> Option<f64> {
    let v2 = dirs("").into_iter().filter_map(|d| {
        let text = fs::read_to_string(d.join("cpu.max")).ok()?;
        let mut words = text.split_whitespace().map(str::parse::<f64>);
        Some(words.next()?.ok()? / words.next()?.ok()?)
    });
    let v1 = dirs("cpu").into_iter().filter_map(|d| {
        let quota =
            fs::read_to_string(d.join("cpu.cfs_quota_us")).ok()?.trim().parse::<f64>().ok()?;
        let period = fs::read_to_string(d.join("cpu.cfs_period_us")).ok()?;
        let period = period.trim().parse::<f64>().ok()?;
        (quota > 0.0).then_some(quota / period)
    });
    v2.chain(v1).reduce(f64::min)
}

/// The folders of this process's cgroup and its ancestors; "" names the unified hierarchy.
pub(super) fn dirs(controller: &str) -> Vec<PathBuf> {
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
    let mut found: Vec<PathBuf> = Path::new(&path)
        .ancestors()
        .map(|a| mount.join(a.strip_prefix("/").unwrap_or(a)))
        .collect();
    found.push(mount);
    found.dedup();
    found
}

fn read_number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
