//! What the members that die do with the board of a pool.
//!
//! A seat is what others read of a dead worker; each of its steps is one store or one swap, so what is
//! asked here is that the heap is whole, and that the steps do what they say.

use tarefa_engine::pool::{Blamed, Board, Claim, Kept, board};
use tarefa_engine::shm::Member;
use tarefa_engine::shm::object::refcount;

/// Two workers and their owner, in one member.
pub(crate) fn work(me: &Member) {
    let off = board::create(me, 3).unwrap();
    let it = Board::at(me, off);
    for seat in 0..3 {
        it.assign(seat, u64::from(seat) + 100);
        assert!(it.give_up(seat) && !it.note_ready(seat) && !it.is_ready(seat));
        it.assign(seat, u64::from(seat) + 100);
        assert!(it.note_ready(seat) && it.note_ready(seat) && !it.give_up(seat));
    }
    assert!(it.is_ready(0) && it.begin(0, 7, 4));
    assert_eq!(
        (it.claim(0), it.keep(0, 0, 40), it.claim(0)),
        (Claim::Task(0), true, Claim::Task(1))
    );
    assert!(it.has_room(0) && !it.keep(0, 3, 41));
    assert_eq!(it.kept(0, 7), Some(Kept { first: 0, bytes: 40_u64.to_le_bytes().to_vec() }));
    assert_eq!((it.kept(0, 8), it.kept(1, 7)), (None, None));
    assert_eq!(it.running(0).map(|r| (r.batch, r.task, r.waiting)), Some((7, 1, 2)));
    assert!(!it.hold(0, 7, 0) && !it.hold(0, 8, 1) && it.hold(0, 7, 1));
    assert_eq!((it.claim(0), it.is_held(0)), (Claim::Held, true));
    it.resume(0);
    assert_eq!(it.take_rest(0, 8), None);
    assert_eq!((it.take_rest(0, 7), it.claim(0)), (Some((2, 4)), Claim::Done));
    // The first worker is dead, and was at its second task.
    let blamed = vec![Blamed { task: 1, worker: 100 }];
    assert_eq!(it.take_over(1, 7, 4), Some(blamed));
    // What it has left is its successor's.
    assert_eq!(it.take_rest(0, 7), None);
    assert_eq!(it.kept_of(7), vec![Kept { first: 0, bytes: 40_u64.to_le_bytes().to_vec() }]);
    it.taken_over(1, 7);
    assert!(it.kept_of(7).is_empty());
    assert_eq!((it.batch_of(0), it.batch_of(1), it.claim(1)), (0, 7, Claim::Done));
    it.leave(1, 0);
    // The next leaves of itself: nobody is blamed.
    assert!(it.begin(1, 8, 3) && it.claim(1) == Claim::Task(0) && it.keep(1, 0, 42));
    it.told(1);
    assert!(it.kept_of(8).is_empty());
    it.disown(1);
    assert_eq!((it.take_over(2, 8, 3), it.claim(2)), (Some(Vec::new()), Claim::Task(1)));
    assert_eq!((it.take_rest(1, 8), it.take_rest(2, 8)), (None, Some((2, 3))));
    // Who is first has it.
    assert!(it.call_off(9) && !it.begin(0, 9, 1));
    assert!(it.begin(0, 10, 1) && !it.call_off(10));
    assert_eq!(it.take_over(1, 9, 1), None);
    refcount::release(me, off);
}
