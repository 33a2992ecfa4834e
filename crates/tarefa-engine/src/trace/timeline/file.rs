//! In which forms a timeline is written to a file.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::data::Timeline;
use super::words::Words;
use crate::os::replaced::Replaced;

/// How wide text is.
const WIDTH: usize = 80;

/// A form, by what a file's name ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `.pftrace`: Perfetto's own.
    Perfetto,
    /// `.json`: Perfetto's and Chrome's.
    Json,
    /// `.svg`: a picture.
    Svg,
    /// `.html`: a page with the picture and a table.
    Html,
    /// `.txt`: text.
    Text,
}

/// A file that no timeline is written to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a timeline is written to a file that ends with {}: {path:?} does not",
    Form::list(" or ", |ending| format!(".{ending}"))
)]
pub struct WrongEnding {
    /// The file.
    pub path: PathBuf,
}

impl Form {
    const ALL: [(&'static str, Self); 5] = [
        ("pftrace", Self::Perfetto),
        ("json", Self::Json),
        ("svg", Self::Svg),
        ("html", Self::Html),
        ("txt", Self::Text),
    ];

    /// The form of a file with that name.
    ///
    /// # Errors
    /// [`WrongEnding`].
    pub fn of(path: &Path) -> Result<Self, WrongEnding> {
        let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        let known = Self::ALL.into_iter().find(|(known, _)| ending.eq_ignore_ascii_case(known));
        known.map(|(_, form)| form).ok_or_else(|| WrongEnding { path: path.to_owned() })
    }

    /// All endings in a row, as `show` has each, with `last` before the last one.
    pub fn list(last: &str, show: impl Fn(&str) -> String) -> String {
        let all = Self::ALL.map(|(ending, _)| show(ending));
        let [first @ .., end] = &all;
        format!("{}{last}{end}", first.join(", "))
    }
}

impl Timeline {
    /// Writes it in that form.
    ///
    /// # Errors
    /// What writing answered.
    pub fn write(&self, form: Form, words: &Words, to: &mut dyn io::Write) -> io::Result<()> {
        match form {
            Form::Perfetto => self.write_protobuf(to),
            Form::Json => self.write_json(to),
            Form::Svg => to.write_all(self.svg(words).as_bytes()),
            Form::Html => to.write_all(self.html(words).as_bytes()),
            Form::Text => writeln!(to, "{}", self.text(WIDTH, words)),
        }
    }

    /// Writes it to a file in the form that its name ends with: one that is there is replaced when it is whole.
    ///
    /// # Errors
    /// What the system answered; a [`WrongEnding`] is within that.
    pub fn save(&self, path: &Path, words: &Words) -> io::Result<()> {
        let wrong = |e| io::Error::new(io::ErrorKind::InvalidInput, e);
        let form = Form::of(path).map_err(wrong)?;
        Replaced::at(path)?.write(|file| self.write(form, words, file))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_form_follows_from_the_name() {
        assert_eq!(Form::of(Path::new("a.b/it.pftrace")), Ok(Form::Perfetto));
        assert_eq!(Form::of(Path::new("IT.SVG")), Ok(Form::Svg));
        for name in ["it", "it.png", "json", ".svg", ""] {
            let text = Form::of(Path::new(name)).unwrap_err().to_string();
            assert!(text.starts_with("a timeline is written to a file that ends with .pftrace, "));
            assert!(text.ends_with(&format!(", .html or .txt: {name:?} does not")), "{text}");
        }
        let folder = std::env::temp_dir();
        assert!(Timeline::default().save(&folder, &Words::ENGLISH).is_err());
    }
}
