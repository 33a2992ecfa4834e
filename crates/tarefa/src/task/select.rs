//! Tasks among other things that are waited for.

use tarefa_engine::shm::Member;
use tarefa_engine::task::State;
use tarefa_engine::task::record::Task as Record;

use crate::runtime::errors::TooManyThreads;
use crate::sync::select::{Made, Selectable, Source};
use crate::task::process::Process;
use crate::task::thread::Thread;
use crate::task::{Core, HasCore, Task, TaskHandle};

/// A task that was never started needs no record to say so.
fn is_new(core: &Core) -> bool {
    core.state() == State::New
}

fn member(core: &Core) -> Result<Option<Member>, TooManyThreads> {
    match core.handle() {
        Ok(handle) if !is_new(core) => Ok(Some(handle.try_me()?)),
        _ => Ok(None),
    }
}

fn make<'a>(core: &'a Core, me: &'a Member) -> Made<'a> {
    match core.handle() {
        Ok(handle) if !is_new(core) => {
            Made::Object(Box::new(Record::at(me, handle.off()).selectable()))
        }
        _ => Made::NotStarted,
    }
}

macro_rules! selectable {
    ($([$($of:tt)*] $task:ty),* $(,)?) => {$(
        impl<$($of)*> Source for $task {
            fn member(&self) -> Result<Option<Member>, TooManyThreads> {
                member(self.core())
            }

            fn make<'a>(&'a self, me: &'a Member) -> Made<'a> {
                make(self.core(), me)
            }
        }

        impl<$($of)*> Selectable for $task {}
    )*};
}

selectable! {
    [R] Process<R>, [R] Thread<R>, [] TaskHandle, [] dyn Task + '_, [T: HasCore + ?Sized] Box<T>,
    [T: HasCore + ?Sized] &T,
}
