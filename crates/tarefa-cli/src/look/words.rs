//! Words for states, sizes and times.

use crate::terminal::Output;

/// A time of the processor, as `ps` of the system shows it: seconds, then minutes.
pub(super) fn cpu(ns: u64) -> String {
    let hundredths = ns / 10_000_000;
    let (seconds, rest) = (hundredths / 100, hundredths % 100);
    if seconds < 60 {
        format!("{seconds}.{rest:02} s")
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

/// How long ago something was, between two times of the monotonic clock.
pub(super) fn ago(now_ns: u64, then_ns: u64) -> String {
    let ns = now_ns.saturating_sub(then_ns);
    let tenths = ns / 100_000_000;
    match tenths / 10 {
        0..100 => format!("{}.{} s", tenths / 10, tenths % 10),
        seconds @ 100..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// What the kernel's letter for a state means.
pub(super) fn state(out: &Output, letter: char) -> &'static str {
    let t = |english, portuguese| out.language.pick(english, portuguese);
    match letter {
        'R' => t("runs", "roda"),
        'S' | 'D' | 'I' => t("waits", "espera"),
        'T' | 't' => t("stopped", "parado"),
        'Z' | 'X' => t("ended", "acabou"),
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!([0, 1_230_000_000, 61_000_000_000].map(cpu), ["0.00 s", "1.23 s", "1 min 1 s"]);
        assert_eq!(ago(5_400_000_000, 1_200_000_000), "4.2 s");
        assert_eq!(ago(7_260_000_000_000, 0), "2 h 1 min");
    }
}
