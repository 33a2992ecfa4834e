//! Noticing deaths: by a descriptor of each process, or by the clock where there is none to be had.

use std::os::fd::{AsFd, OwnedFd};

use super::ending::Ending;
use super::state::Supervisor;
use crate::atomic::Ordering;
use crate::os::pidfd::{self, Exit};
use crate::os::rusage::Usage;
use crate::os::{child, process, procfs};
use crate::shm::arena::layout::{ProcessSlot, process_state};
use crate::shm::member::slots;
use crate::shm::recovery;
use crate::task::process::zygote_control;
use crate::task::process::zygote_control::zygote_state;
use crate::task::role;

/// How the process `pid` ended, as exactly as this process can know.
fn how_it_ended(pid: i32, fd: Option<&OwnedFd>, ours: bool) -> (Exit, Usage) {
    let Some(fd) = fd else {
        let collected = ours.then(|| child::reap_by_number(pid).ok().flatten()).flatten();
        return collected.unwrap_or((Exit::Unknown, Usage::default()));
    };
    if ours {
        if let Ok(Some(status)) = pidfd::reap(fd.as_fd()) {
            if status.0 != Exit::Unknown {
                return status;
            }
        }
    }
    // Somebody else collects it. Either it is seen before that, or the kernel has noted it.
    let exit = match pidfd::exit_of_collected(fd.as_fd()) {
        Exit::Unknown => procfs::exit_of_zombie(pid)
            .map_or_else(|| pidfd::exit_of_collected(fd.as_fd()), |(exit, _)| exit),
        known => known,
    };
    (exit, Usage::default())
}

impl Supervisor<'_> {
    /// Finds members that nobody watches yet, and deadlines that nobody keeps yet.
    pub(super) fn watch_new(&mut self) {
        let runtime = self.me.runtime();
        for index in slots::processes(runtime.arena()) {
            let slot = slots::process_slot(runtime.arena(), index);
            let (pid, state) = slots::owner(slot);
            if state == process_state::LEFT {
                self.left(index);
            }
            if state != process_state::LIVE {
                continue;
            }
            if slot.deadline.load(Ordering::Acquire) != 0 {
                self.deadlines.set(index, slot.deadline.swap(0, Ordering::AcqRel));
                crash_point!("supervisor.deadline");
            }
            if slot.terminated.load(Ordering::Acquire) != 0 {
                let told = slot.terminated.swap(0, Ordering::AcqRel) as u32;
                crash_point!("supervisor.terminated");
                if told == slots::lock_owner(runtime.arena(), index) {
                    self.told_to_end(index, pid);
                }
            }
            if slot.remind_at.load(Ordering::Acquire) != 0 {
                self.untold.remind(index, slot.remind_at.swap(0, Ordering::AcqRel));
                crash_point!("supervisor.remind_at");
            }
            if slot.watched.load(Ordering::Acquire) != 0 {
                continue;
            }
            slot.watched.store(1, Ordering::Release);
            crash_point!("supervisor.watched");
            self.watch(index, pid);
        }
    }

    /// After a root that has ended: slots that it, or a member for want of it, was cleaning up, and
    /// those that it had taken for zygotes that it was about to make.
    pub(super) fn find_old_roots_work(&mut self) {
        let runtime = self.me.runtime();
        for index in slots::processes(runtime.arena()) {
            let slot = slots::process_slot(runtime.arena(), index);
            let (pid, state) = slots::owner(slot);
            let is_begun = slot.watched.load(Ordering::Acquire) >> 32 != 0;
            if state == process_state::DEAD || state == process_state::LIVE && is_begun {
                self.begun.push(index);
            } else if state == process_state::EMBRYO
                && pid != process::pid()
                && slot.role.load(Ordering::Acquire) == role::ZYGOTE
                && recovery::mark_dead(self.me, index)
            {
                recovery::forget(self.me, index);
            }
        }
    }

    /// Does it, once nobody else is at it.
    pub(super) fn finish_old_roots_work(&mut self) {
        for index in std::mem::take(&mut self.begun) {
            let slot = slots::process_slot(self.me.arena(), index);
            if recovery::is_being_cleaned(self.me, index) {
                self.begun.push(index);
            } else if slots::owner(slot).1 == process_state::DEAD {
                // Perhaps before it had made the generation old.
                slot.generation.fetch_add(1, Ordering::AcqRel);
                crash_point!("supervisor.aged_again");
                self.announce(index, Exit::Unknown, &Usage::default());
            } else {
                slot.watched.store(0, Ordering::Release);
                crash_point!("supervisor.looked_again");
            }
        }
    }

    /// The process in slot `index` lives, but is no member any more.
    fn left(&mut self, index: u32) {
        if let Some(fd) = self.watched.remove(&index) {
            self.poll.remove(fd.as_fd());
        }
        self.by_clock.retain(|(other, _)| *other != index);
        self.announce(index, Exit::Unknown, &Usage::default());
    }

    /// Has the poll report the end of process `pid` in slot `index`; where there is no
    /// descriptor to spare, it is looked at by the clock.
    pub(super) fn watch(&mut self, index: u32, pid: i32) {
        let slot = slots::process_slot(self.me.arena(), index);
        let ended = match pidfd::open_kept(pid) {
            // The number of a foreign process may have been reused already.
            Ok(_) if procfs::is_another(pid, slot.there_at.load(Ordering::Acquire)) => true,
            Ok(fd) => {
                let polled = self.poll.add(fd.as_fd(), u64::from(index)).is_ok();
                let ended = !polled && pidfd::ended(fd.as_fd());
                if polled || ended {
                    self.watched.insert(index, fd);
                } else {
                    self.by_clock.push((index, pid));
                }
                ended
            }
            Err(e) if pidfd::says_gone(&e) => true,
            Err(_) => {
                let uncollected =
                    slot.role.load(Ordering::Relaxed) == role::ZYGOTE && child::is_ended(pid);
                let ended = uncollected || !process::exists(pid);
                if !ended {
                    self.by_clock.push((index, pid));
                }
                ended
            }
        };
        if ended {
            self.ended(index);
        }
    }

    /// The process in slot `index` has ended.
    pub(super) fn ended(&mut self, index: u32) {
        let slot = slots::process_slot(self.me.arena(), index);
        if slot.zygote.load(Ordering::Acquire) != 0 && !self.collected(slot) {
            // Its zygote collects it and rings.
            if let Some(fd) = self.watched.get(&index) {
                self.poll.remove(fd.as_fd());
            }
            self.ending.push(Ending::new(index));
            return;
        }
        let (pid, _) = slots::owner(slot);
        let fd = self.watched.remove(&index);
        if let Some(fd) = &fd {
            self.poll.remove(fd.as_fd());
        }
        // Only the zygote is this thread's to collect, and its children where the system hands
        // them to this process when it ends: another child is the program's own.
        let ours = slot.role.load(Ordering::Relaxed) == role::ZYGOTE
            || slot.zygote.load(Ordering::Acquire) != 0;
        let (exit, usage) = how_it_ended(pid, fd.as_ref(), ours);
        self.announce(index, exit, &usage);
    }

    /// Whether a child of a zygote has been collected, or its zygote is gone.
    pub(super) fn collected(&self, slot: &ProcessSlot) -> bool {
        slot.exit.load(Ordering::Acquire) != 0
            || zygote_control::get(self.me).map_or(true, |c| {
                c.zygote.load(Ordering::Acquire) != zygote_state::READY
                    || c.zygotes.load(Ordering::Acquire)
                        != u64::from(slot.zygote.load(Ordering::Acquire))
            })
    }

    /// Buries children that their zygote has collected by now, or is too busy to collect.
    pub(super) fn look_at_ending(&mut self) {
        let runtime = self.me.runtime();
        for mut child in std::mem::take(&mut self.ending) {
            let index = child.index;
            let slot = slots::process_slot(runtime.arena(), index);
            if self.collected(slot) {
                self.ended(index);
                continue;
            }
            // An import in the zygote may take long, and nobody is to wait for that.
            let is_to_wait = !child.look.passed() || child.is_starving(self.zygote_pid());
            let zombie = || procfs::exit_of_zombie(slots::owner(slot).0);
            match (!is_to_wait).then(zombie).flatten() {
                None => self.ending.push(child),
                Some((exit, stat)) => {
                    self.watched.remove(&index);
                    let (user_ns, system_ns) = (stat.user_ns, stat.system_ns);
                    self.announce(index, exit, &Usage { user_ns, system_ns, ..Usage::default() });
                }
            }
        }
    }

    /// 0 for none.
    fn zygote_pid(&self) -> i32 {
        let slot =
            zygote_control::get(self.me).map_or(0, |c| c.zygote_slot.load(Ordering::Acquire));
        let index = slot.checked_sub(1).map(|index| index as u32);
        index.map_or(0, |i| slots::owner(slots::process_slot(self.me.arena(), i)).0)
    }

    /// Looks at those for which there was no descriptor; by now there may be one.
    pub(super) fn look_by_clock(&mut self) {
        for (index, pid) in std::mem::take(&mut self.by_clock) {
            self.watch(index, pid);
        }
    }
}
