//! The example of pools does what it says.

use std::process::Command;

/// Beside the tests' own folder: `cargo test` builds it with them.
fn example() -> std::path::PathBuf {
    let own = std::env::current_exe().expect("the system tells it");
    own.ancestors().nth(2).expect("a folder of the build").join("examples/pool")
}

#[tarefa::test(timeout = 120)]
fn it_counts_and_shows_deaths() {
    let program = example();
    if !program.exists() {
        // Only this test was built.
        return;
    }
    let output = Command::new(&program).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    for (line, kind) in lines.iter().zip(["threads", "processes"]) {
        assert!(
            line.starts_with("41538 primes below 500000, on ") && line.contains(kind),
            "{text}"
        );
    }
    assert_eq!(lines[2], "task 7 has its result at attempt 2");
    assert_eq!(lines[3], "pool::fragile(13) was given up after 3 attempts");
}
