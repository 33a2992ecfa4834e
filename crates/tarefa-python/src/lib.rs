//! The private extension module `tarefa._engine`.
