//! The shared dict: keys and values of any language, in the order in which the keys came.
//!
//! - Who changes it holds its latch. One entry, or many at one instant, change by one [`Tx`], or
//!   a new store is built aside and swapped in by one; where only a value's word changes, one
//!   store does it.
//! - Who reads a small value takes no latch, as with a list: `version` is odd while the structure
//!   changes and even and larger afterwards, and what was read in between is thrown away.
//! - Keys are compared by their canonical form ([`key`]), so all languages agree on them.
//! - An iteration ([`Dict::walk`]) remembers the number of the key it came to, not a place: it
//!   goes on whatever happened meanwhile.
//!
//! `README.md` beside this file says who owns each byte and what each kill leaves behind.
//!
//! [`Tx`]: crate::shm::tx::journal::Tx

mod change;
pub mod key;
mod many;
mod probe;
pub(super) mod store;
mod walk;
pub mod wire;

pub use change::Added;
pub use key::{Canonical, Key, KeyError};
pub use many::{Applied, Change, Terms};
pub use walk::{Order, Pair, Range, Snapshot, What};

use self::store::Store;
use super::updating;
use super::value::{self, Fetched};
use crate::atomic::{AtomicU64, Ordering, fence};
use crate::collections::object_lock;
use crate::collections::object_lock::{Locked, MaybeGuarded};
use crate::shm::Member;
use crate::shm::arena::offset::{Off, Shared};
use crate::shm::heap::{self, OutOfMemory};
use crate::shm::object::refcount;
use crate::shm::object::{self, ObjectHeader};
use crate::shm::tx::journal::Tx;
use crate::shm::tx::latch::{Latch, Latched};
use crate::sync::lock::word::{Holder, LockWord, Recursion};

/// How often a reader looks anew before it takes the latch: a change lasts no longer than this.
const LOOKS: u32 = 3;
/// Bytes of a key with its value, at least.
pub const OF_A_KEY: u64 = store::ENTRY;

/// What lies in the arena.
#[repr(C)]
#[derive(Debug)]
pub struct DictObject {
    object: ObjectHeader,
    latch: Latch,
    version: AtomicU64,
    /// The store, as [`Store::word`] has it; 0 while there is none.
    store: AtomicU64,
    /// Keys.
    len: AtomicU64,
    /// The number that the next key gets.
    next: AtomicU64,
    object_lock: LockWord,
}

// SAFETY: repr(C), atomics only.
unsafe impl Shared for DictObject {}

/// Why a dict stayed as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DictError {
    /// See [`Locked`].
    #[error(transparent)]
    Locked(#[from] Locked),
    /// See [`OutOfMemory`].
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
}

impl MaybeGuarded for DictError {
    fn is_guarded(&self) -> bool {
        match self {
            Self::Locked(_) => true,
            Self::Memory(e) => e.is_held_up(),
        }
    }
}

/// What [`Dict::read_optimistic`] sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptimisticRead {
    /// The value, which has no blob.
    Word(u64),
    /// The key is not there.
    Absent,
    /// It takes the latch: the value has a blob, or the dict changes at this moment.
    Unknown,
}

/// A dict, for a thread that holds a reference to it.
#[derive(Clone, Copy, Debug)]
pub struct Dict<'a> {
    me: &'a Member,
    off: Off,
    it: &'static DictObject,
}

/// Makes an empty dict, as an object of `kind` ([`crate::kinds`]); this process holds a
/// reference to it.
///
/// # Errors
/// [`OutOfMemory`].
pub fn create(me: &Member, kind: u64) -> Result<Off, OutOfMemory> {
    let savepoint = heap::savepoint(me);
    let made = object::create(me, kind, size_of::<DictObject>() as u64)
        .and_then(|off| refcount::adopt(me, off, savepoint).map(|()| off));
    if made.is_err() {
        heap::free_deferred(me, savepoint);
    }
    made
}

/// Who has the dict at `off` for itself; for [`crate::sync::object_kinds`].
pub(super) fn holders(me: &Member, off: Off) -> Vec<Holder> {
    Dict::at(me, off).object_lock().taken_by(me, Recursion::Allowed).into_iter().collect()
}

impl<'a> Dict<'a> {
    /// The dict at `off`.
    #[must_use]
    #[inline]
    pub fn at(me: &'a Member, off: Off) -> Self {
        Self { me, off, it: me.arena().at(off) }
    }

    /// The dict's offset.
    #[must_use]
    pub fn offset(&self) -> Off {
        self.off
    }

    /// Its store.
    #[inline]
    fn current(&self) -> Option<Store> {
        Store::of_word(self.me, self.it.store.load(Ordering::Acquire))
    }

    /// The lock of whoever groups operations on the dict.
    #[must_use]
    pub fn object_lock(&self) -> &'static LockWord {
        &self.it.object_lock
    }

    /// Takes the latch for one operation, unless another thread groups its own.
    #[inline]
    fn enter(&self) -> Result<Latched<'a>, DictError> {
        let latch = object_lock::enter(self.me, &self.it.latch, &self.it.object_lock)?;
        // A writer died in `changing`: its change is undone, so the version can be even again.
        let version = self.it.version.load(Ordering::Relaxed);
        if version & 1 != 0 {
            self.it.version.store(version + 1, Ordering::Release);
            crash_point!("dict.mended");
        }
        Ok(latch)
    }

    /// Runs `change` with the version odd. The latch is held.
    fn changing<T>(&self, change: impl FnOnce() -> T) -> T {
        let odd = self.it.version.load(Ordering::Relaxed) | 1;
        self.it.version.store(odd, Ordering::Relaxed);
        crash_point!("dict.odd");
        fence(Ordering::Release);
        let result = change();
        self.it.version.store(odd + 1, Ordering::Release);
        crash_point!("dict.even");
        updating::changed(self.me, self.off);
        result
    }

    /// What `look` sees at one instant, without the latch: `None` while the dict changes.
    #[inline]
    fn glance<T>(&self, look: impl Fn() -> T) -> Option<T> {
        for _ in 0..LOOKS {
            // SYNC POINT: pairs with the release stores of `changing`.
            let version = self.it.version.load(Ordering::Acquire);
            if self.it.object_lock.grouped(self.me) {
                return None;
            }
            if version & 1 == 0 {
                let seen = look();
                fence(Ordering::Acquire);
                if self.it.version.load(Ordering::Relaxed) == version {
                    return Some(seen);
                }
            }
            std::hint::spin_loop();
        }
        None
    }

    /// How many keys there are.
    ///
    /// # Errors
    /// [`DictError`].
    #[inline]
    pub fn len(&self) -> Result<u64, DictError> {
        if let Some(len) = self.glance(|| self.it.len.load(Ordering::Acquire)) {
            return Ok(len);
        }
        let _latch = self.enter()?;
        Ok(self.it.len.load(Ordering::Relaxed))
    }

    /// Whether there are none.
    ///
    /// # Errors
    /// [`DictError`].
    pub fn is_empty(&self) -> Result<bool, DictError> {
        Ok(self.len()? == 0)
    }

    /// The word of the key's value, without the latch; 0 if the key is not there. `None` while
    /// the dict changes.
    #[inline]
    fn peek_word(&self, key: &Canonical<'_>, hash: u64) -> Option<u64> {
        self.glance(|| {
            let store = self.current()?;
            let found = probe::find(self.me, &store, hash, key)?;
            Some(store.entry(found.position).value.load(Ordering::Acquire))
        })
        .map(|word| word.unwrap_or(0))
    }

    /// The key's value, if it can be had without the latch.
    #[must_use]
    #[inline]
    pub fn read_optimistic(&self, key: &Canonical<'_>) -> OptimisticRead {
        match self.peek_word(key, key.hash(self.me)) {
            Some(0) => OptimisticRead::Absent,
            Some(word) if value::blob_of(word).is_none() => OptimisticRead::Word(word),
            _ => OptimisticRead::Unknown,
        }
    }

    /// The key's value.
    ///
    /// # Errors
    /// [`DictError`].
    #[inline]
    pub fn get(&self, key: &Canonical<'_>) -> Result<Option<Fetched>, DictError> {
        let hash = key.hash(self.me);
        match self.peek_word(key, hash) {
            Some(0) => return Ok(None),
            Some(word) if value::blob_of(word).is_none() => return Ok(Some(Fetched::Word(word))),
            _ => {}
        }
        let _latch = self.enter()?;
        let Some((store, found)) = self.find(key, hash) else { return Ok(None) };
        let word = store.entry(found.position).value.load(Ordering::Relaxed);
        Ok(Some(value::fetch(self.me, word)?))
    }

    /// Whether the key is there.
    ///
    /// # Errors
    /// [`DictError`].
    #[inline]
    pub fn contains(&self, key: &Canonical<'_>) -> Result<bool, DictError> {
        let hash = key.hash(self.me);
        if let Some(word) = self.peek_word(key, hash) {
            return Ok(word != 0);
        }
        let _latch = self.enter()?;
        Ok(self.find(key, hash).is_some())
    }

    /// Where a key is. The latch is held.
    fn find(&self, key: &Canonical<'_>, hash: u64) -> Option<(Store, probe::Found)> {
        let store = self.current()?;
        probe::find(self.me, &store, hash, key).map(|found| (store, found))
    }
}

/// One step of taking a dict apart: its store, which is taken apart by itself.
pub(super) fn destroy_step(me: &Member, off: Off) -> bool {
    let it = Dict::at(me, off).it;
    let Some(store) = Store::of_word(me, it.store.load(Ordering::Relaxed)) else {
        return !it.object_lock.drop_repair(me);
    };
    let mut tx = Tx::begin(me);
    tx.set(&it.store, 0);
    tx.set(&it.len, 0);
    heap::defer_free(me, &mut tx, store.off);
    crash_point!("dict.dismantled");
    tx.commit();
    crash_point!("dict.dismantled_done");
    false
}
