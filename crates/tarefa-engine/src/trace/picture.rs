//! Who waits for whom, as a picture: threads on a circle, an arrow from each who waits to who holds
//! what it waits for, with the object's name on it. Arrows of a deadlock are red.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::report::{Report, Thing};
use super::report_words::Words;
use super::xml::escape;

const RADIUS: f64 = 190.0;
const WIDTH: f64 = 860.0;
/// Coroutines that are named at a thread.
const MOST_AWAITS: usize = 4;

impl Report {
    /// Who waits for whom, as a picture in those words: an SVG document that needs nothing else.
    #[must_use]
    pub fn svg(&self, words: &Words) -> String {
        svg(self, words)
    }
}

fn svg(report: &Report, words: &Words) -> String {
    // Who neither waits nor is waited for is no part of it.
    let waits_of = |i: usize| {
        let awaits = report.awaits_in(i).map(|it| &it.waits);
        report.threads[i].waits.iter().chain(awaits)
    };
    let all = || 0..report.threads.len();
    let waited_for: BTreeSet<usize> = all()
        .flat_map(waits_of)
        .flat_map(|w| &w.things)
        .flat_map(|t| &t.holders)
        .copied()
        .collect();
    let shown: Vec<usize> =
        all().filter(|i| waits_of(*i).next().is_some() || waited_for.contains(i)).collect();
    let stuck: BTreeSet<usize> = report.cycles.iter().flatten().copied().collect();
    let height = 2.0 * RADIUS + 160.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" \
         style=\"font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12px;background:#fff\">\n\
         <defs><marker id=\"end\" viewBox=\"0 0 10 10\" refX=\"10\" refY=\"5\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L10 5L0 10z\" \
         fill=\"context-stroke\"/></marker></defs>\n"
    );
    let place = |index: usize| {
        let position = shown.iter().position(|i| *i == index).unwrap_or(0);
        #[allow(clippy::cast_precision_loss)]
        let turn = std::f64::consts::TAU * position as f64 / shown.len().max(1) as f64;
        (WIDTH / 2.0 + 1.3 * RADIUS * turn.sin(), height / 2.0 - RADIUS * turn.cos())
    };
    for from in &shown {
        let things = report.threads[*from].waits.iter().flat_map(|w| &w.things);
        for (thing, to) in things.flat_map(|thing| thing.holders.iter().map(move |to| (thing, to)))
        {
            let colour =
                if stuck.contains(from) && stuck.contains(to) { "#b3261e" } else { "#888" };
            arrow(&mut out, place(*from), place(*to), colour, &words.label(&thing.name));
        }
        // The thread itself goes on with its loop.
        for it in report.awaits_in(*from) {
            let named = |thing: &Thing| format!("{} ({})", words.label(&thing.name), it.name);
            for (thing, to) in
                it.waits.things.iter().flat_map(|t| t.holders.iter().map(move |to| (t, to)))
            {
                arrow(&mut out, place(*from), place(*to), "#888", &named(thing));
            }
        }
    }
    for index in &shown {
        let thread = &report.threads[*index];
        let (x, y) = place(*index);
        let colour = if stuck.contains(index) { "#b3261e" } else { "#2f6f9f" };
        let _ = writeln!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"9\" fill=\"{colour}\"/>\
             {}{}",
            label(x, y - 28.0, &words.label(&thread.process_label)),
            label(
                x,
                y - 14.0,
                &format!("{} {}", words.label(&thread.thread_label), thread.short_place())
            ),
        );
        for (line, it) in report.awaits_in(*index).take(MOST_AWAITS).enumerate() {
            let things: Vec<String> =
                it.waits.things.iter().map(|thing| words.label(&thing.name)).collect();
            let text = format!("{}: {} {}", it.name, things.join(", "), it.short_place());
            #[allow(clippy::cast_precision_loss)]
            out.push_str(&label(x, y + 24.0 + 14.0 * line as f64, text.trim_end()));
        }
    }
    if shown.is_empty() {
        out.push_str(&label(WIDTH / 2.0, height / 2.0, words.nobody));
    }
    out.push_str("</svg>\n");
    out
}

fn arrow(out: &mut String, from: (f64, f64), to: (f64, f64), colour: &str, name: &str) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy);
    if length < 1.0 {
        // It waits for itself.
        let (x, y) = from;
        let _ = writeln!(
            out,
            "<path d=\"M{:.1} {y:.1}c40 30 40 -60 -4 -14\" fill=\"none\" stroke=\"{colour}\" \
             stroke-width=\"1.5\" marker-end=\"url(#end)\"/>{}",
            x + 9.0,
            label(x + 60.0, y + 4.0, name)
        );
        return;
    }
    // Beside the line between both, so that there and back are two.
    let (aside_x, aside_y) = (-dy / length * 6.0, dx / length * 6.0);
    let short = 14.0 / length;
    let at = |part: f64| (from.0 + dx * part + aside_x, from.1 + dy * part + aside_y);
    let (start, end, name_at) = (at(short), at(1.0 - short), at(0.4));
    let _ = writeln!(
        out,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" \
         stroke-width=\"1.5\" marker-end=\"url(#end)\"/>{}",
        start.0,
        start.1,
        end.0,
        end.1,
        label(name_at.0 + aside_x * 6.0, name_at.1 + aside_y * 2.0, name)
    );
}

fn label(x: f64, y: f64, text: &str) -> String {
    let safe = escape(text);
    // White around it, for lines run behind it.
    format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" fill=\"#222\" stroke=\"#fff\" \
         stroke-width=\"4\" paint-order=\"stroke\">{safe}</text>\n"
    )
}
