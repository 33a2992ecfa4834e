//! English or Portuguese, and which letters: by `--lang`, else by the locale.

use std::ffi::OsString;

/// In which language people are spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Portuguese.
    Portuguese,
}

impl Language {
    /// The names that `--lang` takes.
    pub const NAMES: [&'static str; 2] = ["en", "pt"];

    /// The language with that name, as in `pt`, `pt_BR` or `pt-PT.UTF-8`.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        let first = name.split(['_', '-', '.', '@']).next()?.to_ascii_lowercase();
        match first.as_str() {
            "en" | "c" | "posix" => Some(Self::English),
            "pt" => Some(Self::Portuguese),
            _ => None,
        }
    }

    /// That of the locale for messages; English for all that are not Portuguese.
    #[must_use]
    pub fn of_locale(variable: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let name = locale("LC_MESSAGES", variable);
        Self::by_name(&name).unwrap_or(Self::English)
    }

    /// The name that `--lang` takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::English => Self::NAMES[0],
            Self::Portuguese => Self::NAMES[1],
        }
    }

    /// The one of two texts that is in this language.
    #[must_use]
    pub fn pick<T>(self, english: T, portuguese: T) -> T {
        match self {
            Self::English => english,
            Self::Portuguese => portuguese,
        }
    }
}

impl Language {
    /// A number as people of this language write it, made of one as they do in English.
    #[must_use]
    pub fn number(self, english: &str) -> String {
        let swapped = |c| match c {
            ',' => '.',
            '.' => ',',
            other => other,
        };
        self.pick(english.to_owned(), english.chars().map(swapped).collect())
    }

    /// A count with what is counted: one, or several.
    #[must_use]
    pub fn count(self, count: usize, english: [&str; 2], portuguese: [&str; 2]) -> String {
        let [one, several] = self.pick(english, portuguese);
        format!("{count} {}", if count == 1 { one } else { several })
    }
}

/// Whether the locale's letters are those of Unicode. Without a locale they are ASCII.
pub(super) fn is_unicode(variable: &dyn Fn(&str) -> Option<OsString>) -> bool {
    let name = locale("LC_CTYPE", variable).to_ascii_lowercase();
    name.contains("utf-8") || name.contains("utf8")
}

/// The locale of a category, as POSIX has it: `LC_ALL`, the category's own variable, `LANG`.
fn locale(category: &str, variable: &dyn Fn(&str) -> Option<OsString>) -> String {
    let set = ["LC_ALL", category, "LANG"].into_iter().find_map(|name| {
        let value = variable(name)?.to_string_lossy().into_owned();
        (!value.is_empty()).then_some(value)
    });
    set.unwrap_or_else(|| "C".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(set: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| OsString::from(value))
    }

    #[test]
    fn a_language_has_many_spellings() {
        for name in ["pt", "pt_BR.UTF-8", "pt-PT", "PT", "pt@euro"] {
            assert_eq!(Language::by_name(name), Some(Language::Portuguese), "{name}");
        }
        for name in ["en", "en_GB", "C", "POSIX", "C.UTF-8"] {
            assert_eq!(Language::by_name(name), Some(Language::English), "{name}");
        }
        assert_eq!(Language::by_name("de"), None);
    }

    #[test]
    fn numbers_and_counts_are_those_of_the_language() {
        assert_eq!(Language::Portuguese.number("1,234.5 MiB"), "1.234,5 MiB");
        assert_eq!(Language::English.number("1,234.5 MiB"), "1,234.5 MiB");
        let waits = |n| Language::Portuguese.count(n, ["waits", "wait"], ["espera", "esperam"]);
        assert_eq!([0, 1, 2].map(waits), ["0 esperam", "1 espera", "2 esperam"]);
    }

    #[test]
    fn the_first_variable_that_is_set_decides() {
        let all = environment(&[("LC_ALL", "pt_BR.UTF-8"), ("LANG", "en_US.UTF-8")]);
        assert_eq!(Language::of_locale(&all), Language::Portuguese);
        let messages = environment(&[("LC_ALL", ""), ("LC_MESSAGES", "pt"), ("LANG", "de_DE")]);
        assert_eq!(Language::of_locale(&messages), Language::Portuguese);
        assert!(!is_unicode(&messages));
        let letters = environment(&[("LC_CTYPE", "C.utf8"), ("LANG", "pt_PT")]);
        assert_eq!(Language::of_locale(&letters), Language::Portuguese);
        assert!(is_unicode(&letters));
        let none = environment(&[]);
        assert_eq!(Language::of_locale(&none), Language::English);
        assert!(!is_unicode(&none));
    }
}
