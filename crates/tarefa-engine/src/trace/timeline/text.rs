//! As lines of text: a row for each thread, and a character for each part of the time.

use super::data::{Source, Timeline};
use super::svg::{duration, source};
use super::words::Words;
use crate::trace::plain::plain;

const LABEL: usize = 18;
const LEAST: usize = 10;
/// Rows that are shown.
const MOST: usize = 40;
/// From a little to all of a character's time on a core.
const SHADES: [char; 3] = ['\u{2591}', '\u{2592}', '\u{2588}'];
/// A task is there, and not on a core.
const OFF: char = '\u{b7}';

pub(super) fn picture(timeline: &Timeline, width: usize, words: &Words) -> String {
    let cells = width.saturating_sub(LABEL + 1).max(LEAST);
    let mut lines = Vec::new();
    for (index, row) in timeline.rows.iter().enumerate().take(MOST) {
        let slices = timeline.slices.iter().filter(|s| s.row as usize == index && s.depth == 0);
        let tasks = shares(timeline, cells, slices.map(|s| (s.start_ns, s.end_ns)));
        let on_core = timeline.on_core.iter().filter(|on| on.row as usize == index);
        let cores = shares(timeline, cells, on_core.map(|on| (on.start_ns, on.end_ns)));
        let is_seen = timeline.source != Source::Unknown;
        let line: String = (0..cells).map(|i| shade(tasks[i], cores[i], is_seen)).collect();
        let label: String = plain(&row.name).chars().take(LABEL).collect();
        lines.push(format!("{label:<LABEL$} {line}").trim_end().to_owned());
    }
    if timeline.rows.len() > MOST {
        lines.push(format!("... + {}", timeline.rows.len() - MOST));
    }
    if timeline.rows.is_empty() {
        lines.push(words.nothing.to_owned());
    }
    let end = duration(timeline.length_ns());
    lines.push(format!("{:LABEL$} 0{end:>rest$}", "", rest = cells - 1));
    let shown = if timeline.source == Source::Unknown {
        format!("{} {}; {}", SHADES[2], words.task, words.unseen)
    } else {
        format!("{OFF} {}; {} {}", words.task, SHADES[2], source(timeline.source, words))
    };
    lines.push(shown);
    if timeline.lost > 0 {
        lines.push(format!("{} {}", timeline.lost, words.lost));
    }
    lines.join("\n")
}

/// Which part of each cell's time the spans cover.
#[allow(clippy::cast_precision_loss)]
fn shares(timeline: &Timeline, cells: usize, spans: impl Iterator<Item = (u64, u64)>) -> Vec<f64> {
    let mut shares = vec![0.0; cells];
    let step = timeline.length_ns() as f64 / cells as f64;
    for (start, end) in spans {
        let (start, end) =
            (start.saturating_sub(timeline.start_ns), end.saturating_sub(timeline.start_ns));
        let first = (start as f64 / step) as usize;
        for (cell, share) in shares.iter_mut().enumerate().skip(first) {
            let (from, to) = (cell as f64 * step, (cell + 1) as f64 * step);
            if from >= end as f64 && cell > first {
                break;
            }
            let covered = (end as f64).min(to) - (start as f64).max(from);
            // What lasts no time is there all the same.
            *share += (covered / step).max(1e-9);
        }
    }
    shares
}

fn shade(task: f64, core: f64, is_seen: bool) -> char {
    let part = if is_seen { core } else { task };
    match part {
        part if part > 0.66 => SHADES[2],
        part if part > 0.33 => SHADES[1],
        part if part > 0.02 => SHADES[0],
        _ if task > 0.0 => {
            if is_seen {
                OFF
            } else {
                SHADES[0]
            }
        }
        _ => ' ',
    }
}
