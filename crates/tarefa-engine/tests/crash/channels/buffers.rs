//! Messages with buffers in blocks of their own: the last who has one of them frees it.

use std::cell::RefCell;

use tarefa_engine::channel::{Content, Outgoing, Queue, Source, Taken};
use tarefa_engine::collections::array::{self, Array};
use tarefa_engine::collections::value::Item;
use tarefa_engine::os::clock::Deadline;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::object::{blob, refcount};
use tarefa_engine::sync::wait::Plain;

use crate::Rivalry;
use crate::members::{ONE, patient};
use crate::support::{Handle, acknowledge};

const TAG: u8 = 20;

/// A reference that is given over to the message.
#[derive(Debug)]
struct Made<'a>(&'a Member, RefCell<Option<Handle>>);

impl Source for Made<'_> {
    fn stored(&self) {
        if let Some(buffer) = self.1.take() {
            refcount::release(self.0, buffer.0);
        }
    }
}

fn put(me: &Member, it: &Queue<'_>, n: u64) {
    let content = vec![n as u8; 1 + (n as usize % 3) * 40_000];
    let len = content.len() as u64;
    let off = array::create_buffer(me, len, Some(&content), true).unwrap();
    let made = Made(me, RefCell::new(Some(crate::support::handle(me, off))));
    let bytes = n.to_le_bytes();
    let refs = [off];
    let message = Outgoing::with_beside(Item::Blob(TAG, &bytes, &refs), len, &made);
    it.put(message, &mut Plain, Deadline::NEVER).unwrap();
}

/// Looks at what a message carries, which is its reader's alone if it was taken for good.
fn look(me: &Member, taken: &Taken, last: bool) -> Result<(), String> {
    for content in taken.contents() {
        let Content::Blob(TAG, bytes, at) = content else {
            return Err("a message that nobody put".to_owned());
        };
        let held = blob::hold(me, at).map_err(|e| e.to_string())?;
        let off = held.first().ok_or("a message without its buffer")?;
        if refcount::is_sole(me, off, 1) != last {
            return Err("who has the buffer is not said".to_owned());
        }
        let array = Array::at(me, off);
        let mut seen = vec![0; array.len() as usize];
        array.read(0, &mut seen);
        if seen.iter().any(|b| *b != bytes[0]) {
            return Err(format!("the buffer of message {} is not whole", bytes[0]));
        }
    }
    Ok(())
}

/// Makes and puts some, takes some of them, and some to be acknowledged.
pub(crate) fn carries(me: &Member, queue: Handle) {
    let it = Queue::at(me, queue.0);
    for n in 0..6 {
        put(me, &it, n);
        acknowledge(ONE);
    }
    for n in 0..4 {
        if n % 2 == 0 {
            look(me, &it.get(&mut Plain, patient()).unwrap(), true).unwrap();
        } else {
            let taken = it.get_to_ack(1, &mut Plain, patient()).unwrap();
            look(me, &taken, true).unwrap();
            it.ack(taken.deliveries()).unwrap();
        }
    }
}

/// What is left is whole, and goes.
pub(crate) fn are_whole(
    me: &Member,
    queue: Handle,
    _rivalry: &Rivalry,
    _written: &[u8],
) -> Result<(), String> {
    let it = Queue::at(me, queue.0);
    while let Ok(taken) = it.try_get() {
        look(me, &taken, true)?;
    }
    Ok(())
}
