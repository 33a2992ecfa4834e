//! What a pool is at.

use std::fmt;
use std::time::Duration;

use tarefa_engine::units::Measured;

/// What a worker of a pool is at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// Its name.
    pub name: String,
    /// The process that it is, or runs in; `None` before that is known.
    pub pid: Option<i32>,
    /// Tasks that it has begun.
    pub tasks: u64,
    /// The call that it runs, for people: in processes with its arguments, as far as they have a short text.
    /// `None` where it waits for work.
    pub running: Option<String>,
    /// For how long it has run that, to within some milliseconds.
    pub running_for: Duration,
    /// How long it has had work.
    pub busy: Duration,
    /// How long it has waited for work, since it was ready.
    pub waiting: Duration,
    /// Bytes of the messages that brought it work and took results away; threads need none: 0.
    pub bytes: u64,
    /// Workers whose place it took, one after the other.
    pub restarts: u32,
}

/// What a pool is at, at one moment: what [`Pool::stats`](crate::Pool::stats) returns. Displayed, it is a
/// table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// The workers that are there now.
    pub workers: Vec<WorkerStats>,
    /// Tasks that no worker has begun.
    pub waiting: usize,
    /// Tasks that run.
    pub running: usize,
    /// Workers that took the place of others, which had died or had run enough tasks.
    pub restarts: u64,
}

const TITLES: [&str; 9] =
    ["worker", "pid", "tasks", "runs", "for", "busy", "waiting", "bytes", "restarts"];
/// Which of the columns are words.
const WORDS: [usize; 2] = [0, 3];

impl WorkerStats {
    fn cells(&self) -> [String; 9] {
        let or_none = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
        let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
        // A call may have anything in it, and a cell is a part of one line.
        let line = |text: &str| text.replace(char::is_control, "\u{fffd}");
        [
            line(&self.name),
            or_none(self.pid.map(|pid| pid.to_string())),
            self.tasks.to_string(),
            or_none(self.running.as_deref().map(line)),
            or_none(self.running.as_ref().map(|_| seconds(self.running_for))),
            seconds(self.busy),
            seconds(self.waiting),
            Measured(self.bytes).to_string(),
            self.restarts.to_string(),
        ]
    }
}

impl fmt::Display for PoolStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = [TITLES.map(str::to_owned)]
            .into_iter()
            .chain(self.workers.iter().map(WorkerStats::cells))
            .collect();
        for row in &rows {
            let cells = row.iter().enumerate().map(|(i, cell)| {
                let width = rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
                if WORDS.contains(&i) {
                    format!("{cell:width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            writeln!(f, "{}", line.trim_end())?;
        }
        let Self { waiting, running, restarts, .. } = self;
        write!(f, "{running} tasks run, {waiting} wait, {restarts} workers replaced")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_table() {
        let idle = WorkerStats {
            name: "Pool-1-1".to_owned(),
            pid: None,
            tasks: 3,
            running: None,
            running_for: Duration::ZERO,
            busy: Duration::from_millis(1230),
            waiting: Duration::ZERO,
            bytes: 3 << 19,
            restarts: 0,
        };
        let at_work = WorkerStats {
            pid: Some(1234),
            running: Some("f(1,\n2)".to_owned()),
            running_for: Duration::from_secs(2),
            ..idle.clone()
        };
        let stats = PoolStats { workers: vec![idle, at_work], waiting: 5, running: 1, restarts: 7 };
        let wanted = "\
worker     pid  tasks  runs        for    busy  waiting    bytes  restarts
Pool-1-1     -      3  -             -  1.23 s   0.00 s  1.5 MiB         0
Pool-1-1  1234      3  f(1,\u{fffd}2)  2.00 s  1.23 s   0.00 s  1.5 MiB         0
1 tasks run, 5 wait, 7 workers replaced";
        assert_eq!(stats.to_string(), wanted);
    }
}
