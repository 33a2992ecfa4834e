//! What a task's process has of its starter, as that is at the start: see [`Inherited`] and
//! [`streams`].
//!
//! The process was forked by the zygote, perhaps ahead of time, and has what that one had. The
//! starter notes behind the task's record what it has itself, and the task's process takes over what
//! is different before it runs the target. Descriptors cannot be noted. Where they are other ones
//! than the zygote's, the starter offers them and the start waits until the process has asked:
//! what the program does to its own afterwards is no affair of the task's.
//!
//! The note is the record's own: see `record/note.rs`.
//!
//! What comes with descriptors is noted first: without them the start fails.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::zygote_control::{Control, zygote_state};
use crate::atomic::Ordering;
use crate::os::inherited::Inherited;
use crate::os::process;
use crate::os::streams::{self, Offer, STREAMS, Stream};
use crate::shm::member::slots;
use crate::shm::{Member, Runtime};
use crate::task::record::{NOTE_HEAD as HEAD, Task};

use crate::task::supervisor;

/// What the zygote has, in it and in its children.
static BASE: OnceLock<Inherited> = OnceLock::new();

/// In the zygote, before it serves.
pub(in crate::task) fn note_base() {
    BASE.get_or_init(|| Inherited::now(1));
}

/// Descriptors that came with the task, until the front takes them.
static TAKEN: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// What is still to be given once the process exists.
pub(super) struct Pending(Option<Offer>, Vec<i32>);

/// In the starter: notes in the task's record what it is to have. `descriptors` are to come with it.
///
/// # Errors
/// Only with `descriptors`, for which there are none to spare.
pub(super) fn note(
    me: &Member,
    control: &Control,
    task: &Task<'_>,
    descriptors: &[i32],
) -> io::Result<Pending> {
    let runtime = me.runtime();
    let zygote = zygote(runtime, control);
    let pid = zygote.map(|(pid, _)| pid);
    let found = STREAMS.map(|fd| streams::compare(pid, fd));
    let given: Vec<i32> = others(found).chain(descriptors.iter().copied()).collect();
    let offer = match (!given.is_empty()).then(Offer::new).transpose() {
        // Without a descriptor to spare: the process looks for another way to the streams.
        Err(_) if descriptors.is_empty() => None,
        offer => offer?,
    };
    let name = offer.as_ref().map_or(&[][..], Offer::name);
    let mut words = [0u64; HEAD];
    words[0] = zygote.map_or(0, |(_, number)| number);
    let streams = [found[0] as u8, found[1] as u8, 0, 0, 0, 0, 0, 0];
    words[1] = u64::from_le_bytes(streams) | (descriptors.len() as u64) << 32;
    words[2] = name.len() as u64;
    for (i, byte) in name.iter().enumerate() {
        words[3 + i / 8] |= u64::from(*byte) << (8 * (i % 8));
    }
    // The supervisor makes no files.
    let own_threads = 1 + u64::from(runtime.is_root() && supervisor::runs_here());
    let inherited = Inherited::now(own_threads).words();
    task.write_note(words.iter().chain(&inherited));
    Ok(Pending(offer, given))
}

/// The zygote, if it serves: its process, and its number in the sequence of zygotes.
fn zygote(runtime: &'static Runtime, control: &Control) -> Option<(i32, u64)> {
    let number = control.zygotes.load(Ordering::Acquire);
    if control.zygote.load(Ordering::Acquire) != zygote_state::READY {
        return None;
    }
    let index = control.zygote_slot.load(Ordering::Acquire).checked_sub(1)?;
    let (pid, _) = slots::owner(slots::process_slot(runtime.arena(), index as u32));
    Some((pid, number))
}

impl Pending {
    /// Gives the process, which exists, what it asks for. If the system refuses, the process looks
    /// for another way.
    pub(super) fn give(self, task: &Task<'_>) {
        if let Self(Some(offer), given) = self {
            let _ = offer.give(task.pid(), &given);
        }
    }
}

fn others(found: [Stream; 2]) -> impl Iterator<Item = i32> {
    STREAMS.into_iter().zip(found).filter(|(_, s)| *s == Stream::Other).map(|(fd, _)| fd)
}

fn take_streams(me: &Member, task: &Task<'_>, head: &[u64]) {
    let runtime = me.runtime();
    let states = head[1].to_le_bytes();
    let mut found = [states[0], states[1]].map(|s| match s {
        0 => Stream::Same,
        1 => Stream::Closed,
        _ => Stream::Other,
    });
    let mut name: Vec<u8> = head[3..].iter().flat_map(|w| w.to_le_bytes()).collect();
    name.truncate(head[2] as usize);
    let offered = others(found).count();
    let mine = u64::from(runtime.process_slot().zygote.load(Ordering::Acquire));
    if mine != head[0] && head[0] != 0 {
        // Compared with those of a zygote that has ended since.
        found = found.map(|s| if s == Stream::Same { Stream::Other } else { s });
    }
    for (fd, _) in STREAMS.into_iter().zip(found).filter(|(_, s)| *s == Stream::Closed) {
        streams::install_null(fd);
    }
    let wanted: Vec<i32> = others(found).collect();
    let more = (head[1] >> 32) as usize;
    if wanted.is_empty() && more == 0 {
        return;
    }
    let count = offered + more;
    let given = if name.is_empty() {
        None
    } else {
        // The starter offers them once it knows of this process, and the zygote may have died before
        // it said so.
        task.forked(process::pid());
        streams::take(&name, count).ok()
    };
    if let Some(mut given) = given {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = given.split_off(offered);
        if offered == wanted.len() {
            wanted.iter().zip(&given).for_each(|(fd, from)| streams::install(from, *fd));
            return;
        }
    }
    let starter = task.it().starter.load(Ordering::Acquire) as u32;
    let Some(starter) = slots::living_owner(runtime.arena(), starter) else {
        // What it started ends with it.
        process::exit_now(0);
    };
    let (pid, _) = slots::owner(slots::process_slot(runtime.arena(), starter));
    for fd in wanted {
        if let Ok(from) = streams::fetch(pid, fd) {
            streams::install(&from, fd);
        }
    }
}

/// In the task's process: the descriptors that came with it, once. Fewer than the starter named
/// where they did not arrive.
#[must_use]
pub fn take_descriptors() -> Vec<OwnedFd> {
    std::mem::take(&mut TAKEN.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Task<'_> {
    /// In its process, before the target runs: takes over what the starter had.
    pub(in crate::task) fn take_over_here(&self) {
        let Some(words) = self.read_note() else { return };
        let (head, rest) = words.split_at(HEAD);
        if let (Some(theirs), Some(base)) = (Inherited::from_words(rest), BASE.get()) {
            theirs.apply(base);
        }
        take_streams(self.me(), self, head);
    }
}
