//! A program looked at as from outside: by this process, of itself, through a mapping of its own that
//! is for reading only. What is looked at does not change by it.

use tarefa_engine::collections::list::{self, List};
use tarefa_engine::collections::value::{self, Item};
use tarefa_engine::kinds;
use tarefa_engine::os::process;
use tarefa_engine::shm::{Runtime, heap};
use tarefa_engine::sync::lock;
use tarefa_engine::sync::lock::word::Recursion;
use tarefa_engine::task;
use tarefa_engine::trace::members::Role;
use tarefa_engine::trace::observe::{ObserveError, Program};

#[test]
fn an_observer_sees_and_changes_nothing() {
    task::register();
    assert!(matches!(Program::of(process::pid()), Err(ObserveError::NoProgram(_))));
    assert!(matches!(Program::of(i32::MAX), Err(ObserveError::NoProcess(_))));
    let me = Runtime::default().unwrap().me();
    let numbers = list::create(&me).unwrap();
    for i in 0..10_000 {
        let word = Item::Word(value::int_word(i).unwrap());
        List::at(&me, numbers).append(word).unwrap();
    }
    let lock = lock::create(&me, Recursion::Forbidden).unwrap();
    lock::cell(&me, lock).try_acquire(&me, Recursion::Forbidden).unwrap();
    let before = heap::check::check(&me);

    let program = Program::of(process::pid()).unwrap();
    assert_eq!((program.root(), program.root_lives()), (process::pid(), true));
    assert_eq!(program.id(), me.runtime().id());
    let members = program.members();
    assert_eq!(
        members.iter().map(|m| (m.pid, m.role)).collect::<Vec<_>>(),
        [(process::pid(), Role::Main)]
    );
    assert!(members[0].threads.iter().any(|thread| thread.tid == process::tid()));
    let report = program.report();
    assert!(!report.is_deadlock() && report.complete);
    let holding: Vec<_> = report.holding().map(|thread| thread.tid).collect();
    assert_eq!(holding, [process::tid()]);
    let memory = program.memory();
    let largest = &memory.objects[0];
    assert_eq!((largest.seen.off, largest.seen.kind), (numbers, kinds::LIST));
    assert!(largest.bytes >= 80_000 && memory.complete);
    assert_eq!(memory.objects.len() as u64, program.in_use().1);
    assert!(Program::all().iter().any(|found| found.pids.contains(&process::pid())));
    drop(program);

    let after = heap::check::check(&me);
    assert_eq!(before, after);
}
