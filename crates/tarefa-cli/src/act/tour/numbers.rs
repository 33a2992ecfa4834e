//! Numbers as people read them.

use crate::terminal::Language;

/// A count as a number for a picture.
#[expect(clippy::cast_precision_loss, reason = "counts of a tour are small")]
pub(super) fn whole(count: usize) -> f64 {
    count as f64
}

/// A number with the digits that count, as people of that language write it.
pub(super) fn number(value: f64, language: Language) -> String {
    let english = if value.fract() == 0.0 || value.abs() >= 1000.0 {
        thousands(value)
    } else if value.abs() < 0.01 {
        format!("{value:.4}")
    } else {
        let digits = if value.abs() < 10.0 { 2 } else { usize::from(value.abs() < 100.0) };
        format!("{value:.digits$}")
    };
    language.number(&english)
}

/// Rounded, with a comma before each three digits.
fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if value < 0.0 { format!("-{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_count() {
        let english = |value| number(value, Language::English);
        assert_eq!(english(0.0), "0");
        assert_eq!(english(12_345.6), "12,346");
        assert_eq!(english(1_234_567.0), "1,234,567");
        assert_eq!(english(1.234), "1.23");
        assert_eq!(english(12.34), "12.3");
        assert_eq!(english(123.4), "123");
        assert_eq!(number(12_345.0, Language::Portuguese), "12.345");
        assert_eq!(number(1.5, Language::Portuguese), "1,50");
    }
}
