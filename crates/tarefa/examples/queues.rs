//! Takes part in queues of another program, one in Python say, that gives their addresses as arguments:
//!
//! ```text
//! queues numbers results mixed
//! ```
//!
//! It sends the square of each number to the results until the numbers are shut down; then it sends what
//! it finds in the third, a text, bytes and a number, back through it. Then it prints the address of a
//! channel of its own, and receives until that is shut down.
//! `tests/python/channel/test_rust_channel.py` starts it.

use std::error::Error;

use tarefa::{PlainSender, Receiver, Sender, address, attach, channel};

#[tarefa::main]
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [numbers, results, mixed] = &arguments[..] else {
        return Err("usage: queues numbers results mixed".into());
    };
    let numbers: Receiver<i64> = attach(numbers)?;
    let results: Sender<i64> = attach(results)?;
    for n in &numbers {
        results.send(n?.pow(2))?;
    }
    println!("squared");

    let texts: Receiver<String> = attach(mixed)?;
    let bytes: Receiver<Vec<u8>> = attach(mixed)?;
    let floats: Receiver<f64> = attach(mixed)?;
    let found = (texts.recv()?, bytes.recv()?, floats.recv()?);
    // What is no number is told, and the next one comes.
    let wrong = floats.recv().err().map(|e| e.to_string());
    attach::<Sender<String>>(mixed)?.send(found.0.to_uppercase())?;
    attach::<PlainSender<u8>>(mixed)?.send(&found.1)?;
    attach::<Sender<f64>>(mixed)?.send(found.2 / 2.0)?;
    println!("{}", wrong.is_some_and(|text| text.contains("cannot be read")));

    let (sender, receiver) = channel::<i64>(10)?;
    println!("{}", address(&sender));
    let sum = receiver.iter().sum::<Result<i64, _>>()?;
    println!("{sum}");
    Ok(())
}
