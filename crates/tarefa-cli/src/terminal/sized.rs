//! Numbers of bytes, for people.

/// A number of bytes.
#[must_use]
pub fn sized(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        (tenths, unit) = (tenths / 1024, unit + 1);
    }
    match tenths {
        0..100 => format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]),
        _ => format!("{} {}", tenths / 10, UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::sized;

    #[test]
    fn three_digits_are_enough() {
        let sizes = [0, 1023, 1024, 1536, 10 << 20, 3 << 40, 5000 << 40];
        let shown = ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "10 MiB", "3.0 TiB", "5000 TiB"];
        assert_eq!(sizes.map(sized), shown);
    }
}
