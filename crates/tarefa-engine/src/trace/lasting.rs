//! Which waits a report of those that last is made of.
//!
//! Each wait that lasts asks for a report, and a report shows all that wait. Those that have lasted
//! as long, and whose process writes its errors to the same file, are named at the head of the same
//! report: when they ask, too, they have had theirs.

use std::collections::HashSet;
use std::time::Duration;

use super::report::{Report, Standing};

/// A wait: the thread's number in the system, and since when it waits.
pub(super) type Wait = (i32, u64);

fn wait(thread: &Standing) -> Option<Wait> {
    Some((thread.tid, thread.waits.as_ref()?.since_ns))
}

/// The threads to name in a report for each file: those in `asked`, and the others that wait since
/// `after` or longer; none of a wait that was `told`. No report is made for those others alone:
/// they are about to ask.
pub(super) fn groups<'a, F: PartialEq>(
    report: &'a Report,
    asked: &[i32],
    after: Option<Duration>,
    told: &[Wait],
    file: impl Fn(&Standing) -> F,
) -> Vec<Vec<&'a Standing>> {
    let asked: HashSet<i32> = asked.iter().copied().collect();
    let told: HashSet<Wait> = told.iter().copied().collect();
    let mut groups: Vec<(F, Vec<&Standing>)> = Vec::new();
    for thread in report.waiting() {
        let Some(wait) = wait(thread).filter(|wait| !told.contains(wait)) else { continue };
        let age = Duration::from_nanos(report.at_ns.saturating_sub(wait.1));
        if !asked.contains(&thread.tid) && after.is_none_or(|after| age < after) {
            continue;
        }
        let file = file(thread);
        match groups.iter_mut().find(|(f, _)| *f == file) {
            Some((_, group)) => group.push(thread),
            None => groups.push((file, vec![thread])),
        }
    }
    let groups = groups.into_iter().map(|(_, group)| group);
    groups.filter(|group| group.iter().any(|t| asked.contains(&t.tid))).collect()
}

/// The waits that were told of by now, without those that are over.
pub(super) fn remember(report: &Report, told: Vec<Wait>, groups: &[Vec<&Standing>]) -> Vec<Wait> {
    let going_on: HashSet<Wait> = report.waiting().filter_map(wait).collect();
    let before = told.into_iter().filter(|wait| going_on.contains(wait));
    before.chain(groups.iter().flatten().filter_map(|t| wait(t))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::wait::wait_record::How;
    use crate::trace::report::Waits;

    const AFTER: Option<Duration> = Some(Duration::from_nanos(200));

    /// Threads by number and the start of their wait, seen at 1000.
    fn report(waits: &[Wait]) -> Report {
        let standing = |&(tid, since_ns): &Wait| Standing {
            pid: tid,
            tid,
            task: None,
            task_name: None,
            process_label: String::new(),
            thread_label: String::new(),
            waits: Some(Waits {
                things: Vec::new(),
                how: How::One,
                more: false,
                since_ns,
                until_ns: None,
            }),
            holds: Vec::new(),
            place: None,
        };
        Report {
            at_ns: 1000,
            threads: waits.iter().map(standing).collect(),
            awaits: Vec::new(),
            cycles: Vec::new(),
            passing: Vec::new(),
            perhaps: Vec::new(),
            complete: true,
        }
    }

    fn tids(groups: &[Vec<&Standing>]) -> Vec<Vec<i32>> {
        groups.iter().map(|group| group.iter().map(|t| t.tid).collect()).collect()
    }

    #[test]
    fn waits_that_are_overdue_together_have_one_report() {
        let report = report(&[(1, 799), (2, 800), (3, 801)]);
        let first = groups(&report, &[2], AFTER, &[], |_| 0);
        assert_eq!(tids(&first), [[1, 2]]);
        let told = remember(&report, Vec::new(), &first);
        // The other asks, too: it was told. The third asks later, and was not.
        assert!(groups(&report, &[1], AFTER, &told, |_| 0).is_empty());
        let third = groups(&report, &[1, 3], AFTER, &told, |_| 0);
        assert_eq!(tids(&third), [[3]]);
    }

    #[test]
    fn a_later_wait_of_the_same_thread_is_told_again() {
        let before = report(&[(1, 100)]);
        let told = remember(&before, Vec::new(), &groups(&before, &[1], AFTER, &[], |_| 0));
        assert_eq!(told, [(1, 100)]);
        let report = report(&[(1, 500)]);
        let again = groups(&report, &[1], AFTER, &told, |_| 0);
        assert_eq!(tids(&again), [[1]]);
        assert_eq!(remember(&report, told, &again), [(1, 500)]);
    }

    #[test]
    fn each_file_has_its_own_report_when_one_of_its_waits_asks() {
        let report = report(&[(1, 100), (2, 100), (3, 100)]);
        let file = |t: &Standing| t.tid == 2;
        let first = groups(&report, &[1], AFTER, &[], file);
        assert_eq!(tids(&first), [[1, 3]]);
        let told = remember(&report, Vec::new(), &first);
        assert_eq!(tids(&groups(&report, &[2, 3], AFTER, &told, file)), [[2]]);
        let both = groups(&report, &[1, 2], AFTER, &[], file);
        assert_eq!(tids(&both), [vec![1, 3], vec![2]]);
    }

    #[test]
    fn without_a_time_only_those_that_ask_are_told() {
        let report = report(&[(1, 100), (2, 100)]);
        assert_eq!(tids(&groups(&report, &[2], None, &[], |_| 0)), [[2]]);
    }
}
