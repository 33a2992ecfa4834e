//! The lesson's program: four tasks in a list, and a list counted before and after joining
//! them.
//!
//! usage: minha_lista [thread|process plain|shared]
//!
//! Without arguments all four forms run and a table says what each one shows.

use std::error::Error;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use tarefa::{Failure, List, Process, Task, Thread};

const TASKS: usize = 4;
const EACH: u32 = 1000;

/// The plain list: an ordinary one, which a process has for itself.
static PLAIN: Mutex<Vec<u32>> = Mutex::new(Vec::new());

const FORMS: [(&str, &str, &str); 4] = [
    ("thread", "plain", "Threads live in one process, so they all fill the same vector."),
    ("thread", "shared", "A shared list works on threads as well: nothing else changes."),
    ("process", "plain", "Each process filled a list of its own; the one counted stayed empty."),
    ("process", "shared", "A shared list is one list for every process that holds it."),
];

fn guarda_plain(quantos: u32) {
    for numero in 0..quantos {
        PLAIN.lock().unwrap_or_else(PoisonError::into_inner).push(numero);
    }
}

fn guarda_shared(minha_lista: List<u32>, quantos: u32) -> Result<(), Failure> {
    for numero in 0..quantos {
        minha_lista.append(numero)?;
    }
    Ok(())
}

/// Runs the lesson once; returns the list's length before and after joining.
fn conta(kind: &str, form: &str) -> Result<(usize, usize), Box<dyn Error>> {
    let minha_lista = List::new()?;
    let mut tarefas: Vec<Box<dyn Task>> = Vec::new();
    for _ in 0..TASKS {
        let shared = (minha_lista.clone(), EACH);
        tarefas.push(match (kind, form) {
            ("thread", "plain") => Box::new(Thread::new(guarda_plain, (EACH,))),
            ("thread", _) => Box::new(Thread::new(guarda_shared, shared)),
            (_, "plain") => Box::new(Process::new(guarda_plain, (EACH,))),
            (_, _) => Box::new(Process::new(guarda_shared, shared)),
        });
    }
    let count = || match form {
        "plain" => PLAIN.lock().unwrap_or_else(PoisonError::into_inner).len(),
        _ => minha_lista.len(),
    };
    for tarefa in &tarefas {
        tarefa.start()?;
    }
    let before = count();
    for tarefa in &tarefas {
        tarefa.join(None)?;
    }
    Ok((before, count()))
}

#[tarefa::main]
fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |kind: &str, form: &str| arguments.is_empty() || arguments == [kind, form];
    if !FORMS.iter().any(|(kind, form, _)| wanted(kind, form)) {
        eprintln!("usage: minha_lista [thread|process plain|shared]");
        return Ok(ExitCode::from(2));
    }
    println!("{TASKS} tasks, each appending {EACH} numbers to one list\n");
    println!("{:<9}{:<8}{:>7}{:>7}   what it shows", "task", "list", "before", "after");
    let mut wrong = 0;
    for (kind, form, meaning) in FORMS {
        if wanted(kind, form) {
            let (before, after) = conta(kind, form)?;
            println!("{kind:<9}{form:<8}{before:>7}{after:>7}   {meaning}");
            let alone = (kind, form) == ("process", "plain");
            // The threads of the other form have filled this process's own vector.
            PLAIN.lock().unwrap_or_else(PoisonError::into_inner).clear();
            wrong += u32::from(after != if alone { 0 } else { TASKS * EACH as usize });
        }
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
