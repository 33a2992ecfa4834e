//! The environment variables, as a Rust program reads them.

use std::process::Command;

use tarefa::{Process, StartError};

/// Run by the tests below, with other environments.
#[test]
#[ignore = "the other tests run it"]
fn starts_a_process() {
    for _ in 0..2 {
        match Process::spawn(|| 7, ()) {
            Ok(task) => println!("result {}", task.result(None).expect("it returns")),
            Err(StartError::Create(e)) => println!("refused: {e}"),
            Err(e) => panic!("another error: {e}"),
        }
    }
}

/// What [`starts_a_process`] writes where the variable has that value.
fn with(name: &str, value: &str) -> String {
    let program = std::env::current_exe().expect("a path");
    let mut command = Command::new(program);
    command.args(["--exact", "starts_a_process", "--ignored", "--nocapture"]).env(name, value);
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
#[cfg_attr(miri, ignore = "Miri has one process")]
fn a_number_of_spares_is_taken() {
    for value in ["", "0", "3", " 64 "] {
        assert_eq!(with("TAREFA_SPARES", value).matches("result 7").count(), 2, "{value:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri has one process")]
fn what_is_none_is_told_each_time() {
    let told = "TAREFA_SPARES must be a whole number from 0 to 64, as in 4, not \"many\"";
    assert_eq!(with("TAREFA_SPARES", "many").matches(told).count(), 2);
    let told = "TAREFA_ARENA_MAX must be a size, as in 64M or 2G, not \"0\"";
    assert_eq!(with("TAREFA_ARENA_MAX", "0").matches(told).count(), 2);
    let told = "TAREFA_REPORT_AFTER must be a number of seconds";
    assert_eq!(with("TAREFA_REPORT_AFTER", "soon").matches(told).count(), 2);
}
