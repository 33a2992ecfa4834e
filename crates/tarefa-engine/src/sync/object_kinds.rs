//! Who holds an object, by its kind: for whoever looks at who waits for whom.
//!
//! Each layer says it of its own kinds with [`register`].

use std::sync::OnceLock;

use crate::kinds;
use crate::shm::arena::offset::Off;
use crate::shm::{Member, heap, object};
use crate::sync::lock::word::Holder;

/// How many of its holders must let go before one who waits for the object can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frees {
    /// Any one of them.
    One,
    /// All of them.
    All,
}

/// How the threads that hold an object are found. The functions must not block, and must not
/// rely on the object: that may be taken apart, and its memory used for something else, meanwhile.
#[derive(Clone, Copy, Debug)]
pub enum Holders {
    /// Nobody holds it: who waits for it is let go by somebody who is not known.
    Nobody,
    /// The object names them.
    Of(fn(&Member, Off) -> Vec<Holder>),
    /// They are noted as [`crate::shm::object::robust_list`]; the function says whether so many holds are all
    /// that there can be, so that nobody else can let a waiter go.
    Noted(fn(&Member, Off, usize) -> bool),
}

/// What an object is called for people, by its kind, as in `Lock`.
pub type Name = fn(&Member, Off) -> &'static str;

/// What one kind of object is to those who wait for it.
#[derive(Clone, Copy, Debug)]
pub struct KindInfo {
    /// What an object is called where its kind does not say it all.
    pub name: Option<Name>,
    /// See [`Holders`].
    pub holders: Holders,
    /// See [`Frees`].
    pub frees: Frees,
}

impl KindInfo {
    /// A kind that nobody holds.
    #[must_use]
    pub const fn unheld() -> Self {
        Self { name: None, holders: Holders::Nobody, frees: Frees::All }
    }

    /// A kind whose objects name their holders, all of which must let go.
    #[must_use]
    pub const fn held(holders: fn(&Member, Off) -> Vec<Holder>) -> Self {
        Self { name: None, holders: Holders::Of(holders), frees: Frees::All }
    }
}

static SORTS: [OnceLock<KindInfo>; kinds::COUNT] = [const { OnceLock::new() }; kinds::COUNT];

/// Says what objects of `kind` are to those who wait for them. The first call for a kind counts.
pub fn register(kind: u64, sort: KindInfo) {
    let _ = SORTS[kind as usize].set(sort);
}

/// What was registered for `kind`.
#[must_use]
pub fn sort(kind: u64) -> Option<&'static KindInfo> {
    SORTS.get(kind as usize)?.get()
}

/// What an object is called for people, as in `Lock`.
#[must_use]
pub fn name(me: &Member, seen: Seen) -> &'static str {
    match sort(seen.kind).and_then(|s| s.name) {
        Some(name) => name(me, seen.off),
        None => kinds::name(seen.kind).unwrap_or("object"),
    }
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
pub fn see(me: &Member, off: Off) -> Option<Seen> {
    use crate::atomic::Ordering;
    if off.is_none() || !heap::is_block(me, off, object::OBJECT) {
        return None;
    }
    let header = object::header(me, off);
    let id = header.id.load(Ordering::Acquire);
    let kind = header.kind.load(Ordering::Acquire);
    (id != 0 && header.id.load(Ordering::Acquire) == id).then_some(Seen { off, id, kind })
}
