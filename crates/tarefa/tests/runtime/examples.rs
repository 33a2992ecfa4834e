//! The examples do what they say; `tests/pool/example.rs` runs that of pools, the Python tests the guests.
#![allow(missing_docs)]

use std::process::Command;

/// What an example writes. Beside the tests' own folder: `cargo test` builds them with it; none where
/// only this test was built.
fn lines(name: &str, arguments: &[&str]) -> Option<Vec<String>> {
    let own = std::env::current_exe().expect("the system tells it");
    let program =
        own.ancestors().nth(2).expect("a folder of the build").join("examples").join(name);
    if !program.exists() {
        return None;
    }
    let output = Command::new(&program).args(arguments).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    Some(text.lines().map(str::to_owned).collect())
}

#[tarefa::test(timeout = 60)]
fn crashes_are_kept_apart() {
    let Some(lines) = lines("crash_isolation", &[]) else { return };
    let wanted = [
        "fine: FINE",
        "bad pointer: crashed with SIGABRT",
        "a panic: failed: ",
        "no end: took too long",
        "fine again: FINE AGAIN",
    ];
    assert_eq!(lines.len(), wanted.len(), "{lines:#?}");
    for (line, wanted) in lines.iter().zip(wanted) {
        assert!(line.starts_with(wanted), "{lines:#?}");
    }
}

#[tarefa::test(timeout = 60)]
fn a_pipeline_passes_frames_on() {
    let Some(lines) = lines("pipeline", &[]) else { return };
    assert_eq!(lines.len(), 8);
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(*line, format!("frame {n}: brightest at column {}, light 400", 10 * n));
    }
}

#[tarefa::test(timeout = 60)]
fn the_lesson_is_shown_on_both_kinds() {
    for (kind, form, after) in
        [("thread", "plain", 4000), ("process", "plain", 0), ("process", "shared", 4000)]
    {
        let Some(lines) = lines("minha_lista", &[kind, form]) else { return };
        let text = lines.join(" ");
        assert!(text.contains(&after.to_string()), "{kind} {form}: {text}");
    }
}
