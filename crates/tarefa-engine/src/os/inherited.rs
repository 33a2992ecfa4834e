//! What a process that forks a child passes on to it without a word: file mode mask, niceness,
//! processors, limits on resources.
//!
//! A task's process is forked by another one, long before or after: it takes over from its starter
//! what a child of that one would have. What the system does not allow (a niceness below its own,
//! a hard limit above its own, processors that it may not use) stays as it is.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use super::{process, procfs, rlimit};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inherited {
    umask: u32,
    nice: i32,
    /// As many words as the system needs; zeroes where it does not say.
    processors: Vec<u64>,
    limits: [rlimit::Limit; rlimit::KINDS],
}

/// Words for 1,024 processors at first, as in the C library; the kernel may know of more.
const PROCESSOR_WORDS: usize = 16;

impl Inherited {
    /// The calling thread's. `own_threads` are those of this process that create no files.
    #[must_use]
    pub fn now(own_threads: u64) -> Self {
        Self {
            umask: umask(own_threads),
            nice: nice(),
            processors: processors(processor_words()),
            limits: rlimit::all(),
        }
    }

    /// How many words [`Inherited::words`] has: as many in each process of the machine.
    #[must_use]
    pub fn word_count() -> usize {
        2 + 2 * rlimit::KINDS + processor_words()
    }

    /// Makes them this process's, which has those of `base`.
    pub fn apply(&self, base: &Self) {
        // SAFETY: plain calls; `processors` is readable for its length.
        unsafe {
            if self.umask != base.umask {
                libc::umask(self.umask);
            }
            if self.nice != base.nice {
                libc::setpriority(libc::PRIO_PROCESS, 0, self.nice);
            }
            if self.processors != base.processors && self.processors.iter().any(|w| *w != 0) {
                let size = self.processors.len() * 8;
                libc::sched_setaffinity(0, size, self.processors.as_ptr().cast());
            }
        }
        for (kind, (limit, had)) in self.limits.iter().zip(&base.limits).enumerate() {
            // Another process may have changed that one of ours: see `follow_processes_of`.
            if limit != had || kind == libc::RLIMIT_NPROC as usize {
                rlimit::set(kind, *limit);
            }
        }
    }

    /// As words, to be read by [`Inherited::from_words`].
    #[must_use]
    pub fn words(&self) -> Vec<u64> {
        let mut words = vec![u64::from(self.umask), self.nice as u64];
        words.extend(self.limits.iter().flat_map(|l| [l.soft, l.hard]));
        words.extend(&self.processors);
        words
    }

    /// What [`Inherited::words`] gave; `None` for anything else.
    #[must_use]
    pub fn from_words(words: &[u64]) -> Option<Self> {
        let (head, rest) = words.split_at_checked(2)?;
        let (limits, processors) = rest.split_at_checked(2 * rlimit::KINDS)?;
        let limit = |i: usize| rlimit::Limit { soft: limits[2 * i], hard: limits[2 * i + 1] };
        Some(Self {
            umask: head[0] as u32,
            nice: head[1] as i32,
            processors: processors.to_vec(),
            limits: std::array::from_fn(limit),
        })
    }
}

/// The file mode mask. The system tells it to who sets another one, which holds for all threads
/// meanwhile: a file that one of them made would have another mode. So that is done only where
/// no other thread makes files.
fn umask(own_threads: u64) -> u32 {
    // Links of this folder: itself, its name in its parent, and each thread.
    let threads = fs::metadata("/proc/self/task").map_or(u64::MAX, |m| m.nlink().saturating_sub(2));
    let said = || {
        let pid = process::pid();
        u32::from_str_radix(&procfs::status_word(pid, pid, "Umask")?, 8).ok()
    };
    if threads > own_threads {
        if let Some(mask) = said() {
            return mask;
        }
    }
    // SAFETY: cannot fail. The mask meanwhile is one that gives nobody else a right.
    unsafe {
        let mask = libc::umask(0o077);
        libc::umask(mask);
        mask
    }
}

fn nice() -> i32 {
    // SAFETY: a plain call; -1 is an answer too, and it cannot fail for the calling thread.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

fn processors(words: usize) -> Vec<u64> {
    let mut found = vec![0u64; words];
    if !read_processors(&mut found) {
        found.fill(0);
    }
    found
}

/// False if the system does not say, or `found` is too short. The C library's function clears what the
/// kernel does not fill.
fn read_processors(found: &mut [u64]) -> bool {
    // SAFETY: `found` is writable for the length given.
    unsafe { libc::sched_getaffinity(0, size_of_val(found), found.as_mut_ptr().cast()) == 0 }
}

/// How many words have room for all processors that the kernel may come to know.
fn processor_words() -> usize {
    static WORDS: OnceLock<usize> = OnceLock::new();
    *WORDS.get_or_init(|| {
        let mut found = vec![0u64; PROCESSOR_WORDS];
        while !read_processors(&mut found)
            && process::errno() == libc::EINVAL
            && found.len() < 1 << 12
        {
            found.resize(2 * found.len(), 0);
        }
        found.len()
    })
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use super::*;

    #[test]
    fn words_give_it_back() {
        let now = Inherited::now(0);
        assert_eq!(now.words().len(), Inherited::word_count());
        assert_eq!(Inherited::from_words(&now.words()), Some(now.clone()));
        assert_eq!(Inherited::from_words(&now.words()[..20]), None);
    }

    #[test]
    fn both_ways_to_the_mask_agree() {
        assert_eq!(umask(0), umask(u64::MAX - 2));
    }
}
