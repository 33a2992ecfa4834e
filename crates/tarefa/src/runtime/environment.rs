//! What a process has around it: environment variables and working directory.
//!
//! A child forked by the zygote has the zygote's. Where the starter's differ from these when
//! it calls `start()`, they travel with the task.

use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// What the zygote has.
static BASE: OnceLock<Base> = OnceLock::new();

struct Base {
    variables: u64,
    folder: Option<PathBuf>,
}

/// What is different from the zygote's.
// What is unsafe in it does not depend on the fields.
#[allow(clippy::unsafe_derive_deserialize)]
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Surroundings {
    variables: Option<Vec<(Vec<u8>, Vec<u8>)>>,
    folder: Option<Vec<u8>>,
    /// Variables of this process alone.
    own: Vec<(String, String)>,
}

fn fingerprint(variables: &[(OsString, OsString)]) -> u64 {
    let mut hasher = DefaultHasher::new();
    variables.hash(&mut hasher);
    hasher.finish()
}

/// Notes what the zygote has, or will have: this process's, as they are now.
pub(crate) fn note_base() {
    BASE.get_or_init(|| Base {
        variables: fingerprint(&std::env::vars_os().collect::<Vec<_>>()),
        folder: std::env::current_dir().ok(),
    });
}

/// What is different now, with what is to be of one process alone; `None` when nothing is.
pub(crate) fn changed(own: &[(String, String)]) -> Option<Surroundings> {
    let base = BASE.get()?;
    let variables: Vec<_> = std::env::vars_os().collect();
    let folder = std::env::current_dir().ok();
    let new_variables = fingerprint(&variables) != base.variables;
    let new_folder = folder.is_some() && folder != base.folder;
    if !new_variables && !new_folder && own.is_empty() {
        return None;
    }
    let bytes = |s: OsString| s.into_vec();
    Some(Surroundings {
        variables: new_variables
            .then(|| variables.into_iter().map(|(k, v)| (bytes(k), bytes(v))).collect()),
        folder: folder.filter(|_| new_folder).map(|f| f.into_os_string().into_vec()),
        own: own.to_vec(),
    })
}

impl Surroundings {
    /// Makes them this process's.
    ///
    /// # Safety
    /// The process has one thread.
    pub(crate) unsafe fn apply(self) {
        if let Some(variables) = self.variables {
            for (key, _) in std::env::vars_os().collect::<Vec<_>>() {
                // SAFETY: the caller's promise.
                unsafe { std::env::remove_var(key) };
            }
            for (key, value) in variables {
                let (key, value) = (OsStr::from_bytes(&key), OsStr::from_bytes(&value));
                // SAFETY: the caller's promise.
                unsafe { std::env::set_var(key, value) };
            }
        }
        for (key, value) in self.own {
            // SAFETY: the caller's promise.
            unsafe { std::env::set_var(key, value) };
        }
        if let Some(folder) = self.folder {
            // A folder that is gone meanwhile: the task starts in the zygote's.
            let _ = std::env::set_current_dir(OsStr::from_bytes(&folder));
        }
    }
}
