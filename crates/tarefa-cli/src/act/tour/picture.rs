//! Pictures: when each task ran, how long things took, what lay where; as text and as SVG.

use tarefa_engine::trace::xml::escape;

use super::numbers::number;
use crate::terminal::Language;

/// A time, from its beginning to its end, in seconds.
pub(super) type Span = (f64, f64);

const LABEL: usize = 18;
const COLOURS: [&str; 4] = ["#2f6f9f", "#d9822b", "#4f9d69", "#a34d7d"];
const STYLE: &str = "font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px";

/// See the module.
#[derive(Clone, Debug)]
pub(super) enum Picture {
    /// Rows of spans of time, of so many seconds from the start.
    Timeline(Vec<(String, Vec<Span>)>, f64),
    /// Rows of one number each, with their unit.
    Bars(Vec<(String, f64)>, &'static str),
    /// Cells below titles, which are the first row.
    Table(Vec<Vec<String>>),
}

impl Picture {
    /// It as lines of text, of at most that many characters.
    pub(super) fn lines(&self, language: Language, width: usize) -> Vec<String> {
        match self {
            Self::Timeline(rows, seconds) => timeline(rows, *seconds, language, width),
            Self::Bars(rows, unit) => bars(rows, unit, language, width),
            Self::Table(rows) => table(rows, width),
        }
    }

    /// It as an SVG document.
    pub(super) fn svg(&self, language: Language) -> String {
        match self {
            Self::Timeline(rows, seconds) => timeline_svg(rows, *seconds, language),
            Self::Bars(rows, unit) => bars_svg(rows, unit, language),
            Self::Table(rows) => table_svg(rows),
        }
    }
}

/// The text, cut or filled to a width.
fn padded(text: &str, width: usize) -> String {
    let cut: String = text.chars().take(width).collect();
    format!("{cut:<width$}")
}

#[expect(clippy::cast_precision_loss, reason = "columns of a terminal")]
fn timeline(
    rows: &[(String, Vec<Span>)],
    seconds: f64,
    language: Language,
    width: usize,
) -> Vec<String> {
    let cells = width - LABEL - 1;
    let step = seconds / cells as f64;
    let shade = |spans: &[Span], cell: usize| {
        let (start, end) = (cell as f64 * step, (cell + 1) as f64 * step);
        let covered: f64 = spans.iter().map(|(a, b)| (b.min(end) - a.max(start)).max(0.0)).sum();
        match covered / step {
            part if part <= 0.0 => ' ',
            part if part < 1.0 / 3.0 => '░',
            part if part < 2.0 / 3.0 => '▒',
            _ => '█',
        }
    };
    let row = |(label, spans): &(String, Vec<Span>)| {
        let shades: String = (0..cells).map(|cell| shade(spans, cell)).collect();
        format!("{} {shades}", padded(label, LABEL)).trim_end().to_owned()
    };
    let end = format!("{} ms", number((seconds * 1000.0).round(), language));
    let axis = format!("{}0{end:>rest$}", " ".repeat(LABEL + 1), rest = cells - 1);
    rows.iter().map(row).chain([axis]).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "columns of a terminal"
)]
fn bars(rows: &[(String, f64)], unit: &str, language: Language, width: usize) -> Vec<String> {
    let longest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let label = longest(&mut rows.iter().map(|(text, _)| text.chars().count())).min(width / 2);
    let shown: Vec<String> = rows
        .iter()
        .map(|(_, value)| format!("{} {unit}", number(*value, language)).trim_end().to_owned())
        .collect();
    let room = width - label - longest(&mut shown.iter().map(|s| s.chars().count())) - 3;
    let most = most(rows);
    rows.iter()
        .zip(&shown)
        .map(|((text, value), words)| {
            let length = (room as f64 * value / most).round() as usize;
            let bar = match length {
                0 if *value > 0.0 => "·".to_owned(),
                length => "█".repeat(length),
            };
            format!("{} {bar} {words}", padded(text, label))
        })
        .collect()
}

fn most(rows: &[(String, f64)]) -> f64 {
    let most = rows.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    if most > 0.0 { most } else { 1.0 }
}

fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.first().map_or(0, Vec::len);
    (0..columns).map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0)).collect()
}

fn table(rows: &[Vec<String>], width: usize) -> Vec<String> {
    let widths = widths(rows);
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(c, w)| padded(c, *w)).collect();
        let line: String = cells.join(" │ ").trim_end().chars().take(width).collect();
        line
    };
    let rule = "─".repeat((widths.iter().sum::<usize>() + 3 * (widths.len() - 1)).min(width));
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.insert(1, rule);
    lines
}

fn words(x: f64, y: f64, text: &str, rest: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"#222\"{rest}>{}</text>", escape(text))
}

fn bar(x: f64, y: f64, width: f64, row: usize) -> String {
    let colour = COLOURS[row % COLOURS.len()];
    format!(
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"20\" fill=\"{colour}\"/>"
    )
}

fn document(width: f64, height: f64, parts: &[String]) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" \
         style=\"{STYLE};background:#fff\">\n{}\n</svg>\n",
        parts.join("\n")
    )
}

/// Where rows are, 28 apart.
#[expect(clippy::cast_precision_loss, reason = "a picture has few rows")]
fn at(row: usize) -> f64 {
    10.0 + 28.0 * row as f64
}

fn timeline_svg(rows: &[(String, Vec<Span>)], seconds: f64, language: Language) -> String {
    let mut parts = Vec::new();
    for (i, (label, spans)) in rows.iter().enumerate() {
        parts.push(words(10.0, at(i) + 14.0, label, ""));
        for (start, end) in spans {
            let width = (500.0 * (end - start) / seconds).max(0.5);
            parts.push(bar(190.0 + 500.0 * start / seconds, at(i), width, i));
        }
    }
    let below = at(rows.len());
    let end = format!("{} ms", number((seconds * 1000.0).round(), language));
    parts.push(format!(
        "<line x1=\"190\" y1=\"{below}\" x2=\"690\" y2=\"{below}\" stroke=\"#888\"/>"
    ));
    parts.push(words(190.0, below + 18.0, "0", ""));
    parts.push(words(690.0, below + 18.0, &end, " text-anchor=\"end\""));
    document(700.0, below + 28.0, &parts)
}

fn bars_svg(rows: &[(String, f64)], unit: &str, language: Language) -> String {
    let most = most(rows);
    let mut parts = Vec::new();
    for (i, (label, value)) in rows.iter().enumerate() {
        let width = 300.0 * value / most;
        let shown = format!("{} {unit}", number(*value, language));
        parts.push(words(10.0, at(i) + 14.0, label, ""));
        parts.push(bar(300.0, at(i), width.max(1.0), i));
        parts.push(words(306.0 + width, at(i) + 14.0, shown.trim_end(), ""));
    }
    document(720.0, at(rows.len()) + 8.0, &parts)
}

#[expect(clippy::cast_precision_loss, reason = "a picture has few cells")]
fn table_svg(rows: &[Vec<String>]) -> String {
    let widths: Vec<f64> = widths(rows).into_iter().map(|w| 14.0 + 8.0 * w as f64).collect();
    let mut parts = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let mut x = 10.0;
        for (cell, width) in row.iter().zip(&widths) {
            let weight = if i == 0 { " font-weight=\"bold\"" } else { "" };
            parts.push(words(x, 22.0 + 24.0 * i as f64, cell, weight));
            x += width;
        }
    }
    let all: f64 = widths.iter().sum();
    parts.push(format!("<line x1=\"10\" y1=\"30\" x2=\"{all}\" y2=\"30\" stroke=\"#888\"/>"));
    document(all + 20.0, 16.0 + 24.0 * rows.len() as f64, &parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit() {
        let label = "a label that is longer than it may be".to_owned();
        let pictures = [
            Picture::Timeline(vec![(label.clone(), vec![(0.0, 0.5), (0.9, 1.0)])], 1.0),
            Picture::Bars(vec![(label.clone(), 1.0), ("none".to_owned(), 0.0)], "ms"),
            Picture::Table(vec![vec![label.clone(), label], vec!["1".to_owned(), "2".to_owned()]]),
        ];
        for picture in pictures {
            for line in picture.lines(Language::Portuguese, 60) {
                assert!(line.chars().count() <= 60, "{line}");
            }
            let svg = picture.svg(Language::English);
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        }
    }
}
