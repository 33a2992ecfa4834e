//! What the members that die write down, and want to know: with one that dies the trace is off, and its
//! memory given back, which `Pages` looks at after each case.

use tarefa_engine::os::clock;
use tarefa_engine::shm::Member;
use tarefa_engine::shm::trace::{self, Event, Reader, What};

/// More than a chunk holds.
const EVENTS: u32 = 700;

/// Wants a trace, writes into it, and reads it.
pub(crate) fn work(me: &Member) {
    assert!(!trace::is_on(me), "whoever wanted it is dead");
    let mut reader = Reader::start(me).unwrap();
    let name = trace::intern(me, b"a name");
    for index in 0..EVENTS {
        let what = What::CallBegins { pool: 1, batch: 2, index };
        trace::emit(me, || Event { at_ns: clock::now_ns(), name, what });
    }
    let mut read = Vec::new();
    reader.read(&mut read);
    let index = |what| match what {
        What::CallBegins { index, .. } => index,
        other => panic!("{other:?}"),
    };
    let read: Vec<u32> = read.iter().map(|written| index(written.event.what)).collect();
    assert_eq!(read, (0..EVENTS).collect::<Vec<_>>());
    assert_eq!((reader.lost(), reader.name_of(name).as_deref()), (0, Some("a name")));
    drop(reader);
    assert!(!trace::is_on(me));
}
