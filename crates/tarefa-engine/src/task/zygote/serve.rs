//! The zygote's loop.

use std::time::Duration;

use super::children::{collect_children, fork_spare, serve_request};
use super::front::Front;
use super::messages::take_message;
use super::root_exit;
use crate::atomic::{Ordering, fence};
use crate::os::clock::Deadline;
use crate::os::{futex, heap, process};
use crate::shm::{Member, Runtime};
use crate::task::identity;
use crate::task::process::starter;
use crate::task::process::zygote_control;
use crate::task::process::zygote_control::{Control, zygote_state};
use crate::task::role;

/// Serves until the root ends.
pub fn serve(runtime: &'static Runtime, front: &mut dyn Front) -> ! {
    let me = runtime.me();
    let Ok(control) = zygote_control::get(&me) else { process::exit_now(70) };
    let number = control.zygotes.load(Ordering::Acquire) as u32;
    starter::note_base();
    root_exit::watch_in_zygote(runtime, control, number);
    if !runtime.root_alive() || process::parent() != runtime.root_pid() {
        process::exit_now(0);
    }
    runtime.process_slot().role.store(role::ZYGOTE, Ordering::Release);
    identity::note_zygote(control);
    control.zygote_slot.store(u64::from(runtime.process_index()) + 1, Ordering::Release);
    control.zygote.store(zygote_state::READY, Ordering::Release);
    crash_point!("zygote.ready");
    let mut failures = 0;
    // What was to be imported before the first start is there for all.
    let mut message = take_message(&me, control, front);
    // Who waits for a program's first process does not wait for what only later ones are served by.
    let mut cold = true;
    let mut is_unready = true;
    loop {
        let seen = control.zygote_futex.load(Ordering::Acquire);
        collect_children(&me, control, number);
        while control.has_requests() {
            // A message that has come before it may be of something that the child needs.
            if control.has_message() && front.before_request() {
                renew_spares(&me, control, front);
            }
            serve_request(&me, control, front);
        }
        if cold {
            cold = front.warm_up();
            continue;
        }
        if std::mem::take(&mut message) || take_message(&me, control, front) {
            heap::fill_holes();
            if control.are_spares_stale() {
                renew_spares(&me, control, front);
            } else {
                control.dismiss_all(&me);
            }
            continue;
        }
        if control.are_spares_stale() && !control.has_message() {
            control.say_renewed();
        }
        if is_unready && (identity::has_others(control) || identity::is_to_lower(control)) {
            // Once for all children, which would do it each.
            front.get_ready();
            (is_unready, message) = (false, true);
            continue;
        }
        if identity::is_to_lower(control) {
            identity::lower(&me, control);
            control.dismiss_all(&me);
            identity::note_zygote(control);
            continue;
        }
        let wanted = control.spares_wanted.load(Ordering::Acquire);
        let (_, have) = control.count_spares(&me);
        if have > wanted {
            if !control.dismiss_one(&me) {
                // All are warming up: they are dismissed once they are idle.
                std::thread::sleep(Duration::from_millis(1));
            }
            continue;
        }
        if have < wanted && failures < 3 {
            // The task just started gets its turn first.
            let pause = Deadline::after(Some(Duration::from_micros(300)));
            futex::wait(&control.zygote_futex, seen, pause);
            if !control.has_requests() {
                failures = if fork_spare(&me, control, front) { 0 } else { failures + 1 };
            }
            continue;
        }
        failures = 0;
        sleep(control, seen, wanted);
        control.look_for_request(runtime);
    }
}

/// As many spares at most are made before the child for a task that has waited for long.
const AHEAD: u64 = 4;

/// Replaces the spares after something that took long to read: whoever waits has waited for that,
/// and a few forks more make no difference to it, but do to those that it starts next.
fn renew_spares(me: &Member, control: &'static Control, front: &mut dyn Front) {
    control.dismiss_all(me);
    let wanted = control.spares_wanted.load(Ordering::Acquire);
    for _ in 0..wanted.min(AHEAD) {
        fork_spare(me, control, front);
    }
    control.say_renewed();
}

/// Without a start for this long the zygote keeps no more spares than were asked for.
const CALM: Duration = Duration::from_secs(10);

/// Sleeps until somebody rings after `seen`, or until the burst that made `wanted` spares wanted
/// is over.
fn sleep(control: &Control, seen: u32, wanted: u64) {
    control.asleep.store(1, Ordering::Release);
    crash_point!("zygote.asleep");
    // Pairs with the fence in `Control::ring`.
    fence(Ordering::SeqCst);
    let asked = control.spares_asked.load(Ordering::Acquire);
    let calm = Deadline::after((wanted > asked).then_some(CALM));
    let woken = futex::wait(&control.zygote_futex, seen, calm);
    control.asleep.store(0, Ordering::Release);
    crash_point!("zygote.awake");
    if woken == futex::Woken::TimedOut {
        // Unless another number was asked for in this very moment.
        let asked = control.spares_asked.load(Ordering::Acquire);
        let number = &control.spares_wanted;
        let _ = number.compare_exchange(wanted, asked, Ordering::AcqRel, Ordering::Relaxed);
        crash_point!("zygote.calmed");
    }
}
