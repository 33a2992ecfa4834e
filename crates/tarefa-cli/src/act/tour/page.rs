//! The tour as files: a picture of each experiment, and one HTML page that needs nothing else.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tarefa_engine::os::{machine, replaced};
use tarefa_engine::trace::xml::escape;

use super::experiment::{Experiment, Outcome};
use crate::terminal::Language;

const CSS: &str = "
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif;
       color: #222; background: #fff }
h2 { margin-top: 2.5rem } blockquote { margin: 0; padding-left: 1rem; border-left: 3px solid #ccc }
svg { max-width: 100%; height: auto } table { border-collapse: collapse; margin: 1rem 0 }
td { padding: .1rem 1.5rem .1rem 0 } td + td { text-align: right }
.holds { color: #2e6b41 } .fails { color: #a33 } footer { color: #666; margin: 3rem 0 }
";

/// Looks whether files can be written into the folder, which is made: before anything is measured for nothing.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    replaced::Replaced::at(&folder.join("index.html")).map(drop)
}

/// That they could not be written.
pub(super) fn not_saved(language: Language, folder: &Path, error: &io::Error) -> String {
    let folder = folder.display();
    language.pick(
        format!("the pictures cannot be saved in {folder}: {error}; name another folder"),
        format!("não é possível gravar as figuras em {folder}: {error}; indique outra pasta"),
    )
}

/// Writes them into the folder: the files, the page last.
pub(super) fn save(
    folder: &Path,
    language: Language,
    found: &[(Experiment, Outcome)],
) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let mut written = Vec::new();
    for (it, outcome) in found {
        let path = folder.join(format!("{:02}-{}.svg", it.number, it.key));
        replaced::write(&path, outcome.picture.svg(language).as_bytes())?;
        written.push(path);
    }
    let page = folder.join("index.html");
    replaced::write(&page, html(language, found).as_bytes())?;
    written.push(page);
    Ok(written)
}

fn html(language: Language, found: &[(Experiment, Outcome)]) -> String {
    let title =
        language.pick("A tour of threads and processes", "Uma visita a threads e processos");
    let sections: String = found.iter().map(|(it, o)| section(language, it, o)).collect();
    let cores = machine::cpu_count();
    format!(
        "<!doctype html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title><style>{CSS}</style></head><body>\n<h1>{title}</h1>\n{sections}\
         <footer>Rust, {} × {}</footer>\n</body></html>\n",
        language.name(),
        cores,
        std::env::consts::ARCH,
    )
}

fn section(language: Language, it: &Experiment, outcome: &Outcome) -> String {
    let row = |label: &str, shown: &str| {
        format!("<tr><td>{}</td><td>{}</td></tr>", escape(label), escape(shown))
    };
    let rows: String = outcome.figures.iter().map(|f| row(&f.label, &f.shown(language))).collect();
    let [en, pt] = it.lesson;
    let says = language.pick("The lesson says", "A lição diz");
    let verdict = if outcome.holds {
        format!("<p class=\"holds\">✓ {}</p>", language.pick("holds here", "vale aqui"))
    } else {
        let why = outcome.because.as_deref().unwrap_or_default();
        let fails = language.pick("does not hold here", "não vale aqui");
        format!("<p class=\"fails\">✗ {fails}: {}</p>", escape(why))
    };
    let title = language.pick(it.title[0], it.title[1]);
    format!(
        "<section id=\"{}\">\n<h2>{}. {}</h2>\n<blockquote>{says}: {}</blockquote>\n{}\
         <table>{rows}</table>\n<p>{}</p>\n{verdict}\n</section>\n",
        it.key,
        it.number,
        escape(title),
        escape(language.pick(en, pt)),
        outcome.picture.svg(language),
        escape(&outcome.sentence),
    )
}
