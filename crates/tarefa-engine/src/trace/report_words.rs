//! The words of reports of who waits for whom.

/// What such a report says, in one language.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    pub(super) deadlock: &'static str,
    pub(super) no_deadlock: &'static str,
    pub(super) perhaps: &'static str,
    pub(super) unless_others: &'static str,
    pub(super) for_itself: &'static str,
    pub(super) for_one_another: &'static str,
    pub(super) until_a_timeout: &'static str,
    /// Where nobody waits.
    pub nobody: &'static str,
    pub(super) who_waits: &'static str,
    pub(super) who_waits_besides: &'static str,
    pub(super) who_holds: &'static str,
    pub(super) too_many: &'static str,
    pub(super) holds: &'static str,
    pub(super) waits_for: &'static str,
    pub(super) waits_for_work: &'static str,
    pub(super) coroutine: &'static str,
    pub(super) any_of: &'static str,
    pub(super) all_of: &'static str,
    pub(super) and_more: &'static str,
    pub(super) unknown: &'static str,
    /// What a task of asyncio waits for that waits for nothing shared.
    pub call: &'static str,
    pub(super) since: &'static str,
    pub(super) at_most: [&'static str; 2],
    pub(super) at: &'static str,
    pub(super) stands: &'static str,
    pub(super) held_by: &'static str,
    pub(super) runs_in: &'static str,
    pub(super) point: &'static str,
    /// What labels in English begin with, and what in this language.
    pub(super) labels: &'static [(&'static str, &'static str)],
    /// What names of threads of ours end with.
    pub(super) ends: &'static [(&'static str, &'static str)],
}

impl Words {
    /// In English.
    pub const ENGLISH: Self = Self {
        deadlock: "deadlock",
        no_deadlock: "no deadlock",
        perhaps: "perhaps a deadlock",
        unless_others: ", unless other asyncio tasks end it",
        for_itself: "a thread waits for itself",
        for_one_another: "threads wait for one another",
        until_a_timeout: ", until a timeout ends it",
        nobody: "nobody waits",
        who_waits: "who waits",
        who_waits_besides: "who waits besides",
        who_holds: "who holds something and does not wait",
        too_many: "(there are too many objects: not all that are held were looked at)",
        holds: "holds",
        waits_for: "waits for",
        waits_for_work: "waits for work from",
        coroutine: "asyncio task",
        any_of: "any of ",
        all_of: "all of ",
        and_more: " and more",
        unknown: "something that is not known",
        call: "a call in a pool of threads",
        since: "for",
        at_most: ["and", "more at most"],
        at: "at",
        stands: "stands",
        held_by: "is held by",
        runs_in: "runs in",
        point: ".",
        labels: &[],
        ends: &[],
    };

    /// In Portuguese.
    pub const PORTUGUESE: Self = Self {
        deadlock: "deadlock",
        no_deadlock: "não há deadlock",
        perhaps: "talvez um deadlock",
        unless_others: ", a não ser que outras tarefas de asyncio acabem com isso",
        for_itself: "uma thread espera por si mesma",
        for_one_another: "threads esperam umas pelas outras",
        until_a_timeout: ", até que um tempo se esgote",
        nobody: "ninguém espera",
        who_waits: "quem espera",
        who_waits_besides: "quem mais espera",
        who_holds: "quem segura algo e não espera",
        too_many: "(há objetos demais: nem todos foram vistos)",
        holds: "segura",
        waits_for: "espera por",
        waits_for_work: "espera por trabalho de",
        coroutine: "tarefa de asyncio",
        any_of: "qualquer um de ",
        all_of: "todos de ",
        and_more: " e mais",
        unknown: "algo desconhecido",
        call: "uma chamada num pool de threads",
        since: "há",
        at_most: ["e mais", "no máximo"],
        at: "em",
        stands: "está",
        held_by: "está com",
        runs_in: "roda em",
        point: ",",
        labels: &[
            ("main program", "programa principal"),
            ("process ", "processo "),
            ("zygote", "zigoto"),
            ("a task that has ended", "uma tarefa que acabou"),
            ("MainThread", "thread principal"),
            ("tarefa-queue-watch", "vigia de fila"),
            ("calls what is called at ends of tasks", "chama o que se chama ao fim de tarefas"),
            ("takes results for asyncio", "busca resultados para asyncio"),
        ],
        ends: &[
            (" (watches workers)", " (vigia trabalhadores)"),
            (" (time limits)", " (limites de tempo)"),
            (" (takes results)", " (busca resultados)"),
            (" (chooses)", " (escolhe)"),
        ],
    };

    /// A label that the report has in English: of a process, a thread, or a task that is waited for.
    /// A name of the program's own stands behind the word that says what it is.
    #[must_use]
    pub fn label(&self, english: &str) -> String {
        let begins = self.labels.iter().find_map(|(begins, word)| {
            // What follows is a name in quotes, a number or a remark: else it is a name of the program's.
            let rest = english.strip_prefix(begins)?;
            let is_whole = if begins.ends_with(' ') {
                rest.starts_with(|c: char| c == '\'' || c.is_ascii_digit())
            } else {
                rest.is_empty() || rest.starts_with(" (") || rest.starts_with(" '")
            };
            is_whole.then(|| format!("{word}{rest}"))
        });
        let ends = || {
            self.ends.iter().find_map(|(ends, word)| {
                english.strip_suffix(ends).map(|name| format!("{name}{word}"))
            })
        };
        begins.or_else(ends).unwrap_or_else(|| english.to_owned())
    }

    /// How long something takes: `4.2 s`, or `2 h 5 min`.
    #[must_use]
    pub fn time(&self, ns: u64) -> String {
        let tenths = ns / 100_000_000;
        match tenths / 10 {
            seconds @ 0..100 => format!("{seconds}{}{} s", self.point, tenths % 10),
            seconds @ 100..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
            seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn times_are_for_people() {
        let s = 1_000_000_000;
        let texts = [s / 4, 99 * s, 125 * s, 7260 * s].map(|ns| Words::ENGLISH.time(ns));
        assert_eq!(texts, ["0.2 s", "99.0 s", "2 min 5 s", "2 h 1 min"]);
        assert_eq!(Words::PORTUGUESE.time(s / 4), "0,2 s");
    }

    #[test]
    fn what_a_label_begins_with_is_translated_and_names_are_not() {
        let label = |text| Words::PORTUGUESE.label(text);
        assert_eq!(label("process 'process zygote' (pid 4)"), "processo 'process zygote' (pid 4)");
        assert_eq!(label("main program (pid 4)"), "programa principal (pid 4)");
        assert_eq!(
            (label("Lock 4"), label("MainThread")),
            ("Lock 4".into(), "thread principal".into())
        );
        assert_eq!(label("Pool-1 (watches workers)"), "Pool-1 (vigia trabalhadores)");
        assert_eq!(Words::ENGLISH.label("process 'a'"), "process 'a'");
    }
}
