//! Who holds an object, by its kind: for whoever looks at who waits for whom.
//!
//! Each layer says it of its own kinds with [`register`]. A kind that nobody holds (an event) has
//! a name and no holders: whoever waits for it is let go by somebody who is not known.

use std::sync::OnceLock;

use super::cell::Holder;
use crate::shm::object::KINDS;
use crate::shm::offset::Off;
use crate::shm::{Me, heap, object};

/// How many of its holders must let go before one who waits for the object can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frees {
    /// Any one of them.
    One,
    /// All of them.
    All,
}

/// Finds the threads that hold the object at an offset. It must not block, and must not rely on
/// the object: that may be taken apart, and its memory used for something else, meanwhile.
pub type Holders = fn(&Me, Off) -> Vec<Holder>;

/// What one kind of object is to those who wait for it.
#[derive(Clone, Copy, Debug)]
pub struct Sort {
    /// Its name for people, as in `Lock`.
    pub name: &'static str,
    /// See [`Holders`].
    pub holders: Holders,
    /// See [`Frees`].
    pub frees: Frees,
}

impl Sort {
    /// A kind that nobody holds.
    #[must_use]
    pub const fn unheld(name: &'static str) -> Self {
        Self { name, holders: |_, _| Vec::new(), frees: Frees::All }
    }
}

static SORTS: [OnceLock<Sort>; KINDS] = [const { OnceLock::new() }; KINDS];

/// Says what objects of `kind` are to those who wait for them. The first call for a kind counts.
pub fn register(kind: u64, sort: Sort) {
    let _ = SORTS[kind as usize].set(sort);
}

/// What was registered for `kind`.
#[must_use]
pub fn sort(kind: u64) -> Option<&'static Sort> {
    SORTS.get(kind as usize)?.get()
}

/// An object that was there a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Where.
    pub off: Off,
    /// Its number.
    pub id: u64,
    /// Its kind.
    pub kind: u64,
}

/// The object at `off`, if one is there: of any offset, also a broken one.
#[must_use]
pub fn see(me: &Me, off: Off) -> Option<Seen> {
    use std::sync::atomic::Ordering;
    if off.is_none() || !heap::is_block(me, off, heap::Kind::Object) {
        return None;
    }
    let header = object::header(me, off);
    let id = header.id.load(Ordering::Acquire);
    let kind = header.kind.load(Ordering::Acquire);
    (id != 0 && header.id.load(Ordering::Acquire) == id).then_some(Seen { off, id, kind })
}

/// Who holds the object; nobody, if it is gone.
#[must_use]
pub fn holders(me: &Me, seen: Seen) -> Vec<Holder> {
    let Some(sort) = sort(seen.kind) else { return Vec::new() };
    let found = (sort.holders)(me, seen.off);
    if see(me, seen.off) == Some(seen) { found } else { Vec::new() }
}
