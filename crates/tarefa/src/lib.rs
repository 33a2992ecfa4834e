//! One interface for threads and processes.
#![warn(clippy::missing_errors_doc)]
