//! What goes wrong inside a target.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

use tarefa_engine::task::limits::over_time_words;

use crate::task::current;

/// Somebody called `interrupt()` on the task that runs here.
///
/// A target that passes it on (with `?`) ends as [`State::Interrupted`](crate::State).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error, Serialize, Deserialize)]
#[error("the task was interrupted")]
pub struct Interrupted;

/// The name under which serde sees it.
pub(crate) const INTERRUPTED: &str = "Interrupted";

/// Any error, as a target returns it: it keeps the text, and knows whether an
/// [`Interrupted`] was behind it.
///
/// Every error turns into one with `?`:
///
/// ```
/// use tarefa::{Failure, Thread, State};
///
/// fn number(text: String) -> Result<i64, Failure> {
///     Ok(text.parse()?)
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let task = Thread::spawn(number, ("many".to_owned(),))?;
/// let failure = task.result(None)?.unwrap_err();
/// assert_eq!(failure.to_string(), "invalid digit found in string");
/// assert_eq!(task.state(), State::Failed);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure(Inner);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Inner {
    Text(String),
    Interrupted(Interrupted, String),
}

impl Failure {
    /// A failure with that text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Inner::Text(text.into()))
    }

    /// Whether the task failed because it was interrupted.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        matches!(self.0, Inner::Interrupted(..))
    }
}

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        let mut interrupted = false;
        while let Some(e) = cause {
            interrupted |= e.is::<Interrupted>();
            let own = e.to_string();
            if !text.contains(&own) {
                text = format!("{text}: {own}");
            }
            cause = e.source();
        }
        if let Some(limit) = interrupted.then(current::passed_limit).flatten() {
            text = format!("{text}: it {}", over_time_words(limit));
        }
        Self(if interrupted { Inner::Interrupted(Interrupted, text) } else { Inner::Text(text) })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Text(text) | Inner::Interrupted(_, text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A failure as an error: it is none itself, so that every error can become one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Told(Failure);

impl From<Failure> for Box<dyn Error> {
    fn from(failure: Failure) -> Self {
        Box::new(Told(failure))
    }
}

impl From<Failure> for Box<dyn Error + Send + Sync> {
    fn from(failure: Failure) -> Self {
        Box::new(Told(failure))
    }
}
