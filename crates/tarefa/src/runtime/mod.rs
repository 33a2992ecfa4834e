//! The runtime of this process.

pub(crate) mod blocking;
pub(crate) mod environment;
pub(crate) mod errors;
pub(crate) mod interrupt;
pub(crate) mod own_copy;
pub(crate) mod zygote_command;

use std::sync::Once;

use tarefa_engine::shm::Runtime;
use tarefa_engine::{task, trace};

use crate::runtime::errors::CreateError;

/// The runtime this process makes its objects in.
pub(crate) fn get() -> Result<&'static Runtime, CreateError> {
    static PLAN: Once = Once::new();
    trace::register();
    let runtime = task::runtime().map_err(CreateError::Runtime)?;
    PLAN.call_once(|| {
        if runtime.is_root() {
            zygote_command::plan();
        }
    });
    Ok(runtime)
}
