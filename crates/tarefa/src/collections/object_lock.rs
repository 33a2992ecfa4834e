//! Groups of operations on one object.

use std::marker::PhantomData;
use std::time::Duration;

use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::lock::word::{Acquired, LockWord, Recursion};

use crate::runtime::blocking::Here;
use crate::runtime::errors::TooManyThreads;
use crate::runtime::interrupt::Interrupted;
use crate::sync::errors::{LockError, OwnerDied};

/// Groups operations on a container: until it is dropped, other threads' and processes'
/// operations on the container wait, and those of this thread go on. It may be taken again.
///
/// If its process dies, those who wait go on, and the next to group operations is told by
/// [`OwnerDied`], once.
#[must_use = "the group ends when this is dropped"]
#[derive(Debug)]
pub struct Group<'a> {
    cell: &'static LockWord,
    handle: &'a Handle,
    /// Only the thread that began it may end it.
    stays: PhantomData<*const ()>,
}

impl<'a> Group<'a> {
    pub(crate) fn begin(
        handle: &'a Handle,
        cell: &'static LockWord,
        timeout: Option<Duration>,
        mut here: Here,
    ) -> Result<Self, LockError> {
        let (me, until) = (handle.try_me()?, Deadline::after(timeout));
        match cell.acquire(&me, Recursion::Allowed, handle.off(), &mut here, until) {
            Acquired::Yes => Ok(Self { cell, handle, stays: PhantomData }),
            Acquired::TimedOut => Err(LockError::TimedOut),
            Acquired::Interrupted => Err(Interrupted.into()),
            Acquired::OwnerDied(_) => Err(OwnerDied.into()),
        }
    }
}

impl<'a> Group<'a> {
    /// For an operation that others come in between again and again. A group that was cut short by
    /// a death left each of its operations whole.
    pub(crate) fn insist<E>(handle: &'a Handle, cell: &'static LockWord) -> Result<Self, E>
    where
        E: From<Interrupted> + From<TooManyThreads>,
    {
        loop {
            match Self::begin(handle, cell, None, Here::now()) {
                Ok(group) => return Ok(group),
                Err(LockError::Interrupted(e)) => return Err(e.into()),
                Err(LockError::Threads(e)) => return Err(e.into()),
                Err(LockError::OwnerDied(_) | LockError::TimedOut) => {}
            }
        }
    }
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        // It stays with its thread, which has the lock once for each group.
        let _ = self.handle.with_me(|me| self.cell.release(me, Recursion::Allowed));
    }
}
