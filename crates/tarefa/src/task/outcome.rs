//! What came of a task, as its record has it.

use tarefa_engine::collections::value::tag;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::object::blob;
use tarefa_engine::task::State;
use tarefa_engine::task::cause_of_death::Death as WorkerDied;
use tarefa_engine::task::record::{Task as Record, flag};

use crate::convert::codec::SERDE;
use crate::convert::encoding;
use crate::convert::errors::DecodeError;
use crate::task::errors::ResultError;

/// The bytes of what a task that has ended returned, an `Err` too; or why there are none.
pub(crate) fn returned<'a>(me: &'a Member, task: &Record<'a>) -> Result<&'a [u8], ResultError> {
    let (name, pid) = (task.name(), task.pid());
    if task.flags() & flag::OUTCOME_LOST != 0 {
        return Err(ResultError::Lost { name, pid });
    }
    // One that was killed as it was about to end may have left an outcome.
    let Some(outcome) = task.outcome().filter(|_| task.state() != State::Killed) else {
        return Err(WorkerDied::of(task).into());
    };
    // SAFETY: the record keeps its outcome, which never changes, and the caller holds it.
    let bytes = unsafe { blob::bytes(me, outcome) };
    match blob::tag(me, outcome) {
        SERDE => Ok(bytes),
        tag::STR => {
            let message = String::from_utf8_lossy(bytes).into_owned();
            Err(ResultError::Panicked { name, pid, message })
        }
        _ => {
            let found = "another language wrote it".to_owned();
            let source = DecodeError::Type { what: "a value of Rust", found };
            Err(ResultError::Decode { name, source })
        }
    }
}

/// Why a task that has ended failed, for who does not know the type of its result; `None` if it did
/// not.
pub(crate) fn failure(me: &Member, task: &Record<'_>) -> Option<ResultError> {
    let lost = task.flags() & flag::OUTCOME_LOST != 0;
    match task.state() {
        State::New | State::Starting | State::Running => None,
        State::Finished if !lost => None,
        state => Some(match returned(me, task) {
            Err(error) => error,
            Ok(bytes) => {
                let message = encoding::text_in(bytes);
                let message = message.unwrap_or_else(|| "it failed without an error".to_owned());
                let (name, pid) = (task.name(), task.pid());
                match (state, task.time_limit().filter(|_| task.over_time())) {
                    (State::Interrupted, Some(limit)) => {
                        ResultError::OverTime { name, pid, limit, message }
                    }
                    _ => ResultError::Failed { name, pid, message },
                }
            }
        }),
    }
}
