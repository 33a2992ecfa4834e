//! A handle: one counted reference of this process to a shared object.
//!
//! - The object is not freed while a handle of it lives: the first of a process takes one reference in
//!   the arena, more are a number in the process's own memory ([`refcount`]), and the last gives the
//!   reference back. A process that dies gives back what it held, too.
//! - A handle is [adopted](Handle::adopt) by who made the object, or [taken](Handle::acquire) of an
//!   object that somebody else keeps alive meanwhile, or [attached to](Handle::attach) by its address,
//!   which may be another program's.
//! - What the objects of a front's language hold is this type; how one is written among that
//!   language's values is the front's own.

use crate::atomic::Ordering;
use crate::shm::arena::offset::Off;
use crate::shm::heap::OutOfMemory;
use crate::shm::member::runtime::Runtime;
use crate::shm::member::{Member, TooManyThreads};
use crate::shm::object::address::ObjectAddress;
use crate::shm::object::attach::{self, Refused};
use crate::shm::object::{self, ObjectHeader, refcount};

/// See [the module](self).
#[derive(Debug)]
pub struct Handle {
    runtime: &'static Runtime,
    off: Off,
}

impl Handle {
    /// Takes over a reference that this process has just taken, by making the object, say.
    #[must_use]
    #[inline]
    pub fn adopt(me: &Member, off: Off) -> Self {
        Self::adopt_in(me.runtime(), off)
    }

    /// The same for an object of `runtime`.
    #[must_use]
    #[inline]
    pub fn adopt_in(runtime: &'static Runtime, off: Off) -> Self {
        Self { runtime, off }
    }

    /// One more handle of the object with the number `id`, which is or was at `off`; `None` when it is
    /// gone.
    ///
    /// # Errors
    /// [`OutOfMemory`]: there is no room to note the reference.
    pub fn acquire(me: &Member, off: Off, id: u64) -> Result<Option<Self>, OutOfMemory> {
        Ok(refcount::acquire(me, off, id)?.then(|| Self::adopt(me, off)))
    }

    /// A handle of the object at `off`, which somebody else keeps alive meanwhile; `None` when it is
    /// gone after all.
    ///
    /// # Errors
    /// [`OutOfMemory`]: there is no room to note the reference.
    pub fn of(me: &Member, off: Off) -> Result<Option<Self>, OutOfMemory> {
        Self::acquire(me, off, object::header(me, off).id.load(Ordering::Relaxed))
    }

    /// A handle of the object at an address. This process is a member of the object's runtime then.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub fn attach(at: &ObjectAddress) -> Result<Self, Refused> {
        attach::attach(at).map(|runtime| Self::adopt_in(runtime, at.off))
    }

    /// The calling thread, as a member of the object's runtime.
    ///
    /// # Errors
    /// [`TooManyThreads`]: it has no slot, and none is free.
    #[inline]
    pub fn try_me(&self) -> Result<Member, TooManyThreads> {
        self.runtime.try_me()
    }

    /// The same for a thread that has a slot already, or whose caller has nobody to tell.
    ///
    /// # Panics
    /// With [`TooManyThreads`].
    #[must_use]
    #[inline]
    pub fn me(&self) -> Member {
        self.runtime.me()
    }

    /// For what must not fail, whatever thread it is: see [`Runtime::with_me`].
    #[inline]
    pub fn with_me<T>(&self, act: impl FnOnce(&Member) -> T) -> T {
        self.runtime.with_me(act)
    }

    /// Where the object is in its arena.
    #[must_use]
    #[inline]
    pub fn off(&self) -> Off {
        self.off
    }

    /// The object's runtime.
    #[must_use]
    #[inline]
    pub fn runtime(&self) -> &'static Runtime {
        self.runtime
    }

    #[inline]
    fn header(&self) -> &'static ObjectHeader {
        self.runtime.arena().at(self.off)
    }

    /// The object's number, which no other of its runtime has or had.
    #[must_use]
    #[inline]
    pub fn id(&self) -> u64 {
        self.header().id.load(Ordering::Relaxed)
    }

    /// What it is: one of [`kinds`](crate::kinds).
    #[must_use]
    #[inline]
    pub fn kind(&self) -> u64 {
        self.header().kind.load(Ordering::Relaxed)
    }

    /// Where it is, for any process.
    #[must_use]
    pub fn address(&self) -> ObjectAddress {
        let runtime = self.runtime.address();
        ObjectAddress { runtime, off: self.off, kind: self.kind(), id: self.id() }
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        // This process holds the object, so one more handle is a number in its own memory: it cannot
        // fail.
        let held = self.with_me(|me| refcount::acquire(me, self.off, self.id()));
        debug_assert!(matches!(held, Ok(true)));
        Self { runtime: self.runtime, off: self.off }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.with_me(|me| refcount::release(me, self.off));
    }
}

/// Of one object: both keep it alive, so no other has come to its place.
impl PartialEq for Handle {
    fn eq(&self, other: &Self) -> bool {
        self.off == other.off && self.runtime.id() == other.runtime.id()
    }
}

impl Eq for Handle {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;
    use crate::shm::heap;

    /// An object, and the first handle of it.
    fn made() -> (Member, Handle) {
        crate::shm::register();
        let me = Runtime::default().unwrap().me();
        let savepoint = heap::savepoint(&me);
        let off = object::create(&me, kinds::EVENT, 64).unwrap();
        refcount::adopt(&me, off, savepoint).unwrap();
        (me, Handle::adopt(&me, off))
    }

    #[test]
    fn an_object_lives_as_long_as_one_of_its_handles() {
        let (me, first) = made();
        let (off, id, address) = (first.off(), first.id(), first.address());
        let more = [
            first.clone(),
            Handle::of(&me, off).unwrap().unwrap(),
            Handle::acquire(&me, off, id).unwrap().unwrap(),
            Handle::attach(&address).unwrap(),
        ];
        assert!(more.iter().all(|handle| *handle == first));
        assert_eq!((first.kind(), refcount::handles(&me, off)), (kinds::EVENT, 5));
        drop(first);
        assert_eq!((more[0].id(), refcount::handles(&me, off)), (id, 4));
        drop(more);
        assert_eq!(refcount::handles(&me, off), 0);
        assert!(Handle::acquire(&me, off, id).unwrap().is_none());
        assert!(matches!(Handle::attach(&address), Err(Refused::Gone)));
    }

    #[test]
    fn an_address_that_lies_about_the_kind_is_refused() {
        let (me, handle) = made();
        let address = ObjectAddress { kind: kinds::LIST, ..handle.address() };
        assert!(matches!(Handle::attach(&address), Err(Refused::Kind(kinds::EVENT))));
        assert_eq!(refcount::handles(&me, handle.off()), 1);
    }

    #[test]
    fn two_objects_are_not_one() {
        assert_ne!(made().1, made().1);
    }
}
