//! The compiler, for programs that a test compiles with the library that it is linked with itself, so that
//! nothing is built a second time.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The folder of the libraries that this test is built of.
fn folder() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// The library: of several, with other features or of before a change, the one that was built last.
fn library() -> PathBuf {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libtarefa-") && name.ends_with(".rlib")
    };
    let built = |path: &PathBuf| fs::metadata(path).and_then(|data| data.modified()).ok();
    files.filter(is_one).max_by_key(built).expect("this test is linked with it")
}

/// The compiler that has compiled this test, of a program that uses the library.
pub(crate) fn rustc() -> Command {
    let cargo = PathBuf::from(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let beside = cargo.with_file_name("rustc");
    let mut rustc = Command::new(if beside.exists() { beside } else { "rustc".into() });
    rustc.current_dir(env!("CARGO_MANIFEST_DIR")).args(["--edition", "2024"]);
    rustc.arg("--extern").arg(format!("tarefa={}", library().display()));
    rustc.arg("-L").arg(format!("dependency={}", folder().display()));
    // It would warn of a server of jobs that make has, and that this test has not.
    for name in ["MAKEFLAGS", "MFLAGS", "CARGO_MAKEFLAGS"] {
        rustc.env_remove(name);
    }
    rustc
}
