//! Starts of processes; and what one passes only where its two sides are fast or slow: forced.

use std::time::Duration;

use crate::orphans::within;
use tarefa_engine::atomic::Ordering;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::tx::crash_point;
use tarefa_engine::sync::wait::Plain;
use tarefa_engine::task::process::zygote_control;
use tarefa_engine::task::record::Task;
use tarefa_engine::task::{self, State, record};

/// Starts a process and waits for its end.
pub(crate) fn start_and_join(me: &Member) -> Result<(), String> {
    let off = record::create(me, 0, "a task").map_err(|e| e.to_string())?;
    let task = Task::at(me, off);
    task.set_payload(20, &[b"payload"], &[]).map_err(|e| e.to_string())?;
    task.set_limits(Some(Duration::from_secs(3600)), Some(1 << 40));
    let result = (|| {
        if !task.begin() {
            return Err("begun before".to_owned());
        }
        task::process::start(me, &task, &[], &mut Plain).map_err(|e| e.to_string())?;
        let limit = Deadline::after(Some(Duration::from_secs(10)));
        task.join(&mut Plain, limit);
        match task.state() {
            State::Finished => Ok(()),
            other => Err(format!("the task is {other:?}")),
        }
    })();
    refcount::release(me, off);
    result
}

/// The same, of which the zygote is told before, while it sleeps: see `rouse`.
pub(crate) fn expected(me: &Member) -> Result<(), String> {
    let control = zygote_control::get(me).map_err(|e| e.to_string())?;
    // Somebody else may wake it in the few instructions between the look and the call.
    for _ in 0..3 {
        within("the zygote sleeps", || control.asleep.load(Ordering::Acquire) != 0)?;
        task::process::rouse(me);
    }
    start_and_join(me)
}

/// Runs `act` beside a starter, this process, that takes so long for each word of a note that the task
/// comes to wait for it: longer with each attempt, for tasks that others keep from running.
pub(crate) fn slowly<T>(attempt: u32, act: impl FnOnce() -> T) -> T {
    crash_point::pause("task.note_word", Duration::from_millis(1) * (attempt + 1));
    let result = act();
    crash_point::go_on("task.note_word");
    result
}
