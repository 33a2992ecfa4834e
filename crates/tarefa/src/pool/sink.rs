//! Who gets the results of tasks: the handle of one, or a map of many.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use tarefa_engine::atomic::{AtomicU64, Ordering};
use tarefa_engine::collections::value::Fetched;
use tarefa_engine::shm::Runtime;

use super::errors::TaskError;
use crate::convert::errors::DecodeError;
use crate::convert::{codec, element};
use crate::task::{panics, target};

/// What is known of a task in the end. An error takes no room beside values.
pub(super) type Given<R> = Result<R, Box<TaskError>>;

/// Gets the results of a batch. Each task's comes once.
pub(super) trait Sink: Send + Sync {
    /// The function, for people.
    fn call(&self) -> &'static str;

    /// Values of tasks that follow each other, as words.
    fn words(&self, runtime: &'static Runtime, first: usize, words: &[u8]);

    /// An encoded value. The objects that it mentions are held meanwhile.
    fn value(&self, index: usize, bytes: &[u8]);

    /// There is no value.
    fn failed(&self, index: usize, error: TaskError);

    /// The task is in that batch from now on.
    fn moved_to(&self, _batch: u64) {}

    /// A batch more has tasks of this sink, or one less.
    fn batches(&self, _more: bool) {}
}

/// The same, of values that are here.
pub(super) trait TypedSink<R>: Sink {
    /// Results of tasks that follow each other.
    fn give(&self, first: usize, results: Vec<Given<R>>);
}

/// What is not lost with a thread that panicked.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a value; a type that panics meanwhile fails the task alone.
fn read<R>(call: &'static str, act: impl FnOnce() -> Result<R, DecodeError>) -> Given<R> {
    match panic::catch_unwind(AssertUnwindSafe(act)) {
        Ok(read) => read.map_err(|source| TaskError::Decode { call, source }.into()),
        Err(payload) => {
            let text = panics::caught(&*payload);
            target::drop_quietly(payload);
            let source = format!("reading it panicked: {text}").into();
            let source = DecodeError::Bytes { what: std::any::type_name::<R>(), source };
            Err(TaskError::Decode { call, source }.into())
        }
    }
}

fn read_words<R: DeserializeOwned>(
    call: &'static str,
    runtime: &'static Runtime,
    words: &[u8],
) -> Vec<Given<R>> {
    let word = |bytes: &[u8]| u64::from_le_bytes(std::array::from_fn(|i| bytes[i]));
    let one = |bytes| read(call, || element::load(runtime, Fetched::Word(word(bytes))));
    words.chunks_exact(8).map(one).collect()
}

/// The result of one task.
pub(super) struct One<R> {
    call: &'static str,
    /// The batch that it is in.
    batch: AtomicU64,
    state: Mutex<OneState<R>>,
}

enum OneState<R> {
    Waits,
    Is(Given<R>),
    Taken,
}

impl<R> One<R> {
    pub(super) fn new(call: &'static str) -> Self {
        Self { call, batch: AtomicU64::new(0), state: Mutex::new(OneState::Waits) }
    }

    pub(super) fn is_done(&self) -> bool {
        !matches!(*locked(&self.state), OneState::Waits)
    }

    /// The result, once; `None` before it is there.
    pub(super) fn take(&self) -> Option<Given<R>> {
        let mut state = locked(&self.state);
        match std::mem::replace(&mut *state, OneState::Taken) {
            OneState::Waits => {
                *state = OneState::Waits;
                None
            }
            OneState::Is(given) => Some(given),
            OneState::Taken => Some(Err(TaskError::Taken { call: self.call }.into())),
        }
    }

    /// The batch that it is in.
    pub(super) fn batch(&self) -> u64 {
        self.batch.load(Ordering::Acquire)
    }

    fn set(&self, given: Given<R>) {
        let mut state = locked(&self.state);
        if let OneState::Waits = *state {
            *state = OneState::Is(given);
        }
    }
}

impl<R: DeserializeOwned + Send + 'static> Sink for One<R> {
    fn call(&self) -> &'static str {
        self.call
    }

    fn words(&self, runtime: &'static Runtime, _: usize, words: &[u8]) {
        if let Some(given) = read_words(self.call, runtime, words).pop() {
            self.set(given);
        }
    }

    fn value(&self, _: usize, bytes: &[u8]) {
        self.set(read(self.call, || codec::decode(bytes)));
    }

    fn failed(&self, _: usize, error: TaskError) {
        self.set(Err(error.into()));
    }

    fn moved_to(&self, batch: u64) {
        // not shared: a word of this process alone.
        self.batch.store(batch, Ordering::Release);
    }
}

impl<R: DeserializeOwned + Send + 'static> TypedSink<R> for One<R> {
    fn give(&self, _: usize, mut results: Vec<Given<R>>) {
        if let Some(given) = results.pop() {
            self.set(given);
        }
    }
}

/// The results of a map.
pub(super) struct Many<R> {
    call: &'static str,
    ordered: bool,
    state: Mutex<ManyState<R>>,
}

struct ManyState<R> {
    /// Results that follow each other, by the place of the first.
    runs: BTreeMap<usize, Vec<Given<R>>>,
    /// Where their order is of no interest.
    ready: VecDeque<Vec<Given<R>>>,
    /// How many have come.
    came: usize,
    /// Batches that are not over.
    batches: usize,
    /// Nobody wants them any more.
    stopped: bool,
}

impl<R> Many<R> {
    pub(super) fn new(call: &'static str, ordered: bool) -> Self {
        let state = ManyState {
            runs: BTreeMap::new(),
            ready: VecDeque::new(),
            came: 0,
            batches: 0,
            stopped: false,
        };
        Self { call, ordered, state: Mutex::new(state) }
    }

    /// Results that are next, where `next` is the place of the first that was not taken; or none.
    pub(super) fn take(&self, next: usize) -> Option<Vec<Given<R>>> {
        let mut state = locked(&self.state);
        if self.ordered { state.runs.remove(&next) } else { state.ready.pop_front() }
    }

    /// Whether `take` has something.
    pub(super) fn has(&self, next: usize) -> bool {
        let state = locked(&self.state);
        if self.ordered { state.runs.contains_key(&next) } else { !state.ready.is_empty() }
    }

    /// How many results have come, and how many batches are not over.
    pub(super) fn progress(&self) -> (usize, usize) {
        let state = locked(&self.state);
        (state.came, state.batches)
    }

    /// Nobody wants results any more.
    pub(super) fn stop(&self) {
        let dropped = {
            let mut state = locked(&self.state);
            state.stopped = true;
            (std::mem::take(&mut state.runs), std::mem::take(&mut state.ready))
        };
        target::drop_quietly(dropped);
    }

    fn add(&self, first: usize, results: Vec<Given<R>>) {
        if results.is_empty() {
            return;
        }
        let unwanted = {
            let mut state = locked(&self.state);
            state.came += results.len();
            if state.stopped {
                Some(results)
            } else if self.ordered {
                state.runs.insert(first, results)
            } else {
                state.ready.push_back(results);
                None
            }
        };
        target::drop_quietly(unwanted);
    }
}

impl<R: DeserializeOwned + Send + 'static> Sink for Many<R> {
    fn call(&self) -> &'static str {
        self.call
    }

    fn words(&self, runtime: &'static Runtime, first: usize, words: &[u8]) {
        self.add(first, read_words(self.call, runtime, words));
    }

    fn value(&self, index: usize, bytes: &[u8]) {
        self.add(index, vec![read(self.call, || codec::decode(bytes))]);
    }

    fn failed(&self, index: usize, error: TaskError) {
        self.add(index, vec![Err(error.into())]);
    }

    fn batches(&self, more: bool) {
        let mut state = locked(&self.state);
        state.batches = if more { state.batches + 1 } else { state.batches.saturating_sub(1) };
    }
}

impl<R: DeserializeOwned + Send + 'static> TypedSink<R> for Many<R> {
    fn give(&self, first: usize, results: Vec<Given<R>>) {
        self.add(first, results);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_taken_once() {
        let one = One::<u32>::new("f");
        assert!(one.take().is_none() && !one.is_done());
        one.give(0, vec![Ok(7)]);
        one.failed(0, TaskError::Cancelled { call: "f" });
        assert!(one.is_done());
        assert!(matches!(one.take(), Some(Ok(7))));
        assert!(matches!(one.take(), Some(Err(e)) if matches!(*e, TaskError::Taken { .. })));
    }

    #[test]
    fn many_come_in_their_order_or_as_they_are_there() {
        let ordered = Many::<u32>::new("f", true);
        let any = Many::<u32>::new("f", false);
        for many in [&ordered, &any] {
            many.give(2, vec![Ok(2)]);
            many.give(0, vec![Ok(0), Ok(1)]);
            assert_eq!(many.progress(), (3, 0));
        }
        assert!(ordered.has(0) && !ordered.has(1));
        assert_eq!(ordered.take(0).map(|run| run.len()), Some(2));
        assert!(ordered.take(1).is_none());
        assert_eq!(ordered.take(2).map(|run| run.len()), Some(1));
        assert_eq!(any.take(0).map(|run| run.len()), Some(1));
        assert_eq!(any.take(0).map(|run| run.len()), Some(2));
        any.stop();
        any.give(3, vec![Ok(3)]);
        assert!(!any.has(3) && any.progress().0 == 4);
    }
}
