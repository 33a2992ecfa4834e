//! Where this copy of the crate is, and whether other processes find it and what it calls.

use std::sync::OnceLock;

use tarefa_engine::os::code_place::{self, CodeMapping, CodePlace};
use tarefa_engine::os::loaded;

/// A fixed place in this copy of the crate.
#[inline(never)]
pub(crate) fn anchor() -> &'static str {
    "anchor"
}

/// Where this copy of the crate is.
#[derive(Debug)]
pub(crate) struct Own {
    pub(crate) mapping: CodeMapping,
    pub(crate) anchor: CodePlace,
    /// The library's file name, or nothing for the executable.
    pub(crate) loaded_as: String,
    /// Whether a process that is executed anew has it from its start.
    pub(crate) linked: bool,
}

pub(crate) fn own() -> Option<&'static Own> {
    static OWN: OnceLock<Option<Own>> = OnceLock::new();
    let find = || {
        let anchor = anchor as fn() -> &'static str as usize;
        let mapping = CodeMapping::of(anchor).ok()??;
        let place = mapping.place(anchor)?;
        let (loaded_as, linked) = (loaded::library_of(anchor), loaded::is_linked(anchor));
        Some(Own { mapping, anchor: place, loaded_as, linked })
    };
    OWN.get_or_init(find).as_ref()
}

/// Why a process cannot run a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// This crate itself is in a library that the program has loaded as it ran.
    #[error(
        "tarefa is in {library}, which the program has loaded as it ran; a process begins anew \
         from the executable, without it: link the program with that library, or start threads"
    )]
    Crate {
        /// The library.
        library: String,
    },
    /// The target is in such a library.
    #[error(
        "its target is in {library}, which the program has loaded as it ran; a process begins anew \
         from the executable, without it: link the program with that library, or start it as a thread"
    )]
    Target {
        /// The library.
        library: String,
    },
    /// The target's code is in no file, or the system does not say in which.
    #[error(
        "the system does not say in which file its target is, so no other process can find it \
         (/proc/self/maps is missing, or the program has moved its code): start it as a thread"
    )]
    NoFile,
}

/// Whether processes can be started by this copy of the crate at all.
pub(crate) fn check() -> Result<(), Unreachable> {
    let own = own().ok_or(Unreachable::NoFile)?;
    if own.linked {
        return Ok(());
    }
    Err(Unreachable::Crate { library: own.mapping.path().to_owned() })
}

/// Where code of a target lies, for another process.
pub(crate) fn place(address: usize) -> Result<CodePlace, Unreachable> {
    if let Some(place) = own().and_then(|own| own.mapping.place(address)) {
        return Ok(place);
    }
    let mapping = CodeMapping::of(address).ok().flatten().ok_or(Unreachable::NoFile)?;
    if !loaded::is_linked(address) {
        return Err(Unreachable::Target { library: mapping.path().to_owned() });
    }
    mapping.place(address).ok_or(Unreachable::NoFile)
}

/// Where code lies in this process that is at `place`; `None` if it has not mapped that.
pub(crate) fn address(place: CodePlace) -> Option<usize> {
    let near = own().and_then(|own| own.mapping.address(place));
    near.or_else(|| code_place::address_of(place).ok().flatten())
}

#[cfg(test)]
mod tests {
    use super::{anchor, own};

    #[test]
    #[cfg_attr(miri, ignore = "there are no mappings under Miri")]
    fn this_copy_is_the_executables() {
        let own = own().unwrap();
        assert!(own.linked && own.loaded_as.is_empty());
        let anchor = anchor as fn() -> &'static str as usize;
        assert_eq!(own.mapping.address(own.anchor), Some(anchor));
    }
}
