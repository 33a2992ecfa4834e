//! What a descriptor for a queue shows, or for what an end of a pipe reads.

use tarefa_engine::atomic::AtomicBool;
use tarefa_engine::channel::{Queue, Wanted};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::wait::{BlockingHooks, Outcome};

use crate::sync::level::Shown;

/// Whether there is a message, or the end of the queue. It holds the queue, not an end of a pipe.
pub(crate) struct Messages(pub(crate) Handle);

impl Shown for Messages {
    fn handle(&self) -> &Handle {
        &self.0
    }

    fn is_up(&self, me: &Member) -> bool {
        Queue::at(me, self.0.off()).has(Wanted::Message)
    }

    fn look_out(
        &self,
        me: &Member,
        was: bool,
        again: &AtomicBool,
        hooks: &mut dyn BlockingHooks,
    ) -> Outcome {
        let wanted = if was { Wanted::Nothing } else { Wanted::Message };
        Queue::at(me, self.0.off()).look_out(wanted, again, hooks, Deadline::NEVER)
    }

    fn look_around(&self, me: &Member) {
        let queue = Queue::at(me, self.0.off());
        queue.look_around(Wanted::Message);
        queue.look_around(Wanted::Nothing);
    }
}
