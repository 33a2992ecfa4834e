//! Who takes the results of a pool of processes out of their queue: of all threads that wait for some, one
//! at a time.
//!
//! It takes what comes for the others, too, so nothing is handed from thread to thread where one waits
//! alone. The others sleep on an event until their own have come, or until it is their turn.

use std::sync::Mutex;
use std::thread::{self, ThreadId};

use tarefa_engine::channel::{GetError, Taken};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::heap::OutOfMemory;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::event;
use tarefa_engine::sync::wait::{BlockingHooks, Outcome};

use super::shared::Messages;
use super::sink::locked;
use crate::runtime::errors::CreateError;

/// Messages that are taken at once.
const MOST: usize = 4096;

/// How a wait ended.
#[derive(Debug)]
pub(super) enum Waited {
    Done,
    TimedOut,
    Interrupted,
    /// The results cannot be taken, and are still in the queue.
    Memory(OutOfMemory),
}

#[derive(Debug, Default)]
struct State {
    leader: Option<ThreadId>,
    /// How deep it is: what it reads may wait again.
    depth: u32,
    followers: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Turns {
    /// What followers sleep on.
    event: Handle,
    state: Mutex<State>,
}

impl Turns {
    pub(super) fn new(me: &Member) -> Result<Self, CreateError> {
        Ok(Self { event: Handle::adopt(me, event::create(me)?), state: Mutex::default() })
    }

    /// Whether somebody takes results now.
    pub(super) fn is_taken(&self) -> bool {
        locked(&self.state).leader.is_some()
    }

    /// Something has changed that others may wait for.
    pub(super) fn notify(&self, me: &Member) {
        if locked(&self.state).followers > 0 {
            event::set(me, self.event.off());
        }
    }

    fn lead(&self) -> bool {
        let mut state = locked(&self.state);
        let here = thread::current().id();
        match state.leader {
            None => *state = State { leader: Some(here), depth: 1, ..*state },
            Some(leader) if leader == here => state.depth += 1,
            Some(_) => return false,
        }
        true
    }

    /// Waits until `done()`, handling what comes. Without a deadline's being in the future, what has come
    /// is handled.
    pub(super) fn wait(
        &self,
        me: &Member,
        results: &Messages,
        done: &dyn Fn() -> bool,
        handle: &dyn Fn(&Taken),
        hooks: &mut dyn BlockingHooks,
        deadline: Deadline,
    ) -> Waited {
        loop {
            if done() {
                return Waited::Done;
            }
            if self.lead() {
                let _led = Led { turns: self, me };
                let queue = results.queue(me);
                while !done() {
                    match queue.get_many(MOST, hooks, deadline) {
                        Ok(taken) => {
                            handle(&taken);
                            drop(taken);
                            self.notify(me);
                        }
                        Err(GetError::Empty | GetError::ShutDown) => return Waited::TimedOut,
                        Err(GetError::Interrupted) => return Waited::Interrupted,
                        Err(GetError::Memory(e)) => return Waited::Memory(e),
                    }
                }
                return Waited::Done;
            }
            locked(&self.state).followers += 1;
            let _follows = Follows(self);
            let mut over = || done() || !self.is_taken();
            match event::wait_for(me, self.event.off(), hooks, &mut over, deadline) {
                Outcome::Ready => {}
                Outcome::TimedOut => return Waited::TimedOut,
                Outcome::Interrupted => return Waited::Interrupted,
            }
        }
    }

    /// Handles what has come, unless somebody else is at that.
    pub(super) fn look(&self, me: &Member, results: &Messages, handle: &dyn Fn(&Taken)) {
        if !self.lead() {
            return;
        }
        let _led = Led { turns: self, me };
        while let Ok(taken) = results.queue(me).try_get_many(MOST) {
            handle(&taken);
            drop(taken);
            self.notify(me);
        }
    }
}

/// The calling thread takes results until this is dropped.
struct Led<'a> {
    turns: &'a Turns,
    me: &'a Member,
}

impl Drop for Led<'_> {
    fn drop(&mut self) {
        {
            let mut state = locked(&self.turns.state);
            state.depth -= 1;
            if state.depth > 0 {
                return;
            }
            state.leader = None;
        }
        self.turns.notify(self.me);
    }
}

struct Follows<'a>(&'a Turns);

impl Drop for Follows<'_> {
    fn drop(&mut self) {
        locked(&self.0.state).followers -= 1;
    }
}
