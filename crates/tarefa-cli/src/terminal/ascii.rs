//! Text for terminals that have ASCII only: letters without their marks, pictures in their nearest.

/// Characters, and what each of them becomes.
const LIKENESSES: &[(&str, char)] = &[
    ("áàâãä", 'a'),
    ("ÁÀÂÃÄ", 'A'),
    ("éêè", 'e'),
    ("ÉÊÈ", 'E'),
    ("íìî", 'i'),
    ("Í", 'I'),
    ("óôõö", 'o'),
    ("ÓÔÕÖ", 'O'),
    ("úüùµ", 'u'),
    ("ÚÜ", 'U'),
    ("ç", 'c'),
    ("Ç", 'C'),
    ("ñ", 'n'),
    ("×✗", 'x'),
    ("–—─", '-'),
    ("│", '|'),
    ("├└┌┐┘┤✓", '+'),
    ("█▓", '#'),
    ("▒", '='),
    ("░·", '.'),
    ("→▶", '>'),
    ("←", '<'),
    ("‘’", '\''),
    ("“”«»", '"'),
    ("…", '~'),
    ("\u{a0}", ' '),
];

/// The text in ASCII. What has no likeness there becomes `?`, one for each character.
pub(super) fn ascii(text: &str) -> String {
    let of = |letter: char| {
        let found = LIKENESSES.iter().find(|(letters, _)| letters.contains(letter));
        found.map_or('?', |(_, likeness)| *likeness)
    };
    text.chars().map(|letter| if letter.is_ascii() { letter } else { of(letter) }).collect()
}

#[cfg(test)]
mod tests {
    use super::ascii;

    #[test]
    fn letters_keep_their_likeness_and_tables_their_width() {
        assert_eq!(ascii("são memórias à parte … 2 µs"), "sao memorias a parte ~ 2 us");
        assert_eq!(ascii("├─ █░ 漢"), "+- #. ?");
    }
}
