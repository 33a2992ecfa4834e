//! The last line of a task's program that is known of when its process dies.
//!
//! - Where the process was broken (a fault, an `abort`): its dying thread notes it in its process
//!   slot, if the front has it look ([`crate::os::fault`], [`note_here`]).
//! - Else where it was seen last: at its last sleep in a wait of the engine's, which its thread has
//!   noted for reports ([`crate::sync::wait::wait_record::place`]).
//!
//! The supervisor copies it into the record before it publishes the death.

use std::fmt;

use super::record::{Task, flag};
use crate::shm::member::slots;
use crate::shm::{Runtime, arena};

/// Where in its program a task was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LastLine {
    /// There its process was broken.
    Broken(String),
    /// There it waited for something of the engine's, or was interrupted, some time before.
    Seen(String),
}

impl LastLine {
    /// The place, as its language says it.
    #[must_use]
    pub fn place(&self) -> &str {
        match self {
            Self::Broken(place) | Self::Seen(place) => place,
        }
    }
}

impl fmt::Display for LastLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(place) => write!(f, "its last line was {place}"),
            Self::Seen(place) => write!(f, "it was last seen at {place}"),
        }
    }
}

/// Bytes of a place that are kept.
pub const ROOM: usize = arena::inline_text::Text::<20>::ROOM;

/// In the handler of a signal that ends this process: it was broken at `place`.
pub fn note_here(runtime: &'static Runtime, place: &[u8]) {
    let slot = runtime.process_slot();
    // A fork that is no member has its parent's.
    if slots::owner(slot).0 == crate::os::process::pid() {
        slot.last_line.set_in_handler(place);
    }
}

impl Task<'_> {
    /// Its process, in slot `process`, has died, and is not marked as dead: takes its last line.
    pub(super) fn take_last_line(&self, process: u32) {
        let runtime = self.me().runtime();
        let broken = slots::process_slot(runtime.arena(), process).last_line.get();
        if !broken.is_empty() {
            self.it().last_line.set(broken.as_bytes());
            self.change_flags(flag::BROKEN_THERE, 0);
        } else if let Some((thread, _)) = self.it().runs_in() {
            let seen = slots::thread_slot(runtime.arena(), thread).place.get();
            self.it().last_line.set(seen.as_bytes());
        }
    }

    /// Its last line, if its process died and that is known.
    #[must_use]
    pub fn last_line(&self) -> Option<LastLine> {
        let place = self.it().last_line.get();
        let broken = self.flags() & flag::BROKEN_THERE != 0;
        let kind = if broken { LastLine::Broken } else { LastLine::Seen };
        (!place.is_empty()).then(|| kind(place))
    }
}
