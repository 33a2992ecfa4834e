//! Lines that fit the terminal: broken between words.

use super::table::fit;

/// How much further in the rest of a line begins.
const FURTHER: usize = 4;
/// What stands on one line with the number before it.
const UNITS: [&str; 6] = ["s", "min", "B", "KiB", "MiB", "GiB"];
/// What stands on one line with the word behind it.
const BOUND: [&str; 8] = ["at", "in", "for", "of", "em", "há", "de", "(pid"];

/// The line in lines of at most `width` characters, broken between words; what follows stands further
/// in than what it goes on from. Of a path that is too long for a line the end is kept.
#[must_use]
pub fn wrap(line: &str, width: usize) -> Vec<String> {
    let width = width.max(20);
    if line.chars().count() <= width {
        return vec![line.to_owned()];
    }
    let indent = line.chars().take_while(|c| *c == ' ').count().min(width / 3);
    let further = (indent + FURTHER).min(width / 2);
    let mut lines = Vec::new();
    let mut now = " ".repeat(indent);
    let mut is_empty = true;
    for word in parts(line) {
        let gap = usize::from(!is_empty);
        if !is_empty && now.chars().count() + gap + word.chars().count() > width {
            lines.push(std::mem::replace(&mut now, " ".repeat(further)));
            is_empty = true;
        }
        if !is_empty {
            now.push(' ');
        }
        let room = width - now.chars().count();
        now.push_str(&shortened(&word, room));
        is_empty = false;
    }
    lines.push(now);
    lines
}

/// Words, each with the short ones before it that say nothing by themselves.
fn parts(line: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut before = String::new();
    let mut words = line.split_whitespace().peekable();
    while let Some(word) = words.next() {
        before.push_str(word);
        let has_unit = words.peek().is_some_and(|next| UNITS.contains(next));
        if BOUND.contains(&word) || has_unit {
            before.push(' ');
        } else {
            parts.push(std::mem::take(&mut before));
        }
    }
    if !before.is_empty() {
        parts.push(before.trim_end().to_owned());
    }
    parts
}

fn shortened(part: &str, room: usize) -> String {
    let length = part.chars().count();
    let path = part.rfind(' ').map_or(0, |space| space + 1);
    let (before, path) = part.split_at(path);
    let room_of_path = room.saturating_sub(before.chars().count());
    if length <= room || !path.contains('/') || room_of_path < 2 {
        return fit(part, room);
    }
    let end: String = path.chars().skip(path.chars().count() - room_of_path + 1).collect();
    format!("{before}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_go_on_further_in() {
        assert_eq!(wrap("  short", 20), ["  short"]);
        let line = "  waits for Queue 4 for 3.0 s at /a/very/long/path/to/it.py:7 in f";
        assert_eq!(
            wrap(line, 30),
            ["  waits for Queue 4 for 3.0 s", "      at …long/path/to/it.py:7", "      in f",]
        );
        let line = "  waits for work from Queue 10 for 0.5 s";
        assert_eq!(wrap(line, 37), ["  waits for work from Queue 10", "      for 0.5 s"]);
        for width in 0..90 {
            assert!(
                wrap(line, width).iter().all(|l| l.chars().count() <= width.max(20)),
                "{width}"
            );
        }
    }
}
