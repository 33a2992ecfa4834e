//! The zygote: a single-threaded process that forks the children that run tasks.
//!
//! ```text
//!  starter                     zygote                          child
//!  -------                     ------                          -----
//!  idle spare? mailbox=TASK ------------------------------->  wakes, runs the task
//!  or one that warms up? the same ------------------------->  runs it when it is warm
//!  else push request, ring ->  take slot (EMBRYO)
//!                              pop request into slot.task
//!                              fork sibling ---------------->  hatch: slot is LIVE
//!                              hatch (either may be first)     Running ... outcome
//!  sees FORKED          <----  state |= FORKED                 state = Finished, ring, _exit
//! ```
//!
//! The zygote collects its children and leaves their status in their slots, where the root's
//! supervisor finds it: a program that waits for any child of its own never meets a task. What
//! happens when the root or the zygote ends is in `root_exit`.

mod children;
mod front;
mod messages;
pub(crate) mod root_exit;
mod serve;

pub use children::leave;
pub use front::Front;
pub use messages::send_message;
pub use serve::serve;
