//! The runtime of this process.

pub(crate) mod environment;

use std::sync::Once;

use tarefa_engine::shm::Runtime;
use tarefa_engine::{task, trace};

use crate::error::CreateError;

/// The runtime this process makes its objects in.
pub(crate) fn get() -> Result<&'static Runtime, CreateError> {
    static PLAN: Once = Once::new();
    trace::register();
    let runtime = task::runtime().map_err(CreateError::Runtime)?;
    PLAN.call_once(|| {
        if runtime.is_root() {
            crate::task::zygote::plan(runtime);
        }
    });
    Ok(runtime)
}
