//! Wrong orders planted in the engine's code: a model must notice each of them.
//!
//! An order is planted where the operation is explored, not in the text: at one line of the
//! sources it lacks a part. So nothing is compiled anew. `ORDERS.md` says of every order of these
//! sources which model notices, or why none does; that page is what is tested here.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use tarefa_engine::atomic::model::{Part, Site, sites, weaken};

use crate::MODELS;

const PAGE: &str = include_str!("ORDERS.md");

macro_rules! sources {
    ($($path:literal)*) => {
        /// The sources that the page is about: paths and texts.
        const SOURCES: &[(&str, &str)] = &[$((
            concat!("crates/tarefa-engine/src/", $path),
            include_str!(concat!("../../src/", $path)),
        )),*];
    };
}

sources! {
    "shm/tx/latch.rs" "shm/tx/journal.rs"
    "sync/lock/acquire.rs" "sync/lock/handoff.rs" "sync/lock/release.rs" "sync/lock/word.rs"
    "sync/lock/wait_unlocked.rs" "sync/wait_queue.rs"
    "collections/list.rs" "collections/segments.rs"
    "collections/dict/mod.rs" "collections/dict/probe.rs" "collections/dict/change.rs"
    "collections/dict/store.rs" "collections/dict/walk.rs"
}

fn part_of(name: &str) -> Part {
    match name {
        "Acquire" => Part::Acquire,
        "Release" => Part::Release,
        "SeqCst" => Part::SeqCst,
        other => panic!("{other:?} is no part of an order"),
    }
}

/// A row of the page: an order without one of its parts.
#[derive(Debug)]
struct Row {
    site: Site,
    text: &'static str,
    /// The models that notice; none where the page says why not.
    models: Vec<&'static str>,
}

/// The source whose path ends so.
fn source(path: &str) -> (&'static str, &'static str) {
    let found: Vec<_> = SOURCES.iter().filter(|s| s.0.ends_with(&format!("/{path}"))).collect();
    assert_eq!(found.len(), 1, "one source is {path}");
    *found[0]
}

/// A file and a line of it, as the page names them: `path`, the line's text, and which of several
/// alike it is, from 1.
fn line_of(path: &str, wanted: &str, which: usize) -> (&'static str, u32) {
    let (file, text) = source(path);
    let mut found = text.lines().enumerate().filter(|(_, line)| line.contains(wanted));
    let (line, _) = found
        .nth(which - 1)
        .unwrap_or_else(|| panic!("no line {which} of {path} holds {wanted:?}"));
    (file, line as u32 + 1)
}

/// The rows: `| path | line | part | model or reason |`, where line is code, with "(2)" behind it if
/// it is the second that holds that text.
fn rows() -> Vec<Row> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `")).map(|row| {
        let cells: Vec<&'static str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [path, line, part, verdict] = cells[..] else { panic!("four cells: {row}") };
        let (text, which) = line.trim_start_matches('`').rsplit_once('`').expect("code");
        let which = which.trim().trim_matches(['(', ')']);
        let which = if which.is_empty() { 1 } else { which.parse().expect("a number") };
        let (file, number) = line_of(path.trim_matches('`'), text, which);
        let models = verdict.split('`').skip(1).step_by(2).filter(|name| name.contains("::"));
        Row { site: (file, number, part_of(part)), text: line, models: models.collect() }
    });
    rows.collect()
}

/// Whether a model fails with those orders planted.
fn is_noticed(planted: &[Site], model: fn()) -> bool {
    weaken(planted);
    let failed = catch_unwind(AssertUnwindSafe(model)).is_err();
    weaken(&[]);
    failed
}

fn model(name: &str) -> fn() {
    MODELS.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no model {name}")).1
}

#[test]
fn each_wrong_order_is_noticed() {
    let wanted = std::env::var("LOOM_MODELS").unwrap_or_default();
    let mut missed = Vec::new();
    for row in rows() {
        for name in row.models.iter().filter(|name| name.starts_with(&wanted)) {
            let start = Instant::now();
            let noticed = is_noticed(&[row.site], model(name));
            let took = start.elapsed().as_secs_f64();
            println!(
                "{}:{} {:?}: {name} {noticed} ({took:.1} s)",
                row.site.0, row.site.1, row.site.2
            );
            if !noticed {
                missed.push(format!("{:?} by {name}: {}", row.site, row.text));
            }
        }
    }
    assert!(missed.is_empty(), "not noticed: {missed:#?}");
}

/// The page speaks of every order of its sources.
#[test]
fn no_order_is_left_out() {
    let rows = rows();
    let mut missing = Vec::new();
    for (file, text) in SOURCES {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (i, line) in code.lines().enumerate() {
            if line.contains("compiler_fence") || line.contains("cfg_attr") {
                continue;
            }
            let says = |order: &str| line.contains(&format!("Ordering::{order}"));
            let both = says("AcqRel");
            let parts = [
                (Part::Acquire, both || says("Acquire")),
                (Part::Release, both || says("Release")),
                (Part::SeqCst, says("SeqCst")),
            ];
            for (part, _) in parts.into_iter().filter(|(_, said)| *said) {
                let site = (*file, i as u32 + 1, part);
                if !rows.iter().any(|row| row.site == site) {
                    missing.push(format!("{file}:{}: {part:?}: {}", i + 1, line.trim()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "ORDERS.md does not speak of {missing:#?}");
}

/// Plants a wrong order at each line of `LOOM_FILES` that a model passes, of the models whose names
/// begin with `LOOM_MODELS` and that take `LOOM_SECONDS` at most, and prints who notices. With
/// `LOOM_UNNOTICED`, only at those for which the page names no model.
#[test]
#[ignore = "takes minutes, and judges nothing"]
fn survey() {
    let wanted = std::env::var("LOOM_MODELS").unwrap_or_default();
    let of = std::env::var("LOOM_FILES").unwrap_or_default();
    let most = std::env::var("LOOM_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(f64::MAX);
    let noticed_already: Vec<Site> = match std::env::var_os("LOOM_UNNOTICED") {
        Some(_) => rows().iter().filter(|r| !r.models.is_empty()).map(|r| r.site).collect(),
        None => Vec::new(),
    };
    let models: Vec<_> = MODELS.iter().filter(|(name, _)| name.starts_with(&wanted)).collect();
    let mut passed = BTreeMap::new();
    for (i, (name, run)) in models.iter().enumerate() {
        let _ = sites();
        let start = Instant::now();
        run();
        let took = start.elapsed().as_secs_f64();
        println!("{name}: {took:.1} s");
        let here = sites();
        for site in here.into_iter().filter(|site| site.0.contains(&of) && took <= most) {
            if !noticed_already.contains(&site) {
                passed.entry(site).or_insert_with(Vec::new).push(i);
            }
        }
    }
    for ((file, line, part), by) in passed {
        let start = Instant::now();
        let noticed = by.into_iter().find(|i| is_noticed(&[(file, line, part)], models[*i].1));
        let by = noticed.map_or("by nobody", |i| models[i].0);
        println!("{file}:{line} {part:?}: {by} ({:.1} s)", start.elapsed().as_secs_f64());
    }
}

/// Plants the orders of `LOOM_WEAKEN` together, as `path:line:Part` with commas between, in the models
/// of `LOOM_MODELS`.
#[test]
#[ignore = "judges nothing"]
fn planted_together() {
    let wanted = std::env::var("LOOM_MODELS").unwrap_or_default();
    let named = std::env::var("LOOM_WEAKEN").unwrap_or_default();
    let planted: Vec<Site> = named
        .split(',')
        .map(|site| {
            let parts: Vec<_> = site.rsplitn(3, ':').collect();
            let [part, line, path] = parts[..] else { panic!("path:line:Part, not {site:?}") };
            (source(path).0, line.parse().expect("a number"), part_of(part))
        })
        .collect();
    for (name, run) in MODELS.iter().filter(|(name, _)| name.starts_with(&wanted)) {
        let start = Instant::now();
        let noticed = is_noticed(&planted, *run);
        println!("{name}: {noticed} ({:.1} s)", start.elapsed().as_secs_f64());
    }
}
