//! The slots of the calling thread: taken at its first call, given back when it ends.
//!
//! - They are given back by [`AtThreadExit`], after the destructors of thread-local values; a
//!   destructor that runs later still takes a slot anew, which is given back in the next round.
//! - What this misses (a thread that ended without its destructors, or after too many rounds) is
//!   found by the numbers of the threads when the slots run out: [`Runtime::sweep`].
//! - A thread for which there is no slot gets an error from [`Runtime::try_me`]. What must not fail
//!   ([`Runtime::with_me`]: a handle is dropped, a word is read) runs in the slot that each process
//!   has in reserve, one thread at a time.
//!
//! Nothing here is dropped with the thread, so all of it can be used from any destructor.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;

use super::runtime::{FORKS, Here, Runtime};
use super::{Member, slots};
use crate::atomic::Ordering;
use crate::os::thread_exit::AtThreadExit;
use crate::os::{process, signal};
use crate::shm::arena::layout::{THREADS, ThreadSlot};

/// A slot, and the count of forks when it was taken: a child's are its own.
type Entry = (Member, u32);

thread_local! {
    /// The slot used last, for the fast path.
    static ME: LastUsed = const { LastUsed::new() };
    /// All of the thread's slots, one a runtime; null before the first.
    static SLOTS: Cell<*mut Vec<Entry>> = const { Cell::new(ptr::null_mut()) };
    /// The reserve slot, while the thread runs in it.
    static IN_RESERVE: Cell<Option<Member>> = const { Cell::new(None) };
}

/// Gives back what a thread holds of objects and only it could give back.
type GiveBack = fn(&Member);

static GIVE_BACK: OnceLock<GiveBack> = OnceLock::new();

/// Says how. The first call counts.
pub(in crate::shm) fn set_give_back(give_back: GiveBack) {
    let _ = GIVE_BACK.set(give_back);
}

static EXIT: AtThreadExit = AtThreadExit::new(thread_ends);

/// No slot is free for the calling thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {most} threads that can use shared objects at once do so already: end some")]
pub struct TooManyThreads {
    /// How many there can be.
    pub most: u64,
}

/// An [`Entry`] in words of its own: what is copied as a whole goes through the stack.
struct LastUsed {
    runtime: Cell<*const Runtime>,
    slot: Cell<Option<&'static ThreadSlot>>,
    forks: Cell<u32>,
}

impl LastUsed {
    const fn new() -> Self {
        Self { runtime: Cell::new(ptr::null()), slot: Cell::new(None), forks: Cell::new(0) }
    }

    #[inline]
    fn get(&self, runtime: &'static Runtime) -> Option<Member> {
        let here = ptr::eq(self.runtime.get(), runtime)
            && self.forks.get() == FORKS.load(Ordering::Relaxed);
        let slot = self.slot.get().filter(|_| here)?;
        Some(Member::new(runtime, slot))
    }

    fn set(&self, (me, forks): Entry) {
        self.runtime.set(me.runtime());
        self.slot.set(Some(me.slot()));
        self.forks.set(forks);
    }

    fn forget(&self) {
        self.slot.set(None);
    }
}

/// In the child of a fork, whose slots are not the parent's.
pub(super) fn forget_last_used() {
    ME.with(LastUsed::forget);
    IN_RESERVE.set(None);
}

/// Lends the list to `act`, which calls nothing that uses it.
fn with_list<T>(act: impl FnOnce(&mut Vec<Entry>) -> T) -> T {
    if SLOTS.get().is_null() {
        SLOTS.set(Box::into_raw(Box::default()));
    }
    // SAFETY: made by `Box::into_raw`, and freed by this very thread only, which is here; `act` is
    // one of the closures below, none of which comes back here.
    act(unsafe { &mut *SLOTS.get() })
}

fn known(runtime: &'static Runtime, forks: u32) -> Option<Entry> {
    with_list(|all| {
        all.iter().find(|(me, f)| ptr::eq(me.runtime(), runtime) && *f == forks).copied()
    })
}

fn remember(entry: Entry) {
    with_list(|all| all.push(entry));
    ME.with(|last| last.set(entry));
    // Without a key the slot is found by `sweep`.
    EXIT.arm();
}

/// Forgets the thread's slot of `runtime`, which is left behind.
pub(super) fn forget(runtime: &'static Runtime) {
    with_list(|all| all.retain(|(me, _)| !ptr::eq(me.runtime(), runtime)));
    ME.with(LastUsed::forget);
}

extern "C" fn thread_ends(_: *mut c_void) {
    ME.with(LastUsed::forget);
    let list = SLOTS.replace(ptr::null_mut());
    if list.is_null() {
        return;
    }
    // SAFETY: made by `Box::into_raw` in `with_list`, and nobody else knows of it now.
    let list = unsafe { Box::from_raw(list) };
    for (me, forks) in *list {
        if let Some(here) = me.runtime().here_if(forks) {
            give_back(here, &me);
        }
    }
}

/// The thread in `me` has ended: gives back what only it could, and its slot.
fn give_back(here: &'static Here, me: &Member) {
    if let Some(give_back_held) = GIVE_BACK.get() {
        give_back_held(me);
    }
    let held = me.slot().recursive_held.load(Ordering::Relaxed) > 0;
    slots::leave_thread(me.slot());
    if held {
        slots::wake_waiters(me.arena());
    }
    let mut idle = here.idle_threads.lock();
    if held {
        // Used again last: a recursive lock that it has left behind knows it by a
        // name that comes by again after 2^13 threads in the slot.
        idle.insert(0, me.index());
    } else {
        idle.push(me.index());
    }
}

/// The thread is in the reserve slot until this is dropped, also when it panics.
struct InReserve {
    before: Option<Member>,
    me: Member,
}

impl Drop for InReserve {
    fn drop(&mut self) {
        IN_RESERVE.set(self.before);
        slots::leave_reserve(self.me.slot());
    }
}

impl Member {
    /// Whether this is still the calling thread: not in a child that was forked since.
    #[must_use]
    pub fn is_here(&self) -> bool {
        // In a model one thread of the system is all members, and none forks.
        #[cfg(loom)]
        if crate::atomic::model::running() {
            return true;
        }
        ptr::eq(self.runtime().me().slot(), self.slot())
    }
}

impl Runtime {
    /// The calling thread's slot.
    ///
    /// # Errors
    /// [`TooManyThreads`]: there is none, and none is free.
    #[inline]
    pub fn try_me(&'static self) -> Result<Member, TooManyThreads> {
        ME.with(|last| {
            loop {
                if let Some(me) = last.get(self) {
                    return Ok(me);
                }
                self.find_me()?;
            }
        })
    }

    /// The same for a thread that has one already, or whose caller has nobody to tell.
    ///
    /// # Panics
    /// With [`TooManyThreads`].
    #[must_use]
    #[inline]
    pub fn me(&'static self) -> Member {
        self.try_me().unwrap_or_else(|e| panic!("tarefa: {e}"))
    }

    /// Makes one of the calling thread's slots the one used last.
    #[cold]
    fn find_me(&'static self) -> Result<(), TooManyThreads> {
        let here = self.here();
        if let Some(entry) = known(self, here.forks) {
            ME.with(|last| last.set(entry));
            return Ok(());
        }
        let idle = || here.idle_threads.lock().pop();
        let index = match idle() {
            Some(index) => index,
            None => match slots::take_thread(self.arena(), here.index) {
                Some(index) => index,
                None if self.sweep(here) => idle().ok_or(TooManyThreads { most: THREADS })?,
                None => return Err(TooManyThreads { most: THREADS }),
            },
        };
        slots::enter_thread(self.arena(), here.index, index);
        let me = Member::new(self, slots::thread_slot(self.arena(), index));
        remember((me, here.forks));
        Ok(())
    }

    /// Gives back the slots of threads of this process that have ended without doing so. Whether
    /// there were any.
    fn sweep(&'static self, here: &'static Here) -> bool {
        let mut found = false;
        for index in slots::threads(self.arena()) {
            let slot = slots::thread_slot(self.arena(), index);
            if slot.owner.load(Ordering::Acquire) != u64::from(here.index) + 1 {
                continue;
            }
            let tid = slot.tid.load(Ordering::Acquire);
            if tid == 0 || signal::thread_lives(process::pid(), tid as i32) {
                continue;
            }
            // The swap, so that of two threads that sweep one gives it back.
            let swap = slot.tid.compare_exchange(tid, 0, Ordering::AcqRel, Ordering::Relaxed);
            crash_point!("thread_slots.swept");
            if swap.is_ok() {
                give_back(here, &Member::new(self, slot));
                found = true;
            }
        }
        found
    }

    /// Runs `act` in the calling thread's slot; where there is none, in the one that this process
    /// has in reserve. For what must not fail and neither blocks nor takes anything that a thread
    /// has to give back.
    pub fn with_me<T>(&'static self, act: impl FnOnce(&Member) -> T) -> T {
        match self.try_me() {
            Ok(me) => act(&me),
            Err(_) => self.with_reserve(act),
        }
    }

    /// The same in the reserve slot, whatever slots are free: for tests.
    #[doc(hidden)]
    #[cold]
    pub fn with_reserve<T>(&'static self, act: impl FnOnce(&Member) -> T) -> T {
        if let Some(me) = IN_RESERVE.get().filter(|me| ptr::eq(me.runtime(), self)) {
            return act(&me);
        }
        let here = self.here();
        let _alone = here.reserve.lock();
        let index = slots::take_reserve(self.arena(), here.index);
        slots::enter_thread(self.arena(), here.index, index);
        let me = Member::new(self, slots::thread_slot(self.arena(), index));
        let _inside = InReserve { before: IN_RESERVE.replace(Some(me)), me };
        act(&me)
    }
}
