//! What a pool is to be, and what is to hold for its tasks.

use std::sync::Arc;
use std::time::Duration;

use tarefa_engine::os::machine;
use tarefa_engine::pool::Pinning;

use super::call::Call;
use super::errors::PoolError;

/// What the workers of a pool are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Threads,
    Processes,
}

/// What holds for tasks, if nothing else is said of one.
#[derive(Clone, Debug, Default)]
pub(super) struct Limits {
    pub(super) time_limit: Option<Duration>,
    pub(super) retries: u32,
    /// Those with a higher one go first.
    pub(super) priority: i64,
    /// The numbers of resources, and how much of each.
    pub(super) resources: Vec<(u32, u32)>,
    /// The most inputs of a map that are given out and whose results are not taken.
    pub(super) read_ahead: Option<usize>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) workers: usize,
    pub(super) initializer: Option<Call>,
    pub(super) initializer_time_limit: Option<Duration>,
    pub(super) tasks_per_worker: Option<u32>,
    pub(super) memory_limit: Option<u64>,
    pub(super) soft_memory_limit: Option<u64>,
    /// Which processors its workers may use; None for any.
    pub(super) pinning: Option<Pinning>,
    pub(super) limits: Limits,
    /// Names, and how much there is.
    pub(super) resources: Vec<(String, u32)>,
    /// What was asked for and is not possible.
    pub(super) fault: Option<String>,
    /// Its calls are written down from the start.
    pub(super) recorded: bool,
    /// It was closed before it started.
    pub(super) closed: bool,
}

/// The most workers: each has a seat on a board, and some are free for those that follow the dead.
const MOST_WORKERS: usize = 1024;

impl Settings {
    /// Those of a pool of which nothing else is said.
    pub(super) fn new(kind: Kind, name: String, workers: usize) -> Self {
        Self {
            kind,
            name,
            workers,
            initializer: None,
            initializer_time_limit: None,
            tasks_per_worker: None,
            memory_limit: None,
            soft_memory_limit: None,
            pinning: None,
            limits: Limits::default(),
            resources: Vec::new(),
            fault: None,
            recorded: false,
            closed: false,
        }
    }

    /// The processors of a worker at that place; empty for any.
    pub(super) fn processors(&self, place: usize) -> Vec<usize> {
        self.pinning.as_ref().map_or_else(Vec::new, |it| it.at(place).to_vec())
    }

    pub(super) fn fault(&mut self, what: impl Into<String>) {
        self.fault.get_or_insert_with(|| what.into());
    }

    /// Refuses what is not possible.
    pub(super) fn check(&self) -> Result<(), PoolError> {
        if self.closed {
            return Err(PoolError::Closed { pool: self.name.clone() });
        }
        let what = if let Some(what) = &self.fault {
            what.clone()
        } else if !(1..=MOST_WORKERS).contains(&self.workers) {
            format!("a pool has 1 to {MOST_WORKERS} workers, not {}", self.workers)
        } else if self.tasks_per_worker == Some(0) {
            "a worker runs 1 task or more".to_owned()
        } else if self.initializer_time_limit == Some(Duration::ZERO) {
            "the time limit of its initializer is 0; a limit is above that, or not set".to_owned()
        } else if self.memory_limit == Some(0) || self.soft_memory_limit == Some(0) {
            "its memory limit is 0; a limit is above that, or not set".to_owned()
        } else if self.kind == Kind::Threads
            && (self.memory_limit.is_some() || self.soft_memory_limit.is_some())
        {
            "threads share their memory, and have no limit of their own: use processes".to_owned()
        } else if let Some((name, _)) = self.resources.iter().find(|(_, amount)| *amount == 0) {
            format!("there must be 1 or more of resource {name:?}")
        } else {
            return self.check_limits(&self.limits);
        };
        Err(PoolError::Setting { pool: self.name.clone(), what })
    }

    /// Why a pool takes nothing, if it is broken or closed.
    pub(super) fn refusal(&self, broken: Option<&Arc<str>>, closed: bool) -> Option<PoolError> {
        let pool = || self.name.clone();
        if let Some(why) = broken {
            return Some(PoolError::Broken { pool: pool(), why: Arc::clone(why) });
        }
        closed.then(|| PoolError::Closed { pool: pool() })
    }

    /// Refuses what is not possible of what holds for tasks.
    pub(super) fn check_limits(&self, limits: &Limits) -> Result<(), PoolError> {
        let what = if limits.time_limit == Some(Duration::ZERO) {
            "the time limit of a task is 0; a limit is above that, or not set"
        } else if limits.read_ahead == Some(0) {
            "a map of which no input is given out would never end: read ahead 1 or more"
        } else {
            return Ok(());
        };
        Err(PoolError::Setting { pool: self.name.clone(), what: what.to_owned() })
    }

    /// The number of a resource of which a task wants so much.
    pub(super) fn resource(&self, name: &str, amount: u32) -> Result<u32, PoolError> {
        let refused = |what| PoolError::Resource { pool: self.name.clone(), what };
        let Some(number) = self.resources.iter().position(|(known, _)| known == name) else {
            let known: Vec<_> =
                self.resources.iter().map(|(name, _)| format!("{name:?}")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(refused(format!("there is no resource {name:?}, but {known}")));
        };
        let most = self.resources[number].1;
        if amount == 0 || amount > most {
            return Err(refused(format!(
                "it asks for {amount} of {name:?}, and there are 1 to {most}"
            )));
        }
        Ok(number as u32)
    }
}

/// Has the calling worker run on these processors alone; on any, if there are none.
pub(super) fn pin(processors: &[usize]) -> Result<(), String> {
    if processors.is_empty() {
        return Ok(());
    }
    machine::stay_on(processors)
        .map_err(|e| format!("it cannot be pinned to processors {processors:?}: {e}"))
}
