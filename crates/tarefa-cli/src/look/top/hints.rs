//! The last line: how rows are shown, and what keys do.

use super::view::{Part, View};
use crate::terminal::Output;

/// As much of it as has room, each part whole; what is asked for most stands first. Help has all.
pub(super) fn hints(out: &Output, view: &View, is_paused: bool, width: usize) -> String {
    let t = |english: &str, portuguese: &str| out.language.pick(english, portuguese).to_owned();
    let mut parts = Vec::new();
    if is_paused {
        parts.push(t("paused", "pausado"));
    }
    if !view.filter.is_empty() {
        parts.push(format!("/{}", view.filter));
    }
    parts.push(format!("s {}", view.sort.words(out)));
    parts.push(t("? help", "? ajuda"));
    parts.push(t("q quit", "q sair"));
    parts.push(match view.part {
        Part::Tasks => t("Tab locks", "Tab travas"),
        Part::Objects => t("Tab tasks", "Tab tarefas"),
    });
    parts.push(t("i interrupt", "i interromper"));
    parts.push(t("t terminate", "t encerrar"));
    parts.push(t("k kill", "k matar"));
    parts.push(t("/ filter", "/ filtro"));
    let mut line = String::new();
    for part in parts {
        let gap = if line.is_empty() { "" } else { "  " };
        if !line.is_empty() && line.chars().count() + 2 + part.chars().count() > width {
            break;
        }
        line = line + gap + &part;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Language;

    #[test]
    fn it_names_where_tab_leads_and_every_deed() {
        for (language, deeds, locks, tasks) in [
            (Language::English, "i interrupt  t terminate  k kill", "Tab locks", "Tab tasks"),
            (
                Language::Portuguese,
                "i interromper  t encerrar  k matar",
                "Tab travas",
                "Tab tarefas",
            ),
        ] {
            let (out, mut view) = (Output::new(Some(language), false), View::new());
            let line = hints(&out, &view, false, 80);
            assert!(line.contains(deeds) && line.contains(locks), "{line}");
            view.part = Part::Objects;
            let line = hints(&out, &view, false, 80);
            assert!(line.contains(tasks) && !line.contains(locks), "{line}");
        }
    }

    #[test]
    fn no_part_is_cut() {
        let (out, view) = (Output::new(Some(Language::English), false), View::new());
        assert_eq!(hints(&out, &view, true, 40), "paused  s by CPU  ? help  q quit");
        assert_eq!(hints(&out, &view, false, 0), "s by CPU");
    }
}
