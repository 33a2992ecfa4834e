//! The experiments that need no Python, and how what came of them is told.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use serde_json::{Value, json};

use super::experiment::{Experiment, Outcome};
use super::picture::Picture;
use super::{memory, page, programs};
use crate::terminal::{EXIT_FOUND, Language, Output};

/// What is wanted of them.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// Numbers or names; none for all.
    pub names: Vec<&'a str>,
    /// Only say which there are.
    pub list: bool,
    /// Where files go.
    pub save: Option<&'a Path>,
}

/// Those of Python's tour that need Python.
const OF_PYTHON: [(usize, &str); 5] =
    [(6, "gil"), (8, "own-gil"), (9, "waiting"), (10, "computing"), (14, "choosing")];

fn all() -> Vec<Experiment> {
    programs::EXPERIMENTS.into_iter().chain(memory::EXPERIMENTS).collect()
}

/// Runs those that are named, or all.
pub(super) fn run(out: &Output, wanted: &Wanted<'_>) -> ExitCode {
    let all = all();
    let mut chosen = Vec::new();
    for name in &wanted.names {
        let is = |number: usize, key: &str| *name == key || *name == number.to_string();
        if let Some(found) = all.iter().find(|it| is(it.number, it.key)) {
            chosen.push(*found);
        } else if let Some((number, key)) = OF_PYTHON.iter().find(|(n, key)| is(*n, key)) {
            return out.complain(out.language.pick(
                format!(
                    "experiment {number} ({key}) is about Python, and there is none that has the \
                     package beside this command or on PATH\nname one with --python, or install \
                     it: pip install tarefa"
                ),
                format!(
                    "a experiência {number} ({key}) é sobre Python, e não há nenhum com o pacote \
                     ao lado deste comando nem no PATH\nindique um com --python, ou instale: pip \
                     install tarefa"
                ),
            ));
        } else {
            return out.complain(out.language.pick(
                format!("there is no experiment {name}: tarefa tour --list says which there are"),
                format!("não existe a experiência {name}: tarefa tour --list diz quais existem"),
            ));
        }
    }
    let chosen = if wanted.names.is_empty() { all } else { chosen };
    if wanted.list {
        list(out, &chosen);
        return ExitCode::SUCCESS;
    }
    if let Some(folder) = wanted.save {
        if let Err(error) = page::make(folder) {
            return out.complain(page::not_saved(out.language, folder, &error));
        }
    }
    let begin = Instant::now();
    let mut found = Vec::new();
    for it in chosen {
        if !out.json {
            announce(out, &it);
        }
        let outcome = outcome(&it, out.language);
        if !out.json {
            tell(out, &outcome);
        }
        found.push((it, outcome));
    }
    let seconds = begin.elapsed().as_secs_f64();
    let saved = match wanted.save.map(|folder| page::save(folder, out.language, &found)) {
        None => Vec::new(),
        Some(Ok(saved)) => saved,
        Some(Err(e)) => {
            let folder = wanted.save.unwrap_or(Path::new(""));
            return out.complain(page::not_saved(out.language, folder, &e));
        }
    };
    let held = found.iter().filter(|(_, outcome)| outcome.holds).count();
    if out.json {
        out.say_json(&report(out.language, &found, seconds, &saved));
    } else {
        total(out, held, found.len(), seconds, &saved);
    }
    if held == found.len() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FOUND) }
}

fn total(out: &Output, held: usize, all: usize, seconds: f64, saved: &[PathBuf]) {
    out.say(out.language.pick(
        format!(
            "{held} of {all} statements hold on this machine ({seconds:.0} s); those about Python \
             need it\n(pip install tarefa)"
        ),
        format!(
            "{held} de {all} afirmações valem nesta máquina ({seconds:.0} s); as que são sobre \
             Python precisam\ndele (pip install tarefa)"
        ),
    ));
    if let Some(page) = saved.last() {
        out.say(format_args!("{}: {}", out.language.pick("saved", "gravado"), page.display()));
    }
}

fn list(out: &Output, chosen: &[Experiment]) {
    let title = |it: &Experiment| out.language.pick(it.title[0], it.title[1]);
    if out.json {
        let rows = chosen
            .iter()
            .map(|it| json!({"number": it.number, "name": it.key, "title": title(it)}));
        return out.say_json(&Value::Array(rows.collect()));
    }
    for it in chosen {
        out.say(format_args!("{:>2}  {:<13} {}", it.number, it.key, title(it)));
    }
}

fn announce(out: &Output, it: &Experiment) {
    let title = out.language.pick(it.title[0], it.title[1]);
    out.say(format_args!("{:>2}  {}", it.number, out.bold(title)));
    let lesson = out.language.pick(it.lesson[0], it.lesson[1]);
    say_wrapped(out, &format!("{}: “{lesson}”", out.language.pick("The lesson", "A lição")));
    out.say("");
}

/// A text in lines of the terminal's width, or of 80 columns where that is wider.
fn say_wrapped(out: &Output, text: &str) {
    let most = width(out) - 4;
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > most {
            out.say(format_args!("    {line}"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    out.say(format_args!("    {line}"));
}

fn width(out: &Output) -> usize {
    out.width.clamp(60, 80)
}

/// Runs it; what goes wrong is an outcome, too, and the tour goes on.
fn outcome(it: &Experiment, language: Language) -> Outcome {
    (it.measure)(language).unwrap_or_else(|error| {
        let said = language.pick(
            format!("it could not be measured: {error}"),
            format!("não foi possível medir: {error}"),
        );
        Outcome {
            holds: false,
            sentence: said.clone(),
            figures: Vec::new(),
            picture: Picture::Table(vec![vec![said.clone()]]),
            because: Some(said),
        }
    })
}

fn tell(out: &Output, outcome: &Outcome) {
    let language = out.language;
    if !outcome.figures.is_empty() {
        for line in outcome.picture.lines(language, width(out) - 4) {
            out.say(format!("    {line}").trim_end());
        }
        out.say("");
        for figure in &outcome.figures {
            out.say(format_args!("    {:<38} {:>16}", figure.label, figure.shown(language)));
        }
        out.say("");
        say_wrapped(out, &outcome.sentence);
    }
    if outcome.holds {
        out.say(format_args!("    {}\n", language.pick("✓ holds here", "✓ vale aqui")));
    } else {
        let fails = language.pick("✗ does not hold here", "✗ não vale aqui");
        let unknown = language.pick("the figures do not say why", "os números não dizem por quê");
        let why = outcome.because.as_deref().unwrap_or(unknown);
        say_wrapped(out, &format!("{fails}: {why}"));
        out.say("");
    }
}

fn report(
    language: Language,
    found: &[(Experiment, Outcome)],
    seconds: f64,
    saved: &[PathBuf],
) -> Value {
    let experiments: Vec<Value> = found
        .iter()
        .map(|(it, outcome)| {
            let figures: Vec<Value> = outcome
                .figures
                .iter()
                .map(|f| json!({"name": f.key, "label": f.label, "value": f.value, "unit": f.unit}))
                .collect();
            json!({
                "number": it.number,
                "name": it.key,
                "title": language.pick(it.title[0], it.title[1]),
                "lesson": language.pick(it.lesson[0], it.lesson[1]),
                "holds": outcome.holds,
                "because": if outcome.holds { None } else { outcome.because.clone() },
                "sentence": outcome.sentence,
                "figures": figures,
            })
        })
        .collect();
    json!({
        "holds": found.iter().all(|(_, outcome)| outcome.holds),
        "seconds": (seconds * 1000.0).round() / 1000.0,
        "saved": saved,
        "experiments": experiments,
    })
}
