//! Pools: which worker runs which task, and what is left to do when one of them dies.
//!
//! Contract:
//! - work lies in a queue of batches, and a batch stays the queue's until all of it is done: what a dead
//!   worker leaves comes out again, for whoever asks next;
//! - each task of a batch is claimed by one swap before it runs, on the [`board`]: so a death has one
//!   task to blame, and the rest of the batch goes on with the next worker;
//! - a result commits by itself, as a message or as a word that its worker [keeps](kept) until it tells
//!   several at once; nobody runs a task again whose result is there;
//! - the owner of the pool takes tasks that wait from a worker's batch, or forbids a worker to go on to
//!   the next task, by a swap in the same word: neither ever hits another task than it is meant for.
//!
//! `README.md` beside this file says who owns each byte. Checked by the tests in `board.rs`,
//! `growth.rs`, `sizing.rs`, `schedule.rs`, `overtime.rs`, `pinning.rs` and `starts.rs`, by `crates/tarefa/tests/pool` and `tests/python/pool`.

pub mod board;
mod growth;
pub mod kept;
mod overtime;
mod pinning;
mod schedule;
pub mod sizing;
mod starts;

pub use board::{Blamed, Board, Claim, Running, Usage};
pub use growth::Growth;
pub use kept::Kept;
pub use overtime::{Overtime, overtime};
pub use pinning::{PinError, Pinning, free_place};
pub use schedule::{Schedule, Units};
pub use sizing::Sizing;
pub use starts::{Starts, WorkerEnd};
