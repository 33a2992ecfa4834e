//! Which orders the models hold: each place that one of them passes is made `Relaxed`, one after
//! the other, and some model must fail. Those that none notices are printed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tarefa_engine::atomic::model::{sites, weaken};

/// Explores all places of the models whose names begin with `LOOM_MODELS`.
#[test]
#[ignore = "takes minutes; prints, and judges nothing"]
fn survey() {
    let wanted = std::env::var("LOOM_MODELS").unwrap_or_default();
    let models: Vec<_> =
        crate::MODELS.iter().filter(|(name, _)| name.starts_with(&wanted)).collect();
    let mut passed = std::collections::BTreeMap::new();
    for (i, (_, run)) in models.iter().enumerate() {
        let _ = sites();
        run();
        for site in sites() {
            passed.entry(site).or_insert_with(Vec::new).push(i);
        }
    }
    std::panic::set_hook(Box::new(|_| ()));
    for (site, by) in passed {
        let failing = by.iter().find(|i| {
            weaken(Some(site));
            let failed = catch_unwind(AssertUnwindSafe(models[**i].1)).is_err();
            weaken(None);
            failed
        });
        let (file, line, column) = site;
        let verdict = failing.map_or("NOT NOTICED", |i| models[*i].0);
        println!("{file}:{line}:{column}: {verdict}");
    }
}
