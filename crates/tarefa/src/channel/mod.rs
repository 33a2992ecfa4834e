//! Channels: values from threads and processes to threads and processes.
//!
//! ```text
//!  Sender ──side──> queue of the engine's <──side── Receiver
//! ```
//!
//! A side (`side.rs`) is an end of a pipe of the engine's: who has it is counted, processes that die
//! too, and when the last one is gone the other side is told. Or it is the queue itself, of a program in
//! Python. Both carry the same elements, of which numbers, texts and bytes are read by both languages.
//!
//! With feature `tokio` tasks of an executor wait as well (`turns.rs`).

mod errors;
mod plain;
mod receiver;
mod sender;
mod side;
#[cfg(feature = "tokio")]
mod turns;

pub use errors::{
    ChannelError, RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError,
    TrySendError,
};
pub use plain::{PlainReceiver, PlainSender};
pub use receiver::{IntoIter, Iter, Receiver, TryIter};
pub use sender::Sender;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tarefa_engine::channel::pipe;

use crate::convert::plain::Plain;
use crate::runtime;
use crate::runtime::errors::CreateError;
use side::{Direction, Side};

/// A channel for values: what the [`Sender`] sends, the [`Receiver`] receives, in its order. Both can be
/// cloned, and go to processes as arguments of tasks, as elements, and in messages of other channels.
///
/// `bound` is the most values that it holds, 0 for any number: who sends more waits. Whatever the bound, it
/// holds at most 256 MiB; a larger value waits until it is alone.
///
/// When the last sender is dropped, or the process that has it dies, receivers get what was sent before,
/// and then [`RecvError::Disconnected`]; senders hear likewise that nobody receives. A channel is the same
/// object for programs in Python: see [`Sender`].
///
/// ```
/// use tarefa::{Process, Receiver, Sender, channel};
///
/// fn work(jobs: Receiver<u64>, results: Sender<(u64, u64)>) -> Result<(), String> {
///     for n in &jobs {
///         let n = n.map_err(|e| e.to_string())?;
///         results.send((n, n * n)).map_err(|e| e.to_string())?;
///     }
///     Ok(())
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (jobs, to_do) = channel(10)?;
/// let (done, results) = channel(0)?;
/// let worker = Process::spawn(work, (to_do, done))?;
/// for n in 1..=3 {
///     jobs.send(n)?;
/// }
/// drop(jobs); // no more will come
/// let squares = results.iter().collect::<Result<Vec<_>, _>>()?; // until the worker has ended
/// assert_eq!(squares, [(1, 1), (2, 4), (3, 9)]);
/// # worker.result(None)??;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`CreateError`].
pub fn channel<T: Serialize + DeserializeOwned + 'static>(
    bound: usize,
) -> Result<(Sender<T>, Receiver<T>), CreateError> {
    let (reads, writes) = sides(bound)?;
    Ok((Sender::of(writes), Receiver::of(reads)))
}

/// A channel whose messages are slices of plain data, which are copied as they are: nothing is
/// serialised. In Python, and for a channel of `Vec<u8>`, they are bytes.
///
/// ```
/// use tarefa::{Plain, Process, plain_channel};
///
/// #[derive(Clone, Copy, Debug, PartialEq, Plain)]
/// #[repr(C)]
/// struct Point {
///     x: f64,
///     y: f64,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (points, received) = plain_channel::<Point>(0)?;
/// let task = Process::spawn(
///     |points: tarefa::PlainSender<Point>| points.send(&[Point { x: 1.0, y: 2.0 }; 3]).is_ok(),
///     (points,),
/// )?;
/// assert_eq!(received.recv()?, [Point { x: 1.0, y: 2.0 }; 3]);
/// # assert!(task.result(None)?);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`CreateError`].
pub fn plain_channel<T: Plain>(
    bound: usize,
) -> Result<(PlainSender<T>, PlainReceiver<T>), CreateError> {
    let (reads, writes) = sides(bound)?;
    Ok((PlainSender::of(writes), PlainReceiver::of(reads)))
}

/// The sides of a new one: what receives, what sends.
fn sides(bound: usize) -> Result<(Side, Side), CreateError> {
    let me = runtime::get()?.try_me()?;
    let (reads, writes) = pipe::create_one_way(&me, bound as u64)?;
    Ok((Side::adopt(&me, reads, Direction::Receives), Side::adopt(&me, writes, Direction::Sends)))
}
