//! A new program tells who wants to see it from its beginning: [`crate::trace::observe`] is the other side.

use std::time::Duration;

use crate::atomic::{AtomicBool, Ordering};
use crate::os::{process, rendezvous};
use crate::settings;
use crate::shm::Runtime;
use crate::shm::member::runtime::Address;

/// How long the program waits until it is seen.
const PATIENCE: Duration = Duration::from_secs(5);

static TOLD: AtomicBool = AtomicBool::new(false);

/// Tells the address of the runtime to who waits for it, if somebody does, and goes on once that looks.
// not shared: a flag of this process alone.
pub(super) fn announce(runtime: &'static Runtime) {
    let Some(name) = settings::observer() else { return };
    if TOLD.swap(true, Ordering::AcqRel) || !runtime.is_root() {
        return;
    }
    if let Err(error) = rendezvous::visit(&name, &text(runtime.address()), PATIENCE) {
        eprintln!(
            "tarefa: process {} is not recorded: who wanted to see it, by {}, does not answer: {error}",
            process::pid(),
            settings::OBSERVER
        );
    }
}

/// An address, as it is told.
#[must_use]
pub fn text(address: Address) -> String {
    format!("{} {} {}", address.root, address.memory_fd, address.id)
}

/// The address in such a text.
#[must_use]
pub fn parse(text: &str) -> Option<Address> {
    let mut words = text.split(' ');
    let root = words.next()?.parse().ok()?;
    let memory_fd = words.next()?.parse().ok()?;
    let id = words.next()?.parse().ok()?;
    words.next().is_none().then_some(Address { root, memory_fd, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_and_heard() {
        let address = Address { root: 4711, memory_fd: 1000, id: u64::MAX };
        assert_eq!(parse(&text(address)), Some(address));
        assert_eq!(["", "1 2", "1 2 3 4", "1 2 x"].map(parse), [None; 4]);
    }
}
