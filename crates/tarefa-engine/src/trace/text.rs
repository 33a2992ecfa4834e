//! A report for people: what is wrong first, then who else waits, then who holds what.

use std::collections::BTreeSet;
use std::fmt;

use super::plain::plain;
use super::report::{Awaits, Report, Standing, Thing, Waits};
use super::report_words::Words;
use crate::kinds;
use crate::sync::wait::wait_record::How;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines(&Words::ENGLISH).iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl Report {
    /// Its lines, in those words. None has anything in it that a terminal would take as a command.
    #[must_use]
    pub fn lines(&self, words: &Words) -> Vec<String> {
        let mut writer = Writer { report: self, words, lines: Vec::new() };
        writer.write();
        writer.lines.iter().map(|line| plain(line)).collect()
    }

    /// The coroutines that wait in the thread with that index.
    pub fn awaits_in(&self, thread: usize) -> impl Iterator<Item = &Awaits> {
        self.awaits.iter().filter(move |it| it.thread == thread)
    }
}

struct Writer<'a> {
    report: &'a Report,
    words: &'a Words,
    lines: Vec<String>,
}

impl Writer<'_> {
    fn write(&mut self) {
        let (report, words) = (self.report, self.words);
        for cycle in &report.cycles {
            self.cycle(cycle, words.deadlock, "");
        }
        for cycle in &report.passing {
            self.cycle(cycle, words.no_deadlock, words.until_a_timeout);
        }
        for cycle in &report.perhaps {
            self.cycle(cycle, words.perhaps, words.unless_others);
        }
        let cycles = report.cycles.iter().chain(&report.passing).chain(&report.perhaps);
        let told: BTreeSet<usize> = cycles.flatten().copied().collect();
        let rest = || (0..report.threads.len()).filter(|i| !told.contains(i));
        let waits =
            |i: &usize| report.threads[*i].waits.is_some() || report.awaits_in(*i).next().is_some();
        let waiting: Vec<usize> = rest().filter(waits).collect();
        let holding: Vec<usize> =
            rest().filter(|i| !waits(i) && !report.threads[*i].holds.is_empty()).collect();
        if told.is_empty() {
            let nobody =
                if waiting.is_empty() { format!(": {}", words.nobody) } else { String::new() };
            self.lines.push(format!("{}{nobody}", words.no_deadlock));
        }
        let besides = if told.is_empty() { words.who_waits } else { words.who_waits_besides };
        for (title, threads) in [(besides, waiting), (words.who_holds, holding)] {
            if !threads.is_empty() {
                self.lines.push(title.to_owned());
            }
            for index in threads {
                self.standing(index);
            }
        }
        if !report.complete {
            self.lines.push(words.too_many.to_owned());
        }
    }

    fn cycle(&mut self, cycle: &[usize], what: &str, then: &str) {
        self.lines.push(match cycle.len() {
            1 => format!("{what}: {}{then}", self.words.for_itself),
            n => format!("{what}: {n} {}{then}", self.words.for_one_another),
        });
        for index in cycle {
            self.standing(*index);
        }
    }

    fn standing(&mut self, index: usize) {
        let (report, words) = (self.report, self.words);
        let thread = &report.threads[index];
        self.lines.push(format!("  {}", thread.title(words)));
        for held in &thread.holds {
            let since = held.since_ns.map(|since| format!(" {}", self.since(since)));
            self.lines.push(format!(
                "    {} {}{}",
                words.holds,
                held.name,
                since.unwrap_or_default()
            ));
        }
        match &thread.waits {
            Some(waits) => {
                let is_idle = thread.is_idle();
                let verb = if is_idle { words.waits_for_work } else { words.waits_for };
                self.waits(verb, waits, words.unknown, thread.place.as_deref());
            }
            None => {
                if let Some(place) = &thread.place {
                    self.lines.push(format!("    {} {} {place}", words.stands, words.at));
                }
            }
        }
        for it in report.awaits_in(index) {
            let verb = format!("{} '{}' {}", words.coroutine, it.name, words.waits_for);
            self.waits(&verb, &it.waits, words.call, it.place.as_deref());
        }
    }

    fn waits(&mut self, verb: &str, waits: &Waits, nothing: &str, place: Option<&str>) {
        let words = self.words;
        let names: Vec<String> = waits.things.iter().map(|t| words.label(&t.name)).collect();
        let sort = match waits.how {
            How::Any if names.len() > 1 => words.any_of,
            How::All if names.len() > 1 => words.all_of,
            _ => "",
        };
        let names = if names.is_empty() { nothing.to_owned() } else { names.join(", ") };
        let more = if waits.more { words.and_more } else { "" };
        let since = self.since(waits.since_ns);
        let left = waits.until_ns.map_or_else(String::new, |until| {
            let left = words.time(until.saturating_sub(self.report.at_ns));
            format!(" ({} {left} {})", words.at_most[0], words.at_most[1])
        });
        let place = place.map_or_else(String::new, |place| format!(" {} {place}", words.at));
        self.lines.push(format!("    {verb} {sort}{names}{more} {since}{left}{place}"));
        for thing in &waits.things {
            self.holders(thing);
        }
    }

    fn holders(&mut self, thing: &Thing) {
        let words = self.words;
        let verb = if thing.seen.kind == kinds::TASK { words.runs_in } else { words.held_by };
        for index in &thing.holders {
            let who = self.report.threads[*index].title(words);
            self.lines.push(format!("      {} {verb} {who}", words.label(&thing.name)));
        }
    }

    fn since(&self, since_ns: u64) -> String {
        let age = self.report.at_ns.saturating_sub(since_ns);
        format!("{} {}", self.words.since, self.words.time(age))
    }
}

impl Standing {
    /// Process and thread, in those words.
    #[must_use]
    pub fn title(&self, words: &Words) -> String {
        format!("{} {}", words.label(&self.process_label), words.label(&self.thread_label))
    }

    /// Whether it is a task that waits for messages outside of any code of the program: a worker of a
    /// pool, without work.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let is_queue = |thing: &Thing| thing.seen.kind == kinds::QUEUE;
        let waits = self
            .waits
            .as_ref()
            .is_some_and(|w| !w.things.is_empty() && w.things.iter().all(is_queue));
        waits && self.task.is_some() && self.place.is_none()
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title(&Words::ENGLISH))
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Holds;
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
            awaits: vec![],
            cycles: vec![vec![0, 1]],
            passing: vec![],
            perhaps: vec![],
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
    fn coroutines_stand_with_the_thread_of_their_loop() {
        let s = 1_000_000_000;
        let mut thread = standing("a", (3, 295 * s), (4, 297 * s, 0));
        let waits = Waits { since_ns: 298 * s, ..thread.waits.take().unwrap() };
        thread.holds.clear();
        thread.place = None;
        let awaits = Awaits {
            thread: 0,
            name: "x<1>\x1b[31m\n".into(),
            waits: waits.clone(),
            place: Some("app.py:3 in g".into()),
        };
        let call = Awaits {
            name: "b".into(),
            waits: Waits { things: vec![], ..waits },
            place: None,
            ..awaits.clone()
        };
        let report = Report {
            at_ns: 300 * s,
            threads: vec![thread],
            awaits: vec![awaits, call],
            cycles: vec![],
            passing: vec![],
            perhaps: vec![],
            complete: true,
        };
        assert_eq!(
            report.to_string(),
            "no deadlock
who waits
  process 'a' (pid 10) MainThread
    asyncio task 'x<1> [31m ' waits for Lock 4 for 2.0 s at app.py:3 in g
      Lock 4 is held by process 'a' (pid 10) MainThread
    asyncio task 'b' waits for a call in a pool of threads for 2.0 s
"
        );
        assert_eq!(
            report.lines(&Words::PORTUGUESE)[3..5],
            [
                "    tarefa de asyncio 'x<1> [31m ' espera por Lock 4 há 2,0 s em app.py:3 in g",
                "      Lock 4 está com processo 'a' (pid 10) thread principal",
            ]
        );
    }
}
