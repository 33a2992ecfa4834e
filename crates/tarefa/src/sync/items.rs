//! Items of an array under a lock of its own: what `Mutex`, `RwLock`, `Value` and `Array` are made of.

use std::marker::PhantomData;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de};
use tarefa_engine::collections::array::pep3118;
use tarefa_engine::collections::array::pep3118::Scalar;
use tarefa_engine::collections::array::{self, Array, Form};
use tarefa_engine::collections::updating::{self, Element};
use tarefa_engine::kinds;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::TooManyThreads as NoSlot;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::lock::word::{Acquired, Recursion};

use crate::convert::codec;
use crate::convert::handle;
use crate::convert::plain::{Bits, Format, Integer, Plain};
use crate::runtime;
use crate::runtime::blocking::RustParker;
use crate::runtime::errors::CreateError;
use crate::runtime::interrupt::Interrupted;
use crate::sync::errors::{LockError, OwnerDied};

/// A handle of an array whose items are `T`s.
#[derive(Debug)]
pub(crate) struct Cells<T> {
    pub(crate) handle: Handle,
    item: PhantomData<fn(T) -> T>,
}

impl<T> Clone for Cells<T> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone(), item: PhantomData }
    }
}

/// Larger items than this are copied through the heap.
const SMALL: usize = 256;

/// Lends `act` as many bytes as a `T` has, all zero.
#[inline]
fn with_bytes<T, R>(act: impl FnOnce(&mut [u8]) -> R) -> R {
    if size_of::<T>() <= SMALL {
        act(&mut [0; SMALL][..size_of::<T>()])
    } else {
        act(&mut vec![0; size_of::<T>()])
    }
}

#[inline]
fn bits_of<T: Plain>(value: &T) -> u64 {
    let mut bytes = [0; 8];
    value.put(&mut bytes[..size_of::<T>()]);
    u64::from_le_bytes(bytes)
}

/// The bytes of an item, as a message shows them.
fn shown(bytes: &[u8]) -> String {
    let some: Vec<_> = bytes.iter().take(32).map(|b| format!("{b:02x}")).collect();
    let more = if bytes.len() > 32 { " ..." } else { "" };
    some.join(" ") + more
}

impl<T: Plain> Cells<T> {
    /// Whether a `T` is one word of the memory.
    const ATOMIC: bool = array::is_word(size_of::<T>() as u64);

    /// Makes an array; `fill` stores the first items, before anybody else has a handle.
    ///
    /// # Panics
    /// If it takes more than 64 KiB to write down how a `T` looks.
    pub(crate) fn new(extents: &[u64], fill: impl FnOnce(&Array<'_>)) -> Result<Self, CreateError> {
        let me = runtime::get()?.try_me()?;
        let off = with_form::<T, _>(extents, true, |form| array::create(&me, form))?;
        let handle = Handle::adopt(&me, off);
        fill(&Array::at(&me, off));
        Ok(Self { handle, item: PhantomData })
    }

    #[inline]
    pub(crate) fn with<R>(&self, act: impl FnOnce(&Member, &Array<'_>) -> R) -> R {
        self.handle.with_me(|me| act(me, &Array::at(me, self.handle.off())))
    }

    #[cold]
    fn invalid(index: u64, bytes: &[u8]) -> ItemError {
        ItemError::Invalid {
            index: index as usize,
            what: std::any::type_name::<T>(),
            bytes: shown(bytes),
        }
    }

    /// A `T` out of an item's bytes.
    #[inline]
    pub(crate) fn take(index: u64, bytes: &[u8]) -> Result<T, ItemError> {
        T::take(bytes).ok_or_else(|| Self::invalid(index, bytes))
    }

    #[inline]
    fn of_bits(index: u64, bits: u64) -> Result<T, ItemError> {
        Self::take(index, &bits.to_le_bytes()[..size_of::<T>()])
    }

    /// Has a large item whole in whose writing somebody died. The caller has what guards it.
    #[inline]
    pub(crate) fn apply_redo(array: &Array<'_>) {
        if !Self::ATOMIC {
            array.apply_redo();
        }
    }

    /// Reads an item; of a large one the caller has what guards it, and has it settled.
    #[inline]
    pub(crate) fn read(array: &Array<'_>, index: u64) -> Result<T, ItemError> {
        if Self::ATOMIC {
            return Self::of_bits(index, array.load(index));
        }
        with_bytes::<T, _>(|bytes| {
            array.read(index, bytes);
            Self::take(index, bytes)
        })
    }

    /// Writes an item; of a large one the caller has what guards it, and has it settled.
    #[inline]
    pub(crate) fn write(array: &Array<'_>, index: u64, value: &T) {
        if Self::ATOMIC {
            return array.store(index, bits_of(value));
        }
        with_bytes::<T, _>(|bytes| {
            value.put(bytes);
            array.put(index, bytes);
        });
    }

    /// Reads an item as a whole.
    #[inline]
    pub(crate) fn load(&self, index: u64) -> Result<T, ItemError> {
        if Self::ATOMIC {
            return self.with(|_, array| Self::read(array, index));
        }
        let _held = self.hold(None)?;
        self.with(|_, array| Self::read(array, index))
    }

    /// Writes an item as a whole.
    #[inline]
    pub(crate) fn store(&self, index: u64, value: &T) -> Result<(), ItemError> {
        if Self::ATOMIC {
            self.with(|_, array| Self::write(array, index, value));
            return Ok(());
        }
        let _held = self.hold(None)?;
        self.with(|_, array| Self::write(array, index, value));
        Ok(())
    }

    /// Stores what `change` makes of an item, at one instant; what it was.
    pub(crate) fn update(
        &self,
        index: u64,
        mut change: impl FnMut(T) -> T,
    ) -> Result<T, ItemError> {
        let me = self.handle.try_me()?;
        let updating = updating::begin(&me, self.handle.off(), Element::Index(index))?;
        if !Self::ATOMIC {
            let _held = self.hold(None)?;
            return self.with(|_, array| {
                let was = Self::read(array, index)?;
                let now = change(was);
                if updating.changed_inside() {
                    return Err(NestedUpdate.into());
                }
                Self::write(array, index, &now);
                Ok(was)
            });
        }
        let mut nested = false;
        let was = self.with(|_, array| {
            array.update(index, |old| {
                nested = updating.changed_inside();
                let value = Self::of_bits(index, old).ok().filter(|_| !nested)?;
                Some(bits_of(&change(value)))
            })
        });
        if nested {
            return Err(NestedUpdate.into());
        }
        // Nothing was stored over what is no value.
        Self::of_bits(index, was.unwrap_or_else(|stays| stays))
    }

    /// Takes the lock.
    pub(crate) fn hold(&self, timeout: Option<Duration>) -> Result<LockedItems<'_, T>, LockError> {
        let (me, off) = (self.handle.try_me()?, self.handle.off());
        let guard = Array::at(&me, off).object_lock();
        let until = Deadline::after(timeout);
        match guard.acquire(&me, Recursion::Allowed, off, &mut RustParker, until) {
            Acquired::Yes => {
                Self::apply_redo(&Array::at(&me, off));
                Ok(LockedItems { cells: self, thread: PhantomData })
            }
            Acquired::TimedOut => Err(LockError::TimedOut),
            Acquired::Interrupted => Err(Interrupted.into()),
            Acquired::OwnerDied(_) => {
                Array::at(&me, off).redo_after_death();
                Err(OwnerDied.into())
            }
        }
    }

    /// Deserialises a handle of an array whose items are `T`s.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
        single: bool,
    ) -> Result<Self, D::Error> {
        let handle = deserialize_handle::<T, D>(deserializer, kinds::ARRAY)?;
        let is_single = handle.with_me(|me| Array::at(me, handle.off()).extents().is_empty());
        if is_single != single {
            let (is, wanted) = if single { ("an array", "Value") } else { ("a value", "Array") };
            return Err(refused(&format!("a handle of {is} was given: it is no {wanted}")));
        }
        Ok(Self { handle, item: PhantomData })
    }
}

fn refused<E: de::Error>(text: &str) -> E {
    codec::note_fault(text);
    E::custom(text)
}

/// Deserialises a handle of an object of that kind whose items are `T`s.
pub(crate) fn deserialize_handle<'de, T: Plain, D: Deserializer<'de>>(
    deserializer: D,
    kind: u64,
) -> Result<Handle, D::Error> {
    let handle = handle::deserialize(deserializer, kind)?;
    let me = handle.try_me().map_err(|e| refused::<D::Error>(&e.to_string()))?;
    let array = Array::at(&me, handle.off());
    let found = array.format();
    if fits::<T>(&found, array.item()) {
        return Ok(handle);
    }
    let (found, wanted) = (String::from_utf8_lossy(&found), Format::of::<T>());
    Err(refused(&format!(
        "a handle of items that are {found:?} ({} bytes) was given; {} is {:?} ({} bytes)",
        array.item(),
        std::any::type_name::<T>(),
        wanted.as_str(),
        size_of::<T>(),
    )))
}

/// How the items of a new one look that are `T`s.
pub(crate) fn with_form<T: Plain, R>(
    extents: &[u64],
    guarded: bool,
    create: impl FnOnce(Form<'_>) -> Result<R, array::ArrayError>,
) -> Result<R, CreateError> {
    const { assert!(size_of::<T>() > 0, "a type without bytes has nothing to share") };
    let format = Format::of::<T>();
    let format = format.as_str().as_bytes();
    let form = Form { format, item: size_of::<T>() as u64, extents, guarded };
    create(form).map_err(|e| match e {
        array::ArrayError::Memory(e) => CreateError::Memory(e),
        other => panic!("{}: {other}", std::any::type_name::<T>()),
    })
}

impl<T: Integer> Cells<T> {
    /// The same for code of the user's, which is an error where it changes the item itself.
    pub(crate) fn fetch_update_by(
        &self,
        index: u64,
        mut change: impl FnMut(T) -> Option<T>,
    ) -> Result<T, T> {
        let begin = |me: &Member| updating::begin(me, self.handle.off(), Element::Index(index));
        let Ok(updating) = self.handle.with_me(begin) else {
            return self.fetch_update(index, |_| None);
        };
        self.fetch_update(index, |was| if updating.changed_inside() { None } else { change(was) })
    }

    /// Stores what `change` makes of an item, unless that is `None`; what it was.
    pub(crate) fn fetch_update(
        &self,
        index: u64,
        mut change: impl FnMut(T) -> Option<T>,
    ) -> Result<T, T> {
        self.with(|_, array| {
            array
                .update(index, |old| change(T::of_bits(old)).map(Bits::bits))
                .map(T::of_bits)
                .map_err(T::of_bits)
        })
    }

    pub(crate) fn swap(&self, index: u64, value: T) -> T {
        T::of_bits(self.with(|_, array| array.swap(index, value.bits())))
    }

    pub(crate) fn compare_exchange(&self, index: u64, current: T, new: T) -> Result<T, T> {
        self.with(|_, array| array.compare_exchange(index, current.bits(), new.bits()))
            .map(T::of_bits)
            .map_err(T::of_bits)
    }
}

/// The lock of an array, held by this thread.
#[derive(Debug)]
pub(crate) struct LockedItems<'a, T: Plain> {
    pub(crate) cells: &'a Cells<T>,
    /// The thread that took it lets it go.
    thread: PhantomData<*const ()>,
}

impl<T: Plain> Drop for LockedItems<'_, T> {
    fn drop(&mut self) {
        // Only one more release than there were takings could fail.
        let _ = self.cells.with(|me, array| array.object_lock().release(me, Recursion::Allowed));
    }
}

/// Whether items of that format are `T`s: the same scalars in the same places. Anything is bytes.
fn fits<T: Plain>(found: &[u8], item: u64) -> bool {
    let wanted = Format::of::<T>();
    if item != size_of::<T>() as u64 {
        return false;
    }
    if found == wanted.as_str().as_bytes() {
        return true;
    }
    let Some((wanted, _)) = pep3118::layout(wanted.as_str().as_bytes()) else { return false };
    if wanted.len() as u64 == item && wanted.iter().all(|(_, scalar)| *scalar == Scalar::U8) {
        return true;
    }
    pep3118::layout(found).is_some_and(|(found, _)| same(&found, &wanted))
}

fn same(found: &[(u64, Scalar)], wanted: &[(u64, Scalar)]) -> bool {
    let found: Vec<_> = found.iter().flat_map(|(at, scalar)| parts(*at, *scalar)).collect();
    found.len() == wanted.len()
        && found.iter().zip(wanted).all(|((at, is), (wanted_at, wanted))| {
            at == wanted_at
                && (is == wanted
                    || matches!(
                        (is, wanted),
                        (Scalar::Char, Scalar::U8) | (Scalar::Wide, Scalar::U32)
                    ))
        })
}

/// A complex number is two floats here.
fn parts(at: u64, scalar: Scalar) -> Vec<(u64, Scalar)> {
    match scalar {
        Scalar::Complex32 => vec![(at, Scalar::F32), (at + 4, Scalar::F32)],
        Scalar::Complex64 => vec![(at, Scalar::F64), (at + 8, Scalar::F64)],
        other => vec![(at, other)],
    }
}

/// That an update is nested is an error of the operation too.
macro_rules! from_nested {
    ($error:ident) => {
        impl From<tarefa_engine::collections::updating::NestedUpdate> for $error {
            fn from(_: tarefa_engine::collections::updating::NestedUpdate) -> Self {
                Self::Nested($crate::sync::items::NestedUpdate)
            }
        }
    };
}
pub(crate) use from_nested;

/// An operation on an item of a shared array, or on a value, failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// No such item.
    #[error("index {index} is out of range: the array has {len} items")]
    OutOfRange {
        /// The index asked for.
        index: usize,
        /// The array's length.
        len: usize,
    },
    /// Its bytes are none of the type's values: somebody else has written them.
    #[error("item {index} is no {what}: its bytes are {bytes}")]
    Invalid {
        /// Which one; 0 of a value.
        index: usize,
        /// The type asked for.
        what: &'static str,
        /// Its bytes, in hexadecimal.
        bytes: String,
    },
    /// The lock, which items of more than one word are read and written under, was not to be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// See [`NestedUpdate`].
    #[error(transparent)]
    Nested(#[from] NestedUpdate),
}

impl From<NoSlot> for ItemError {
    fn from(error: NoSlot) -> Self {
        Self::Lock(error.into())
    }
}

from_nested!(ItemError);

/// What a closure was given to compute anew, it changed itself: it called `update` for the same
/// element, or changed the element in another way, or what it was called to sort. There would be no
/// end to it. What the closure returned is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error(
    "what computes an element's new value changes the element itself: return the new value, and \
     change nothing of the same element inside"
)]
pub struct NestedUpdate;
