//! Code that may crash the program, kept apart: the program asks, and gets an answer or an error.
//!
//! `parse` stands for a library in C that crashes on some inputs and never returns on others. Each call is a process of its own with limits; whatever becomes of it is an error.

use std::time::Duration;

use tarefa::{LikelyCause, Process, ResultError};

fn parse(text: String) -> String {
    match text.as_str() {
        "bad pointer" => std::process::abort(),
        "a panic" => panic!("an unexpected token"),
        "no end" => loop {
            std::thread::sleep(Duration::from_millis(1));
        },
        _ => text.to_uppercase(),
    }
}

/// What it is, or why there is nothing.
fn safely(text: &str, seconds: f64) -> Result<String, Box<dyn std::error::Error>> {
    let task = Process::new(parse, (text.to_owned(),))
        .time_limit(Duration::from_secs_f64(seconds))
        .memory_limit(512 << 20);
    task.start()?;
    Ok(match task.result(None) {
        Ok(found) => found,
        Err(ResultError::Died(died)) if matches!(died.cause, LikelyCause::TimeLimit(_)) => {
            "took too long".to_owned()
        }
        Err(ResultError::Died(died)) => {
            format!("crashed with {}", died.signal.as_deref().unwrap_or("no signal"))
        }
        Err(other) => format!("failed: {other}"),
    })
}

#[tarefa::main]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tries = [
        ("fine", 10.0),
        ("bad pointer", 10.0),
        ("a panic", 10.0),
        ("no end", 0.3),
        ("fine again", 10.0),
    ];
    for (text, seconds) in tries {
        println!("{text}: {}", safely(text, seconds)?.lines().next().unwrap_or_default());
    }
    Ok(())
}
