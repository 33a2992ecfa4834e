//! Works on objects of another program, one in Python say, that gives their addresses as arguments:
//!
//! ```text
//! visitor list dict value array lock ready [hold]
//! ```
//!
//! It does a little with each, under the lock, and says so by the event. With `hold` it keeps the
//! lock until it is killed. `tests/python/convert/test_address.py` starts it.

use std::error::Error;
use std::time::Duration;

use tarefa::{Array, Dict, Event, List, Lock, Mutex, Value, address, attach};

#[tarefa::main]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [list, dict, value, array, lock, ready, how @ ..] = &arguments[..] else {
        return Err("usage: visitor list dict value array lock ready [hold]".into());
    };
    let numbers: List<i64> = attach(list)?;
    let counts: Dict<String, i64> = attach(dict)?;
    let total: Value<i64> = attach(value)?;
    let points: Array<f64> = attach(array)?;
    let (lock, ready): (Lock, Event) = (attach(lock)?, attach(ready)?);

    let held = lock.lock(Some(Duration::from_secs(30)))?;
    let last = numbers.get(numbers.len() - 1)?;
    numbers.append(last * 2)?;
    for word in ["um", "dois", "um"] {
        counts.add(word, 1)?;
    }
    total.fetch_add(40);
    *attach::<Mutex<i64>>(value)?.lock(None).map_err(|e| e.to_string())? += 2;
    for i in 0..points.len() {
        points.set(i, points.get(i)? / 2.0)?;
    }
    // An object of its own, in the same memory, which it keeps until the other has it.
    let made = List::from_values(["de", "Rust"].map(String::from))?;
    println!("{}", address(&made));
    ready.set();
    if how.first().is_some_and(|how| how == "hold") {
        tarefa::sleep(Duration::from_secs(3600))?;
    }
    drop(held);
    // The other has all it wants when it says so.
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}
