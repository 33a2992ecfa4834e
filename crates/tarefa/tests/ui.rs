//! What is refused when a program is compiled, and what the compiler says: each program in `tests/ui` with
//! the library that this test is linked with, so that nothing is built a second time.
//!
//! Beside a program that is refused lies what is said of it: the messages, the places in the program
//! itself, with what is said of each, and the notes. What the compiler quotes of other sources differs
//! from one machine to the next.
#![allow(missing_docs)]

#[path = "support/compiler.rs"]
mod compiler;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const ACCEPTED: &[&str] = &["captures_nothing", "plain"];

const REFUSED: &[&str] = &[
    "captures",
    "function_pointer",
    "wrong_arguments",
    "target_not_send",
    "target_not_copied",
    "plain_layout",
    "plain_fields",
    "plain_kinds",
    "plain_not_copied",
];

/// Compiles the program `name` to `made`: whether that worked, and what the compiler said.
fn compile(name: &str, made: &Path) -> (bool, String) {
    let mut rustc = compiler::rustc();
    rustc
        .args(["--verbose", "--error-format", "json", "-o"])
        .arg(made)
        .arg(format!("tests/ui/{name}.rs"));
    let output = rustc.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let said =
        text.lines().map(|line| said(&serde_json::from_str(line).expect(line), "")).collect();
    (output.status.success(), said)
}

/// What a message of the compiler says.
fn said(message: &Value, indent: &str) -> String {
    let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (level, what) = (of(&message["level"]), of(&message["message"]));
    let summed_up = ["aborting due to", "For more information", "Some errors have"];
    if summed_up.iter().any(|start| what.starts_with(start)) {
        return String::new();
    }
    let code = message["code"]["code"].as_str().map_or(String::new(), |code| format!("[{code}]"));
    let mut text = format!("{indent}{level}{code}: {}\n", counted(&what));
    for span in message["spans"].as_array().into_iter().flatten() {
        let file = of(&span["file_name"]);
        if file.starts_with("tests/ui/") {
            let (line, column) = (&span["line_start"], &span["column_start"]);
            let label = of(&span["label"]);
            let written = format!("{indent}    {file}:{line}:{column} {label}");
            text += written.trim_end();
            if let Some(instead) = span["suggested_replacement"].as_str() {
                write!(text, " -> {instead:?}").unwrap();
            }
            text.push('\n');
        }
    }
    for child in message["children"].as_array().into_iter().flatten() {
        text += &said(child, &format!("{indent}  "));
    }
    text
}

/// The text without the number of what it leaves out, which every new type would change.
fn counted(text: &str) -> String {
    let lines = text.lines().map(|line| match line.trim_start().strip_prefix("and ") {
        Some(rest) if rest.ends_with(" others") => "  and so many others",
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn accepted() {
    for name in ACCEPTED {
        let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ui-{name}"));
        let (is_compiled, said) = compile(name, &made);
        assert!(is_compiled, "{name}: {said}");
        let status = Command::new(&made).status().unwrap();
        let _ = fs::remove_file(&made);
        assert!(status.success(), "{name}: {status}");
    }
}

#[test]
fn refused() {
    let mut wrong = String::new();
    for name in REFUSED {
        let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ui-{name}"));
        let (is_compiled, said) = compile(name, &made);
        assert!(!is_compiled, "{name} is compiled");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/ui/{name}.stderr"));
        if fs::read_to_string(&path).unwrap_or_default() != said {
            let _ = write!(wrong, "\n== {} is not what is said now:\n{said}", path.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
