//! A thread of which only is known how long it was on a core, by samples.
//!
//! The kernel counts that at its ticks and when the thread goes off the core. So between two looks it says how long, and
//! not when; and a core has one thread at a time. The time that was found is laid onto each core from where the last
//! one ended, first that of the thread which was there then, and ends with the look.

use std::collections::HashMap;

use super::span::{Span, Who, span};
use crate::os::procfs;

pub(super) struct Watched {
    on_core_ns: Option<u64>,
}

/// A thread was on that core for so long since the last look.
pub(super) struct Change {
    pub(super) who: Who,
    pub(super) cpu: u32,
    pub(super) for_ns: u64,
}

impl Watched {
    pub(super) fn of((pid, tid): Who) -> Self {
        Self { on_core_ns: procfs::on_core_ns(pid, tid) }
    }

    pub(super) fn look(&mut self, who: Who) -> Option<Change> {
        let (pid, tid) = who;
        let now = procfs::on_core_ns(pid, tid)?;
        let before = self.on_core_ns.replace(now)?;
        let for_ns = now.checked_sub(before).filter(|ns| *ns > 0)?;
        let cpu = procfs::thread_stat(pid, tid)?.cpu as u32;
        Some(Change { who, cpu, for_ns })
    }
}

/// What is laid onto each core so far, and onto each thread.
#[derive(Default)]
pub(super) struct Cores {
    last: HashMap<u32, (Who, u64)>,
    until: HashMap<Who, u64>,
}

impl Cores {
    pub(super) fn place(&mut self, now_ns: u64, changes: Vec<Change>, into: &mut Vec<Span>) {
        let mut of_cores: HashMap<u32, Vec<Change>> = HashMap::new();
        for change in changes {
            of_cores.entry(change.cpu).or_default().push(change);
        }
        for (cpu, mut changes) in of_cores {
            let last = self.last.get(&cpu).copied();
            changes
                .sort_by_key(|change| (last.map(|(who, _)| who) != Some(change.who), change.who));
            let sum: u64 = changes.iter().map(|change| change.for_ns).sum();
            let mut at = now_ns.saturating_sub(sum).max(last.map_or(0, |(_, until)| until));
            for Change { who, for_ns, .. } in changes {
                let start = at.max(self.until.get(&who).copied().unwrap_or(0));
                let end = (start + for_ns).min(now_ns);
                if start >= end {
                    continue;
                }
                into.push(span(who, cpu, start, end));
                self.last.insert(cpu, (who, end));
                self.until.insert(who, end);
                at = end;
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn change(tid: i32, cpu: u32, for_ns: u64) -> Change {
        Change { who: (1, tid), cpu, for_ns }
    }

    fn laid(spans: &[Span]) -> Vec<(i32, u32, u64, u64)> {
        spans.iter().map(|s| (s.who.1, s.on.cpu, s.on.start_ns, s.on.end_ns)).collect()
    }

    #[test]
    fn threads_of_one_core_take_turns() {
        let (mut cores, mut spans) = (Cores::default(), Vec::new());
        cores.place(100, vec![change(7, 0, 40)], &mut spans);
        cores.place(200, vec![change(5, 0, 60), change(7, 0, 40)], &mut spans);
        // Who was there goes on first, and more than there is room for is cut.
        cores.place(210, vec![change(5, 0, 30)], &mut spans);
        assert_eq!(
            laid(&spans),
            [(7, 0, 60, 100), (7, 0, 100, 140), (5, 0, 140, 200), (5, 0, 200, 210)]
        );
    }

    #[test]
    fn threads_of_two_cores_run_at_once() {
        let (mut cores, mut spans) = (Cores::default(), Vec::new());
        cores.place(100, vec![change(5, 0, 100), change(7, 1, 100)], &mut spans);
        let mut laid = laid(&spans);
        laid.sort_unstable();
        assert_eq!(laid, [(5, 0, 0, 100), (7, 1, 0, 100)]);
        // A thread is at one place at a time, wherever it goes.
        spans.clear();
        cores.place(150, vec![change(5, 1, 80)], &mut spans);
        assert_eq!(super::tests::laid(&spans), [(5, 1, 100, 150)]);
    }
}
