//! What a task of a pool can ask about itself.

use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;

use serde::Serialize;
use tarefa_engine::shm::trace::Ended;
use tarefa_engine::task::State;

use crate::task::target;

/// Units of resources, by their names.
pub(super) type Leases = Rc<[(String, Vec<u32>)]>;

thread_local! {
    static ATTEMPT: Cell<u32> = const { Cell::new(1) };
    static LEASES: RefCell<Option<Leases>> = const { RefCell::new(None) };
}

/// Which attempt at the running task this is: 1, or more after a worker has died in it. Outside of a
/// pool's tasks it is 1.
///
/// ```
/// use tarefa::{Pool, attempt};
///
/// fn fails_once() -> u32 {
///     if attempt() == 1 {
///         std::process::abort();
///     }
///     attempt()
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::processes(1).retries(1);
/// assert_eq!(pool.submit(fails_once, ())?.result()?, 2);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn attempt() -> u32 {
    ATTEMPT.get()
}

/// Which units of a resource the running task has, as many as it has asked for: numbers from 0 on.
/// None outside of a task that has asked for it.
///
/// ```
/// use tarefa::{Pool, leased};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::processes(4).resource("connection", 2);
/// let with_one = pool.options().resource("connection", 1);
/// let task = with_one.submit(|| leased("connection"), ())?;
/// assert!(task.result()?.iter().all(|connection| *connection < 2));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn leased(name: &str) -> Vec<u32> {
    LEASES.with_borrow(|leases| {
        let of_name = leases.iter().flat_map(|all| all.iter()).find(|(known, _)| known == name);
        of_name.map(|(_, units)| units.clone()).unwrap_or_default()
    })
}

/// Until it is dropped, the calling thread runs tasks of that attempt, with those leases.
#[derive(Debug)]
pub(super) struct Running {
    attempt: u32,
    leases: Option<Leases>,
}

impl Running {
    pub(super) fn begin(attempt: u32, leases: Option<Leases>) -> Self {
        Self { attempt: ATTEMPT.replace(attempt), leases: LEASES.replace(leases) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        ATTEMPT.set(self.attempt);
        LEASES.set(self.leases.take());
    }
}

/// Units as the wire has them, by the names of their resources.
pub(super) fn leases<'a>(
    units: &[(u32, u32)],
    name: impl Fn(u32) -> Option<&'a str>,
) -> Option<Leases> {
    let mut found: Vec<(String, Vec<u32>)> = Vec::new();
    for (resource, unit) in units {
        let Some(name) = name(*resource) else { continue };
        match found.iter_mut().find(|(known, _)| known == name) {
            Some((_, all)) => all.push(*unit),
            None => found.push((name.to_owned(), vec![*unit])),
        }
    }
    (!found.is_empty()).then(|| found.into())
}

/// How a call that has returned this has ended, for timelines.
pub(super) fn how<R: Serialize>(value: &R) -> Ended {
    // Writing it may panic, which is no matter of the call's any more.
    let verdict = panic::catch_unwind(AssertUnwindSafe(|| target::verdict(value)));
    ended(verdict.unwrap_or(State::Finished))
}

/// The same, by what is known of the value.
pub(super) fn ended(verdict: State) -> Ended {
    match verdict {
        State::Finished => Ended::Returned,
        State::Interrupted => Ended::Interrupted,
        _ => Ended::Failed,
    }
}
