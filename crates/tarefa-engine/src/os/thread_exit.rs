//! What is done when a thread ends, after its thread-local values are gone.
//!
//! A destructor of a `thread_local!` value is too early for it: other values are dropped later, in
//! an order that nobody knows, and may still use what it has given back. A key of POSIX threads
//! has its turn after those (glibc), or in the same rounds (musl); and a thread that arms it again
//! from a later destructor has it run once more, in up to `PTHREAD_DESTRUCTOR_ITERATIONS` rounds.

use crate::atomic::{AtomicU32, Ordering};
use std::ffi::c_void;

/// Something to be done by each thread that has armed it, when it ends.
#[derive(Debug)]
pub struct AtThreadExit {
    /// The key plus 1; 0 before the first thread arms it.
    key: AtomicU32,
    act: extern "C" fn(*mut c_void),
}

impl AtThreadExit {
    /// Has `act` done, with an argument that means nothing.
    #[must_use]
    pub const fn new(act: extern "C" fn(*mut c_void)) -> Self {
        Self { key: AtomicU32::new(0), act }
    }

    fn key(&self) -> Option<libc::pthread_key_t> {
        if let Some(key) = self.key.load(Ordering::Acquire).checked_sub(1) {
            return Some(key);
        }
        let mut made = 0;
        // SAFETY: a place for the key, and a function that any thread may call as it ends.
        if unsafe { libc::pthread_key_create(&raw mut made, Some(self.act)) } != 0 {
            return None;
        }
        // not shared: a number of this process alone. A fork in between loses one key.
        match self.key.compare_exchange(0, made + 1, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Some(made),
            Err(first) => {
                // SAFETY: made just now; nobody else knows of it.
                unsafe { libc::pthread_key_delete(made) };
                first.checked_sub(1)
            }
        }
    }

    /// The calling thread will do it. False if the system has no keys left, or no memory.
    pub fn arm(&self) -> bool {
        let Some(key) = self.key() else { return false };
        let any = std::ptr::from_ref(self).cast::<c_void>();
        // SAFETY: the key was made above and is never deleted; its value is only handed on.
        unsafe { libc::pthread_setspecific(key, any) == 0 }
    }
}

#[cfg(test)]
mod tests {
    use crate::atomic::{AtomicU32, Ordering};
    use std::cell::RefCell;
    use std::ffi::c_void;

    use super::AtThreadExit;

    static ENDED: AtomicU32 = AtomicU32::new(0);
    static EXIT: AtThreadExit = AtThreadExit::new(count);

    extern "C" fn count(_: *mut c_void) {
        ENDED.fetch_add(1, Ordering::Relaxed);
    }

    /// Arms it as it is dropped.
    struct Late;

    impl Drop for Late {
        fn drop(&mut self) {
            assert!(EXIT.arm());
        }
    }

    thread_local!(static LATE: RefCell<Option<Late>> = const { RefCell::new(None) });

    #[test]
    fn it_is_done_once_and_also_if_a_value_arms_it_last() {
        std::thread::spawn(|| assert!(EXIT.arm() && EXIT.arm())).join().unwrap();
        assert_eq!(ENDED.load(Ordering::Relaxed), 1);
        std::thread::spawn(|| LATE.set(Some(Late))).join().unwrap();
        assert_eq!(ENDED.load(Ordering::Relaxed), 2);
        std::thread::spawn(|| ()).join().unwrap();
        assert_eq!(ENDED.load(Ordering::Relaxed), 2);
    }
}
