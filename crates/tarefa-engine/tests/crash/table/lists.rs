//! Changes of a list that are more than one call.

use tarefa_engine::collections::list::{List, Source};
use tarefa_engine::collections::value::{Item, tag};

use crate::scenarios::blob;
use crate::support::{Value, int};

pub(crate) fn rebuild(list: List<'_>) {
    let snapshot = list.snapshot(0, u64::MAX).unwrap();
    let len = snapshot.items.len() as u64;
    let bytes = blob(33);
    let mut sources: Vec<Source<'_>> = (1..len).rev().map(Source::Keep).collect();
    sources.push(Source::New(int(-1)));
    sources.push(Source::New(Item::Blob(tag::BYTES, &bytes, &[])));
    list.rebuild(snapshot.version, len, &sources).unwrap();
}

/// What a splice stores.
pub(crate) fn spliced(new: usize) -> Vec<Value> {
    let one = |i: usize| {
        if i % 2 == 0 { Value::Int(-(i as i64)) } else { Value::Bytes(blob(50 + i % 9)) }
    };
    (0..new).map(one).collect()
}

pub(crate) fn splice(list: List<'_>, first: u64, new: usize, gone: u64) {
    let version = list.snapshot(0, 0).unwrap().version;
    let values = spliced(new);
    let items: Vec<Item<'_>> = values
        .iter()
        .map(|value| match value {
            Value::Int(n) => int(*n),
            Value::Bytes(bytes) => Item::Blob(tag::BYTES, bytes, &[]),
            Value::List(_) => unreachable!("none among them"),
        })
        .collect();
    list.splice((version, list.len()), (first, 1), &items, gone).unwrap();
}
