//! Rust values as the engine's words, keys and bytes, and back.

pub(crate) mod address;
pub(crate) mod codec;
pub(crate) mod element;
pub(crate) mod encoding;
pub(crate) mod errors;
pub(crate) mod handle;
pub(crate) mod key;
pub(crate) mod plain;
