//! Tables that fit the terminal: the last column that may shrink gives way.

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
}

impl Column {
    /// A column of words.
    #[must_use]
    pub const fn words(title: &'static str) -> Self {
        Self { title, align: Align::Left, gives_way: true }
    }

    /// A column of short words, which are never cut.
    #[must_use]
    pub const fn short(title: &'static str) -> Self {
        Self { title, align: Align::Left, gives_way: false }
    }

    /// A column of numbers.
    #[must_use]
    pub const fn numbers(title: &'static str) -> Self {
        Self { title, align: Align::Right, gives_way: false }
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
        let widths = self.widths(width);
        let titles = self.columns.iter().map(|c| c.title.to_owned()).collect();
        let rows = std::iter::once(&titles).chain(&self.rows);
        rows.map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, width), column) in row.iter().zip(widths).zip(&self.columns) {
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

    fn widths(&self, width: usize) -> Vec<usize> {
        let longest = |(i, column): (usize, &Column)| {
            let cells = self.rows.iter().map(|row| row[i].chars().count());
            cells.max().unwrap_or(0).max(column.title.chars().count())
        };
        let mut widths: Vec<usize> = self.columns.iter().enumerate().map(longest).collect();
        let total = |w: &[usize]| w.iter().sum::<usize>() + GAP * w.len().saturating_sub(1);
        // The widest of those that give way becomes narrower, until it fits or none can.
        while total(&widths) > width {
            let wide = (0..widths.len())
                .filter(|i| self.columns[*i].gives_way && widths[*i] > LEAST)
                .max_by_key(|i| widths[*i]);
            match wide {
                Some(i) => widths[i] -= 1,
                None => break,
            }
        }
        widths
    }
}

/// The text in at most `width` characters, its end replaced by `…` where it is longer. What a
/// terminal would take as a command is left out.
#[must_use]
pub fn fit(text: &str, width: usize) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let text: String = clean.collect();
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
        assert!(table().lines(1)[2].starts_with("12345"));
    }

    #[test]
    fn a_name_is_no_command_for_the_terminal() {
        assert_eq!(fit("a\x1b[2Jb\n", 9), "a [2Jb ");
        assert_eq!((fit("abc", 2), fit("abc", 0)), ("a…".to_owned(), String::new()));
    }
}
