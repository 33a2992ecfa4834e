//! What is done to a dict by members that die, and what must then be in it.

use crate::scenarios::blob;
use crate::support::{Value, int, value_of};
use tarefa_engine::collections::dict::{self, Canonical, Change, Dict, Key, Order, Terms, What};
use tarefa_engine::collections::list;
use tarefa_engine::collections::value::{self, Expected, Item, Small, tag};
use tarefa_engine::kinds;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, Off};

/// Keys and values are numbers: an even one is a word, an odd one a blob.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Do {
    Set(u64, u64),
    SetDefault(u64, u64),
    Remove(u64),
    PopLast,
    Add(u64, i64),
    /// Replaced by that value, if it is what it was.
    ReplaceIf(u64, u64),
    /// A list that nothing else holds.
    SetNested(u64),
    Clear,
    /// At one instant, so many keys from that one on: set to their successors,
    Fill(u64, u64),
    /// taken out,
    Take(u64, u64),
    /// all others taken out,
    Only(u64, u64),
    /// put in or taken out.
    Toggle(u64, u64),
    /// One is added to each of so many even keys, at one instant.
    Count(u64, u64),
    /// One by one.
    Grow(u64, u64),
    Shrink(u64, u64),
    /// Not seen in the dict:
    Reads,
    MakeAndDrop,
}

use Do::*;

pub(crate) type Pairs = Vec<(Value, Value)>;

fn coded(n: u64) -> Value {
    if n % 2 == 0 { Value::Int(n as i64) } else { Value::Bytes(blob(n as usize)) }
}

fn item(value: &Value) -> Item<'_> {
    match value {
        Value::Int(n) => int(*n),
        Value::Bytes(bytes) => Item::Blob(tag::BYTES, bytes, &[]),
        Value::List(_) => unreachable!("made by a step"),
    }
}

fn key(value: &Value) -> Key<'_> {
    Key::plain(item(value)).unwrap()
}

fn form(value: &Value) -> Canonical<'_> {
    Canonical::of(item(value)).unwrap()
}

/// What the dict holds, in order.
pub(crate) fn pairs(me: &Member, off: Off) -> Pairs {
    let shot = Dict::at(me, off).snapshot(What::Pairs).unwrap();
    // A key that was toggled in has no value.
    let value = |fetched| if is_none(&fetched) { Value::Int(-1) } else { value_of(me, &fetched) };
    shot.pairs.into_iter().map(|p| (value(p.key.unwrap()), value(p.value.unwrap()))).collect()
}

fn is_none(fetched: &value::Fetched) -> bool {
    matches!(fetched, value::Fetched::Word(word) if *word == value::NONE)
}

fn put(pairs: &mut Pairs, key: Value, value: Value) {
    match pairs.iter_mut().find(|p| p.0 == key) {
        Some(pair) => pair.1 = value,
        None => pairs.push((key, value)),
    }
}

impl Do {
    pub(crate) fn model(self, now: &mut Pairs) {
        let range = |from: u64, n: u64| (from..from + n).map(coded);
        match self {
            Set(k, v) | ReplaceIf(k, v) => put(now, coded(k), coded(v)),
            SetDefault(k, v) => {
                if !now.iter().any(|p| p.0 == coded(k)) {
                    put(now, coded(k), coded(v));
                }
            }
            Remove(k) => now.retain(|p| p.0 != coded(k)),
            PopLast => drop(now.pop()),
            Add(k, n) => {
                let there = now.iter().find(|p| p.0 == coded(k)).map(|p| p.1.clone());
                let Value::Int(m) = there.unwrap_or(Value::Int(0)) else { panic!("no number") };
                put(now, coded(k), Value::Int(m + n));
            }
            SetNested(k) => put(now, coded(k), Value::List(0)),
            Clear => now.clear(),
            Fill(from, n) | Grow(from, n) => {
                (from..from + n).for_each(|k| put(now, coded(k), coded(k + 1)));
            }
            Take(from, n) | Shrink(from, n) => {
                let gone: Vec<_> = range(from, n).collect();
                now.retain(|p| !gone.contains(&p.0));
            }
            Only(from, n) => {
                let kept: Vec<_> = range(from, n).collect();
                now.retain(|p| kept.contains(&p.0));
                (from..from + n).for_each(|k| put(now, coded(k), coded(k + 1)));
            }
            Toggle(from, n) => {
                for one in range(from, n) {
                    match now.iter().position(|p| p.0 == one) {
                        Some(i) => drop(now.remove(i)),
                        None => now.push((one, Value::Int(-1))),
                    }
                }
            }
            Count(from, n) => {
                (from..from + n).filter(|k| k % 2 == 0).for_each(|k| Add(k, 1).model(now));
            }
            Reads | MakeAndDrop => {}
        }
    }

    /// What a kill in the middle may leave.
    pub(crate) fn models(self, before: &Pairs) -> Vec<Pairs> {
        let steps: Vec<Do> = match self {
            Grow(from, n) => (from..from + n).map(|k| Set(k, k + 1)).collect(),
            Shrink(from, n) => (from..from + n).map(Remove).collect(),
            one => vec![one],
        };
        let mut all = vec![before.clone()];
        for step in steps {
            let mut next = all.last().unwrap().clone();
            step.model(&mut next);
            all.push(next);
        }
        all
    }

    pub(crate) fn run(self, me: &Member, off: Off) {
        let dict = Dict::at(me, off);
        let apply = |from: u64, n: u64, terms: Terms, change: Option<Change<'static>>| {
            let keys: Pairs = (from..from + n).map(|k| (coded(k), coded(k + 1))).collect();
            let changes: Vec<_> = keys
                .iter()
                .map(|(k, v)| (key(k), change.unwrap_or_else(|| Change::Put(item(v)))))
                .collect();
            dict.apply(&changes, terms).unwrap();
        };
        let (all, only) = (Terms::default(), Terms { only: true, version: None });
        match self {
            Set(k, v) => dict.set(&key(&coded(k)), item(&coded(v))).unwrap(),
            SetDefault(k, v) => drop(dict.set_default(&key(&coded(k)), item(&coded(v))).unwrap()),
            Remove(k) => drop(dict.remove(&form(&coded(k))).unwrap()),
            PopLast => drop(dict.pop_last().unwrap()),
            Add(k, n) => drop(dict.add(&key(&coded(k)), Small::Int(n)).unwrap()),
            ReplaceIf(k, v) => {
                let read = dict.get(&form(&coded(k))).unwrap();
                let expected = Expected::of(read.as_ref());
                assert!(dict.replace_if(&key(&coded(k)), expected, Some(item(&coded(v)))).unwrap());
            }
            SetNested(k) => {
                let nested = list::create(me).unwrap();
                let refers = Item::Blob(tag::OBJECT, &[0; 16], &[nested]);
                dict.set(&key(&coded(k)), refers).unwrap();
                refcount::release(me, nested);
            }
            Clear => dict.clear().unwrap(),
            Fill(from, n) => apply(from, n, all, None),
            Only(from, n) => apply(from, n, only, None),
            Take(from, n) => apply(from, n, all, Some(Change::Remove)),
            Toggle(from, n) => apply(from, n, all, Some(Change::Toggle)),
            Count(from, n) => {
                let keys: Vec<_> = (from..from + n).filter(|k| k % 2 == 0).map(coded).collect();
                let changes: Vec<_> =
                    keys.iter().map(|k| (key(k), Change::Add(Small::Int(1)))).collect();
                dict.apply(&changes, Terms::default()).unwrap();
            }
            Grow(from, n) => (from..from + n).for_each(|k| Set(k, k + 1).run(me, off)),
            Shrink(from, n) => (from..from + n).for_each(|k| Remove(k).run(me, off)),
            Reads => {
                for k in 0..40 {
                    drop(dict.get(&form(&coded(k))).unwrap());
                    dict.contains(&form(&coded(k))).unwrap();
                }
                let mut range = dict.all();
                dict.walk(&mut range, Order::Down, What::Pairs, 7).unwrap();
                dict.len().unwrap();
                pairs(me, off);
            }
            MakeAndDrop => {
                for kind in [kinds::DICT, kinds::SET] {
                    let made = dict::create(me, kind).unwrap();
                    Grow(0, 9).run(me, made);
                    refcount::release(me, made);
                }
            }
        }
    }
}

/// Uses the dict, which is as it was then.
pub(crate) fn use_one(me: &Member, off: Off) -> Result<(), String> {
    let (dict, before) = (Dict::at(me, off), pairs(me, off));
    if dict.len().map_err(|e| e.to_string())? != before.len() as u64 {
        return Err("the dict's length is not that of its entries".to_owned());
    }
    let probe = Value::Bytes(b"probe".to_vec());
    dict.set(&key(&probe), int(4711)).map_err(|e| e.to_string())?;
    for (k, _) in &before {
        if !dict.contains(&form(k)).map_err(|e| e.to_string())? {
            return Err(format!("the dict does not find {k:?}, which it has"));
        }
    }
    let last = dict.pop_last().map_err(|e| e.to_string())?;
    let last = last.map(|(k, v)| (value_of(me, &k), value_of(me, &v)));
    if last != Some((probe, Value::Int(4711))) {
        return Err(format!("a probe came back as {last:?}"));
    }
    if pairs(me, off) != before {
        return Err("a probe changed the dict".to_owned());
    }
    Ok(())
}
