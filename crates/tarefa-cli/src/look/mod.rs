//! What a running program does, seen from outside: it is mapped for reading, and does not notice. For a
//! timeline alone it writes something down, while somebody wants that.

mod found;
pub mod locks;
pub mod memory;
pub mod ps;
pub mod stacks;
pub mod timeline;
pub mod top;
mod words;
