//! As a page: the picture, and a table of what ran, how often and how long.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::data::Timeline;
use super::svg::{self, duration};
use super::words::Words;
use crate::trace::xml::escape;

/// Rows of the table.
const MOST: usize = 50;

#[derive(Clone, Copy, Default)]
struct Sum {
    times: u64,
    all_ns: u64,
    longest_ns: u64,
    bad: u64,
}

pub(super) fn page(timeline: &Timeline, words: &Words) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n<title>{}</title>\n\
         </head>\n<body style=\"margin:24px;font-family:system-ui,sans-serif;color:#222;\
         background:#fff\">\n<h1 style=\"font-size:20px\">{}</h1>\n{}</body>\n</html>\n",
        words.language,
        escape(words.title),
        escape(words.title),
        part(timeline, words)
    )
}

pub(super) fn part(timeline: &Timeline, words: &Words) -> String {
    let mut sums: HashMap<u32, Sum> = HashMap::new();
    for slice in &timeline.slices {
        let sum = sums.entry(slice.name).or_default();
        let ns = slice.end_ns - slice.start_ns;
        sum.times += 1;
        sum.all_ns += ns;
        sum.longest_ns = sum.longest_ns.max(ns);
        sum.bad += u64::from(slice.end.is_bad());
    }
    let mut sums: Vec<(&str, Sum)> = sums
        .into_iter()
        .map(|(name, sum)| (timeline.names.get(name as usize).map_or("", String::as_str), sum))
        .collect();
    sums.sort_by(|(a, x), (b, y)| y.all_ns.cmp(&x.all_ns).then(a.cmp(b)));
    let mut out =
        format!("<div style=\"overflow-x:auto\">\n{}</div>\n", svg::document(timeline, words));
    out.push_str(
        "<table style=\"border-collapse:collapse;font-family:ui-monospace,Menlo,Consolas,monospace;\
         font-size:12px;color:#222;background:#fff\">\n<tr>",
    );
    for title in words.table {
        let _ =
            write!(out, "<th style=\"text-align:left;padding:2px 12px\">{}</th>", escape(title));
    }
    out.push_str("</tr>\n");
    for (name, sum) in sums.iter().take(MOST) {
        out.push_str("<tr>");
        let cells = [
            escape(name),
            sum.times.to_string(),
            duration(sum.all_ns),
            duration(sum.all_ns / sum.times.max(1)),
            duration(sum.longest_ns),
            sum.bad.to_string(),
        ];
        for cell in cells {
            let _ = write!(out, "<td style=\"text-align:left;padding:2px 12px\">{cell}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
    out
}
