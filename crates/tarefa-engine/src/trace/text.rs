//! A report for people: what is wrong first, then who else waits, then who holds what.

use std::collections::BTreeSet;
use std::fmt;

use super::report::{Holds, Report, Standing, Thing, Waits};
use crate::sync::wait::wait_record::How;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for cycle in &self.cycles {
            self.write_cycle(f, cycle, "deadlock", "")?;
        }
        for cycle in &self.passing {
            self.write_cycle(f, cycle, "no deadlock", ", until a timeout ends it")?;
        }
        let told: BTreeSet<usize> =
            self.cycles.iter().chain(&self.passing).flatten().copied().collect();
        let rest = |i: &usize| !told.contains(i);
        let waiting: Vec<usize> =
            (0..self.threads.len()).filter(rest).filter(|i| self.waits(*i)).collect();
        let holding: Vec<usize> =
            (0..self.threads.len()).filter(rest).filter(|i| self.only_holds(*i)).collect();
        if told.is_empty() {
            let nobody = if waiting.is_empty() { ": nobody waits" } else { "" };
            writeln!(f, "no deadlock{nobody}")?;
        }
        if !waiting.is_empty() {
            writeln!(f, "{}", if told.is_empty() { "who waits" } else { "who waits besides" })?;
            for i in waiting {
                self.write_standing(f, &self.threads[i])?;
            }
        }
        if !holding.is_empty() {
            writeln!(f, "who holds something and does not wait")?;
            for i in holding {
                self.write_standing(f, &self.threads[i])?;
            }
        }
        if !self.complete {
            writeln!(f, "(there are too many objects: not all that are held were looked at)")?;
        }
        Ok(())
    }
}

impl Report {
    fn waits(&self, i: usize) -> bool {
        self.threads[i].waits.is_some()
    }

    fn only_holds(&self, i: usize) -> bool {
        !self.waits(i) && !self.threads[i].holds.is_empty()
    }

    fn write_cycle(
        &self,
        f: &mut fmt::Formatter<'_>,
        cycle: &[usize],
        what: &str,
        then: &str,
    ) -> fmt::Result {
        match cycle.len() {
            1 => writeln!(f, "{what}: a thread waits for itself{then}")?,
            n => writeln!(f, "{what}: {n} threads wait for one another{then}")?,
        }
        for i in cycle {
            self.write_standing(f, &self.threads[*i])?;
        }
        Ok(())
    }

    fn write_standing(&self, f: &mut fmt::Formatter<'_>, thread: &Standing) -> fmt::Result {
        writeln!(f, "  {thread}")?;
        for held in &thread.holds {
            self.write_held(f, held)?;
        }
        let place = thread.place.as_ref().map(|p| format!(" at {p}")).unwrap_or_default();
        match &thread.waits {
            Some(waits) => self.write_waits(f, waits, &place),
            None if place.is_empty() => Ok(()),
            None => writeln!(f, "    stands{place}"),
        }
    }

    fn write_held(&self, f: &mut fmt::Formatter<'_>, held: &Holds) -> fmt::Result {
        write!(f, "    holds {}", held.name)?;
        match held.since_ns {
            Some(since) => writeln!(f, " for {}", self.ago(since)),
            None => writeln!(f),
        }
    }

    fn write_waits(&self, f: &mut fmt::Formatter<'_>, waits: &Waits, place: &str) -> fmt::Result {
        write!(f, "    waits for ")?;
        match (waits.things.as_slice(), waits.how) {
            ([], _) => write!(f, "something that is not known")?,
            (things, how) => {
                let names: Vec<&str> = things.iter().map(|t| t.name.as_str()).collect();
                let more = if waits.more { " and more" } else { "" };
                let sort = match how {
                    How::Any if things.len() > 1 => "any of ",
                    How::All if things.len() > 1 => "all of ",
                    _ => "",
                };
                write!(f, "{sort}{}{more}", names.join(", "))?;
            }
        }
        write!(f, " for {}", self.ago(waits.since_ns))?;
        if let Some(until) = waits.until_ns {
            write!(f, " (and {} more at most)", seconds(until.saturating_sub(self.at_ns)))?;
        }
        writeln!(f, "{place}")?;
        for thing in &waits.things {
            self.write_holders(f, thing)?;
        }
        Ok(())
    }

    fn write_holders(&self, f: &mut fmt::Formatter<'_>, thing: &Thing) -> fmt::Result {
        let is_task = thing.seen.kind == crate::kinds::TASK;
        for i in &thing.holders {
            let who = &self.threads[*i];
            if is_task {
                writeln!(f, "      {} runs in {who}", thing.name)?;
            } else {
                writeln!(f, "      {} is held by {who}", thing.name)?;
            }
        }
        Ok(())
    }

    fn ago(&self, since_ns: u64) -> String {
        seconds(self.at_ns.saturating_sub(since_ns))
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.process_label, self.thread_label)
    }
}

/// `4.2 s`, or `2 h 5 min`.
#[allow(clippy::cast_precision_loss)]
fn seconds(ns: u64) -> String {
    let whole = ns / 1_000_000_000;
    match whole {
        0..100 => format!("{:.1} s", ns as f64 / 1e9),
        100..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::Off;
    use crate::sync::object_kinds::Seen;

    fn standing(name: &str, holds: (u64, u64), waits: (u64, u64, usize)) -> Standing {
        let seen = |id| Seen { off: Off(64 * id), id, kind: 1 };
        let lock = |id| format!("Lock {id}");
        let thing = Thing { seen: seen(waits.0), name: lock(waits.0), holders: vec![waits.2] };
        Standing {
            pid: 10,
            tid: 10,
            task: None,
            task_name: None,
            process_label: format!("process '{name}' (pid 10)"),
            thread_label: "MainThread".into(),
            waits: Some(Waits {
                things: vec![thing],
                how: How::One,
                more: false,
                since_ns: waits.1,
                until_ns: None,
            }),
            holds: vec![Holds {
                seen: seen(holds.0),
                name: lock(holds.0),
                since_ns: Some(holds.1),
            }],
            place: Some("app.py:12 in f".into()),
        }
    }

    #[test]
    fn a_deadlock_reads_as_a_picture() {
        let s = 1_000_000_000;
        let report = Report {
            at_ns: 300 * s,
            threads: vec![
                standing("a", (3, 295 * s), (4, 297 * s, 1)),
                standing("b", (4, 296 * s), (3, 100 * s, 0)),
            ],
            cycles: vec![vec![0, 1]],
            passing: vec![],
            complete: true,
        };
        assert_eq!(
            report.to_string(),
            "deadlock: 2 threads wait for one another
  process 'a' (pid 10) MainThread
    holds Lock 3 for 5.0 s
    waits for Lock 4 for 3.0 s at app.py:12 in f
      Lock 4 is held by process 'b' (pid 10) MainThread
  process 'b' (pid 10) MainThread
    holds Lock 4 for 4.0 s
    waits for Lock 3 for 3 min 20 s at app.py:12 in f
      Lock 3 is held by process 'a' (pid 10) MainThread
"
        );
    }

    #[test]
    fn times_are_for_people() {
        let s = 1_000_000_000;
        let texts: Vec<_> = [s / 4, 99 * s, 125 * s, 7260 * s].map(seconds).into();
        assert_eq!(texts, ["0.2 s", "99.0 s", "2 min 5 s", "2 h 1 min"]);
    }
}
