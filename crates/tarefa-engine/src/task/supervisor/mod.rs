//! The supervisor: a thread of the root that notices every death, once, and cleans up.
//!
//! It sleeps on the descriptors of all member processes and on a doorbell that new members ring, and
//! until the first of the deadlines of tasks with a time limit: see [`super::limits`].
//! It never needs a language's locks, and a failure of the system makes it slower (it looks
//! around by the clock where it has no descriptor), never silent.

mod ending;
mod reap;
mod remind;
mod serve;
mod state;
mod terminations;
mod time_limits;
pub mod untold;
mod watch;
mod zygotes;

pub(in crate::task) use serve::runs_here;
pub use serve::{Reporter, ensure, set_reporter};
pub use zygotes::{AddressIn, Zygote, has_zygote, set_zygote};
