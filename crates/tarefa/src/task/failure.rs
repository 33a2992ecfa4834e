//! What goes wrong inside a target.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use tarefa_engine::units::Seconds;

use crate::runtime::interrupt;
use crate::runtime::interrupt::Interrupted;

/// Any error, as a target returns it: it keeps the text, and knows whether an
/// [`Interrupted`] was behind it.
///
/// Every error turns into one with `?`, those of `anyhow` and `eyre`, a `Box<dyn Error>` and a text
/// among them; and since it is an error itself, whoever asks for the result passes it on with `?`.
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
#[serde(transparent)]
pub struct Failure(Inner, #[serde(skip)] NoOther<()>);

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Inner {
    Text(String),
    Interrupted(Interrupted, String),
}

impl Failure {
    /// A failure of that error, or with that text.
    pub fn new(error: impl Into<Box<dyn Error>>) -> Self {
        Self::of(&*error.into())
    }

    fn of(error: &(dyn Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut cause = Some(error);
        let mut interrupted = false;
        while let Some(e) = cause {
            interrupted |=
                e.is::<Interrupted>() || e.downcast_ref::<Self>().is_some_and(Self::is_interrupted);
            let own = e.to_string();
            if !text.contains(&own) {
                text = format!("{text}: {own}");
            }
            cause = e.source();
        }
        if let Some(limit) = interrupted.then(interrupt::passed_limit).flatten() {
            text = format!("{text}: it ran longer than its time limit of {}", Seconds(limit));
        }
        let inner =
            if interrupted { Inner::Interrupted(Interrupted, text) } else { Inner::Text(text) };
        Self(inner, NoOther::default())
    }

    /// Whether the task failed because it was interrupted.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        matches!(self.0, Inner::Interrupted(..))
    }
}

/// Every error becomes a [`Failure`], and a failure is an error: the two would overlap in
/// `From<Failure> for Failure`, which exists. `Unpin` tells them apart, which errors are and a failure
/// is not; nobody pins either.
impl<E: Into<Box<dyn Error>> + Unpin> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

impl Error for Failure {}

/// What is not `Unpin`: it would be if `T` were [`Nothing`], which nothing is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct NoOther<T>(PhantomData<T>);

trait Nothing {}

impl<T: Nothing> Unpin for NoOther<T> {}

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
