//! Who the calling thread is to the system: user, groups, capabilities, root folder, and whether it
//! may gain rights by executing a program.

use std::ffi::CString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::MetadataExt;

use super::{check, check_long, process, procfs};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// Real, effective and saved user.
    pub users: [u32; 3],
    /// Real, effective and saved group.
    pub groups: [u32; 3],
    /// Supplementary groups.
    pub more_groups: Vec<u32>,
    /// Capabilities.
    pub capabilities: Capabilities,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privileges: bool,
    /// Device and inode of the root folder; zeroes where it cannot be looked at.
    pub root: [u64; 2],
}

/// Sets of capabilities, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// Those that count now.
    pub effective: u64,
    /// Those that may be made to count.
    pub permitted: u64,
    /// Those that some programs get that are executed.
    pub inheritable: u64,
}

const CAP_SETGID: u32 = 6;
const CAP_SETUID: u32 = 7;
const CAP_SYS_CHROOT: u32 = 18;

/// `_LINUX_CAPABILITY_VERSION_3`, which has 64 bits each.
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

impl Capabilities {
    /// Of the calling thread.
    fn current() -> Self {
        let mut words = [0u32; 6];
        let mut header = CapHeader { version: VERSION_3, pid: 0 };
        // SAFETY: both are as long as the kernel reads and writes.
        unsafe { libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) };
        let set = |i: usize| u64::from(words[i]) | u64::from(words[i + 3]) << 32;
        Self { effective: set(0), permitted: set(1), inheritable: set(2) }
    }

    fn set(self) -> io::Result<()> {
        let (low, high) = (|set: u64| set as u32, |set: u64| (set >> 32) as u32);
        let all = [self.effective, self.permitted, self.inheritable];
        let words = [all.map(low), all.map(high)];
        let header = CapHeader { version: VERSION_3, pid: 0 };
        // SAFETY: both are as long as the kernel reads.
        let ret = unsafe {
            libc::syscall(libc::SYS_capset, &raw const header, words.as_ptr().cast::<u32>())
        };
        check_long(ret).map(drop)
    }

    /// As many of these as `most` has.
    fn within(self, most: Self) -> Self {
        Self {
            effective: self.effective & most.permitted,
            permitted: self.permitted & most.permitted,
            inheritable: self.inheritable & (most.permitted | most.inheritable),
        }
    }

    /// Takes those from the calling thread that are not in `permitted`.
    pub fn limit(permitted: u64) {
        let now = Self::current();
        let most = Self { effective: permitted, permitted, inheritable: permitted };
        let less = Self {
            effective: now.effective & permitted,
            permitted: now.permitted & permitted,
            inheritable: now.inheritable & most.inheritable,
        };
        if less != now {
            // What it has may be given up, always.
            let _ = less.set();
        }
    }

    fn may(self, capability: u32) -> bool {
        self.permitted & 1 << capability != 0
    }
}

impl Credentials {
    /// Of the calling thread, now.
    #[must_use]
    pub fn current() -> Self {
        let (mut users, mut groups) = ([0; 3], [0; 3]);
        // SAFETY: all are writable for the length of the calls.
        let no_new_privileges = unsafe {
            let [a, b, c] = &mut users;
            libc::getresuid(a, b, c);
            let [a, b, c] = &mut groups;
            libc::getresgid(a, b, c);
            libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
        };
        Self {
            users,
            groups,
            more_groups: more_groups(),
            capabilities: Capabilities::current(),
            no_new_privileges,
            root: std::fs::metadata("/").map_or([0; 2], |m| [m.dev(), m.ino()]),
        }
    }

    /// A number that tells others apart; never 0.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish() | 1
    }

    /// Whether a process with these can come to have those of `other` again: its user, group, root
    /// folder and capabilities.
    #[must_use]
    pub fn can_regain(&self, other: &Self) -> bool {
        let caps = self.capabilities;
        (caps.may(CAP_SETUID) || self.users.contains(&other.users[1]))
            && (caps.may(CAP_SETGID)
                || self.groups.contains(&other.groups[1]) && self.more_groups == other.more_groups)
            && (caps.may(CAP_SYS_CHROOT) || self.root == other.root)
            && other.capabilities.permitted & !caps.permitted == 0
    }

    /// As words, for [`Credentials::from_words`].
    #[must_use]
    pub fn to_words(&self) -> Vec<u64> {
        let ids = self.users.iter().chain(&self.groups).map(|id| u64::from(*id));
        let Capabilities { effective, permitted, inheritable } = self.capabilities;
        let mut words: Vec<u64> = ids.collect();
        words.extend([effective, permitted, inheritable, u64::from(self.no_new_privileges)]);
        words.extend(self.root);
        words.extend(self.more_groups.iter().map(|id| u64::from(*id)));
        words
    }

    /// What [`Credentials::to_words`] made; `None` of anything else.
    #[must_use]
    pub fn from_words(words: &[u64]) -> Option<Self> {
        let (users, rest) = words.split_at_checked(3)?;
        let (groups, rest) = rest.split_at_checked(3)?;
        let [effective, permitted, inheritable, flag, device, inode, more @ ..] = rest else {
            return None;
        };
        let three = |ids: &[u64]| std::array::from_fn(|i| ids[i] as u32);
        Some(Self {
            users: three(users),
            groups: three(groups),
            capabilities: Capabilities {
                effective: *effective,
                permitted: *permitted,
                inheritable: *inheritable,
            },
            no_new_privileges: *flag != 0,
            root: [*device, *inode],
            more_groups: more.iter().map(|id| *id as u32).collect(),
        })
    }

    /// Makes the calling process, which has one thread, have these; but for capabilities that it has
    /// not. Its root folder becomes that of thread `tid` of process `pid`, if it is another.
    ///
    /// # Errors
    /// What the system refused; a part may be done then, so the process must not go on.
    pub fn take_on(&self, pid: i32, tid: i32) -> io::Result<()> {
        let now = Self::current();
        if *self == now {
            return Ok(());
        }
        // What counts only when it is asked for: a process executed after `seteuid` has it so.
        let all = Capabilities { effective: now.capabilities.permitted, ..now.capabilities };
        if all != now.capabilities {
            all.set()?;
        }
        if self.root != now.root {
            let path = CString::new(format!("/proc/{pid}/task/{tid}/root"))?;
            // SAFETY: C strings.
            unsafe {
                check(libc::chroot(path.as_ptr()))?;
                check(libc::chdir(c"/".as_ptr()))?;
            }
        }
        // SAFETY: plain calls; the list is readable for its length.
        unsafe {
            if self.more_groups != now.more_groups {
                check(libc::setgroups(self.more_groups.len(), self.more_groups.as_ptr()))?;
            }
            // What a change of the user would take away is said by the capabilities below.
            libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0);
            let [real, effective, saved] = self.groups;
            check(libc::setresgid(real, effective, saved))?;
            let [real, effective, saved] = self.users;
            check(libc::setresuid(real, effective, saved))?;
            libc::prctl(libc::PR_SET_KEEPCAPS, 0, 0, 0, 0);
            self.capabilities.within(all).set()?;
            if self.no_new_privileges && !now.no_new_privileges {
                check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
            }
        }
        Ok(())
    }
}

fn more_groups() -> Vec<u32> {
    let mut groups = vec![0; 64];
    loop {
        // SAFETY: writable for as many as said.
        let count = unsafe { libc::getgroups(groups.len() as i32, groups.as_mut_ptr()) };
        match usize::try_from(count) {
            Ok(count) => {
                groups.truncate(count);
                return groups;
            }
            // There are more.
            Err(_) if groups.len() < 1 << 17 => groups.resize(groups.len() * 4, 0),
            Err(_) => return Vec::new(),
        }
    }
}

/// Whether each thread of this process but thread `but` has at most those capabilities.
#[must_use]
pub fn all_threads_within(permitted: u64, but: i32) -> bool {
    let pid = process::pid();
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return true };
    let tids = threads.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    tids.filter(|tid| *tid != but).all(|tid| {
        let word = procfs::status_word(pid, tid, "CapPrm");
        word.and_then(|w| u64::from_str_radix(&w, 16).ok()).is_none_or(|has| has & !permitted == 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "the system is asked")]
    fn words_come_back() {
        let now = Credentials::current();
        assert_eq!(Credentials::from_words(&now.to_words()), Some(now.clone()));
        let other = Credentials { more_groups: vec![1, 2, 3], no_new_privileges: true, ..now };
        assert_eq!(Credentials::from_words(&other.to_words()), Some(other.clone()));
        assert_ne!(other.fingerprint(), Credentials::current().fingerprint());
        assert_eq!(Credentials::from_words(&other.to_words()[..11]), None);
    }

    #[test]
    fn what_is_given_up_is_not_regained() {
        let all = Capabilities { effective: 1 << 40, permitted: !0, inheritable: 0 };
        let none = Capabilities::default();
        let root = Credentials {
            users: [0; 3],
            groups: [0; 3],
            more_groups: vec![0],
            capabilities: all,
            no_new_privileges: false,
            root: [1, 2],
        };
        let dropped =
            Credentials { users: [9; 3], groups: [9; 3], capabilities: none, ..root.clone() };
        assert!(!dropped.can_regain(&root) && root.can_regain(&dropped));
        // After `seteuid` the permitted ones stay.
        let other = Credentials { users: [0, 9, 0], ..root.clone() };
        assert!(other.can_regain(&root));
        // `setgroups` alone.
        assert!(Credentials { more_groups: vec![7], ..root.clone() }.can_regain(&root));
        let jail = Credentials { root: [1, 3], ..root.clone() };
        assert!(jail.can_regain(&root));
        let jailed = Credentials { root: [1, 3], ..dropped };
        assert!(!jailed.can_regain(&Credentials { users: [9; 3], groups: [9; 3], ..root }));
    }
}
