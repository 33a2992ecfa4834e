//! The only source of atomics: in the engine, in both fronts and in their tests.
//!
//! A type here is a name of its own around the standard library's type of that name: the same
//! bytes and the same instructions, since everything is inlined. Being a type of its own, it can
//! be told from the standard library's by clippy, which refuses those everywhere else
//! (`clippy.toml`). And it is the one place where a model takes over the memory: under `cfg(loom)`
//! a word of the arena is loom's while a model runs, see `atomic/model.rs`.
//!
//! Methods are documented where they come from: [`std::sync::atomic`]. Those that nobody needs are
//! left out.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "this is their place")]

#[cfg(loom)]
pub mod model;

use std::fmt;
use std::sync::atomic as std_atomic;

pub use std::sync::atomic::Ordering;

/// As [`std::sync::atomic::fence`].
#[inline(always)]
#[cfg_attr(loom, track_caller)]
pub fn fence(order: Ordering) {
    #[cfg(loom)]
    if model::fence(order) {
        return;
    }
    std_atomic::fence(order);
}

/// As [`std::sync::atomic::compiler_fence`].
#[inline(always)]
pub fn compiler_fence(order: Ordering) {
    std_atomic::compiler_fence(order);
}

/// An operation on memory as it is, or under loom, on a word that is a model's, the same on
/// loom's atomic.
macro_rules! operate {
    (plain, $this:ident, $access:ident, [$($order:ident)*], $operation:ident($($value:expr)*)) => {
        $this.0.$operation($($value,)* $($order,)*)
    };
    (word, $this:ident, $access:ident, [$($order:ident)*], $operation:ident($($value:expr)*)) => {{
        #[cfg(loom)]
        match model::reach($this.as_ptr(), model::Access::$access) {
            model::Reach::Plain => {}
            model::Reach::Shared(cell) => {
                $(let $order = model::order($order);)*
                return model::switching(|| cell.$operation($($value,)* $($order,)*));
            }
            model::Reach::Gone => return model::Gone::gone(),
        }
        $this.0.$operation($($value,)* $($order,)*)
    }};
}

/// The operations that all types have.
macro_rules! common {
    ($how:ident $name:ident, $value:ty) => {
        /// See the standard library.
        #[inline(always)]
        #[must_use]
        pub const fn new(value: $value) -> Self {
            Self(std_atomic::$name::new(value))
        }

        /// See the standard library.
        #[inline(always)]
        #[must_use]
        pub const fn as_ptr(&self) -> *mut $value {
            self.0.as_ptr()
        }

        /// See the standard library.
        #[inline(always)]
        #[must_use]
        #[cfg_attr(loom, track_caller)]
        pub fn load(&self, order: Ordering) -> $value {
            operate!($how, self, Read, [order], load())
        }

        /// See the standard library.
        #[inline(always)]
        #[cfg_attr(loom, track_caller)]
        pub fn store(&self, value: $value, order: Ordering) {
            operate!($how, self, Write, [order], store(value));
        }

        /// See the standard library.
        #[inline(always)]
        #[cfg_attr(loom, track_caller)]
        pub fn swap(&self, value: $value, order: Ordering) -> $value {
            operate!($how, self, Write, [order], swap(value))
        }

        /// See the standard library.
        ///
        /// # Errors
        /// The value that was there, which is not `current`.
        #[inline(always)]
        #[cfg_attr(loom, track_caller)]
        pub fn compare_exchange(
            &self,
            current: $value,
            new: $value,
            success: Ordering,
            failure: Ordering,
        ) -> Result<$value, $value> {
            operate!($how, self, Write, [success failure], compare_exchange(current new))
        }

        /// See the standard library.
        ///
        /// # Errors
        /// The value that was there; it may be `current` all the same.
        #[inline(always)]
        #[cfg_attr(loom, track_caller)]
        pub fn compare_exchange_weak(
            &self,
            current: $value,
            new: $value,
            success: Ordering,
            failure: Ordering,
        ) -> Result<$value, $value> {
            operate!($how, self, Write, [success failure], compare_exchange_weak(current new))
        }

        /// See the standard library.
        ///
        /// # Errors
        /// The value that was there, for which `change` gave none.
        #[inline(always)]
        #[cfg_attr(loom, track_caller)]
        pub fn fetch_update(
            &self,
            set: Ordering,
            fetch: Ordering,
            mut change: impl FnMut($value) -> Option<$value>,
        ) -> Result<$value, $value> {
            let mut seen = self.load(fetch);
            while let Some(new) = change(seen) {
                match self.compare_exchange_weak(seen, new, set, fetch) {
                    Ok(_) => return Ok(seen),
                    Err(now) => seen = now,
                }
            }
            Err(seen)
        }
    };
}

/// Operations with a value, which return the one before.
macro_rules! fetching {
    ($how:ident $value:ty: $($operation:ident)*) => {
        $(
            /// See the standard library.
            #[inline(always)]
            #[cfg_attr(loom, track_caller)]
            pub fn $operation(&self, value: $value, order: Ordering) -> $value {
                operate!($how, self, Write, [order], $operation(value))
            }
        )*
    };
}

/// `word` for the types that may lie in the arena, `plain` for those that never do.
macro_rules! atomics {
    ($($how:ident $name:ident: $value:ty, $($operation:ident)*;)*) => {
        $(
            #[doc = concat!("As [`std::sync::atomic::", stringify!($name), "`].")]
            #[derive(Default)]
            #[repr(transparent)]
            pub struct $name(std_atomic::$name);

            impl $name {
                common!($how $name, $value);
                fetching!($how $value: $($operation)*);
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.load(Ordering::Relaxed).fmt(f)
                }
            }
        )*
    };
}

atomics! {
    word AtomicU8: u8, fetch_add fetch_sub fetch_and fetch_or fetch_xor fetch_max fetch_min;
    word AtomicU16: u16, fetch_add fetch_sub fetch_and fetch_or fetch_xor fetch_max fetch_min;
    word AtomicU32: u32, fetch_add fetch_sub fetch_and fetch_or fetch_xor fetch_max fetch_min;
    word AtomicU64: u64, fetch_add fetch_sub fetch_and fetch_or fetch_xor fetch_max fetch_min;
    plain AtomicBool: bool, fetch_and fetch_or;
    plain AtomicUsize: usize, fetch_add fetch_sub fetch_and fetch_or fetch_xor fetch_max fetch_min;
    plain AtomicI32: i32, fetch_add fetch_sub fetch_and fetch_or fetch_xor fetch_max fetch_min;
}

/// As [`std::sync::atomic::AtomicPtr`].
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct AtomicPtr<T>(std_atomic::AtomicPtr<T>);

impl<T> AtomicPtr<T> {
    common!(plain AtomicPtr, *mut T);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_the_bytes_of_std() {
        fn same<Own, Std>() {
            assert_eq!(
                (size_of::<Own>(), align_of::<Own>()),
                (size_of::<Std>(), align_of::<Std>())
            );
        }
        same::<AtomicBool, std_atomic::AtomicBool>();
        same::<AtomicU8, std_atomic::AtomicU8>();
        same::<AtomicU16, std_atomic::AtomicU16>();
        same::<AtomicU32, std_atomic::AtomicU32>();
        same::<AtomicU64, std_atomic::AtomicU64>();
        same::<AtomicUsize, std_atomic::AtomicUsize>();
        same::<AtomicI32, std_atomic::AtomicI32>();
        same::<AtomicPtr<u8>, std_atomic::AtomicPtr<u8>>();
    }

    #[test]
    fn operations_do_what_they_are_called() {
        let order = Ordering::Relaxed;
        let word = AtomicU32::new(6);
        assert_eq!(word.swap(7, order), 6);
        assert_eq!(word.fetch_add(1, order), 7);
        assert_eq!(word.fetch_sub(2, order), 8);
        assert_eq!(word.fetch_or(8, order), 6);
        assert_eq!(word.fetch_and(12, order), 14);
        assert_eq!(word.fetch_xor(4, order), 12);
        assert_eq!(word.fetch_max(9, order), 8);
        assert_eq!(word.fetch_min(3, order), 9);
        assert_eq!(word.compare_exchange(3, 4, order, order), Ok(3));
        assert_eq!(word.compare_exchange(3, 5, order, order), Err(4));
        assert_eq!(word.fetch_update(order, order, |_| None), Err(4));
        assert_eq!(word.fetch_update(order, order, |n| n.checked_mul(2)), Ok(4));
        word.store(word.load(order) + 1, order);
        assert_eq!(format!("{word:?}"), "9", "shown as the number it is");
        assert!(std::ptr::eq(word.as_ptr().cast(), std::ptr::from_ref(&word)));
    }
}
