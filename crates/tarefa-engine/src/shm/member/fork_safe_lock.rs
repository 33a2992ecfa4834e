//! A lock within one process that a forked child can leave behind.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};

use super::unblock;
use crate::atomic::{AtomicBool, AtomicPtr, Ordering};

/// Looks at the lock before it gives the processor to others.
const SPINS: u32 = 100;

/// As often it gives the processor away before it sleeps.
const YIELDS: u32 = 64;

/// A mutual exclusion for short sections of one process; unlike the standard library's it can
/// be unlocked by whoever knows that its holder is gone (the child of a fork).
#[derive(Debug, Default)]
pub(in crate::shm) struct Local<T> {
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

impl<T> Local<Vec<T>> {
    pub(in crate::shm) const fn empty() -> Self {
        Self { locked: AtomicBool::new(false), value: UnsafeCell::new(Vec::new()) }
    }
}

// SAFETY: the flag lets one thread in at a time.
unsafe impl<T: Send> Sync for Local<T> {}

/// Unlocks when dropped.
#[derive(Debug)]
pub(in crate::shm) struct LocalGuard<'a, T>(&'a Local<T>);

impl<T> Local<T> {
    pub(in crate::shm) fn new(value: T) -> Self {
        Self { locked: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    pub(in crate::shm) fn lock(&self) -> LocalGuard<'_, T> {
        let mut looks = 0;
        // not shared: a flag of this process alone.
        while self.locked.swap(true, Ordering::Acquire) {
            self.wait(looks);
            looks += 1;
        }
        LocalGuard(self)
    }

    /// Until the lock looks free: sections are shorter than a system call, unless their thread
    /// is not running.
    #[cold]
    fn wait(&self, looks: u32) {
        for _ in 0..SPINS {
            if !self.locked.load(Ordering::Relaxed) {
                return;
            }
            std::hint::spin_loop();
        }
        if looks < YIELDS {
            crate::os::process::yield_now();
        } else {
            // Its thread waits for a latch, perhaps for as long as somebody is stopped, and needs
            // what this one has to go on.
            unblock::sleeping(&mut crate::os::process::nap);
        }
    }

    /// The value, for whoever holds the lock without a guard.
    ///
    /// # Safety
    /// The lock is held, by this thread.
    pub(in crate::shm) unsafe fn get_unlocked(&self) -> &T {
        // SAFETY: the caller's promise.
        unsafe { &*self.value.get() }
    }

    /// Unlocks whoever holds it.
    pub(in crate::shm) fn unlock(&self) {
        // not shared: a flag of this process alone.
        self.locked.store(false, Ordering::Release);
    }
}

impl<T> Deref for LocalGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard means that this thread has the lock.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for LocalGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed mutably.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for LocalGuard<'_, T> {
    fn drop(&mut self) {
        self.0.unlock();
    }
}

/// A value of this process that is replaced now and then, and read without a lock: whoever
/// forks finds it whole. What was replaced is not freed, for somebody may still read it.
#[derive(Debug)]
pub struct Latest<T: 'static>(AtomicPtr<T>);

impl<T> Latest<T> {
    /// Nothing yet.
    #[must_use]
    pub const fn none() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// Replaces it.
    pub fn set(&self, value: T) {
        // not shared: a pointer of this process alone.
        self.0.store(Box::into_raw(Box::new(value)), Ordering::Release);
    }

    /// What was set last.
    #[must_use]
    pub fn get(&self) -> Option<&'static T> {
        // SAFETY: made by `set`, and never freed.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }
}
