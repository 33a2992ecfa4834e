//! `ValueCore` and `ArrayCore`: what `tarefa.Value`, `tarefa.Array` and their raw forms are made
//! of. Items without parts are read and written here; structures, and NumPy's other types, are
//! read in Python through a view of [`memory::ArrayMemory`].

mod array_core;
mod buffer;
pub(crate) mod item;
pub(crate) mod memory;
mod scalars;
mod value_core;

pub(crate) use array_core::ArrayCore;
pub(crate) use memory::{ArrayMemory, has_arrays, make_array};
pub(crate) use value_core::ValueCore;
