//! A program that forks and ends, as a daemon does when it begins, goes on as the child.
//!
//! The root holds what members rely on: it supervises, and its end is everybody's. A child of a
//! plain `fork` has all that it takes to do the same: the memory under the same descriptor, and its
//! own slot. So the first such member that uses the runtime after the root's end becomes the root,
//! by one swap of [`Header::root`](crate::shm::arena::layout::Header::root), and the others follow:
//!
//! ```text
//!  successor                                        another forked member
//!  waits until the old zygote has ended
//!  new doorbell and lifeline; their write ends      sees the root's end, or that the word is another
//!    take the numbers of the old ones
//!  swap header.root: old -> own    ── SYNC POINT ── opens the pipes of the process in the word under
//!    lost: follows                                    the numbers of the old ones
//!  header: numbers of its descriptors
//!  supervisor: watches all members anew; cleans up after the dead, the old root among them
//! ```
//!
//! | killed or stopped | found | what follows |
//! |---|---|---|
//! | before the swap | a member that has died; a stopped one is overtaken by the next | the next forked member does it |
//! | after the swap, before the numbers | a root that has ended, with the numbers of its predecessor, which are its own: it was forked from it | the next comes after it |
//! | before its supervisor runs | the same | the same |
//!
//! Who is stopped after the swap is a root that is stopped: deaths are told when it goes on. Tasks do
//! not succeed: the system ends them with the root that they were started under. Addresses name the
//! old root, which is gone: so is what they lead to, for who is no member.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::OnceLock;

use super::runtime::{Readers, Root, Runtime, own_root_word, pid_of_root};
use crate::atomic::Ordering;
use crate::os::{pidfd, pipe};

static ON_LOSS: OnceLock<fn(&'static Runtime)> = OnceLock::new();

/// Says what a member does of which [`Runtime::has_lost_root`] is true. The first call counts.
pub fn set_on_loss(act: fn(&'static Runtime)) {
    let _ = ON_LOSS.set(act);
}

impl Runtime {
    /// Looks whether the root of a forked member has ended, and does what is to be done then. For all
    /// others nothing.
    #[inline]
    pub fn look_for_root(&'static self) {
        if self.has_lost_root() {
            if let Some(act) = ON_LOSS.get() {
                act(self);
            }
        }
    }

    /// In a member that was forked from another of the program, otherwise than by the engine:
    /// whether its root has ended, or is another than it knows. For all others false at once.
    #[must_use]
    #[inline]
    pub fn has_lost_root(&'static self) -> bool {
        self.depends_on_root() && self.misses_root()
    }

    /// Whether this is such a member, and not the root.
    #[must_use]
    #[inline]
    pub fn depends_on_root(&'static self) -> bool {
        let here = self.here();
        here.forked && self.lifeline.is_some() && !here.root.load(Ordering::Acquire)
    }

    #[cold]
    fn misses_root(&'static self) -> bool {
        let word = self.header().root.load(Ordering::Acquire);
        self.known_root().is_none_or(|root| root.word != word) || !self.root_alive()
    }

    /// For a member of which [`Runtime::has_lost_root`] is true: makes it the root, or has it
    /// follow the one that there is. Whether it is the root now, and is to supervise.
    ///
    /// # Errors
    /// `EMFILE` without descriptors: it is to try again.
    pub fn succeed(&'static self) -> io::Result<bool> {
        let word = self.header().root.load(Ordering::Acquire);
        if self.root_alive() {
            self.follow(word);
            return Ok(false);
        }
        let mine = own_root_word()?;
        let (doorbell, ring) = pipe::doorbell()?;
        let (lifeline, held) = pipe::lifeline()?;
        for (own, new) in [(Some(&self.doorbell), &ring), (self.lifeline.as_ref(), &held)] {
            if let Some(own) = own {
                replace(own, new)?;
            }
        }
        // SYNC POINT: pairs with the acquire loads of those who follow.
        let header = self.header();
        let swap = header.root.compare_exchange(word, mine, Ordering::AcqRel, Ordering::Acquire);
        crash_point!("runtime.succeeded");
        if let Err(word) = swap {
            self.follow(word);
            return Ok(false);
        }
        // The numbers are the old root's, but for a fork of a task.
        let words = [&header.memory_fd, &header.doorbell_fd, &header.lifeline_fd];
        for (word, fd) in words.into_iter().zip(self.shared_descriptors()) {
            word.store(fd as u64, Ordering::Release);
            crash_point!("runtime.successors_descriptors");
        }
        self.note_user();
        self.keep_readers(Readers { doorbell, lifeline });
        // not shared: a flag of this process alone.
        self.here().root.store(true, Ordering::Release);
        Ok(true)
    }

    /// The root is the process in `word` now.
    fn follow(&'static self, word: u64) {
        let pid = pid_of_root(word);
        let header = self.header();
        let both = [
            (Some(&self.doorbell), &header.doorbell_fd),
            (self.lifeline.as_ref(), &header.lifeline_fd),
        ];
        for (own, fd) in both {
            // Without it the root notices later, by another's ring.
            if let (Some(own), Ok(theirs)) =
                (own, pipe::of_process(pid, fd.load(Ordering::Acquire) as i32))
            {
                let _ = replace(own, &theirs);
            }
        }
        self.keep_root(Root { word, fd: pidfd::open_kept(pid).ok() });
        self.ring();
    }
}

/// Makes the number of `old` lead to the pipe of `new`; an error where the program has closed it, and
/// has another file of that number by now.
fn replace(old: &OwnedFd, new: &OwnedFd) -> io::Result<()> {
    if !pipe::is_none_or_pipe(old.as_raw_fd()) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    pipe::replace(old, new)
}
