//! Names and lines of source as people see them: a program may call a task anything.

/// The text as a part of one line of a terminal or a file: what those would take as a command, or as
/// the end of the line, is a space.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if is_command(c) { ' ' } else { c }).collect()
}

/// Control characters, the ends of lines that Unicode has besides, and what turns the direction of
/// the rest of a line.
fn is_command(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_command() {
        assert_eq!(plain("x<1>\x1b[31m\u{9b}\n\u{2028}\u{202e}é漢"), "x<1> [31m    é漢");
    }
}
