//! Looking at a program while it runs or hangs.

pub(crate) mod call_site;
pub(crate) mod report;
pub(crate) mod stack;
