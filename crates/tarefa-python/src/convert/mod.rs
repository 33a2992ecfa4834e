//! Python objects as the engine's words, keys and blobs, and back.

pub(crate) mod encode;
pub(crate) mod key;
pub(crate) mod out_of_band;
