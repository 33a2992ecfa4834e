//! What the members that die do with arrays.
//!
//! Item 0 counts up, an atomic step at a time; items 1 and 2 are equal whenever nobody holds the
//! lock, unless its owner has died, and item 1 is never behind; item 3 is stored to by every other
//! operation there is. The second item of the pair is three words, which are equal for whoever has
//! its lock, after a death too.

use tarefa_engine::collections::array::pep3118::Scalar;
use tarefa_engine::collections::array::{self, Array, Form};
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::object::refcount;
use tarefa_engine::shm::{Member, Off};
use tarefa_engine::sync::lock::word::{Acquired, Recursion};
use tarefa_engine::sync::wait::Plain;

use crate::scenarios::Step;
use crate::support::{self, Shared};

/// Small and large ones, of several forms, with notes.
pub(crate) fn make(me: &Member, shared: &Shared) {
    for (format, item, extents) in
        [(&b"i"[..], 4, &[][..]), (b"d", 8, &[30_000]), (b"T{<b:a:3x<i:b:}", 8, &[3, 5])]
    {
        let form = Form { format, item, extents, guarded: extents.len() == 1 };
        let off = array::create(me, form).unwrap();
        let it = Array::at(me, off);
        it.fill(&vec![7; (it.len() * item) as usize]);
        it.set_note(20, b"who made it", &[shared.child.0]).unwrap();
        assert_eq!(it.note().unwrap().1, b"who made it");
        refcount::release(me, off);
    }
    for len in [100, 100_000] {
        let content = vec![5; len];
        let off = array::create_buffer(me, len as u64, Some(&content), true).unwrap();
        let it = Array::at(me, off);
        let mut seen = vec![0; len];
        it.read(0, &mut seen);
        assert!(it.carried() && seen == content);
        refcount::release(me, off);
    }
}

pub(crate) fn count(me: &Member, shared: &Shared, n: i64) {
    let array = Array::at(me, shared.array.0);
    for i in 0..n {
        array.add(0, Scalar::I64, 1).unwrap();
        let was = array.load(3);
        array.store(3, was + 1);
        let _ = array.swap(3, was + 2);
        array.compare_exchange(3, was + 2, was + 3).unwrap();
        array.write(3, &(i as u64).to_le_bytes());
    }
}

pub(crate) fn count_locked(me: &Member, shared: &Shared, n: i64) {
    let array = Array::at(me, shared.array.0);
    for _ in 0..n {
        let how = array.object_lock().acquire(
            me,
            Recursion::Allowed,
            shared.array.0,
            &mut Plain,
            Deadline::NEVER,
        );
        assert_eq!(how, Acquired::Yes);
        array.store(1, array.load(1) + 1);
        array.store(2, array.load(2) + 1);
        array.object_lock().release(me, Recursion::Allowed).unwrap();
    }
}

/// Takes the lock of the pair, and has it settled; how many owners had died.
fn hold_pair(me: &Member, pair: &Array<'_>, off: Off) -> Result<i64, String> {
    let mut died = 0;
    loop {
        match pair.object_lock().acquire(me, Recursion::Allowed, off, &mut Plain, Deadline::NEVER) {
            Acquired::Yes => break,
            Acquired::OwnerDied(_) => died += 1,
            other => return Err(format!("the pair's lock: {other:?}")),
        }
    }
    pair.apply_redo();
    Ok(died)
}

/// The number that all words of the second item are.
fn number(pair: &Array<'_>) -> Result<i64, String> {
    let mut bytes = [0; 48];
    pair.read(0, &mut bytes);
    let words = bytes.chunks_exact(8).map(|w| i64::from_le_bytes(w.try_into().unwrap()));
    let words: Vec<_> = words.collect();
    match words[..] {
        [0, 0, 0, a, b, c] if a == b && b == c => Ok(a),
        _ => Err(format!("an item is half written: {words:?}")),
    }
}

/// Counts in the second item, which stays whole.
pub(crate) fn count_pairs(me: &Member, shared: &Shared, n: i64) {
    let (pair, off) = (Array::at(me, shared.pair.0), shared.pair.0);
    for _ in 0..n {
        let _ = hold_pair(me, &pair, off).unwrap();
        let next = number(&pair).unwrap() + 1;
        pair.put(1, &next.to_le_bytes().repeat(3));
        pair.object_lock().release(me, Recursion::Allowed).unwrap();
    }
}

/// What a death in step `done` may leave; somebody had died before who counted in the pair,
/// `earlier` times.
pub(crate) fn inspect(
    me: &Member,
    shared: &Shared,
    steps: &[Step],
    done: usize,
    earlier: i64,
) -> Result<(), String> {
    let sum = |steps: &[Step], of: fn(&Step) -> i64| steps.iter().map(of).sum::<i64>();
    let counted = |step: &Step| if let Step::Count(n) = step { *n } else { 0 };
    let locked = |step: &Step| if let Step::CountLocked(n) = step { *n } else { 0 };
    let now = &steps[done..(done + 1).min(steps.len())];
    let [free, first, second, _] = support::numbers(me, shared);
    for (what, is, of) in [
        ("counted", free, counted as fn(&Step) -> i64),
        ("counted under the lock, first", first, locked),
        ("counted under the lock, second", second, locked),
    ] {
        let least = sum(&steps[..done], of);
        let most = least + sum(now, of);
        if !(least..=most).contains(&is) {
            return Err(format!("{what}: {is}, not {least} to {most}"));
        }
    }
    let pair = Array::at(me, shared.pair.0);
    let died = hold_pair(me, &pair, shared.pair.0)?;
    let is = number(&pair)?;
    pair.object_lock().release(me, Recursion::Allowed).map_err(|e| e.to_string())?;
    let of = |step: &Step| if let Step::CountPairs(n) = step { *n } else { 0 };
    let least = earlier + sum(&steps[..done], of);
    let most = least + sum(now, of);
    if died > 1 || !(least..=most).contains(&is) {
        return Err(format!("the pair: {is}, not {least} to {most}; {died} owners died"));
    }
    let guard = Array::at(me, shared.array.0).object_lock();
    let (mut died, object) = (0, shared.array.0);
    loop {
        match guard.acquire(me, Recursion::Allowed, object, &mut Plain, Deadline::NEVER) {
            Acquired::Yes => break,
            Acquired::OwnerDied(_) => died += 1,
            other => return Err(format!("the array's lock: {other:?}")),
        }
    }
    guard.release(me, Recursion::Allowed).map_err(|e| e.to_string())?;
    let apart = first - second;
    if died > 1 || !(0..=died).contains(&apart) {
        return Err(format!("{died} owners died, and the items are {apart} apart"));
    }
    Ok(())
}
