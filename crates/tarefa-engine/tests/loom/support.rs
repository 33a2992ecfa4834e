//! What the models have in common.

use std::sync::Arc;

use tarefa_engine::atomic::model::{Run, Spawned, mortal};
use tarefa_engine::atomic::{AtomicBool, Ordering};
use tarefa_engine::shm::Member;
use tarefa_engine::shm::model::{begin, bury, member, root};

/// The processes of a model. All of them are set up before it, and begin anew in each execution.
#[derive(Clone, Copy)]
pub(crate) struct World<const N: usize> {
    /// Who sets up, cleans up after the dead, and looks at what is left.
    pub(crate) root: Member,
    pub(crate) members: [Member; N],
}

impl<const N: usize> World<N> {
    pub(crate) fn new() -> Self {
        let root = root();
        tarefa_engine::sync::register();
        tarefa_engine::collections::register();
        Self { root, members: std::array::from_fn(|_| member(&root)) }
    }

    /// Starts an execution.
    pub(crate) fn begin(&self) {
        self.members.iter().for_each(begin);
    }

    /// A thread of the member with that number.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        run: &Run,
        number: usize,
        act: impl FnOnce(&Member) -> T + Send + 'static,
    ) -> Spawned<T> {
        let me = self.members[number];
        run.spawn(move || act(&me))
    }

    /// The first member's thread, which is killed where `fate` says; then the root cleans up
    /// after it, and `None` is returned.
    pub(crate) fn spawn_mortal<T: Send + 'static>(
        &self,
        run: &Run,
        fate: &Fate,
        act: impl FnOnce(&Member) -> T + Send + 'static,
    ) -> Spawned<Option<T>> {
        let (me, root, fate) = (self.members[0], self.root, fate.clone());
        run.spawn(move || fate.meets(&me, &root, |_| (), act).1)
    }

    /// The same; `look` is what the thread is asked once it is dead, before anybody cleans up.
    pub(crate) fn spawn_mortal_and<T: Send + 'static>(
        &self,
        run: &Run,
        fate: &Fate,
        look: impl FnOnce(&Member) -> bool + Send + 'static,
        act: impl FnOnce(&Member) -> T + Send + 'static,
    ) -> Spawned<(bool, Option<T>)> {
        let (me, root, fate) = (self.members[0], self.root, fate.clone());
        run.spawn(move || {
            let (seen, result) = fate.meets(&me, &root, look, act);
            (seen.unwrap_or(false), result)
        })
    }
}

/// Waits for all of them.
pub(crate) fn join<T>(threads: impl IntoIterator<Item = Spawned<T>>) -> Vec<T> {
    threads.into_iter().map(Spawned::join).collect()
}

/// In front of which of its changes a thread is killed, and whether it was in any execution.
#[derive(Clone)]
pub(crate) struct Fate {
    at: u32,
    met: Arc<AtomicBool>,
}

impl Fate {
    fn meets<T, L>(
        &self,
        me: &Member,
        root: &Member,
        look: impl FnOnce(&Member) -> L,
        act: impl FnOnce(&Member) -> T,
    ) -> (Option<L>, Option<T>) {
        let result = mortal(self.at, || act(me));
        let seen = result.is_err().then(|| {
            self.met.store(true, Ordering::Relaxed);
            let seen = look(me);
            bury(root, me);
            seen
        });
        (seen, result.ok())
    }
}

/// Checks `model` with a thread that is killed in front of its first change, its second, and so
/// on, until it comes to its end before that in all executions.
pub(crate) fn at_each_step(mut model: impl FnMut(&Fate)) {
    for at in 0.. {
        let fate = Fate { at, met: Arc::default() };
        model(&fate);
        if !fate.met.load(Ordering::Relaxed) {
            return;
        }
    }
}
