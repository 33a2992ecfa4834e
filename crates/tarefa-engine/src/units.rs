//! Sizes and durations, as people write and read them.
//!
//! Ground below all rooms: settings are read, and errors are told, in these words.

use std::fmt;
use std::time::Duration;

/// Units of a size, the largest first.
const UNITS: [(u64, &str); 4] =
    [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];

/// A size that somebody chose: `512 MiB`, in the largest unit that leaves no fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(unit, _)| self.0 != 0 && self.0 % unit == 0);
        match whole {
            Some((unit, name)) => write!(f, "{} {name}", self.0 / unit),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

/// A size that was measured: `12.3 MiB`, to a tenth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured(pub u64);

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0.saturating_mul(10).saturating_add(1 << 19)) >> 20;
        write!(f, "{}.{} MiB", tenths / 10, tenths % 10)
    }
}

/// A duration: `0.5 s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs_f64())
    }
}

/// `"64M"`, `"1g"`, `"65536"`: bytes, with the units K, M, G, T of 1024.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix("ib").or(text.strip_suffix('b')).unwrap_or(&text);
    let shift = match text.chars().last()? {
        'k' => 10,
        'm' => 20,
        'g' => 30,
        't' => 40,
        _ => 0,
    };
    let digits = if shift == 0 { text } else { &text[..text.len() - 1] };
    digits.trim().parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("65536"), Some(65536));
        assert_eq!(parse_size("64M"), Some(64 << 20));
        assert_eq!(parse_size(" 2 GiB "), Some(2 << 30));
        assert_eq!(parse_size("much"), None);
        assert_eq!(parse_size("99999999999T"), None);
        assert_eq!(parse_size(""), None);
        assert_eq!(parse_size("-1"), None);
    }

    #[test]
    fn a_chosen_size_is_told_as_it_was_chosen() {
        let told = [0, 1, 1000, 1024, 1 << 20, 3 << 30, 1 << 40, (1 << 30) + 1]
            .map(|n| Size(n).to_string());
        let wanted = [
            "0 bytes",
            "1 bytes",
            "1000 bytes",
            "1 KiB",
            "1 MiB",
            "3 GiB",
            "1 TiB",
            "1073741825 bytes",
        ];
        assert_eq!(told, wanted);
        for text in &told[3..7] {
            assert!(parse_size(text).is_some(), "{text}");
        }
    }

    #[test]
    fn a_measured_size_has_one_digit() {
        assert_eq!(Measured(0).to_string(), "0.0 MiB");
        assert_eq!(Measured(12_900_000).to_string(), "12.3 MiB");
        assert_eq!(Measured(u64::MAX).to_string(), "1759218604441.5 MiB");
    }

    #[test]
    fn durations_are_seconds() {
        let told = [0, 1, 200, 1500, 2000, 3_600_000]
            .map(|ms| Seconds(Duration::from_millis(ms)).to_string());
        assert_eq!(told, ["0 s", "0.001 s", "0.2 s", "1.5 s", "2 s", "3600 s"]);
    }
}
