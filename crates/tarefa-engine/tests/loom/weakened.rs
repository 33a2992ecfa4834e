//! Wrong orders planted in the engine's code: a model must notice each of them.
//!
//! An order is planted where the operation is explored, not in the text: at one line of the
//! sources it counts as `Relaxed`. So nothing is compiled anew, and the list below stays shown.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tarefa_engine::atomic::model::{sites, weaken};

/// The file, with its text; what the line holds; and the model that notices.
type Planted = (&'static str, &'static str, &'static str, fn());

const LATCH: &str = "crates/tarefa-engine/src/shm/tx/latch.rs";
const LOCK: &str = "crates/tarefa-engine/src/sync/lock/release.rs";
const LIST: &str = "crates/tarefa-engine/src/collections/list.rs";

const PLANTED: &[Planted] = &[
    (
        LATCH,
        include_str!("../../src/shm/tx/latch.rs"),
        "let before = self.latch.word.swap(0, Ordering::Release);",
        crate::latch::by_turns,
    ),
    (
        LOCK,
        include_str!("../../src/sync/lock/release.rs"),
        "let swap = self.word.compare_exchange(seen, 0, Ordering::Release, Ordering::Relaxed);",
        crate::lock::by_turns,
    ),
    (
        LOCK,
        include_str!("../../src/sync/lock/release.rs"),
        "self.word.compare_exchange(seen, next, Ordering::Release, Ordering::Relaxed);",
        crate::lock::by_turns,
    ),
    (
        LIST,
        include_str!("../../src/collections/list.rs"),
        "self.it.len.store(len + 1, Ordering::Release);",
        crate::list::an_append_where_another_was,
    ),
];

/// The number of the one line that holds `wanted`.
fn line_of(text: &str, wanted: &str) -> u32 {
    let found: Vec<_> = text.lines().enumerate().filter(|(_, l)| l.contains(wanted)).collect();
    assert_eq!(found.len(), 1, "one line holds {wanted:?}");
    found[0].0 as u32 + 1
}

/// Whether a model fails with that order planted.
fn is_noticed(site: (&'static str, u32), model: fn()) -> bool {
    weaken(Some(site));
    let failed = catch_unwind(AssertUnwindSafe(model)).is_err();
    weaken(None);
    failed
}

#[test]
fn each_wrong_order_is_noticed() {
    for (file, text, wanted, model) in PLANTED {
        let line = line_of(text, wanted);
        assert!(is_noticed((file, line), *model), "{file}:{line}: {wanted}");
    }
}

/// Plants a wrong order at each line that a model passes, of the models whose names begin with
/// `LOOM_MODELS`, and prints who notices. An order that nobody notices may be there for what no
/// model is about, or twice: a fence beside a release.
#[test]
#[ignore = "takes minutes, and judges nothing"]
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
    for ((file, line), by) in passed {
        let noticed = by.into_iter().find(|i| is_noticed((file, line), models[*i].1));
        println!("{file}:{line}: {}", noticed.map_or("by nobody", |i| models[i].0));
    }
}
