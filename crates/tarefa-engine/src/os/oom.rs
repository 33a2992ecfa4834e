//! Whether the kernel has killed for want of memory.
//!
//! Its killer leaves no mark on the one it kills: the signal is SIGKILL, as anybody might send
//! it. It counts, though, before it sends the signal, and by cgroup.

use std::fs;

use super::cgroup;

/// How many processes of this process's cgroup the kernel has killed for want of memory, of
/// whichever limit; where the cgroup does not say, how many on the whole machine. `None` where
/// neither is told.
#[must_use]
pub fn kills() -> Option<u64> {
    let files = [("", "memory.events"), ("memory", "memory.oom_control")];
    let in_cgroup = files.iter().find_map(|&(controller, file)| {
        // The nearest: those above count others too.
        let text = cgroup::dirs(controller)
            .into_iter()
            .find_map(|dir| fs::read_to_string(dir.join(file)).ok())?;
        count_in(&text)
    });
    in_cgroup.or_else(|| count_in(&fs::read_to_string("/proc/vmstat").ok()?))
}

fn count_in(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::count_in;

    #[test]
    fn the_count_is_found_in_each_of_the_kernels_files() {
        assert_eq!(
            count_in("low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n"),
            Some(2)
        );
        assert_eq!(count_in("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"), Some(5));
        assert_eq!(count_in("nr_free_pages 12\noom_kill 0\ndrop_pagecache 1\n"), Some(0));
        assert_eq!(count_in("oom_kill_disable 0\nunder_oom 0\n"), None);
    }
}
