//! The words in pictures.

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
        nothing: "nada rodou",
        table: ["o quê", "vezes", "ao todo", "média", "mais longa", "acabou mal"],
    };
}
