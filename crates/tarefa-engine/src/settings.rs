//! The environment variables: each one's name, what it may be, and what it sets.
//!
//! - A new variable is a row of [`ALL`] and a function below that reads it. Whoever needs its
//!   value calls that function; nobody else reads the environment for it.
//! - `docs/settings.md` shows the rows; `scripts/check_settings.py` holds it to them, and fails on a
//!   `TAREFA_` name in the sources that is no row here.
//! - An empty value counts as none. What is not understood is a [`BadSetting`], at the first use.

use std::ffi::OsStr;
use std::io;
use std::time::Duration;

use crate::units::parse_size;

/// A row of the table. The texts are Markdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The variable.
    pub name: &'static str,
    /// What its value is.
    pub value: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it sets.
    pub meaning: &'static str,
    /// Who reads it, and when.
    pub read: &'static str,
    /// What sets the same in a program, in Python and in Rust.
    pub in_code: &'static str,
}

/// All of them, but for [`ZYGOTE`], by which a zygote learns of the runtime's address, and [`OBSERVER`].
pub const ALL: [Setting; 5] = [
    Setting {
        name: "TAREFA_ARENA_MAX",
        value: "a size, as in `64M` or `2G`",
        default: "9/10 of the machine's memory, or of the cgroup's limit",
        meaning: "the most shared memory",
        read: "the program, at its first shared object or task",
        in_code: "",
    },
    Setting {
        name: "TAREFA_KIND",
        value: "`process`, `thread` or `auto`",
        default: "`process`",
        meaning: "who runs the tasks of a pool in Python whose maker does not say it",
        read: "each pool, when it is made",
        in_code: "`tarefa.Pool(kind=)`, `tarefa.map(kind=)`; in Rust each pool says it",
    },
    Setting {
        name: "TAREFA_MAX_DEPTH",
        value: "a whole number from 1, as in `8`",
        default: "64",
        meaning: "how deep processes may start processes: those of the program itself are at depth 1",
        read: "the program, at its first process",
        in_code: "`tarefa.configure(max_depth=)`, `tarefa::set_max_depth`",
    },
    Setting {
        name: "TAREFA_REPORT_AFTER",
        value: "a number of seconds, as in `30`; `0` for never",
        default: "never",
        meaning: "after how long a wait has a report of who waits for whom written \
                  ([When it hangs](when-it-hangs.md))",
        read: "the program, at its first shared object or task",
        in_code: "`tarefa.configure(report_after=)`, `tarefa::set_report_after`",
    },
    Setting {
        name: "TAREFA_SPARES",
        value: "a whole number from 0 to 64, as in `4`",
        default: "twice the processors, 8 at most",
        meaning: "how many processes are forked ahead",
        read: "the program, at its first process",
        in_code: "`tarefa.configure(spares=)`, `tarefa::set_spares`",
    },
];

/// Not for users: by this a Rust program tells the zygote that it executes where the arena is, and
/// the zygote takes it away before anything else reads the environment.
pub const ZYGOTE: &str = "TAREFA_ZYGOTE";

/// Not for users: by this `tarefa run --trace` tells the programs below it where it waits for them. Those
/// that they start have it, too.
pub const OBSERVER: &str = "TAREFA_OBSERVER";

/// Where an observer waits to see a program from its beginning.
#[must_use]
pub fn observer() -> Option<String> {
    std::env::var(OBSERVER).ok().filter(|name| !name.is_empty())
}

/// The most spares that may be asked for.
pub const MOST_SPARES: u64 = 64;

/// A variable has a value that it cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} must be {}, not {found:?}: correct it, or take it out of the environment",
    setting.name,
    setting.value.replace('`', "")
)]
pub struct BadSetting {
    /// Which.
    pub setting: &'static Setting,
    /// Its value.
    pub found: String,
}

impl From<BadSetting> for io::Error {
    fn from(bad: BadSetting) -> Self {
        Self::new(io::ErrorKind::InvalidInput, bad)
    }
}

/// The most bytes of shared memory.
///
/// # Errors
/// [`BadSetting`].
pub fn arena_max() -> Result<Option<u64>, BadSetting> {
    read(0, |text| parse_size(text).filter(|size| *size > 0))
}

/// What a pool's tasks may run on.
pub const KINDS: [&str; 3] = ["process", "thread", "auto"];

/// What a pool's tasks run on where its maker does not say it: one of [`KINDS`].
///
/// # Errors
/// [`BadSetting`].
pub fn kind() -> Result<Option<&'static str>, BadSetting> {
    read(1, |text| KINDS.into_iter().find(|kind| *kind == text))
}

/// How deep processes may start processes, where nobody says.
pub const USUAL_DEPTH: u64 = 64;

/// How deep processes may start processes.
///
/// # Errors
/// [`BadSetting`].
pub fn max_depth() -> Result<Option<u64>, BadSetting> {
    read(2, |text| text.parse().ok().filter(|depth| *depth > 0))
}

/// How long a wait may last before it is reported; `None` is for ever.
///
/// # Errors
/// [`BadSetting`].
pub fn report_after() -> Result<Option<Duration>, BadSetting> {
    read(3, seconds).map(|after| after.filter(|after| !after.is_zero()))
}

/// Zero for what is longer than can be told, which is never.
fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.parse::<f64>().ok().filter(|s| *s >= 0.0)?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::ZERO))
}

/// How many processes are forked ahead.
///
/// # Errors
/// [`BadSetting`].
pub fn spares() -> Result<Option<u64>, BadSetting> {
    read(4, |text| text.parse().ok().filter(|count| *count <= MOST_SPARES))
}

fn read<T>(row: usize, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, BadSetting> {
    let setting = &ALL[row];
    understand(setting, std::env::var_os(setting.name).as_deref(), parse)
}

fn understand<T>(
    setting: &'static Setting,
    found: Option<&OsStr>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, BadSetting> {
    let text = found.unwrap_or_default().to_string_lossy();
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    match parse(text) {
        None => Err(BadSetting { setting, found: text.to_owned() }),
        some => Ok(some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_read_by_its_function() {
        let names = ALL.map(|s| s.name);
        let ours = ["ARENA_MAX", "KIND", "MAX_DEPTH", "REPORT_AFTER", "SPARES"];
        assert_eq!(names.map(|name| name.trim_start_matches("TAREFA_")), ours);
    }

    #[test]
    fn nothing_is_none() {
        for found in [None, Some(OsStr::new("")), Some(OsStr::new("  "))] {
            assert_eq!(understand(&ALL[0], found, |_| Some(1)), Ok(None));
        }
    }

    #[test]
    fn seconds_are_a_number_from_zero() {
        assert_eq!(seconds("0.25"), Some(Duration::from_millis(250)));
        assert_eq!((seconds("0"), seconds("1e300")), (Some(Duration::ZERO), Some(Duration::ZERO)));
        assert_eq!(["-1", "nan", "soon"].map(seconds), [None; 3]);
    }

    #[test]
    fn what_is_not_understood_is_told_with_name_and_value() {
        let bad = understand(&ALL[4], Some(OsStr::new(" many ")), |text| text.parse::<u64>().ok());
        assert_eq!(
            bad.map_err(|e| e.to_string()),
            Err("TAREFA_SPARES must be a whole number from 0 to 64, as in 4, not \"many\": \
                 correct it, or take it out of the environment"
                .to_owned())
        );
    }
}
