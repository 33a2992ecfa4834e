//! A look at a task by somebody who holds no reference to it: for reports.

use super::record::{Record, Task};
use super::state::State;
use crate::atomic::Ordering;
use crate::kinds;
use crate::shm::Member;
use crate::shm::arena::offset::Off;
use crate::shm::heap;
use crate::shm::member::slots;
use crate::shm::object::blob;
use crate::sync::lock::word::Holder;
use crate::sync::object_kinds;
use crate::sync::object_kinds::Seen;

/// Bytes of a name that are looked at.
const NAME: usize = 200;

/// What a task was a moment ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The object.
    pub seen: Seen,
    /// Its name.
    pub name: String,
    /// Whether it is a thread.
    pub is_thread: bool,
    /// Whether it has ended.
    pub has_ended: bool,
}

/// Looks at the task at `off`; `None` if there is none. Never blocks.
#[must_use]
pub fn of(me: &Member, off: Off) -> Option<Inspection> {
    let seen = object_kinds::see(me, off).filter(|s| s.kind == kinds::TASK)?;
    let task = Task::at(me, off);
    let state = State::from_number(task.it().state_now());
    let inspection = Inspection {
        seen,
        name: name(me, task.it()),
        is_thread: task.is_thread(),
        has_ended: state.is_final(),
    };
    (object_kinds::see(me, off) == Some(seen)).then_some(inspection)
}

fn name(me: &Member, it: &Record) -> String {
    let blob = it.name_now();
    if blob.is_none() {
        return String::from_utf8_lossy(&it.short_name()).into_owned();
    }
    if !heap::is_block(me, blob, blob::BLOB) {
        return String::new();
    }
    blob::glimpse_text(me, blob, NAME)
}

/// The thread that runs the task at `off`, which so keeps those who wait for its end.
pub(super) fn holders(me: &Member, off: Off) -> Vec<Holder> {
    let Some(inspection) = of(me, off).filter(|g| !g.has_ended) else { return Vec::new() };
    debug_assert_eq!(inspection.seen.off, off);
    let it = Task::at(me, off).it();
    let Some((thread, since_ns)) = it.runs_in() else { return Vec::new() };
    let slot = slots::thread_slot(me.arena(), thread);
    let name = slot.name.load(Ordering::Acquire);
    if slot.task.load(Ordering::Acquire) != off.0 {
        return Vec::new();
    }
    slots::living_owner(me.arena(), (name >> 32) as u32)
        .map(|process| Holder { process, thread, since_ns })
        .into_iter()
        .collect()
}
