//! Words for states, sizes and times.

use tarefa_engine::trace::report_words::Words;

use crate::terminal::Output;

/// A time of the processor, as `ps` of the system shows it: seconds, then minutes.
pub(super) fn cpu(out: &Output, ns: u64) -> String {
    let hundredths = ns / 10_000_000;
    let (seconds, rest) = (hundredths / 100, hundredths % 100);
    if seconds < 60 {
        out.language.number(&format!("{seconds}.{rest:02} s"))
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

/// The words of reports of who waits for whom.
pub(super) fn of_reports(out: &Output) -> &'static Words {
    out.language.pick(&Words::ENGLISH, &Words::PORTUGUESE)
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
    use crate::terminal::Language;

    #[test]
    fn numbers_for_people() {
        let times = [0, 1_230_000_000, 61_000_000_000];
        let out = |language| Output::new(Some(language), false);
        let english = times.map(|ns| cpu(&out(Language::English), ns));
        assert_eq!(english, ["0.00 s", "1.23 s", "1 min 1 s"]);
        assert_eq!(cpu(&out(Language::Portuguese), times[1]), "1,23 s");
    }
}
