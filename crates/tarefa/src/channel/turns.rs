//! Tasks of an executor that wait for a channel: with feature `tokio`, and on any executor.
//!
//! ```text
//!  task ──puts its waker──> waiting ──the first──> told ──looks, waits again or goes──> task
//!                              │ somebody waits       │ there is something
//!                              v                      │
//!                          thread ──looks out──> queue
//! ```
//!
//! - One thread for each queue and direction of this process waits while tasks do, and takes nothing:
//!   it has one of them look. So who is dropped while it waits has taken nothing and put nothing.
//! - Who was told has a [`Turn`], and the next one is told when that is dropped: after it has looked,
//!   or when it is dropped without. A task that does not come for a while does not keep the others.
//! - The thread is made when somebody first has to wait, and ends when the process has no side left
//!   that has waited. It holds the queue, not an end: who waits for the other side's end hears it.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use tarefa_engine::atomic::{AtomicBool, Ordering};
use tarefa_engine::channel::{Queue, Wanted};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::os::signal;
use tarefa_engine::shm::object::handle::Handle;

use super::errors::ChannelError;
use crate::runtime::blocking::RustParker;
use crate::runtime::errors::TooManyThreads;

/// How long one who was told keeps the others from being told.
const PATIENCE: Duration = Duration::from_millis(10);
/// Bytes of the thread's stack.
const STACK: usize = 128 * 1024;

/// Which tasks wait together: for messages, or for room, of the queue of that number in that runtime.
type Key = (u64, u64, bool);

/// Those that there are in this process.
static ALL: Mutex<Option<HashMap<Key, Weak<Waiting>>>> = Mutex::new(None);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tasks of this process that wait for one side of a queue, made when one has to.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(OnceLock<Arc<Waiting>>);

impl Turns {
    /// Waits until there may be what is wanted; who has the turn then looks.
    pub(super) async fn next(
        &self,
        wanted: Wanted,
        queue: impl FnOnce() -> Result<Handle, ChannelError>,
    ) -> Result<Turn, ChannelError> {
        let waiting = if let Some(waiting) = self.0.get() {
            Arc::clone(waiting)
        } else {
            let new = Waiting::of(queue()?, wanted == Wanted::Message);
            Arc::clone(self.0.get_or_init(|| new))
        };
        Waiting::start(&waiting)?;
        Ask { waiting, wanted, number: None }.await
    }
}

/// One that waits.
#[derive(Debug)]
struct Waiter {
    number: u64,
    wanted: Wanted,
    waker: Waker,
}

#[derive(Debug, Default)]
struct State {
    waiters: VecDeque<Waiter>,
    numbers: u64,
    /// Who was told, and has not yet looked.
    told: Option<u64>,
    /// What the thread looks out for now.
    sought: Option<Wanted>,
    has_thread: bool,
    /// The sides are gone.
    is_over: bool,
    /// The thread cannot look.
    failed: Option<TooManyThreads>,
}

/// See the module.
#[derive(Debug)]
struct Waiting {
    shared: Arc<Shared>,
    key: Key,
}

/// What the thread has as well.
#[derive(Debug)]
struct Shared {
    queue: Handle,
    state: Mutex<State>,
    changed: Condvar,
    /// What the thread waits for has changed.
    again: AtomicBool,
}

impl Waiting {
    fn of(queue: Handle, for_messages: bool) -> Arc<Self> {
        let key = (queue.runtime().id(), queue.id(), for_messages);
        let mut all = locked(&ALL);
        let all = all.get_or_insert_default();
        if let Some(known) = all.get(&key).and_then(Weak::upgrade) {
            return known;
        }
        let shared = Shared {
            queue,
            state: Mutex::default(),
            changed: Condvar::new(),
            again: AtomicBool::new(false),
        };
        let made = Arc::new(Self { shared: Arc::new(shared), key });
        all.insert(key, Arc::downgrade(&made));
        made
    }

    /// Makes the thread, if there is none.
    fn start(waiting: &Arc<Self>) -> Result<(), ChannelError> {
        let mut state = locked(&waiting.shared.state);
        if !state.has_thread {
            let shared = Arc::clone(&waiting.shared);
            let named = thread::Builder::new().name("tarefa-channel".into()).stack_size(STACK);
            named.spawn(move || shared.run()).map_err(ChannelError::Thread)?;
            (state.has_thread, state.failed) = (true, None);
        }
        Ok(())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(all) = locked(&ALL).as_mut() {
            // Somebody may have made another one since the last side of this was dropped.
            if all.get(&self.key).is_some_and(|other| other.strong_count() == 0) {
                all.remove(&self.key);
            }
        }
        locked(&self.shared.state).is_over = true;
        self.shared.look_again();
    }
}

impl Shared {
    /// Has the thread look at what is waited for.
    fn look_again(&self) {
        self.again.store(true, Ordering::SeqCst);
        self.changed.notify_all();
        self.queue.with_me(|me| {
            let queue = Queue::at(me, self.queue.off());
            queue.look_around(Wanted::Message);
            queue.look_around(Wanted::Room(0));
        });
    }

    /// The thread's.
    fn run(&self) {
        // They are the program's threads'.
        signal::block_all();
        let me = match self.queue.try_me() {
            Ok(me) => me,
            Err(none) => return self.fail(none.into()),
        };
        let queue = Queue::at(&me, self.queue.off());
        while let Some(wanted) = self.somebody_waits() {
            queue.look_out(wanted, &self.again, &mut RustParker, Deadline::NEVER);
            let stopped = self.again.swap(false, Ordering::SeqCst);
            let mut state = locked(&self.state);
            state.sought = None;
            if !stopped {
                self.tell(state);
            }
        }
    }

    /// Waits until somebody waits: for what, which is sought now. None once the sides are gone.
    fn somebody_waits(&self) -> Option<Wanted> {
        let mut state = locked(&self.state);
        loop {
            if state.is_over {
                return None;
            }
            if let Some(wanted) = state.waiters.front().map(|first| first.wanted) {
                state.sought = Some(wanted);
                return Some(wanted);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Tells the first, and waits until it has looked.
    fn tell(&self, mut state: MutexGuard<'_, State>) {
        let Some(first) = state.waiters.pop_front() else { return };
        state.told = Some(first.number);
        drop(state);
        first.waker.wake();
        let looks = |state: &mut State| state.told.is_some() && !state.is_over;
        let waited = self.changed.wait_timeout_while(locked(&self.state), PATIENCE, looks);
        waited.unwrap_or_else(PoisonError::into_inner).0.told = None;
    }

    fn fail(&self, why: TooManyThreads) {
        let mut state = locked(&self.state);
        (state.failed, state.has_thread) = (Some(why), false);
        let all = std::mem::take(&mut state.waiters);
        drop(state);
        for waiter in all {
            waiter.waker.wake();
        }
    }

    /// One who waited does no more, whether it was told or not.
    fn leave(&self, number: u64) {
        let mut state = locked(&self.state);
        if state.told == Some(number) {
            state.told = None;
            drop(state);
            self.changed.notify_all();
            return;
        }
        let Some(at) = state.waiters.iter().position(|waiter| waiter.number == number) else {
            return;
        };
        let gone = state.waiters.remove(at);
        self.first_may_be_another(state);
        // Its waker may be the last that keeps a task, whose end may come back here.
        drop(gone);
    }

    /// Has the thread seek what the first waits for, if that is something else now.
    fn first_may_be_another(&self, state: MutexGuard<'_, State>) {
        let first = state.waiters.front().map(|first| first.wanted);
        let sought = state.sought;
        drop(state);
        match (first, sought) {
            (Some(_), None) => self.changed.notify_all(),
            (Some(first), Some(sought)) if first != sought => self.look_again(),
            _ => {}
        }
    }
}

/// Waits for a [`Turn`].
#[derive(Debug)]
struct Ask {
    waiting: Arc<Waiting>,
    wanted: Wanted,
    number: Option<u64>,
}

impl Future for Ask {
    type Output = Result<Turn, ChannelError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let shared = &this.waiting.shared;
        // What others have written runs outside of the lock: a waker's clone and its end.
        let waker = context.waker().clone();
        let mut state = locked(&shared.state);
        let Some(number) = this.number else {
            state.numbers += 1;
            let number = state.numbers;
            state.waiters.push_back(Waiter { number, wanted: this.wanted, waker });
            this.number = Some(number);
            shared.first_may_be_another(state);
            return Poll::Pending;
        };
        if let Some(waiter) = state.waiters.iter_mut().find(|waiter| waiter.number == number) {
            let old = std::mem::replace(&mut waiter.waker, waker);
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        let failed = state.failed;
        drop(state);
        this.number = None;
        if let Some(why) = failed {
            return Poll::Ready(Err(why.into()));
        }
        Poll::Ready(Ok(Turn { waiting: Arc::clone(&this.waiting), number }))
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.waiting.shared.leave(number);
        }
    }
}

/// What one has who was told to look; the next one is told when it is dropped.
#[must_use]
#[derive(Debug)]
pub(super) struct Turn {
    waiting: Arc<Waiting>,
    number: u64,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.waiting.shared.leave(self.number);
    }
}
