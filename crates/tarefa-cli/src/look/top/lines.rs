//! The lines at which threads stand, asked of them by a thread of its own: one that does not answer
//! holds nobody up.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tarefa_engine::os::signal;
use tarefa_engine::trace::observe::Program;
use tarefa_engine::trace::stacks::{Asker, Stack};

use super::sample::Sample;

/// How often threads are asked.
const EVERY: Duration = Duration::from_secs(1);
/// How long is waited for the first answers.
const FIRST: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
struct Shared {
    wanted: Vec<(i32, i32)>,
    known: HashMap<i32, Stack>,
    /// How often all were asked.
    rounds: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Lines {
    shared: Option<Arc<(Mutex<Shared>, Condvar)>>,
}

impl Lines {
    /// Of the program of that process; `asks`: or of none, and nobody is asked.
    pub(super) fn of(pid: i32, asks: bool) -> Self {
        let shared = Arc::new((Mutex::new(Shared::default()), Condvar::new()));
        let theirs = Arc::clone(&shared);
        let asking = move || {
            // They are the main thread's, which knows then what was sent before it goes on.
            signal::block_all();
            if let Ok(program) = Program::of(pid) {
                ask(&program, &theirs);
            }
        };
        let builder = std::thread::Builder::new().name("ask".to_owned());
        let starts = asks && builder.spawn(asking).is_ok();
        Self { shared: starts.then_some(shared) }
    }

    /// What threads have answered.
    pub(super) fn known(&self) -> HashMap<i32, Stack> {
        let Some(shared) = &self.shared else { return HashMap::new() };
        shared.0.lock().unwrap_or_else(PoisonError::into_inner).known.clone()
    }

    /// From now on those threads are asked that the sample has no place of.
    pub(super) fn want(&self, sample: &Sample) {
        let Some(shared) = &self.shared else { return };
        let rows = sample.rows.iter().filter(|row| !row.is_placed);
        let wanted = rows.map(|row| (row.pid, row.tid)).collect();
        shared.0.lock().unwrap_or_else(PoisonError::into_inner).wanted = wanted;
        shared.1.notify_all();
    }

    /// Returns once those that are wanted were asked, or did not answer.
    pub(super) fn wait_for_first(&self) {
        let Some(shared) = &self.shared else { return };
        let state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_empty = |state: &mut Shared| state.rounds == 0 && !state.wanted.is_empty();
        drop(shared.1.wait_timeout_while(state, FIRST, is_empty));
    }
}

fn ask(program: &Program, shared: &(Mutex<Shared>, Condvar)) {
    let mut asker = Asker::new(true);
    loop {
        let state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = shared.1.wait_while(state, |state| state.wanted.is_empty());
        let wanted = first.unwrap_or_else(PoisonError::into_inner).wanted.clone();
        let known = program.stacks_of(&wanted, &mut asker);
        let mut state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        (state.known, state.rounds) = (known, state.rounds + 1);
        drop(state);
        shared.1.notify_all();
        std::thread::sleep(EVERY);
    }
}
