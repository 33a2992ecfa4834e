//! A library that has tarefa in it: linked with a program it starts processes as a program does;
//! loaded as the program runs it starts threads, and a process is refused with a reason.
#![allow(missing_docs)]

use std::ffi::{CString, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

type Run = unsafe extern "C" fn(bool, *mut u8, usize) -> usize;

/// The folder of this profile's artifacts.
fn folder() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.parent().and_then(Path::parent).unwrap().to_owned()
}

/// When the newest file in the folder was changed.
fn changed(folder: &Path) -> SystemTime {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let times = entries.map(|entry| {
        let data = entry.metadata().unwrap();
        if data.is_dir() { changed(&entry.path()) } else { data.modified().unwrap() }
    });
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Whether the library was built after all changes of what it is made of.
fn is_built(library: &Path) -> bool {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = ["tests/runtime/plugin", "src", "../tarefa-engine/src", "../tarefa-macros/src"]
        .map(|f| here.join(f));
    let Ok(built) = std::fs::metadata(library).and_then(|data| data.modified()) else {
        return false;
    };
    sources.iter().all(|folder| folder.is_dir() && changed(folder) < built)
}

/// The library, built as this test is: by `cargo test` with it, or here where this test alone was built.
fn library() -> PathBuf {
    let library = folder().join("examples/libplugin.so");
    if is_built(&library) {
        return library;
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["build", "--quiet", "--example", "plugin"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    cargo.arg("--target-dir").arg(folder().parent().unwrap());
    assert!(cargo.status().unwrap().success());
    library
}

fn answer(run: Run, process: bool) -> String {
    let mut text = vec![0; 1000];
    // SAFETY: the function writes that many bytes at most.
    let len = unsafe { run(process, text.as_mut_ptr(), text.len()) };
    String::from_utf8(text[..len].to_vec()).unwrap()
}

#[test]
#[cfg_attr(miri, ignore = "Miri loads no libraries")]
fn loaded_as_the_program_runs() {
    let path = CString::new(library().into_os_string().into_encoded_bytes()).unwrap();
    // SAFETY: a C string; what the library does as it is loaded is tarefa's own.
    let open = |flags| unsafe { libc::dlopen(path.as_ptr(), flags) };
    let handle = open(libc::RTLD_NOW | libc::RTLD_LOCAL);
    assert!(!handle.is_null());
    // SAFETY: a name that the library has, of a function of that type.
    let run = unsafe {
        std::mem::transmute::<*mut c_void, Run>(libc::dlsym(handle, c"plugin_run".as_ptr()))
    };
    assert_eq!(answer(run, false), "42");
    let refused = answer(run, true);
    assert!(refused.contains("libplugin.so, which the program has loaded as it ran"), "{refused}");
    assert!(refused.contains("start threads"), "{refused}");
    // The program's own copy of tarefa is not concerned.
    let own = tarefa::Process::spawn(|n: u32| n + 1, (1,)).unwrap();
    assert_eq!(own.result(None).unwrap(), 2);

    // SAFETY: the handle is open. Threads of the library's runtime go on, so it stays loaded.
    unsafe { libc::dlclose(handle) };
    assert!(!open(libc::RTLD_NOW | libc::RTLD_NOLOAD).is_null());
    assert_eq!(answer(run, false), "42");
}

const HOST: &str = r#"
#include <stdbool.h>
#include <stdio.h>
size_t plugin_run(bool process, unsigned char *answer, size_t room);
int main(int argc, char **argv) {
    static unsigned char text[1000];
    printf("main with %d\n", argc);
    fwrite(text, 1, plugin_run(true, text, sizeof text), stdout);
    return 0;
}
"#;

#[test]
#[cfg_attr(miri, ignore = "Miri loads no libraries")]
fn linked_with_a_program() {
    let library = library();
    let made = folder().join(format!("plugin-host-{}", std::process::id()));
    std::fs::create_dir_all(&made).unwrap();
    let (source, host) = (made.join("host.c"), made.join("host"));
    std::fs::write(&source, HOST).unwrap();
    let mut gcc = Command::new("gcc");
    gcc.arg("-o").arg(&host).arg(&source).arg(&library);
    gcc.arg(format!("-Wl,-rpath,{}", library.parent().unwrap().display()));
    assert!(gcc.status().unwrap().success());
    let output = Command::new(&host).args(["a", "b"]).output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    std::fs::remove_dir_all(&made).unwrap();
    // Its main was run once.
    assert_eq!(out, "main with 3\n42", "{err}");
}
