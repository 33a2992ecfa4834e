//! A queue, or an end of a pipe, among other things that are waited for.

use std::sync::Arc;

use tarefa_engine::atomic::AtomicU32;
use tarefa_engine::channel::pipe::End;
use tarefa_engine::channel::{Queue, SelectQueue, Wanted};
use tarefa_engine::kinds;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::shm::{Member, Off};
use tarefa_engine::sync::select;
use tarefa_engine::sync::wait::Awaited;

use super::open_state::OpenState;
use crate::sync::select::Waitable;

/// A queue, or an end that reads, and whether its object is closed meanwhile.
pub(super) struct Receivable {
    pub(super) handle: Handle,
    pub(super) state: Arc<OpenState>,
}

impl Waitable for Receivable {
    fn handle(&self) -> &Handle {
        &self.handle
    }

    fn selectable<'a>(&'a self, me: &'a Member) -> Box<dyn select::Selectable + 'a> {
        let state = &*self.state;
        state.wait_begins(me.index());
        let queue = if self.handle.kind() == kinds::QUEUE {
            Some(Queue::at(me, self.handle.off()))
        } else {
            // An end that reads has a queue for as long as somebody has the end.
            End::at(me, self.handle.off()).reads()
        };
        let queue = queue.map(|queue| queue.selectable(Wanted::Message));
        Box::new(Reading { queue, state, me })
    }
}

struct Reading<'a> {
    queue: Option<SelectQueue<'a>>,
    state: &'a OpenState,
    me: &'a Member,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.state.wait_is_over(self.me.index());
    }
}

impl Awaited for Reading<'_> {
    fn word(&self) -> &'static AtomicU32 {
        self.queue.as_ref().map_or(&self.me.slot().interrupt, Awaited::word)
    }

    fn object(&self) -> Off {
        self.queue.as_ref().map_or(Off::NONE, Awaited::object)
    }

    fn ready(&mut self) -> bool {
        self.state.is_closed() || self.queue.as_mut().is_none_or(Awaited::ready)
    }

    fn announce(&mut self) -> Option<u32> {
        if self.state.is_closed() {
            return None;
        }
        self.queue.as_mut()?.announce()
    }
}

impl select::Selectable for Reading<'_> {
    fn look(&mut self) -> bool {
        self.state.is_closed() || self.queue.as_mut().is_none_or(select::Selectable::look)
    }

    fn woken(&mut self) {
        if let Some(queue) = &mut self.queue {
            queue.woken();
        }
    }

    fn is_unsure(&self) -> bool {
        self.queue.as_ref().is_some_and(select::Selectable::is_unsure)
    }
}
