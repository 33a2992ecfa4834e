//! The cgroup this process is in: what it may take of memory and processors, in versions 1 and 2.
//!
//! The kernel's words: `Documentation/admin-guide/cgroup-v2.rst`, and `cgroup-v1/memory.rst` beside it.

use std::fs;
use std::path::{Path, PathBuf};

/// The memory limit of the cgroup this process is in, bytes; `None` without one.
#[must_use]
pub fn memory() -> Option<u64> {
    Cgroups::here().memory()
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
    Cgroups::here().memory_left()
}

/// Processors that its quota allows, a part of one too; `None` without a quota.
#[must_use]
pub fn cpu_quota() -> Option<f64> {
    Cgroups::here().cpu_quota()
}

/// The folders of this process's cgroup and its ancestors; "" names the unified hierarchy.
pub(super) fn dirs(controller: &str) -> Vec<PathBuf> {
    Cgroups::here().dirs(controller)
}

/// How a version calls what it says of memory.
struct Names {
    controller: &'static str,
    /// Limits: above the first nobody is let, above the others a process is slowed down until it hardly runs.
    limits: &'static [&'static str],
    used: &'static str,
    /// In `memory.stat`, of a cgroup and all below it, as `used` is.
    clean_cache: &'static str,
}

const VERSIONS: [Names; 2] = [
    Names {
        controller: "",
        limits: &["memory.max", "memory.high"],
        used: "memory.current",
        clean_cache: "inactive_file ",
    },
    Names {
        controller: "memory",
        limits: &["memory.limit_in_bytes"],
        used: "memory.usage_in_bytes",
        clean_cache: "total_inactive_file ",
    },
];

/// What the system says of the cgroups of a process.
struct Cgroups {
    /// `/proc/PID/cgroup`.
    text: String,
    mount: PathBuf,
}

impl Cgroups {
    fn here() -> Self {
        let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self { text, mount: PathBuf::from("/sys/fs/cgroup") }
    }

    fn memory(&self) -> Option<u64> {
        self.limits().map(|(_, _, limit)| limit).min()
    }

    /// Each cgroup that has a limit.
    fn limits(&self) -> impl Iterator<Item = (&'static Names, PathBuf, u64)> {
        VERSIONS.iter().flat_map(|names| {
            self.dirs(names.controller).into_iter().filter_map(move |dir| {
                // Version 1 says "no limit" with a number near 2^63, version 2 with "max".
                let limits = names.limits.iter().filter_map(|name| read_number(&dir.join(name)));
                let limit = limits.filter(|&n| n < 1 << 60).min()?;
                Some((names, dir, limit))
            })
        })
    }

    fn memory_left(&self) -> Option<Room> {
        let rooms = self.limits().filter_map(|(names, dir, limit)| {
            // Clean file cache counts as used but is given back on demand.
            let cache = read_field(&dir.join("memory.stat"), names.clean_cache).unwrap_or(0);
            let used = read_number(&dir.join(names.used))?.saturating_sub(cache);
            Some(Room { left: limit.saturating_sub(used), limit })
        });
        rooms.min_by_key(|room| room.left)
    }

    fn cpu_quota(&self) -> Option<f64> {
        let v2 = self.dirs("").into_iter().filter_map(|d| {
            let text = fs::read_to_string(d.join("cpu.max")).ok()?;
            let mut words = text.split_whitespace().map(str::parse::<f64>);
            Some(words.next()?.ok()? / words.next()?.ok()?)
        });
        let v1 = self.dirs("cpu").into_iter().filter_map(|d| {
            let quota =
                fs::read_to_string(d.join("cpu.cfs_quota_us")).ok()?.trim().parse::<f64>().ok()?;
            let period = fs::read_to_string(d.join("cpu.cfs_period_us")).ok()?;
            let period = period.trim().parse::<f64>().ok()?;
            (quota > 0.0).then_some(quota / period)
        });
        v2.chain(v1).reduce(f64::min)
    }

    fn dirs(&self, controller: &str) -> Vec<PathBuf> {
        let path = self.text.lines().find_map(|line| {
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
        let mount = self.mount.join(controller);
        let mut found: Vec<PathBuf> = Path::new(&path)
            .ancestors()
            .map(|a| mount.join(a.strip_prefix("/").unwrap_or(a)))
            .collect();
        // Where only a part is mounted, as in a container, its root stands for what is above.
        found.push(mount);
        found.dedup();
        found
    }
}

fn read_number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The number after `name` at the beginning of a line.
fn read_field(path: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

#[cfg(all(test, not(miri), not(loom)))]
mod tests {
    use super::*;

    /// A tree of files, and how the process's cgroups are named; gone with it.
    struct Tree(Cgroups);

    impl Tree {
        fn new(name: &str, text: &str, files: &[(&str, &str)]) -> Self {
            let id = std::process::id();
            let mount = std::env::temp_dir().join(format!("tarefa-cgroup-{name}-{id}"));
            for (path, text) in files {
                let path = mount.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(Cgroups { text: text.to_owned(), mount })
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0.mount);
        }
    }

    #[test]
    fn the_least_room_of_all_above_counts_in_version_2() {
        let tree = Tree::new(
            "v2",
            "0::/outer/inner\n",
            &[
                ("outer/inner/memory.max", "1000000\n"),
                ("outer/inner/memory.current", "300000\n"),
                ("outer/inner/memory.stat", "anon 1\ninactive_file 100000\nactive_file 7\n"),
                ("outer/memory.max", "max\n"),
                ("outer/memory.current", "900000\n"),
                ("memory.max", "2000000"),
                ("memory.current", "1900000"),
            ],
        );
        assert_eq!(tree.0.memory(), Some(1_000_000));
        assert_eq!(tree.0.memory_left(), Some(Room { left: 100_000, limit: 2_000_000 }));
        // A limit that slows down is one.
        fs::write(tree.0.mount.join("outer/memory.high"), "950000\n").unwrap();
        assert_eq!(tree.0.memory(), Some(950_000));
        assert_eq!(tree.0.memory_left(), Some(Room { left: 50_000, limit: 950_000 }));
        // Used by more than it may: nothing is left.
        fs::write(tree.0.mount.join("outer/memory.current"), "960000\n").unwrap();
        assert_eq!(tree.0.memory_left(), Some(Room { left: 0, limit: 950_000 }));
    }

    #[test]
    fn the_cache_of_those_below_counts_in_version_1() {
        let tree = Tree::new(
            "v1",
            "9:cpu,cpuacct:/box\n5:memory:/box\n1:name=systemd:/box\n0::/box\n",
            &[
                ("memory/box/memory.limit_in_bytes", "1000000\n"),
                ("memory/box/memory.usage_in_bytes", "900000\n"),
                ("memory/box/memory.stat", "inactive_file 1\ntotal_inactive_file 600000\n"),
                ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ("memory/memory.usage_in_bytes", "900000\n"),
                ("cpu/box/cpu.cfs_quota_us", "150000\n"),
                ("cpu/box/cpu.cfs_period_us", "100000\n"),
                ("cpu/cpu.cfs_quota_us", "-1\n"),
                ("cpu/cpu.cfs_period_us", "100000\n"),
            ],
        );
        assert_eq!(tree.0.memory(), Some(1_000_000));
        assert_eq!(tree.0.memory_left(), Some(Room { left: 700_000, limit: 1_000_000 }));
        assert_eq!(tree.0.cpu_quota(), Some(1.5));
    }

    #[test]
    fn a_part_of_the_tree_that_is_mounted_is_looked_at() {
        let files = [("memory.max", "5000\n"), ("memory.current", "1000\n")];
        let tree = Tree::new("part", "0::/host/pod/box\n", &files);
        assert_eq!(tree.0.memory_left(), Some(Room { left: 4000, limit: 5000 }));
    }

    #[test]
    fn what_is_missing_or_no_number_is_no_limit() {
        for (name, text, files) in [
            ("none", "", &[][..]),
            ("empty", "0::/\n", &[]),
            ("words", "0::/a\n", &[("a/memory.max", "many\n"), ("a/cpu.max", "max 100000\n")]),
            ("no-use", "0::/a\n", &[("a/memory.max", "max\n"), ("a/memory.high", "max\n")]),
        ] {
            let tree = Tree::new(name, text, files);
            assert_eq!((tree.0.memory(), tree.0.memory_left()), (None, None), "{name}");
            assert_eq!(tree.0.cpu_quota(), None, "{name}");
        }
        // A limit of which nobody says how much is used is none for what is left.
        let tree = Tree::new("unsaid", "0::/a\n", &[("a/memory.max", "5000\n")]);
        assert_eq!((tree.0.memory(), tree.0.memory_left()), (Some(5000), None));
        let tree = Tree::new("cpu", "0::/a\n", &[("a/cpu.max", "50000 100000\n")]);
        assert_eq!(tree.0.cpu_quota(), Some(0.5));
    }
}
