//! Elements that the calling thread computes anew, by code of its user's.
//!
//! `update` reads an element, has a closure make a new one of it, and stores that if the element is
//! still what it was; else it begins again. Code inside that changes the element itself would have it
//! begin again for ever, or have its change written over. So
//!
//! - the thread notes what it is about to compute ([`begin`]); to compute the same once more inside is
//!   an error at once, whatever lies in between;
//! - what it changes meanwhile in the same object is noted with it (`changed`, `items_changed`, which
//!   the operations call), so that an update which fails for that is not tried again and again;
//! - after some tries, or such a note, [`retry_optimistic`] has others wait. Who has a container for
//!   itself finds it changed only by its own thread: that is an error as well.
//!
//! All of this is the thread's own memory.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ops::Range;

use super::dict::Canonical;
use crate::atomic::{AtomicUsize, Ordering};
use crate::shm::Member;
use crate::shm::arena::offset::Off;

/// How often something is computed anew before others have to wait for it.
pub const TRIES: usize = 8;

/// What computes an element's new value changes the element itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "what computes an element's new value changes the element itself: return the new value, and \
     change nothing of the same element inside"
)]
pub struct NestedUpdate;

/// What is computed anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    /// The element at an index.
    Index(u64),
    /// The value of a key.
    Key(Canonical<'static>),
    /// All of them, in an order or a choice.
    All,
}

#[derive(Debug)]
struct Frame {
    runtime: u64,
    object: Off,
    element: Element,
    changed: bool,
}

/// How many this process's threads compute: most operations look no further. A child of a fork keeps
/// what other threads had.
static ANYWHERE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// How many there are of this thread.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Innermost last.
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

/// The thread computes an element anew until this is dropped.
#[derive(Debug)]
pub struct Updating {
    /// Which of the thread's it is, from the outermost on.
    depth: usize,
    /// It is the thread's.
    stays: PhantomData<*const ()>,
}

/// The calling thread is about to compute `element` of `object`.
///
/// # Errors
/// [`NestedUpdate`]: it does so already.
pub fn begin(me: &Member, object: Off, element: Element) -> Result<Updating, NestedUpdate> {
    let runtime = me.runtime().id();
    let begun = FRAMES.try_with(|frames| {
        let mut frames = frames.borrow_mut();
        let same = |f: &Frame| f.runtime == runtime && f.object == object && f.element == element;
        if element != Element::All && frames.iter().any(same) {
            return Err(NestedUpdate);
        }
        frames.push(Frame { runtime, object, element, changed: false });
        DEPTH.set(frames.len());
        Ok(frames.len() - 1)
    });
    if !matches!(begun, Ok(Err(_))) {
        // not shared: a number of this process alone; what a thread looks for are its own.
        ANYWHERE.fetch_add(1, Ordering::Relaxed);
    }
    // In the destructor of a thread-local value there may be nothing to note it in.
    begun.unwrap_or(Ok(usize::MAX)).map(|depth| Updating { depth, stays: PhantomData })
}

impl Updating {
    /// Whether the thread has changed the object since the last call.
    #[must_use]
    pub fn changed_inside(&self) -> bool {
        let taken = |frames: &RefCell<Vec<Frame>>| {
            let mut frames = frames.borrow_mut();
            frames.get_mut(self.depth).is_some_and(|f| std::mem::take(&mut f.changed))
        };
        FRAMES.try_with(taken).unwrap_or(false)
    }
}

impl Drop for Updating {
    fn drop(&mut self) {
        let _ = FRAMES.try_with(|frames| {
            let mut frames = frames.borrow_mut();
            frames.truncate(self.depth);
            DEPTH.set(frames.len());
        });
        // not shared: see `begin`.
        ANYWHERE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The calling thread has changed a container.
#[inline]
pub(super) fn changed(me: &Member, object: Off) {
    if ANYWHERE.load(Ordering::Relaxed) > 0 {
        note(me, object, None);
    }
}

/// The calling thread has changed items of an array, as many as `count` from `first` on.
#[inline]
pub(super) fn items_changed(me: &Member, object: Off, first: u64, count: u64) {
    if ANYWHERE.load(Ordering::Relaxed) > 0 {
        note(me, object, Some(first..first + count));
    }
}

/// Not inlined: what is the thread's own has to be looked up, and compilers do that ahead of a condition.
#[cold]
#[inline(never)]
fn note(me: &Member, object: Off, items: Option<Range<u64>>) {
    if DEPTH.get() == 0 {
        return;
    }
    let runtime = me.runtime().id();
    let _ = FRAMES.try_with(|frames| {
        for frame in frames.borrow_mut().iter_mut() {
            let touched = match (&items, &frame.element) {
                (Some(items), Element::Index(index)) => items.contains(index),
                _ => true,
            };
            frame.changed |= frame.runtime == runtime && frame.object == object && touched;
        }
    });
}

/// Runs `once` until it gives something. If others come in between, again and again, they have to
/// wait: `lock` takes the object for this thread.
///
/// # Errors
/// Those of `once` and `lock`; [`NestedUpdate`] if the thread itself comes in between, from inside
/// `once`.
pub fn retry_optimistic<T, E: From<NestedUpdate>, Lock>(
    updating: &Updating,
    lock: impl FnOnce() -> Result<Lock, E>,
    mut once: impl FnMut() -> Result<Option<T>, E>,
) -> Result<T, E> {
    for _ in 0..TRIES {
        if let Some(done) = once()? {
            return Ok(done);
        }
        if updating.changed_inside() {
            break;
        }
    }
    let _alone = lock()?;
    // Operations of others that were under way have ended by the first look under the lock.
    once()?.ok_or_else(|| NestedUpdate.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::Runtime;

    #[test]
    fn the_same_element_is_not_begun_twice() {
        let me = Runtime::default().unwrap().me();
        let begin = |at, index| begin(&me, Off(at), Element::Index(index));
        let outer = begin(64, 1).unwrap();
        let other_object = begin(128, 1).unwrap();
        let other_element = begin(64, 2).unwrap();
        assert_eq!(begin(64, 1).unwrap_err(), NestedUpdate);
        items_changed(&me, Off(64), 2, 1);
        assert!(other_element.changed_inside() && !other_element.changed_inside());
        drop(other_element);
        assert!(!other_object.changed_inside());
        changed(&me, Off(64));
        drop(other_object);
        assert!(outer.changed_inside());
        drop(outer);
        drop(begin(64, 1).unwrap());
        assert_eq!(DEPTH.get(), 0);
    }

    #[test]
    fn who_comes_in_between_from_inside_is_told() {
        let me = Runtime::default().unwrap().me();
        let updating = begin(&me, Off(64), Element::All).unwrap();
        let (mut runs, mut locked) = (0, 0);
        let result = retry_optimistic(
            &updating,
            || {
                locked += 1;
                Ok(())
            },
            || {
                runs += 1;
                changed(&me, Off(64));
                Ok::<Option<()>, NestedUpdate>(None)
            },
        );
        assert_eq!((result, runs, locked), (Err(NestedUpdate), 2, 1));
        drop(updating);
        let updating = begin(&me, Off(64), Element::All).unwrap();
        let mut left = 5;
        let result = retry_optimistic(
            &updating,
            || -> Result<(), _> { unreachable!("nobody has to wait") },
            || {
                left -= 1;
                Ok::<_, NestedUpdate>((left == 0).then_some("done"))
            },
        );
        assert_eq!(result, Ok("done"));
    }
}
