//! What a loaded executable or library calls of others, and to have it call something else.
//!
//! Each function that it imports has a word in which the loader writes where the function is; calls
//! go through that. The relocations of the object say which word is whose ("System V Application
//! Binary Interface", chapter 5, "Relocation" and "Procedure Linkage Table").

use std::ffi::{CStr, c_void};
use std::{io, ptr};

use super::loaded::{DT_STRTAB, object_of};

const DT_PLTRELSZ: isize = 2;
const DT_SYMTAB: isize = 6;
const DT_RELA: isize = 7;
const DT_RELASZ: isize = 8;
const DT_JMPREL: isize = 23;

/// The types of relocations by which functions are imported: `GLOB_DAT` and `JUMP_SLOT`.
#[cfg(target_arch = "x86_64")]
const IMPORTS: [u32; 2] = [6, 7];
#[cfg(target_arch = "aarch64")]
const IMPORTS: [u32; 2] = [1025, 1026];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const IMPORTS: [u32; 0] = [];

/// A relocation, as in the file.
#[repr(C)]
struct Relocation {
    at: u64,
    /// The symbol's number above, the type below.
    what: u64,
    addend: i64,
}

/// Has the object that the code at `address` is of call `to` where it calls what it imports as
/// `name`. False if it imports no such function: nothing has changed then.
///
/// # Errors
/// The system lets nobody write where the object's imports are.
///
/// # Safety
/// The object stays loaded, and so does `to`, which is a function that can stand for that.
pub unsafe fn redirect(address: usize, name: &CStr, to: *mut c_void) -> io::Result<bool> {
    if cfg!(miri) {
        return Ok(false);
    }
    let Some(object) = object_of(address) else { return Ok(false) };
    // SAFETY: it stays loaded, as the caller says.
    let entries = unsafe { object.dynamic() };
    let value = |tag| entries.clone().find(|entry| entry.tag == tag).map(|entry| entry.value);
    let table = |tag| value(tag).and_then(|value| object.address(value));
    let (Some(symbols), Some(strings)) = (table(DT_SYMTAB), table(DT_STRTAB)) else {
        return Ok(false);
    };
    let mut found = false;
    for (at, bytes) in [(DT_JMPREL, DT_PLTRELSZ), (DT_RELA, DT_RELASZ)] {
        let (Some(at), Some(bytes)) = (table(at), value(bytes)) else { continue };
        let count = bytes / size_of::<Relocation>();
        // SAFETY: the object's own table, which is as long as it says.
        let relocations = unsafe { std::slice::from_raw_parts(at as *const Relocation, count) };
        for relocation in relocations {
            if !IMPORTS.contains(&(relocation.what as u32)) {
                continue;
            }
            let symbol = symbols as *const libc::Elf64_Sym;
            // SAFETY: a number in the object's own table of symbols, and an offset in that of its
            // strings, each of which ends with a zero.
            let symbol_name = unsafe {
                let symbol = symbol.add((relocation.what >> 32) as usize);
                CStr::from_ptr((strings + (*symbol).st_name as usize) as *const _)
            };
            if symbol_name != name {
                continue;
            }
            let word = object.base.wrapping_add(relocation.at as usize);
            let sealed = object.sealed.contains(&word);
            // SAFETY: the word of an import, which the loader has written as well; the caller
            // vouches for what is written.
            unsafe { write(word, to, sealed)? };
            found = true;
        }
    }
    Ok(found)
}

/// Writes the word of an import; of a `sealed` one nobody may otherwise.
///
/// # Safety
/// There is one at `at`.
unsafe fn write(at: usize, to: *mut c_void, sealed: bool) -> io::Result<()> {
    let page = super::sysconf(libc::_SC_PAGESIZE) as usize;
    let start = ptr::with_exposed_provenance_mut::<c_void>(at & !(page - 1));
    let protect = |how| {
        // SAFETY: the page is one of the object's data, and is only made what it was before, or
        // writable too.
        let done = unsafe { libc::mprotect(start, page, how) } == 0;
        if done { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    if sealed {
        protect(libc::PROT_READ | libc::PROT_WRITE)?;
    }
    // SAFETY: aligned, as the loader demands. Other threads read it as they call, in one load, and
    // this is one store: no word of Rust's, which could be an atomic.
    unsafe { ptr::with_exposed_provenance_mut::<*mut c_void>(at).write_volatile(to) };
    if sealed { protect(libc::PROT_READ) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::ffi::{CStr, c_char, c_void};

    use super::redirect;

    unsafe extern "C" {
        fn gnu_get_libc_release() -> *const c_char;
    }

    unsafe extern "C" fn instead() -> *const c_char {
        c"instead".as_ptr()
    }

    #[test]
    #[cfg(target_env = "gnu")]
    #[cfg_attr(miri, ignore = "there is no loader under Miri")]
    fn the_program_calls_something_else() {
        let here = the_program_calls_something_else as fn() as usize;
        let to = instead as unsafe extern "C" fn() -> *const c_char as *mut c_void;
        // SAFETY: a function without arguments, of the C library, that gives a string.
        let release = || unsafe { CStr::from_ptr(gnu_get_libc_release()) };
        assert_ne!(release(), c"instead");
        // SAFETY: the program stays loaded, and nothing else calls this function.
        unsafe {
            assert!(!redirect(here, c"there is no such function", to).expect("looked"));
            assert!(!redirect(0, c"gnu_get_libc_release", to).expect("looked"));
            assert!(redirect(here, c"gnu_get_libc_release", to).expect("written"));
        }
        assert_eq!(release(), c"instead");
    }
}
