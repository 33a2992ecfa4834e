//! Who a process is that is known by its number, in words: for errors about what it has left.

use std::time::Duration;

use super::inspect::{self, Inspection};
use super::record::Task;
use crate::atomic::Ordering;
use crate::kinds::{self, block};
use crate::os::clock::Deadline;
use crate::shm::Member;
use crate::shm::arena::offset::Off;
use crate::shm::heap::survey;
use crate::shm::member::slots;
use crate::sync::object_kinds;

/// How long a task that has ended is looked for.
const SEARCH: Duration = Duration::from_millis(100);

/// `task "maker" (pid 4711)`, also of one that has ended, while anybody has a handle of it; `the program
/// (pid 4711)`, or `process 4711` where no more is known.
#[must_use]
pub fn of_process(me: &Member, pid: i32) -> String {
    if pid == 0 {
        return "a process".to_owned();
    }
    if pid == me.runtime().root_pid() {
        return format!("the program (pid {pid})");
    }
    running(me, pid).or_else(|| ended(me, pid)).map_or_else(
        || format!("process {pid}"),
        |task| format!("task {:?} (pid {pid})", task.name),
    )
}

fn running(me: &Member, pid: i32) -> Option<Inspection> {
    let arena = me.arena();
    let mut slots = slots::processes(arena).map(|index| slots::process_slot(arena, index));
    let slot = slots.find(|slot| slots::owner(slot).0 == pid)?;
    inspect::of(me, Off(slot.task.load(Ordering::Acquire)))
}

/// Of several tasks whose processes had that number, one after the other, the last.
fn ended(me: &Member, pid: i32) -> Option<Inspection> {
    let until = Deadline::after(Some(SEARCH));
    let (mut last, mut looked) = (None, 0);
    survey::blocks(me, &mut |found| {
        looked += 1;
        if found.kind == block::OBJECT
            && object_kinds::see(me, found.off).is_some_and(|seen| seen.kind == kinds::TASK)
        {
            let task = Task::at(me, found.off);
            let began = task.it().started_ns.load(Ordering::Relaxed);
            let is_later = last.as_ref().is_none_or(|(at, _)| *at < began);
            if is_later && task.pid() == pid && !task.is_thread() {
                last = inspect::of(me, found.off).map(|it| (began, it)).or_else(|| last.take());
            }
        }
        looked % 4096 != 0 || !until.passed()
    });
    last.map(|(_, task)| task)
}
