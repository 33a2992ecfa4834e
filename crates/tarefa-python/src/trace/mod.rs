//! Looking at a program while it runs or hangs.

pub(crate) mod call_site;
pub(crate) mod last_line;
pub(crate) mod report;
pub(crate) mod stack;
