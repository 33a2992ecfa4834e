//! Why a value cannot be written, or not be read.

use std::error::Error;

/// A value does not serialise.
#[derive(Debug, thiserror::Error)]
#[error("a value of type {what} does not serialise: {source}")]
pub struct EncodeError {
    /// The value's type.
    pub what: &'static str,
    /// What serde said.
    #[source]
    pub source: Box<dyn Error + Send + Sync>,
}

/// Bytes do not make a value.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A handle among them leads nowhere.
    #[error("{0}")]
    Handle(String),
    /// They are of another type.
    #[error("these are not the bytes of a {what}: {source}")]
    Bytes {
        /// The type asked for.
        what: &'static str,
        /// What serde said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A value of another type lies there, perhaps put in by another language.
    #[error("this is not a {what}: {found}")]
    Type {
        /// The type asked for.
        what: &'static str,
        /// What is there, in words.
        found: String,
    },
}
