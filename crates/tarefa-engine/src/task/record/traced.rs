//! What a task writes into a trace: see [`crate::shm::trace`].

use super::task::Task;
use crate::os::clock;
use crate::shm::trace::{self, Ended, Event, What};
use crate::sync::object_kinds;
use crate::task::state::State;

impl Task<'_> {
    /// The calling thread runs it from now on.
    #[inline]
    pub(super) fn trace_begins(&self) {
        if trace::is_on(self.me) {
            self.write(|task, is_thread| What::TaskBegins { task, is_thread });
        }
    }

    /// It has ended so, and nobody has been told yet.
    #[inline]
    pub(super) fn trace_ends(&self, end: State) {
        if trace::is_on(self.me) {
            let how = match end {
                State::Finished => Ended::Returned,
                State::Interrupted => Ended::Interrupted,
                _ => Ended::Failed,
            };
            self.write(|task, _| What::TaskEnds { task, how });
        }
    }

    #[cold]
    fn write(&self, what: impl FnOnce(u64, bool) -> What) {
        let at_ns = clock::now_ns();
        let id = object_kinds::see(self.me, self.off).map_or(0, |seen| seen.id);
        let name = trace::intern(self.me, &self.name_bytes());
        let what = what(id, self.is_thread());
        trace::emit(self.me, || Event { at_ns, name, what });
    }
}
