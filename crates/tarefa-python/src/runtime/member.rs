//! The calling thread as a member of this process's runtime.

use pyo3::prelude::*;
use tarefa_engine::shm::Member;
use tarefa_engine::task;

use crate::runtime::errors;
use crate::trace::stack;

/// The thread's slot in this process's runtime, which is made now if there is none.
pub(crate) fn me(py: Python<'_>) -> PyResult<Member> {
    match task::runtime() {
        Ok(runtime) => {
            let me = runtime.me();
            stack::offer_once(py);
            Ok(me)
        }
        Err(e) => Err(errors::runtime_failed(py, &e)),
    }
}
