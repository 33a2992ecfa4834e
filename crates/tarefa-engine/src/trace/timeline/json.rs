//! As Perfetto and Chrome read it: the trace event format, one event a line.
//!
//! Each thread has its track, with its slices; a process of its own, `cores`, has one for each core, with who was on
//! it. Times are microseconds from the beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use super::data::{End, Kind, OnCore, Slice, Source, Timeline};

/// The process that cores are shown as: no process has this number.
pub(super) const CORES: i64 = 1 << 22;

pub(super) fn write(timeline: &Timeline, to: &mut dyn Write) -> io::Result<()> {
    writeln!(
        to,
        "{{\"displayTimeUnit\":\"ns\",\"otherData\":{{\"clock\":\"CLOCK_MONOTONIC\",\
         \"start_ns\":{},\"end_ns\":{},\"on_core\":\"{}\",\"lost\":{}}},\n\"traceEvents\":[",
        timeline.start_ns,
        timeline.end_ns,
        timeline.source.word(),
        timeline.lost
    )?;
    let mut lines = Lines { to, is_first: true };
    tracks(timeline, &mut lines)?;
    for slice in &timeline.slices {
        lines.line(&of_slice(timeline, slice))?;
        if matches!(slice.end, End::Killed(_) | End::Gone) {
            lines.line(&death(timeline, slice))?;
        }
    }
    let mut on_core: Vec<&OnCore> = timeline.on_core.iter().collect();
    on_core.sort_by_key(|on| (on.cpu, on.start_ns));
    for on in on_core {
        let row = &timeline.rows[on.row as usize];
        lines.line(&format!(
            "{{\"ph\":\"X\",\"cat\":\"core\",\"pid\":{CORES},\"tid\":{},\"ts\":{},\"dur\":{},\
             \"name\":{},\"args\":{{\"pid\":{},\"tid\":{}}}}}",
            on.cpu + 1,
            since(timeline, on.start_ns),
            microseconds(on.end_ns - on.start_ns),
            text(&row.name),
            row.pid,
            row.tid
        ))?;
    }
    writeln!(lines.to, "\n]}}")
}

struct Lines<'a> {
    to: &'a mut dyn Write,
    is_first: bool,
}

impl Lines<'_> {
    fn line(&mut self, event: &str) -> io::Result<()> {
        let before = if std::mem::replace(&mut self.is_first, false) { "" } else { ",\n" };
        write!(self.to, "{before}{event}")
    }

    fn name(&mut self, what: &str, pid: i64, tid: i64, name: &str) -> io::Result<()> {
        self.line(&format!(
            "{{\"ph\":\"M\",\"name\":\"{what}\",\"pid\":{pid},\"tid\":{tid},\"args\":{{\"name\":{}}}}}",
            text(name)
        ))
    }
}

fn tracks(timeline: &Timeline, lines: &mut Lines<'_>) -> io::Result<()> {
    let mut processes: BTreeMap<i32, &str> = BTreeMap::new();
    let mut named = BTreeSet::new();
    for row in &timeline.rows {
        // The main thread's row, if there is one, says what the process is.
        let name = processes.entry(row.pid).or_insert(&row.name);
        if row.pid == row.tid {
            *name = &row.name;
        }
        // The system gives a number again, in the end.
        if named.insert((row.pid, row.tid)) {
            lines.name("thread_name", row.pid.into(), row.tid.into(), &row.name)?;
        }
    }
    for (pid, name) in processes {
        lines.name("process_name", pid.into(), 0, name)?;
    }
    if timeline.source != Source::Unknown {
        let name = format!("cores ({})", timeline.source.word());
        lines.name("process_name", CORES, 0, &name)?;
        let cores: BTreeSet<u32> = timeline.on_core.iter().map(|on| on.cpu).collect();
        for cpu in cores {
            lines.name("thread_name", CORES, i64::from(cpu) + 1, &format!("core {cpu}"))?;
        }
    }
    Ok(())
}

fn of_slice(timeline: &Timeline, slice: &Slice) -> String {
    let row = &timeline.rows[slice.row as usize];
    let (category, more) = match slice.kind {
        Kind::Process => ("process", format!("\"task\":{}", slice.task)),
        Kind::Thread => ("thread", format!("\"task\":{}", slice.task)),
        Kind::Call { pool, batch, index } => {
            ("call", format!("\"pool\":{pool},\"batch\":{batch},\"index\":{index}"))
        }
    };
    format!(
        "{{\"ph\":\"X\",\"cat\":\"{category}\",\"pid\":{},\"tid\":{},\"ts\":{},\"dur\":{},\"name\":{},\
         \"args\":{{\"ended\":{},\"worker\":{},{more}}}}}",
        row.pid,
        row.tid,
        since(timeline, slice.start_ns),
        microseconds(slice.end_ns - slice.start_ns),
        text(Some(timeline.name_of(slice)).filter(|name| !name.is_empty()).unwrap_or("task")),
        text(&slice.end.word()),
        text(&row.name)
    )
}

/// A mark where a process died.
fn death(timeline: &Timeline, slice: &Slice) -> String {
    let row = &timeline.rows[slice.row as usize];
    format!(
        "{{\"ph\":\"i\",\"s\":\"t\",\"cat\":\"death\",\"pid\":{},\"tid\":{},\"ts\":{},\"name\":{}}}",
        row.pid,
        row.tid,
        since(timeline, slice.end_ns),
        text(&slice.end.word())
    )
}

fn since(timeline: &Timeline, at_ns: u64) -> String {
    microseconds(at_ns.saturating_sub(timeline.start_ns))
}

/// Exactly: a float would round.
fn microseconds(ns: u64) -> String {
    format!("{}.{:03}", ns / 1000, ns % 1000)
}

/// A string of JSON.
fn text(text: &str) -> String {
    use std::fmt::Write as _;

    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn texts_and_times_are_as_json_has_them() {
        assert_eq!(text("a\"b\\c\nd\u{e9}"), "\"a\\\"b\\\\c\\u000ad\u{e9}\"");
        assert_eq!((microseconds(1_234_567), microseconds(5)), ("1234.567".into(), "0.005".into()));
    }
}
