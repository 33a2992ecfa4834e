//! What a waiting thread says of its wait, in its slot: for whoever looks at who waits for whom.
//!
//! All fields are stored before `waiting_on`, and `waiting_since` goes back to 0 at the end. A
//! wait is named by its thread's `name` and its `waiting_since`: who reads both before and after
//! the rest, and finds them the same, has read one wait. Nothing else relies on a note, so a
//! death leaves nothing to repair; the slot is cleared with the thread.

use crate::atomic::{AtomicU32, Ordering, fence};
use crate::os::clock::Deadline;
use crate::shm::Member;
use crate::shm::arena::layout::{SEVERAL, ThreadSlot};
use crate::shm::arena::offset::Off;
use crate::shm::member::slots;

/// What sort of wait it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// For one object, or for something that is none.
    One = 0,
    /// For any of several.
    Any = 1,
    /// For each of several.
    All = 2,
    /// For nobody: it ends by the clock.
    Pause = 3,
}

/// What a wait is for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// See [`How`].
    pub how: How,
    /// The objects, as far as they are known. More than [`SEVERAL`] are not all noted.
    pub objects: &'a [Off],
}

/// Says so until it is dropped.
#[derive(Debug)]
pub struct Noted {
    me: Member,
}

/// Notes that the calling thread sleeps on `word` from now on, in a wait that began at `since`.
#[must_use]
pub fn note(
    me: &Member,
    word: &'static AtomicU32,
    wanted: Wanted<'_>,
    since: u64,
    deadline: Deadline,
) -> Noted {
    let slot = me.slot();
    let several = matches!(wanted.how, How::Any | How::All);
    let first = wanted.objects.first().copied().unwrap_or(Off::NONE);
    let count = if several { wanted.objects.len() as u32 } else { 0 };
    slot.waiting_for.store(first.0, Ordering::Relaxed);
    if several {
        for (word, off) in slot.waiting_several.iter().zip(wanted.objects) {
            word.store(off.0, Ordering::Relaxed);
        }
    }
    slot.waiting_how.store(count << 8 | wanted.how as u32, Ordering::Relaxed);
    slot.waiting_until.store(deadline.at_ns().unwrap_or(0), Ordering::Relaxed);
    slot.waiting_since.store(since, Ordering::Relaxed);
    // A survivor wakes this word's sleepers if this thread dies: a wake-up may have been its.
    slot.waiting_on.store(me.arena().offset_of(word).0, Ordering::Release);
    crash_point!("wait.noted");
    // Either a cleaner sees the note and wakes this thread, or this thread sees its owner dead.
    fence(Ordering::SeqCst);
    Noted { me: *me }
}

impl Drop for Noted {
    fn drop(&mut self) {
        // A signal's handler may have forked meanwhile: then the slot is the parent's.
        if !self.me.is_here() {
            return;
        }
        let slot = self.me.slot();
        slot.waiting_on.store(0, Ordering::Release);
        slot.waiting_for.store(0, Ordering::Relaxed);
        slot.waiting_since.store(0, Ordering::Release);
        crash_point!("wait.over");
    }
}

/// Notes where in the program the calling thread stands, as `file:line in function`; of a path
/// that is too long the end.
pub fn place(me: &Member, file: &str, line: u32, function: &str) {
    const ROOM: usize = crate::shm::arena::inline_text::Text::<20>::ROOM;
    let slot = me.slot();
    let function = cut(function, 60);
    let rest = if function.is_empty() { String::new() } else { format!(" in {function}") };
    let rest = format!(":{line}{rest}");
    let room = ROOM - rest.len();
    let text = if file.len() <= room {
        format!("{file}{rest}")
    } else {
        let mut from = file.len() - (room - '…'.len_utf8());
        while !file.is_char_boundary(from) {
            from += 1;
        }
        format!("…{}{rest}", &file[from..])
    };
    slot.place.set(text.as_bytes());
}

/// Notes that nothing of the program's own is where the calling thread stands.
pub fn no_place(me: &Member) {
    me.slot().place.set(b"");
}

/// Notes what the calling thread is called in its language.
pub fn label(me: &Member, name: &str) {
    me.slot().label.set(cut(name, crate::shm::arena::inline_text::Text::<4>::ROOM).as_bytes());
}

/// As much of a text as fits into so many bytes.
fn cut(text: &str, room: usize) -> &str {
    let mut len = text.len().min(room);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    &text[..len]
}

/// A wait, as its thread has noted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The thread's name: see [`slots::parse_name`].
    pub thread: u64,
    /// Since when, in nanoseconds of the monotonic clock.
    pub since_ns: u64,
    /// When it gives up.
    pub until_ns: Option<u64>,
    /// See [`How`].
    pub how: How,
    /// The objects.
    pub objects: Vec<Off>,
    /// Whether there are more objects than are noted.
    pub more: bool,
    /// Where in the program; empty when it is not known.
    pub place: String,
}

/// The wait of the thread in that slot, if it sleeps in one. Never blocks, and reads nothing
/// that may be gone; what changes under its eyes is looked at again, a few times.
#[must_use]
pub fn of(me: &Member, index: u32) -> Option<Wait> {
    let slot = slots::thread_slot(me.arena(), index);
    for _ in 0..4 {
        let thread = slot.name.load(Ordering::Acquire);
        let since_ns = slot.waiting_since.load(Ordering::Acquire);
        if thread == 0 || since_ns == 0 || slot.waiting_on.load(Ordering::Acquire) == 0 {
            return None;
        }
        let how = slot.waiting_how.load(Ordering::Relaxed);
        let count = (how >> 8) as usize;
        let first = Off(slot.waiting_for.load(Ordering::Relaxed));
        let (how, objects) = match how & 0xff {
            1 => (How::Any, several(slot, count)),
            2 => (How::All, several(slot, count)),
            3 => (How::Pause, Vec::new()),
            _ => (How::One, if first.is_none() { Vec::new() } else { vec![first] }),
        };
        let until = slot.waiting_until.load(Ordering::Relaxed);
        let wait = Wait {
            thread,
            since_ns,
            until_ns: (until != 0).then_some(until),
            how,
            more: count > objects.len(),
            objects,
            place: slot.place.get(),
        };
        if is_still(slot, &wait) {
            return Some(wait);
        }
    }
    None
}

fn several(slot: &ThreadSlot, count: usize) -> Vec<Off> {
    slot.waiting_several[..count.min(SEVERAL)]
        .iter()
        .map(|w| Off(w.load(Ordering::Relaxed)))
        .collect()
}

fn is_still(slot: &ThreadSlot, wait: &Wait) -> bool {
    fence(Ordering::Acquire);
    slot.name.load(Ordering::Acquire) == wait.thread
        && slot.waiting_since.load(Ordering::Acquire) == wait.since_ns
}

/// Whether the thread in that slot is in the same wait still.
#[must_use]
pub fn goes_on(me: &Member, index: u32, wait: &Wait) -> bool {
    is_still(slots::thread_slot(me.arena(), index), wait)
}
