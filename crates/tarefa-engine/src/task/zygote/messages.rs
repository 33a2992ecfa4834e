//! Messages for the zygote's front: what to import before children are forked.

use super::front::Front;
use crate::atomic::Ordering;
use crate::shm::Member;
use crate::shm::arena::offset::Off;
use crate::shm::heap;
use crate::shm::object::blob;
use crate::shm::tx::journal::Tx;
use crate::task::process::zygote_control::Control;

/// Takes what was sent and gives it to the front; true if children forked from now on differ from
/// those forked before.
pub(super) fn take_message(me: &Member, control: &Control, front: &mut dyn Front) -> bool {
    if !control.has_message() {
        return false;
    }
    let mark = heap::savepoint(me);
    let message;
    {
        let _latch = me.header().roots_latch.lock(me);
        // Only now: what stood there before may be replaced, or undone.
        message = Off(control.message.load(Ordering::Acquire));
        if message.is_none() {
            return false;
        }
        let mut tx = Tx::begin(me);
        tx.set(&control.message, 0);
        heap::defer_free(me, &mut tx, message);
        crash_point!("zygote.message");
        tx.commit();
        crash_point!("zygote.message_taken");
    }
    let bytes = blob::read(me, message);
    heap::free_deferred(me, mark);
    front.message(&bytes)
}

/// Sends the zygote's front a message, after what is already waiting (the parts are joined). With
/// `makes_spares_stale` no start takes a spare until the zygote has heard of it: one forked before
/// would need longer for what was sent than a new one.
///
/// # Errors
/// [`heap::OutOfMemory`].
pub fn send_message(
    me: &Member,
    control: &Control,
    bytes: &[u8],
    makes_spares_stale: bool,
) -> Result<(), heap::OutOfMemory> {
    let mark = heap::savepoint(me);
    let result = {
        let _latch = me.header().roots_latch.lock(me);
        let old = Off(control.message.load(Ordering::Acquire));
        let before = if old.is_none() { Vec::new() } else { blob::read(me, old) };
        blob::create(me, 0, &[&before, bytes], &[]).map(|new| {
            let mut tx = Tx::begin(me);
            tx.set(&control.message, new.0);
            if makes_spares_stale {
                tx.set(&control.stale, 1);
            }
            heap::release_to(me, &mut tx, mark);
            if !old.is_none() {
                heap::defer_free(me, &mut tx, old);
            }
            crash_point!("zygote.message_sent");
            tx.commit();
            crash_point!("zygote.message_sent_done");
        })
    };
    heap::free_deferred(me, mark);
    control.ring();
    result
}
