//! The engine of tarefa: language-neutral, everything moves as bytes and offsets.
