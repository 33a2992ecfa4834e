//! What a running program does, seen from outside.
