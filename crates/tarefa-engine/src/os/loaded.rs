//! The executable and the libraries that a process has loaded: which of them are there again when
//! the executable is run anew, and that one is not unloaded.

use std::ffi::{CStr, c_int, c_void};
use std::ops::Range;
use std::ptr;

/// An executable or library that is loaded.
pub(super) struct Object {
    /// Its path; empty for the executable.
    path: Vec<u8>,
    /// Where it is loaded: what its addresses count from.
    pub(super) base: usize,
    segments: Vec<Range<usize>>,
    /// What nobody may write once it is loaded, if there is any.
    pub(super) sealed: Range<usize>,
    dynamic: Range<usize>,
    /// The name that it goes by for those that are linked with it.
    soname: Option<Vec<u8>>,
    /// The names of those that it is linked with.
    needed: Vec<Vec<u8>>,
}

/// An entry of an object's dynamic section.
#[repr(C)]
pub(super) struct Dynamic {
    pub(super) tag: isize,
    pub(super) value: usize,
}

const DT_NULL: isize = 0;
const DT_NEEDED: isize = 1;
pub(super) const DT_STRTAB: isize = 5;
const DT_SONAME: isize = 14;

/// Whether the code at `address` is there from the start when this executable is run anew: it is the
/// executable's, or that of a library that this was linked with, directly or through others. A library
/// that the program has loaded as it ran is not.
#[must_use]
pub fn is_linked(address: usize) -> bool {
    if cfg!(miri) {
        return true;
    }
    let objects = objects();
    let Some(wanted) = objects.iter().position(|o| o.contains(address)) else { return false };
    // The executable comes first.
    let (mut reached, mut next) = (vec![0], 0);
    while let Some(object) = reached.get(next).and_then(|i: &usize| objects.get(*i)) {
        for name in &object.needed {
            let found = objects.iter().position(|o| o.goes_by(name));
            if let Some(found) = found.filter(|found| !reached.contains(found)) {
                reached.push(found);
            }
        }
        next += 1;
    }
    reached.contains(&wanted)
}

/// The file name of the library that the code at `address` is of, as the loader has found it; empty
/// for the executable.
#[must_use]
pub fn library_of(address: usize) -> String {
    object_of(address)
        .map_or(String::new(), |o| String::from_utf8_lossy(base_name(&o.path)).into_owned())
}

/// The library that `address` is code of stays loaded from now on: also when a program closes it,
/// threads and handlers of it may still run. Nothing for the executable itself.
pub fn keep_loaded(address: *const ()) {
    // A program that is linked for good loads nothing.
    if cfg!(any(miri, target_feature = "crt-static")) {
        return;
    }
    let objects = objects();
    let object = objects.iter().skip(1).find(|o| o.contains(address as usize));
    let Some(path) = object.and_then(|o| std::ffi::CString::new(o.path.as_slice()).ok()) else {
        return;
    };
    // SAFETY: a C string. The library is loaded, for its code runs, so nothing of it is run by this.
    unsafe {
        libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE)
    };
}

fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// The executable or library that the code at `address` is of.
pub(super) fn object_of(address: usize) -> Option<Object> {
    objects().into_iter().find(|o| o.contains(address))
}

impl Object {
    pub(super) fn contains(&self, address: usize) -> bool {
        self.segments.iter().any(|segment| segment.contains(&address))
    }

    /// Whether something is linked with it that needs `name`.
    fn goes_by(&self, name: &[u8]) -> bool {
        !self.path.is_empty()
            && (self.soname.as_deref() == Some(name) || base_name(&self.path) == base_name(name))
    }

    /// # Safety
    /// `info` is what `dl_iterate_phdr` gives, during that call.
    unsafe fn new(info: &libc::dl_phdr_info) -> Self {
        let base = info.dlpi_addr as usize;
        let headers = if info.dlpi_phdr.is_null() {
            &[]
        } else {
            // SAFETY: the loader's own table, which lasts as long as the object is loaded.
            unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize) }
        };
        let of = |header: &libc::Elf64_Phdr| {
            let start = base.wrapping_add(header.p_vaddr as usize);
            start..start.saturating_add(header.p_memsz as usize)
        };
        let segments: Vec<_> =
            headers.iter().filter(|h| h.p_type == libc::PT_LOAD).map(of).collect();
        let path = if info.dlpi_name.is_null() {
            Vec::new()
        } else {
            // SAFETY: the loader's own string.
            unsafe { CStr::from_ptr(info.dlpi_name) }.to_bytes().to_vec()
        };
        let first = |of_type| headers.iter().find(|h| h.p_type == of_type).map_or(0..0, of);
        let (sealed, dynamic) = (first(libc::PT_GNU_RELRO), first(libc::PT_DYNAMIC));
        let (soname, needed) = (None, Vec::new());
        let mut object = Self { path, base, segments, sealed, dynamic, soname, needed };
        // SAFETY: as the caller says.
        unsafe { object.read_names() };
        object
    }

    /// The entries of its dynamic section.
    ///
    /// # Safety
    /// It is still loaded, and stays so for as long as they are looked at.
    pub(super) unsafe fn dynamic(&self) -> impl Iterator<Item = &Dynamic> + Clone {
        let count = self.dynamic.len() / size_of::<Dynamic>();
        let entries = if count == 0 {
            &[]
        } else {
            // SAFETY: the caller's promise; a section is aligned for its entries.
            unsafe { std::slice::from_raw_parts(self.dynamic.start as *const Dynamic, count) }
        };
        entries.iter().take_while(|entry| entry.tag != DT_NULL)
    }

    /// The address that an entry of its dynamic section gives: some loaders write it there, others
    /// leave what is in the file.
    pub(super) fn address(&self, value: usize) -> Option<usize> {
        [value, self.base.wrapping_add(value)].into_iter().find(|at| self.contains(*at))
    }

    /// # Safety
    /// As [`Object::dynamic`].
    unsafe fn read_names(&mut self) {
        // SAFETY: the caller's promise.
        let entries = unsafe { self.dynamic() };
        let strings = entries.clone().find(|entry| entry.tag == DT_STRTAB);
        let Some(strings) = strings.and_then(|entry| self.address(entry.value)) else { return };
        let (mut soname, mut needed) = (None, Vec::new());
        for entry in entries {
            if entry.tag != DT_NEEDED && entry.tag != DT_SONAME {
                continue;
            }
            // SAFETY: an offset in the object's table of strings, each of which ends with a zero.
            let name = unsafe { CStr::from_ptr((strings + entry.value) as *const _) };
            let name = name.to_bytes().to_vec();
            if entry.tag == DT_SONAME {
                soname = Some(name);
            } else {
                needed.push(name);
            }
        }
        (self.soname, self.needed) = (soname, needed);
    }
}

/// All of them, the executable first.
fn objects() -> Vec<Object> {
    unsafe extern "C" fn visit(info: *mut libc::dl_phdr_info, _: usize, to: *mut c_void) -> c_int {
        // SAFETY: `to` is the vector below, which nobody else uses during the call; `info` is the
        // loader's.
        unsafe { (*to.cast::<Vec<Object>>()).push(Object::new(&*info)) };
        0
    }
    let mut objects: Vec<Object> = Vec::new();
    // SAFETY: the function takes what it is given, and ends the walk with 0.
    unsafe { libc::dl_iterate_phdr(Some(visit), ptr::from_mut(&mut objects).cast()) };
    objects
}

#[cfg(test)]
mod tests {
    use super::{is_linked, keep_loaded, library_of, objects};

    fn here() {}

    #[test]
    #[cfg_attr(miri, ignore = "there is no loader under Miri")]
    fn what_the_executable_is_linked_with() {
        assert!(is_linked(here as fn() as usize));
        assert!(is_linked(libc::getpid as unsafe extern "C" fn() -> i32 as usize), "the C library");
        assert_eq!(library_of(here as fn() as usize), "");
        assert!(
            library_of(libc::getpid as unsafe extern "C" fn() -> i32 as usize).contains("libc")
        );
        let on_the_stack = 0;
        assert!(!is_linked(std::ptr::from_ref(&on_the_stack) as usize));
        let own = objects();
        assert!(own[0].path.is_empty() && own[0].contains(here as fn() as usize));
        assert!(own[0].needed.iter().any(|name| name.starts_with(b"libc.so")));
        keep_loaded(here as *const ());
    }
}
