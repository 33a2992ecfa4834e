//! The attributes `#[tarefa::main]` and `#[tarefa::test]`.
