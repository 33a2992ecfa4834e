//! Slices from events.
//!
//! Each thread's events are a stack that grows and shrinks, so its slices nest, whatever is missing: an end
//! without a beginning closes what lies above it, or is a slice that began before; a beginning without an
//! end lasts until the one around it ends, its process died, or the timeline ends.

use std::collections::HashMap;

use super::data::{End, Kind, OnCore, Row, Slice, Timeline};
use crate::shm::trace::{Ended, Event, What, Written};

/// What is known beside the events.
pub(super) struct Known<'a> {
    /// When the timeline begins and ends.
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    /// A name by its number.
    pub(super) name_of: &'a dyn Fn(u16) -> Option<String>,
    /// What its language calls a thread, where that is known: by its name in the trace.
    pub(super) label_of: &'a dyn Fn(u64) -> Option<String>,
    /// When the process with that slot ended, and how, where nobody has written that.
    pub(super) death_of: &'a dyn Fn(u32) -> Option<(u64, End)>,
}

/// Deaths of processes: when, and how.
type Deaths = HashMap<u32, (u64, End)>;

/// A slice that has not ended.
struct Open {
    kind: Kind,
    task: u64,
    name: u32,
    start_ns: u64,
}

struct Assembly<'a> {
    known: &'a Known<'a>,
    names: HashMap<u16, u32>,
    made: Timeline,
}

pub(super) fn assemble(events: &[Written], known: &Known<'_>) -> Timeline {
    let made = Timeline {
        start_ns: known.start_ns,
        end_ns: known.end_ns,
        // The first name is none.
        names: vec![String::new()],
        ..Timeline::default()
    };
    let mut assembly = Assembly { known, names: HashMap::new(), made };
    let mut deaths = Deaths::new();
    let mut threads: Vec<Vec<&Written>> = Vec::new();
    let mut place: HashMap<u64, usize> = HashMap::new();
    for written in events {
        if let What::ProcessEnds { owner, signal, code } = written.event.what {
            let how =
                if signal == 0 { End::Exited(code as i32) } else { End::Killed(signal as i32) };
            deaths.insert(owner, (written.event.at_ns, how));
            continue;
        }
        let at = *place.entry(written.thread).or_insert_with(|| {
            threads.push(Vec::new());
            threads.len() - 1
        });
        threads[at].push(written);
    }
    for events in &mut threads {
        events.sort_by_key(|written| written.event.at_ns);
    }
    threads.sort_by_key(|events| events[0].event.at_ns);
    for events in &threads {
        assembly.thread(events, &deaths);
    }
    assembly.made
}

impl Assembly<'_> {
    fn name(&mut self, number: u16) -> u32 {
        let (known, names) = (self.known, &mut self.made.names);
        *self.names.entry(number).or_insert_with(|| match (known.name_of)(number) {
            Some(name) if number != 0 => {
                names.push(name);
                names.len() as u32 - 1
            }
            _ => 0,
        })
    }

    fn thread(&mut self, events: &[&Written], deaths: &Deaths) {
        let first = events[0];
        let row = self.made.rows.len() as u32;
        let from = self.made.slices.len();
        let mut stack: Vec<Open> = Vec::new();
        let mut last_ns = self.known.start_ns;
        for written in events {
            let Event { at_ns, name, what } = written.event;
            let name = self.name(name);
            last_ns = last_ns.max(at_ns);
            match what {
                What::TaskBegins { task, is_thread } => {
                    let kind = if is_thread { Kind::Thread } else { Kind::Process };
                    stack.push(Open { kind, task, name, start_ns: at_ns });
                }
                What::CallBegins { pool, batch, index } => {
                    let kind = Kind::Call { pool, batch, index };
                    stack.push(Open { kind, task: 0, name, start_ns: at_ns });
                }
                What::TaskEnds { task, how } => {
                    let is_it = |open: &Open| open.task == task && open.task != 0;
                    let lone = Open { kind: Kind::Thread, task, name, start_ns: 0 };
                    self.ends(row, from, &mut stack, is_it, lone, at_ns, how);
                }
                What::CallEnds { pool, batch, index, how } => {
                    let kind = Kind::Call { pool, batch, index };
                    let is_it = |open: &Open| open.kind == kind;
                    let lone = Open { kind, task: 0, name, start_ns: 0 };
                    self.ends(row, from, &mut stack, is_it, lone, at_ns, how);
                }
                What::ProcessEnds { .. } => {}
            }
        }
        let owner = (first.thread >> 32) as u32;
        let death = deaths.get(&owner).copied().or_else(|| {
            // It may have been noticed as the events were read, when the timeline had its end.
            (self.known.death_of)(owner).map(|(at_ns, how)| (at_ns.min(self.known.end_ns), how))
        });
        let (end_ns, end) = death.unwrap_or((self.known.end_ns, End::Runs));
        while let Some(open) = stack.pop() {
            let depth = stack.len() as u32;
            self.close(row, depth, &open, end_ns.max(last_ns), end);
        }
        let slices = &mut self.made.slices[from..];
        slices.sort_by_key(|slice| (slice.start_ns, std::cmp::Reverse(slice.end_ns), slice.depth));
        nest(slices);
        let of_task = slices.iter().find(|s| s.depth == 0 && !matches!(s.kind, Kind::Call { .. }));
        let name = of_task.map(|s| self.made.names[s.name as usize].clone());
        let name = name.filter(|name| !name.is_empty());
        let name = name.or_else(|| (self.known.label_of)(first.thread));
        let name = name.unwrap_or_else(|| format!("thread {}", first.tid));
        self.made.rows.push(Row { pid: first.pid, tid: first.tid, name, thread: first.thread });
    }

    /// Closes the slice that `is_it`; where there is none, `lone` began before anything else here.
    #[allow(clippy::too_many_arguments)]
    fn ends(
        &mut self,
        row: u32,
        from: usize,
        stack: &mut Vec<Open>,
        is_it: impl Fn(&Open) -> bool,
        mut lone: Open,
        at_ns: u64,
        how: Ended,
    ) {
        let end = match how {
            Ended::Returned => End::Returned,
            Ended::Failed => End::Failed,
            Ended::Interrupted => End::Interrupted,
        };
        let Some(place) = stack.iter().rposition(is_it) else {
            // It lies in what is open, behind what has ended there.
            let ended = self.made.slices[from..].iter().map(|s| s.end_ns).max();
            let outer = stack.last().map(|open| open.start_ns);
            lone.start_ns = ended.max(outer).unwrap_or(self.known.start_ns).min(at_ns);
            self.close(row, stack.len() as u32, &lone, at_ns, end);
            return;
        };
        while stack.len() > place + 1 {
            if let Some(open) = stack.pop() {
                self.close(row, stack.len() as u32, &open, at_ns, End::Unknown);
            }
        }
        if let Some(open) = stack.pop() {
            self.close(row, stack.len() as u32, &open, at_ns, end);
        }
    }

    fn close(&mut self, row: u32, depth: u32, open: &Open, end_ns: u64, end: End) {
        let Open { kind, task, name, start_ns } = *open;
        let end_ns = end_ns.max(start_ns);
        self.made.slices.push(Slice { row, depth, kind, task, name, start_ns, end_ns, end });
    }
}

/// Says of each slice how many it lies in; they are sorted by row, beginning, and length.
pub(super) fn nest(slices: &mut [Slice]) {
    let mut around: Vec<(u32, u64)> = Vec::new();
    for slice in slices {
        while around.last().is_some_and(|(row, end)| {
            *row != slice.row
                || *end < slice.end_ns
                || *end <= slice.start_ns && slice.end_ns > slice.start_ns
        }) {
            around.pop();
        }
        slice.depth = around.len() as u32;
        around.push((slice.row, slice.end_ns));
    }
}

impl Timeline {
    /// Only the calls of those pools, on the threads that made them.
    #[must_use]
    pub fn of_pools(&self, wanted: &[u64]) -> Self {
        let is_its =
            |s: &&Slice| matches!(s.kind, Kind::Call { pool, .. } if wanted.contains(&pool));
        let mut row_of = vec![None; self.rows.len()];
        let mut rows = Vec::new();
        let mut slices = Vec::new();
        for slice in self.slices.iter().filter(is_its) {
            let from = slice.row as usize;
            let row = *row_of[from].get_or_insert_with(|| {
                rows.push(self.rows[from].clone());
                rows.len() as u32 - 1
            });
            slices.push(Slice { row, ..slice.clone() });
        }
        nest(&mut slices);
        let on_core = self.on_core.iter();
        let on_core =
            on_core.filter_map(|on| Some(OnCore { row: row_of[on.row as usize]?, ..*on }));
        let mut on_core: Vec<OnCore> = on_core.collect();
        on_core.sort_by_key(|on| (on.row, on.start_ns));
        Self { rows, slices, on_core, names: self.names.clone(), ..*self }
    }

    /// Another one of the same machine beside it: of other programs.
    pub fn join(&mut self, other: Self) {
        if self.rows.is_empty() && self.end_ns == 0 {
            *self = other;
            return;
        }
        let (rows, names) = (self.rows.len() as u32, self.names.len() as u32);
        self.start_ns = self.start_ns.min(other.start_ns);
        self.end_ns = self.end_ns.max(other.end_ns);
        self.lost += other.lost;
        self.source = self.source.and(other.source);
        self.rows.extend(other.rows);
        self.names.extend(other.names);
        let (row, name) = (|row: u32| row + rows, |name: u32| name + names);
        self.slices.extend(other.slices.into_iter().map(|s| Slice {
            row: row(s.row),
            name: name(s.name),
            ..s
        }));
        self.on_core.extend(other.on_core.into_iter().map(|on| OnCore { row: row(on.row), ..on }));
    }
}
