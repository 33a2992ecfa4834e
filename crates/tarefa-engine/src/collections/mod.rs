//! Containers that threads and processes share.

pub mod array;
pub mod deferred_elements;
pub mod dict;
pub mod flat;
pub mod list;
pub mod object_lock;
pub mod segments;
pub mod updating;
pub mod value;

use crate::kinds;
use crate::shm;
use crate::shm::heap::destroy;
use crate::shm::object;
use crate::sync::object_kinds;
use crate::sync::object_kinds::KindInfo;

/// Tells the heap how this layer's things are taken apart.
pub fn register() {
    shm::register();
    object::register(kinds::LIST, list::destroy_step);
    for kind in [kinds::DICT, kinds::SET, kinds::COUNTER, kinds::NAMESPACE] {
        object::register(kind, dict::destroy_step);
        object_kinds::register(kind, KindInfo::held(dict::holders));
    }
    destroy::register(dict::store::STORE, "stores of dicts", dict::store::destroy_step);
    for kind in [kinds::ARRAY, kinds::SLICE] {
        object::register(kind, array::destroy_step);
    }
    object_kinds::register(kinds::SLICE, KindInfo::unheld());
    destroy::register(segments::SEGMENTS, "segments", segments::destroy_step);
    object_kinds::register(kinds::LIST, KindInfo::held(list::holders));
    object_kinds::register(
        kinds::ARRAY,
        KindInfo { name: Some(array::sort_name), ..KindInfo::held(array::holders) },
    );
    destroy::register(
        deferred_elements::DEFERRED_ELEMENTS,
        "deferred elements",
        deferred_elements::destroy_step,
    );
}
