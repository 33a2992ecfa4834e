//! List and dict against the language's own and a change of many words, in small: what Miri can run
//! (`make miri`), and looks at for pointers that reach where they must not. The tests in
//! `property/` do more of it.

#![allow(missing_docs)]
#![allow(clippy::enum_glob_use, clippy::wildcard_imports, clippy::naive_bytecount)]
#![allow(clippy::needless_for_each, clippy::format_collect, clippy::format_push_string)]

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use support::{Random, Value, Words, contents, int, value_of};
use tarefa_engine::collections::dict::{self, Dict, Key};
use tarefa_engine::collections::list::{self, List};
use tarefa_engine::collections::value::{Item, tag};
use tarefa_engine::kinds;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::heap::journal_room;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::task;

const STEPS: i64 = if cfg!(miri) { 150 } else { 3000 };

fn me() -> Member {
    task::runtime().unwrap().me()
}

#[test]
fn a_list_is_a_vec() {
    let me = me();
    let off = list::create(&me).unwrap();
    let (list, mut model, mut random) = (List::at(&me, off), Vec::new(), Random::new(3));
    for n in 0..STEPS {
        let at = random.below(model.len() as u64 + 1);
        let there = at < model.len() as u64;
        let bytes = vec![n as u8; random.below(90) as usize];
        let blob = Item::Blob(tag::BYTES, &bytes, &[]);
        match random.below(7) {
            0 => {
                list.append(int(n)).unwrap();
                model.push(Value::Int(n));
            }
            1 => {
                list.append(blob).unwrap();
                model.push(Value::Bytes(bytes));
            }
            2 => {
                list.insert(at, int(n)).unwrap();
                model.insert(at as usize, Value::Int(n));
            }
            3 if there => {
                list.set(at, blob).unwrap();
                model[at as usize] = Value::Bytes(bytes);
            }
            4 if there => {
                let removed = value_of(&me, &list.remove(at).unwrap());
                assert_eq!(removed, model.remove(at as usize));
            }
            5 => {
                list.extend(&[int(n), blob]).unwrap();
                model.extend([Value::Int(n), Value::Bytes(bytes)]);
            }
            _ if n % 29 == 0 => {
                list.clear().unwrap();
                model.clear();
            }
            _ => assert_eq!(list.pop().ok().map(|f| value_of(&me, &f)), model.pop()),
        }
        assert_eq!(list.len(), model.len() as u64);
    }
    assert_eq!(contents(&me, off), model);
    refcount::release(&me, off);
}

#[test]
fn a_dict_is_a_map() {
    let me = me();
    let off = dict::create(&me, kinds::DICT).unwrap();
    let (dict, mut random) = (Dict::at(&me, off), Random::new(5));
    let mut model = BTreeMap::new();
    for n in 0..STEPS {
        let k = random.below(30) as i64;
        let name = vec![b'k'; k as usize];
        // Words and blobs, as keys and as values.
        let item = if k % 2 == 0 { int(k) } else { Item::Blob(tag::BYTES, &name, &[]) };
        let key = Key::plain(item).unwrap();
        match random.below(4) {
            0 | 1 => {
                let bytes = vec![n as u8; random.below(50) as usize];
                dict.set(&key, Item::Blob(tag::BYTES, &bytes, &[])).unwrap();
                model.insert(k, Value::Bytes(bytes));
            }
            2 => {
                dict.set(&key, int(n)).unwrap();
                model.insert(k, Value::Int(n));
            }
            _ => {
                let removed = dict.remove(key.canonical()).unwrap();
                assert_eq!(removed.map(|f| value_of(&me, &f)), model.remove(&k));
            }
        }
        let there = dict.get(key.canonical()).unwrap().map(|f| value_of(&me, &f));
        assert_eq!(there.as_ref(), model.get(&k));
        assert_eq!(dict.len().unwrap(), model.len() as u64);
    }
    dict.clear().unwrap();
    refcount::release(&me, off);
}

#[test]
fn a_change_of_many_words_is_whole_or_not_at_all() {
    let me = me();
    let off = support::words(&me);
    let words = Words::at(&me, off);
    words.set_all(7);
    let more = journal_room::reserve(&me, 60).unwrap();
    let mut tx = more.begin();
    for i in 0..60 {
        tx.set(words.word(i), 9);
    }
    drop(tx);
    drop(more);
    assert!(words.all().iter().all(|n| *n == 7));
    refcount::release(&me, off);
}
