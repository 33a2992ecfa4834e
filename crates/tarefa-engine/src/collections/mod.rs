//! Containers that threads and processes share.

pub mod array;
pub mod deferred_elements;
pub mod dict;
pub mod list;
pub mod object_lock;
pub mod segments;
pub mod value;

use crate::shm::heap;
use crate::shm::object;
use crate::sync::object_kinds;
use crate::sync::object_kinds::KindInfo;

/// Numbers of the object kinds of this layer.
pub mod kinds {
    /// A [`super::list`].
    pub const LIST: u64 = 8;
    /// A [`super::dict`].
    pub const DICT: u64 = 9;
    /// A [`super::dict`] of keys alone.
    pub const SET: u64 = 10;
    /// A [`super::dict`] that counts.
    pub const COUNTER: u64 = 11;
    /// A [`super::dict`] of names.
    pub const NAMESPACE: u64 = 12;
    /// An [`super::array`].
    pub const ARRAY: u64 = 13;
}

/// Tells the heap how this layer's things are taken apart.
pub fn register() {
    object::register(kinds::LIST, list::destroy_step);
    let dicts: [(u64, object_kinds::Name); 4] = [
        (kinds::DICT, |_, _| "Dict"),
        (kinds::SET, |_, _| "Set"),
        (kinds::COUNTER, |_, _| "Counter"),
        (kinds::NAMESPACE, |_, _| "Namespace"),
    ];
    for (kind, name) in dicts {
        object::register(kind, dict::destroy_step);
        object_kinds::register(kind, KindInfo::held(name, dict::holders));
    }
    object::register(heap::STORE, dict::store::destroy_step);
    object::register(kinds::ARRAY, array::destroy_step);
    object::register(heap::SEGMENTS, segments::destroy_step);
    object_kinds::register(kinds::LIST, KindInfo::held(|_, _| "List", list::holders));
    object_kinds::register(kinds::ARRAY, KindInfo::held(array::sort_name, array::holders));
    object::register(heap::DEFERRED_ELEMENTS, deferred_elements::destroy_step);
}
