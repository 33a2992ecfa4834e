//! What the programs and libraries of this process export (`dlsym`).

use std::ffi::{CStr, c_void};

/// The address of what is exported by that name.
#[must_use]
pub fn symbol(name: &CStr) -> Option<*mut c_void> {
    if cfg!(miri) {
        return None;
    }
    // SAFETY: a plain look-up of a name.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}
