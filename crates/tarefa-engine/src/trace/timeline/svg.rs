//! As a picture: a row for each thread, a light bar for each slice, a dark one below it for each time on a core.

use std::fmt::Write as _;

use super::data::{End, Row, Slice, Source, Timeline};
use super::words::Words;
use crate::trace::xml::escape;

const LEFT: f64 = 190.0;
const WIDTH: f64 = 800.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 12.0;
/// A bar, and what lies deeper.
const BAR: f64 = 16.0;
const CORE: f64 = 4.0;
const GAP: f64 = 8.0;
/// Slices that lie in so many others are shown as the last of those.
const DEEPEST: u32 = 3;
/// A bar that is narrower goes into the one before it.
const NARROW: f64 = 0.4;
const COLOURS: [&str; 8] =
    ["#9ecae1", "#fdd0a2", "#a1d99b", "#dadaeb", "#fcbba1", "#d9d9d9", "#c7e9c0", "#f2d7e6"];
const DARK: &str = "#1f4e79";
const BAD: &str = "#b3261e";

pub(super) fn document(timeline: &Timeline, words: &Words) -> String {
    let depths: Vec<u32> = depths(timeline);
    let height_of = |depth: u32| BAR * f64::from(depth + 1) + CORE + GAP;
    let rows: f64 = depths.iter().map(|depth| height_of(*depth)).sum();
    let below = TOP + rows.max(BAR);
    let (width, height) = (LEFT + WIDTH + RIGHT, below + 64.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height:.0}\" \
         width=\"{width}\" height=\"{height:.0}\" role=\"img\" aria-label=\"{}\" \
         style=\"font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12px;\
         background:#fff\">\n<title>{}</title>\n",
        escape(words.title),
        escape(words.title)
    );
    let mut y = TOP;
    let (mut slices, mut on_core) = (&timeline.slices[..], &timeline.on_core[..]);
    for (index, row) in timeline.rows.iter().enumerate() {
        let depth = depths[index];
        label(&mut out, row, y + 12.0);
        let its = slices.partition_point(|slice| slice.row as usize <= index);
        let (of_row, rest) = slices.split_at(its);
        slices = rest;
        for depth in 0..=depth {
            let y = y + BAR * f64::from(depth);
            bars(&mut out, timeline, words, y, of_row.iter().filter(|s| shown(s) == depth));
        }
        let its = on_core.partition_point(|on| on.row as usize <= index);
        let (of_row, rest) = on_core.split_at(its);
        on_core = rest;
        let spans = of_row.iter().map(|on| (on.start_ns, on.end_ns));
        strip(&mut out, timeline, y + BAR * f64::from(depth + 1), spans);
        y += height_of(depth);
    }
    if timeline.rows.is_empty() {
        text(&mut out, LEFT, TOP + 12.0, words.nothing, "start");
    }
    axis(&mut out, timeline, words, below);
    out.push_str("</svg>\n");
    out
}

fn shown(slice: &Slice) -> u32 {
    slice.depth.min(DEEPEST)
}

fn depths(timeline: &Timeline) -> Vec<u32> {
    let mut depths = vec![0; timeline.rows.len()];
    for slice in &timeline.slices {
        let depth = &mut depths[slice.row as usize];
        *depth = shown(slice).max(*depth);
    }
    depths
}

#[allow(clippy::cast_precision_loss)]
fn x(timeline: &Timeline, at_ns: u64) -> f64 {
    let part = at_ns.saturating_sub(timeline.start_ns) as f64 / timeline.length_ns() as f64;
    LEFT + WIDTH * part.min(1.0)
}

fn label(out: &mut String, row: &Row, y: f64) {
    let name: String = row.name.chars().take(22).collect();
    let _ = writeln!(
        out,
        "<text x=\"10\" y=\"{y:.1}\" fill=\"#222\"><title>{} (pid {}, tid {})</title>{}</text>",
        escape(&row.name),
        row.pid,
        row.tid,
        escape(&name)
    );
}

/// What one bar stands for.
struct Bar<'a> {
    slice: &'a Slice,
    from: f64,
    to: f64,
    count: u64,
    is_bad: bool,
}

fn bars<'a>(
    out: &mut String,
    timeline: &Timeline,
    words: &Words,
    y: f64,
    slices: impl Iterator<Item = &'a Slice>,
) {
    let mut last: Option<Bar<'_>> = None;
    for slice in slices {
        let (from, to) = (x(timeline, slice.start_ns), x(timeline, slice.end_ns));
        let is_bad = slice.end.is_bad();
        match &mut last {
            Some(bar) if to < bar.to + NARROW => {
                (bar.to, bar.count) = (bar.to.max(to), bar.count + 1);
                bar.is_bad |= is_bad;
            }
            _ => {
                let bar = Bar { slice, from, to, count: 1, is_bad };
                if let Some(bar) = last.replace(bar) {
                    draw(out, timeline, words, y, &bar);
                }
            }
        }
    }
    if let Some(bar) = last {
        draw(out, timeline, words, y, &bar);
    }
}

fn draw(out: &mut String, timeline: &Timeline, words: &Words, y: f64, bar: &Bar<'_>) {
    let name = timeline.name_of(bar.slice);
    let long = duration(bar.slice.end_ns - bar.slice.start_ns);
    let title = match (bar.count, words.end(bar.slice.end)) {
        (1, None) => format!("{name}: {long}"),
        (1, Some(end)) => format!("{name}: {long}, {end}"),
        (count, _) => format!("{count} {}", words.several),
    };
    let width = (bar.to - bar.from).max(NARROW);
    let colour = COLOURS[hash(name) % COLOURS.len()];
    let _ = writeln!(
        out,
        "<rect x=\"{:.2}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{}\" fill=\"{colour}\">\
         <title>{}</title></rect>",
        bar.from,
        BAR - 1.0,
        escape(&title)
    );
    if bar.is_bad {
        let _ = writeln!(
            out,
            "<rect x=\"{:.2}\" y=\"{y:.1}\" width=\"2\" height=\"{}\" fill=\"{BAD}\"/>",
            (bar.from + width - 2.0).max(bar.from),
            BAR - 1.0
        );
    }
    // Seven pixels a letter.
    let room = (width / 7.5) as usize;
    let says: String = match bar.slice.end {
        End::Killed(_) if bar.count == 1 => format!("{name} {}", bar.slice.end.word()),
        _ => name.to_owned(),
    };
    if bar.count == 1 && room >= 3 {
        let cut: String = says.chars().take(room).collect();
        text(out, bar.from + 3.0, y + 12.0, &cut, "start");
    }
}

fn strip(out: &mut String, timeline: &Timeline, y: f64, spans: impl Iterator<Item = (u64, u64)>) {
    // Spans with less than a pixel's part between them are one, or many would hide that others are.
    let mut last: Option<(f64, f64)> = None;
    let mut put = |(from, to): (f64, f64)| {
        let width = (to - from).max(0.2);
        let _ = writeln!(
            out,
            "<rect x=\"{from:.2}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{CORE}\" fill=\"{DARK}\"/>"
        );
    };
    for (start_ns, end_ns) in spans {
        let (from, to) = (x(timeline, start_ns), x(timeline, end_ns));
        match &mut last {
            Some(span) if from < span.1 + 0.2 => span.1 = span.1.max(to),
            _ => {
                if let Some(span) = last.replace((from, to)) {
                    put(span);
                }
            }
        }
    }
    if let Some(span) = last {
        put(span);
    }
}

/// A line with times on it, and what the colours mean.
fn axis(out: &mut String, timeline: &Timeline, words: &Words, y: f64) {
    let _ = writeln!(
        out,
        "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{}\" y2=\"{y:.1}\" stroke=\"#888\"/>",
        LEFT + WIDTH
    );
    for (part, anchor) in [(0, "start"), (1, "middle"), (2, "end")] {
        let at = timeline.length_ns() / 2 * part;
        text(out, LEFT + WIDTH / 2.0 * f64::from(part as u32), y + 16.0, &duration(at), anchor);
    }
    let below = y + 38.0;
    let _ = writeln!(
        out,
        "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"14\" height=\"12\" fill=\"{}\"/>",
        below - 10.0,
        COLOURS[0]
    );
    text(out, LEFT + 20.0, below, words.task, "start");
    if timeline.source != Source::Unknown {
        let _ = writeln!(
            out,
            "<rect x=\"{}\" y=\"{:.1}\" width=\"14\" height=\"{CORE}\" fill=\"{DARK}\"/>",
            LEFT + 220.0,
            below - 6.0
        );
    }
    text(out, LEFT + 240.0, below, source(timeline.source, words), "start");
    if timeline.lost > 0 {
        text(out, LEFT, below + 18.0, &format!("{} {}", timeline.lost, words.lost), "start");
    }
}

pub(super) fn source(source: Source, words: &Words) -> &'static str {
    match source {
        Source::Kernel => words.kernel,
        Source::Sampled => words.sampled,
        Source::Mixed => words.mixed,
        Source::Unknown => words.unseen,
    }
}

fn text(out: &mut String, x: f64, y: f64, text: &str, anchor: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#222\" \
         pointer-events=\"none\">{}</text>",
        escape(text)
    );
}

/// A time for people, three digits of it.
pub(super) fn duration(ns: u64) -> String {
    #[allow(clippy::cast_precision_loss)]
    let ns = ns as f64;
    let (value, unit) = match ns {
        ns if ns >= 1e9 => (ns / 1e9, "s"),
        ns if ns >= 1e6 => (ns / 1e6, "ms"),
        ns if ns >= 1e3 => (ns / 1e3, "\u{b5}s"),
        ns => return format!("{ns} ns"),
    };
    match value {
        v if v >= 99.95 => format!("{v:.0} {unit}"),
        v if v >= 9.995 => format!("{v:.1} {unit}"),
        v => format!("{v:.2} {unit}"),
    }
}

fn hash(name: &str) -> usize {
    name.bytes().fold(5381, |h: usize, b| h.wrapping_mul(33) ^ usize::from(b)) >> 3
}
