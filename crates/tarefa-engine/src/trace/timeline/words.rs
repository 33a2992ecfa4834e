//! The words in pictures.

use super::data::End;
use crate::os::signal;

/// What pictures say, in one language.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// Of its language, for HTML.
    pub language: &'static str,
    /// The title of a page.
    pub title: &'static str,
    /// What a bar is.
    pub task: &'static str,
    /// What a dark bar is, as the kernel says it.
    pub kernel: &'static str,
    /// The same, sampled.
    pub sampled: &'static str,
    /// The same, of some threads each.
    pub mixed: &'static str,
    /// Where it is not known.
    pub unseen: &'static str,
    /// What follows the number of events that are missing.
    pub lost: &'static str,
    /// What follows the number of slices that one bar stands for.
    pub several: &'static str,
    /// How a slice ended: failed, interrupted, exited with a code, with its process, not yet, unknown.
    pub ended: [&'static str; 6],
    /// Where nothing ran.
    pub nothing: &'static str,
    /// The titles of the table: what, how often, in all, mean, longest, how it ended.
    pub table: [&'static str; 6],
}

impl Words {
    /// In English.
    pub const ENGLISH: Self = Self {
        language: "en",
        title: "Who ran what when",
        task: "a task or a call",
        kernel: "on a core, as the kernel says",
        sampled: "on a core, sampled: about right",
        mixed: "on a core, as the kernel says, for some threads sampled",
        unseen: "when it was on a core is not known",
        lost: "events are missing: there were more than there is room for",
        several: "slices",
        ended: [
            "failed",
            "interrupted",
            "exited with",
            "ended with its process",
            "running",
            "unknown",
        ],
        nothing: "nothing ran",
        table: ["what", "times", "in all", "mean", "longest", "ended badly"],
    };

    /// In Portuguese.
    pub const PORTUGUESE: Self = Self {
        language: "pt",
        title: "Quem rodou o quê quando",
        task: "uma tarefa ou chamada",
        kernel: "num núcleo, como diz o kernel",
        sampled: "num núcleo, por amostras: aproximado",
        mixed: "num núcleo, como diz o kernel, para algumas threads por amostras",
        unseen: "não se sabe quando esteve num núcleo",
        lost: "eventos faltam: houve mais do que cabe",
        several: "fatias",
        ended: [
            "falhou",
            "interrompida",
            "saiu com",
            "acabou com seu processo",
            "rodando",
            "fim desconhecido",
        ],
        nothing: "nada rodou",
        table: ["o quê", "vezes", "ao todo", "média", "mais longa", "acabou mal"],
    };

    /// How a slice ended, for people; nothing of one that returned.
    #[must_use]
    pub fn end(&self, end: End) -> Option<String> {
        let [failed, interrupted, exited, gone, runs, unknown] = self.ended;
        let word = match end {
            End::Returned => return None,
            End::Killed(number) => return Some(signal::name(number)),
            End::Exited(code) => return Some(format!("{exited} {code}")),
            End::Failed => failed,
            End::Interrupted => interrupted,
            End::Gone => gone,
            End::Runs => runs,
            End::Unknown => unknown,
        };
        Some(word.to_owned())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn people_read_what_tools_do_in_their_language() {
        for end in [End::Failed, End::Exited(3), End::Gone, End::Runs, End::Killed(9)] {
            assert_eq!(Words::ENGLISH.end(end), Some(end.word()));
        }
        assert_eq!(Words::PORTUGUESE.end(End::Runs).as_deref(), Some("rodando"));
        assert_eq!(Words::PORTUGUESE.end(End::Exited(3)).as_deref(), Some("saiu com 3"));
        assert_eq!(Words::PORTUGUESE.end(End::Returned), None);
    }
}
