//! Python objects as the engine's words, keys and blobs, and back.

pub(crate) mod block;
pub(crate) mod bytes;
pub(crate) mod collector;
pub(crate) mod encode;
pub(crate) mod flat;
pub(crate) mod key;
pub(crate) mod ndarray;
pub(crate) mod of_script;
pub(crate) mod out_of_band;

use pyo3::prelude::*;

/// Puts the room's classes and functions into the module.
pub(crate) fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(collector::collected, m)?)?;
    m.add_function(wrap_pyfunction!(collector::discard_collected, m)?)?;
    m.add_function(wrap_pyfunction!(collector::mention, m)?)?;
    m.add_class::<block::Block>()?;
    m.add_function(wrap_pyfunction!(block::make_block, m)?)?;
    m.add_function(wrap_pyfunction!(block::block_at, m)?)?;
    m.add_function(wrap_pyfunction!(block::attach_block, m)?)?;
    m.add_function(wrap_pyfunction!(out_of_band::lend, m)?)?;
    m.add_function(wrap_pyfunction!(out_of_band::keep_out_of_band, m)?)?;
    m.add_function(wrap_pyfunction!(of_script::give_script_pickler, m)?)?;
    m.add_function(wrap_pyfunction!(of_script::pickle_of_script, m)?)?;
    m.add_function(wrap_pyfunction!(of_script::reduce_of_script, m)?)?;
    m.add_function(wrap_pyfunction!(of_script::reducers_known, m)?)?;
    Ok(())
}
