//! A program in which panics abort: what they say reaches who asks, and else standard error.
#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program, as a package of its own: a profile in which panics abort is for a whole build, and a
/// test's cannot be one.
fn program() -> PathBuf {
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("panic-abort");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = here.display().to_string();
    let manifest = format!(
        "[package]\nname = \"panic_abort\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [dependencies]\ntarefa = {{ path = {path:?} }}\n\
         [profile.dev]\npanic = \"abort\"\ndebug = false\nincremental = false\n\
         [workspace]\n"
    );
    fs::create_dir_all(package.join("src")).unwrap();
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    fs::write(package.join("src/main.rs"), include_str!("panic_abort/program.rs")).unwrap();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&package).args(["build", "--quiet", "--target-dir", "target"]);
    // What this test is built with is at hand.
    if fs::copy(here.join("../../Cargo.lock"), package.join("Cargo.lock")).is_ok() {
        cargo.arg("--offline");
    }
    assert!(cargo.status().unwrap().success());
    package.join("target/debug/panic_abort")
}

fn run(program: &Path, case: &str) -> (Output, String) {
    let output = Command::new(program).arg(case).env("RUST_BACKTRACE", "0").output().unwrap();
    let written = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, written)
}

#[test]
#[cfg_attr(miri, ignore = "Miri has one process")]
fn a_panic_that_aborts_is_heard() {
    let program = program();
    let (output, written) = run(&program, "asked");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "all told\n", "{written}");
    assert!(output.status.success(), "{written}");
    assert_eq!(written, "", "who asks is told, and nobody else");

    let (_, written) = run(&program, "unasked");
    assert_eq!(written.matches("on purpose").count(), 1, "{written}");
    assert!(written.contains("nobody asked about it"), "{written}");
    assert!(written.contains("src/main.rs:"), "{written}");

    // A thread's panic ends this very program, which says so itself.
    let (output, written) = run(&program, "thread");
    assert!(!output.status.success());
    assert_eq!(written.matches("on purpose").count(), 1, "{written}");
    assert!(written.contains("src/main.rs:"), "{written}");
}
