//! Tables that fit the terminal: columns of words give way, and those that say least go.

use tarefa_engine::trace::plain::plain;

/// On which side of a column its text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// At its left: words.
    Left,
    /// At its right: numbers.
    Right,
}

/// A column: its title, and how it stands.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its title.
    pub title: &'static str,
    /// Where its texts stand.
    pub align: Align,
    /// Whether it may be cut where the table is too wide.
    pub gives_way: bool,
    /// In which turn it is left out where there is no room for it: the highest first; 0 for never.
    pub goes: u8,
}

impl Column {
    /// A column of words.
    #[must_use]
    pub const fn words(title: &'static str) -> Self {
        Self { title, align: Align::Left, gives_way: true, goes: 0 }
    }

    /// A column of short words, which are never cut.
    #[must_use]
    pub const fn short(title: &'static str) -> Self {
        Self { title, align: Align::Left, gives_way: false, goes: 0 }
    }

    /// A column of numbers.
    #[must_use]
    pub const fn numbers(title: &'static str) -> Self {
        Self { title, align: Align::Right, gives_way: false, goes: 0 }
    }

    /// The column, left out in that turn where there is no room for it.
    #[must_use]
    pub const fn goes(self, turn: u8) -> Self {
        Self { goes: turn, ..self }
    }
}

/// Rows below titles.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

const GAP: usize = 2;
/// No column is cut to less.
const LEAST: usize = 6;
/// Before one is cut to less, others go.
const READABLE: usize = 12;

impl Table {
    /// Without rows.
    #[must_use]
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// One more row.
    pub fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Its lines, the titles first, of at most `width` characters where that can be.
    #[must_use]
    pub fn lines(&self, width: usize) -> Vec<String> {
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let mut widths = self.widths(&shown, width);
        while !self.is_readable(&shown, &widths, width) {
            let least = shown.iter().filter(|i| self.columns[**i].goes > 0);
            let Some(least) = least.max_by_key(|i| self.columns[**i].goes).copied() else { break };
            shown.retain(|i| *i != least);
            widths = self.widths(&shown, width);
        }
        let titles: Vec<String> = self.columns.iter().map(|c| c.title.to_owned()).collect();
        let rows = std::iter::once(&titles).chain(&self.rows);
        rows.map(|row| fit(&self.line(row, &shown, &widths), width.max(1))).collect()
    }

    /// Whether it fits without a column that is cut to almost nothing.
    fn is_readable(&self, shown: &[usize], widths: &[usize], width: usize) -> bool {
        let is_enough = |(i, width): (&usize, &usize)| {
            !self.columns[*i].gives_way || *width >= self.longest(*i).min(READABLE)
        };
        total(widths) <= width && shown.iter().zip(widths).all(is_enough)
    }

    fn line(&self, row: &[String], shown: &[usize], widths: &[usize]) -> String {
        let mut line = String::new();
        for (i, width) in shown.iter().zip(widths) {
            let (cell, column) = (&row[*i], &self.columns[*i]);
            if !line.is_empty() || column.align == Align::Right && *width == 0 {
                line.push_str("  ");
            }
            let cell = fit(cell, *width);
            let blank = " ".repeat(width - cell.chars().count());
            match column.align {
                Align::Left => line.extend([cell.as_str(), &blank]),
                Align::Right => line.extend([blank.as_str(), &cell]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }

    fn longest(&self, i: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[i].chars().count());
        cells.max().unwrap_or(0).max(self.columns[i].title.chars().count())
    }

    fn widths(&self, shown: &[usize], width: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = shown.iter().map(|i| self.longest(*i)).collect();
        // The widest of those that give way becomes narrower, until it fits or none can.
        while total(&widths) > width {
            let wide = (0..widths.len())
                .filter(|at| self.columns[shown[*at]].gives_way && widths[*at] > LEAST)
                .max_by_key(|at| widths[*at]);
            match wide {
                Some(at) => widths[at] -= 1,
                None => break,
            }
        }
        widths
    }
}

fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// The text in at most `width` characters, its end replaced by `…` where it is longer. What a
/// terminal would take as a command is left out.
#[must_use]
pub fn fit(text: &str, width: usize) -> String {
    let text = plain(text);
    if text.chars().count() <= width {
        return text;
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    if width == 0 { String::new() } else { kept + "…" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table =
            Table::new(&[Column::numbers("PID"), Column::words("NAME"), Column::words("WHAT")]);
        table.row(["7", "short", "a sentence that goes on and on"].map(str::to_owned).into());
        table.row(["12345", "b", "c"].map(str::to_owned).into());
        table
    }

    #[test]
    fn a_table_is_as_wide_as_it_needs() {
        assert_eq!(
            table().lines(80),
            [
                "  PID  NAME   WHAT",
                "    7  short  a sentence that goes on and on",
                "12345  b      c",
            ]
        );
    }

    #[test]
    fn what_is_too_wide_gives_way_and_numbers_never_do() {
        let lines = table().lines(30);
        assert_eq!(lines[1], "    7  short  a sentence that…");
        assert!(table().lines(15)[2].starts_with("12345"));
    }

    #[test]
    fn what_says_least_goes_where_there_is_no_room() {
        let columns = [
            Column::numbers("PID").goes(1),
            Column::words("NAME"),
            Column::numbers("MEMORY").goes(2),
            Column::words("WHAT"),
        ];
        let mut table = Table::new(&columns);
        table.row(
            ["12345", "a name", "12 MiB", "a sentence that goes on"].map(str::to_owned).into(),
        );
        assert_eq!(table.lines(80)[1], "12345  a name  12 MiB  a sentence that goes on");
        assert_eq!(table.lines(30)[1], "12345  a name  a sentence tha…");
        assert_eq!(table.lines(24)[1], "a name  a sentence that…");
        for width in 1..60 {
            assert!(table.lines(width).iter().all(|line| line.chars().count() <= width), "{width}");
        }
    }

    #[test]
    fn a_name_is_no_command_for_the_terminal() {
        assert_eq!(fit("a\x1b[2Jb\n", 9), "a [2Jb ");
        assert_eq!((fit("abc", 2), fit("abc", 0)), ("a…".to_owned(), String::new()));
    }
}
