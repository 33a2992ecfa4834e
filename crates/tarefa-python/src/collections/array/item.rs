//! What `ValueCore` and `ArrayCore` have in common: the memory, the lock, one item.

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tarefa_engine::collections::array::Array;
use tarefa_engine::collections::array::pep3118::Scalar;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::object::handle::Handle;
use tarefa_engine::sync::lock::word::{Acquired, LockWord, Recursion};

use super::memory::ArrayMemory;
use super::scalars::{Bits, Type, exact_int, shown};
use crate::collections::object_lock;
use crate::runtime::hooks;
use crate::runtime::registry;
use crate::sync::lock;

/// What operations on items wait for.
#[derive(Debug)]
enum Lock {
    /// Nothing: a raw one.
    None,
    /// The lock in the array itself.
    Own,
    /// An object with `acquire` and `release`; whether whoever attaches finds it by itself.
    Given(Py<PyAny>, bool),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Cells {
    memory: Py<ArrayMemory>,
    lock: Lock,
}

impl Cells {
    /// With the lock that was given, or its own if it has one.
    pub(super) fn new(memory: Py<ArrayMemory>, lock: Option<Bound<'_, PyAny>>) -> Self {
        let lock = match lock {
            None if memory.get().locked => Lock::Own,
            None => Lock::None,
            Some(lock) => {
                let travels = registry::of_object(&lock).is_some();
                Lock::Given(lock.unbind(), travels)
            }
        };
        Self { memory, lock }
    }

    #[inline]
    pub(super) fn memory(&self) -> &ArrayMemory {
        self.memory.get()
    }

    pub(super) fn memory_object(&self, py: Python<'_>) -> Py<ArrayMemory> {
        self.memory.clone_ref(py)
    }

    /// The lock that was given.
    pub(super) fn lock_given(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        match &self.lock {
            Lock::None | Lock::Own => None,
            Lock::Given(lock, _) => Some(lock.clone_ref(py)),
        }
    }

    /// Whether operations wait for a lock.
    pub(super) fn is_locked(&self) -> bool {
        !matches!(self.lock, Lock::None)
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match &self.lock {
            Lock::Given(lock, _) => visit.call(lock),
            Lock::None | Lock::Own => Ok(()),
        }
    }

    /// The handle, if all of this is found by it.
    pub(crate) fn by_reference(&self) -> Option<Handle> {
        match &self.lock {
            Lock::Given(_, false) => None,
            _ => self.memory().handle().ok(),
        }
    }

    /// For `__reduce__`.
    pub(super) fn reduce<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Py<PyAny>, Bound<'py, PyTuple>)> {
        let (attach, args) = self.memory().reduce(py)?;
        match &self.lock {
            Lock::Given(lock, false) => {
                let all = (attach, args, lock.clone_ref(py)).into_pyobject(py)?;
                Ok((hooks::ATTACH_WITH_LOCK.get(py)?.clone().unbind(), all))
            }
            _ => Ok((attach, args)),
        }
    }

    /// Runs `act` while the lock, if there is one, is held.
    #[inline]
    pub(super) fn locked<T>(
        &self,
        py: Python<'_>,
        act: impl FnOnce(&Array<'_>) -> PyResult<T>,
    ) -> PyResult<T> {
        match &self.lock {
            Lock::None => self.bare(act),
            Lock::Own => {
                let me = self.memory().me()?;
                let array = Array::at(&me, self.memory().off());
                let cell = array.object_lock();
                match cell.try_acquire(&me, Recursion::Allowed) {
                    Some(Acquired::Yes) => {}
                    Some(Acquired::OwnerDied(pid)) => {
                        array.redo_after_death();
                        return Err(lock::owner_died(py, Recursion::Allowed, pid));
                    }
                    _ => self.guard_wait(py, &me, cell)?,
                }
                array.apply_redo();
                let result = act(&array);
                let _ = cell.release(&me, Recursion::Allowed);
                result
            }
            Lock::Given(lock, _) => {
                self.memory().me()?;
                lock.call_method0(py, "acquire")?;
                let result = self.bare(act);
                lock.call_method0(py, "release")?;
                result
            }
        }
    }

    #[cold]
    fn guard_wait(&self, py: Python<'_>, me: &Member, cell: &'static LockWord) -> PyResult<()> {
        // Another thread may close it while this one waits.
        let handle = self.memory().handle()?;
        let until = Some(Deadline::NEVER);
        lock::take(py, me, cell, Recursion::Allowed, handle.off(), until)
            .inspect_err(|_| Array::at(me, handle.off()).redo_after_death())?;
        if let Err(closed) = self.memory().me() {
            let _ = cell.release(me, Recursion::Allowed);
            return Err(closed);
        }
        Ok(())
    }

    /// Takes the lock of its own.
    pub(super) fn object_lock_acquire(
        &self,
        py: Python<'_>,
        blocking: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let (me, handle) = (self.memory().me()?, self.memory().handle()?);
        let array = Array::at(&me, handle.off());
        let taken =
            object_lock::acquire(py, &me, array.object_lock(), handle.off(), blocking, timeout)
                .inspect_err(|_| array.redo_after_death())?;
        if taken {
            array.apply_redo();
        }
        Ok(taken)
    }

    /// Lets it go.
    pub(super) fn object_lock_release(&self) -> PyResult<()> {
        let me = self.memory().me()?;
        object_lock::release(&me, Array::at(&me, self.memory().off()).object_lock())
    }

    /// Who holds it.
    pub(super) fn object_lock_owner(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let me = self.memory().me()?;
        object_lock::owner(py, &me, Array::at(&me, self.memory().off()).object_lock())
    }

    /// Runs `act` whoever holds the lock.
    #[inline]
    pub(super) fn bare<T>(&self, act: impl FnOnce(&Array<'_>) -> PyResult<T>) -> PyResult<T> {
        let me = self.memory().me()?;
        act(&Array::at(&me, self.memory().off()))
    }

    /// The type of an item, if it has no parts.
    #[inline]
    pub(super) fn item_type(&self) -> Option<Type<'_>> {
        let memory = self.memory();
        memory.scalar.map(|scalar| Type { scalar, memory })
    }

    /// The same for the atomic operations.
    #[inline]
    fn atomic_type(&self, adds: bool) -> PyResult<Type<'_>> {
        match self.item_type() {
            Some(t) if t.scalar.range().is_some() => Ok(t),
            Some(t) if matches!(t.scalar, Scalar::F32 | Scalar::F64) => Ok(t),
            Some(t) if t.scalar == Scalar::Bool && !adds => Ok(t),
            _ => Err(self.no_atomics(adds)),
        }
    }

    #[cold]
    fn no_atomics(&self, adds: bool) -> PyErr {
        let booleans = if adds { "" } else { " and truth values" };
        PyTypeError::new_err(format!(
            "type {} has no atomic operation of this sort: they are for integers, floats{booleans} \
             of 1, 2, 4 or 8 bytes; hold the lock around what must happen at once: \
             with x.get_lock(): ...",
            self.memory().type_name()
        ))
    }

    /// Adds to item `index`; what it is then.
    #[inline]
    pub(super) fn add(
        &self,
        py: Python<'_>,
        index: u64,
        n: &Bound<'_, PyAny>,
    ) -> PyResult<Py<PyAny>> {
        let t = self.atomic_type(true)?;
        if t.scalar.range().is_none() {
            return self.add_float(py, index, n, t);
        }
        if t.scalar != Scalar::U64 {
            if let Some(more) = exact_int(n) {
                return match self.bare(|array| Ok(array.add_small(index, t.scalar, more)))? {
                    Ok(now) => t.decode(py, [now as u64, 0]),
                    Err(was) => Err(leaves(&was.to_string(), n, t)),
                };
            }
        }
        let more = t.int(n)?.unwrap_or(i128::MAX);
        match self.bare(|array| Ok(array.add(index, t.scalar, more)))? {
            Ok(now) => t.decode(py, [now as u64, 0]),
            Err(was) => Err(leaves(&was.to_string(), n, t)),
        }
    }

    fn add_float(
        &self,
        py: Python<'_>,
        index: u64,
        n: &Bound<'_, PyAny>,
        t: Type<'_>,
    ) -> PyResult<Py<PyAny>> {
        let more = t.float(n)?;
        let small = t.scalar == Scalar::F32;
        let value = |bits: u64| {
            if small { f32::from_bits(bits as u32).into() } else { f64::from_bits(bits) }
        };
        let sum = |old: u64| {
            let sum = value(old) + more;
            if !small {
                return Some(sum.to_bits());
            }
            let fits = (sum as f32).is_finite() || !sum.is_finite();
            fits.then(|| (sum as f32).to_bits().into())
        };
        match self.bare(|array| Ok(array.update(index, sum)))? {
            Ok(old) => t.decode(py, [sum(old).unwrap_or(old), 0]),
            Err(old) => Err(leaves(&value(old).to_string(), n, t)),
        }
    }

    /// Stores into item `index`; what was there.
    pub(super) fn exchange(
        &self,
        py: Python<'_>,
        index: u64,
        new: &Bound<'_, PyAny>,
    ) -> PyResult<Py<PyAny>> {
        let t = self.atomic_type(false)?;
        let [new, _] = t.encode(new)?;
        let old = self.bare(|array| Ok(array.swap(index, new)))?;
        t.decode(py, [old, 0])
    }

    /// Stores into item `index` if it equals `expected`; whether it did.
    #[allow(clippy::float_cmp)]
    pub(super) fn compare_exchange(
        &self,
        index: u64,
        expected: &Bound<'_, PyAny>,
        new: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let t = self.atomic_type(false)?;
        let ([expected, _], [new, _]) = (t.encode(expected)?, t.encode(new)?);
        let small = |bits| f32::from_bits(bits as u32);
        self.bare(|array| {
            Ok(match t.scalar {
                Scalar::F32 => array
                    .update(index, |old| (small(old) == small(expected)).then_some(new))
                    .is_ok(),
                Scalar::F64 => array
                    .update(index, |old| {
                        (f64::from_bits(old) == f64::from_bits(expected)).then_some(new)
                    })
                    .is_ok(),
                Scalar::Bool => array
                    .update(index, |old| ((old != 0) == (expected != 0)).then_some(new))
                    .is_ok(),
                _ => array.compare_exchange(index, expected, new).is_ok(),
            })
        })
    }
}

#[cold]
fn leaves(was: &str, n: &Bound<'_, PyAny>, t: Type<'_>) -> PyErr {
    let (n, range) = (shown(n), t.range());
    let text = format!("{was} + {n} is out of range for {range}; nothing was changed");
    PyOverflowError::new_err(text)
}

/// Reads an item.
#[inline]
pub(super) fn get(array: &Array<'_>, index: u64, scalar: Scalar) -> Bits {
    if scalar != Scalar::Complex64 {
        return [array.load(index), 0];
    }
    let mut bytes = [0; 16];
    array.read(index, &mut bytes);
    let n = u128::from_ne_bytes(bytes);
    [n as u64, (n >> 64) as u64]
}

/// Writes an item.
#[inline]
pub(super) fn put(array: &Array<'_>, index: u64, scalar: Scalar, bits: Bits) {
    if scalar == Scalar::Complex64 {
        let n = u128::from(bits[0]) | u128::from(bits[1]) << 64;
        array.put(index, &n.to_ne_bytes());
    } else {
        array.store(index, bits[0]);
    }
}
