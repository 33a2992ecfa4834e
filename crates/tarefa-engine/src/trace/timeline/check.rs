//! What must hold of a timeline, and of what Perfetto loads.

use std::collections::{HashMap, HashSet};

use super::data::Timeline;

/// What is wrong with it, in words; nothing where all is right.
///
/// - Slices of a row are in the order of their beginnings, and lie inside each other or apart.
/// - No thread is on two cores at once, and no core has two threads at once.
/// - No two rows are one thread. Nothing begins before the timeline or ends after it, or before it began.
#[must_use]
pub fn check(timeline: &Timeline) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut threads = HashSet::new();
    for row in &timeline.rows {
        if !threads.insert(row.thread) {
            wrong.push(format!("two rows are thread {} of process {}", row.tid, row.pid));
        }
    }
    let is_within =
        |start: u64, end: u64| timeline.start_ns <= start && start <= end && end <= timeline.end_ns;
    let mut around: Vec<(u32, u64)> = Vec::new();
    let mut last = (0, 0);
    for slice in &timeline.slices {
        let name = timeline.name_of(slice);
        if slice.row as usize >= timeline.rows.len() {
            wrong.push(format!("{name} has no row"));
        }
        if !is_within(slice.start_ns, slice.end_ns) {
            wrong.push(format!("{name} from {} to {}", slice.start_ns, slice.end_ns));
        }
        if (slice.row, slice.start_ns) < last {
            wrong.push(format!("{name} at {} comes after {last:?}", slice.start_ns));
        }
        last = (slice.row, slice.start_ns);
        while around.last().is_some_and(|(row, end)| {
            *row != slice.row || *end <= slice.start_ns && slice.end_ns > *end
        }) {
            around.pop();
        }
        if around.last().is_some_and(|(_, end)| *end < slice.end_ns) {
            wrong.push(format!("{name} at {} overlaps the one around it", slice.start_ns));
        }
        if slice.depth as usize != around.len() {
            wrong.push(format!("{name} lies in {} and says {}", around.len(), slice.depth));
        }
        around.push((slice.row, slice.end_ns));
    }
    let mut tracks: HashMap<(bool, u32), Vec<(u64, u64)>> = HashMap::new();
    for on in &timeline.on_core {
        if !is_within(on.start_ns, on.end_ns) {
            wrong.push(format!("on core {} from {} to {}", on.cpu, on.start_ns, on.end_ns));
        }
        tracks.entry((false, on.row)).or_default().push((on.start_ns, on.end_ns));
        tracks.entry((true, on.cpu)).or_default().push((on.start_ns, on.end_ns));
    }
    for ((is_core, number), spans) in &mut tracks {
        spans.sort_unstable();
        if let Some(pair) = spans.windows(2).find(|pair| pair[1].0 < pair[0].1) {
            let what = if *is_core { "core" } else { "row" };
            wrong.push(format!("{what} {number} is two at once: {pair:?}"));
        }
    }
    wrong
}
