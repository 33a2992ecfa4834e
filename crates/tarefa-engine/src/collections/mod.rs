//! Containers that threads and processes share.

pub mod array;
pub mod deferred_elements;
pub mod dict;
pub mod list;
pub mod object_lock;
pub mod segments;
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
    destroy::register(dict::store::STORE, "stores of dicts", dict::store::destroy_step);
    object::register(kinds::ARRAY, array::destroy_step);
    destroy::register(segments::SEGMENTS, "segments", segments::destroy_step);
    object_kinds::register(kinds::LIST, KindInfo::held(|_, _| "List", list::holders));
    object_kinds::register(kinds::ARRAY, KindInfo::held(array::sort_name, array::holders));
    destroy::register(
        deferred_elements::DEFERRED_ELEMENTS,
        "deferred elements",
        deferred_elements::destroy_step,
    );
}
