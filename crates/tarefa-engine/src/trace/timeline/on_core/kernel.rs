//! A thread whose switches the kernel writes down.

use std::io;

use super::span::{Span, Who, span};
use crate::os::perf::{Switch, Switches};
use crate::os::{clock, procfs};

pub(super) struct Watched {
    switches: Switches,
    /// The core that it is on, since when.
    on: Option<(u32, u64)>,
    /// Since when it is watched, until the first switch says where it was all the time.
    unknown_since: Option<u64>,
    read: Vec<Switch>,
}

impl Watched {
    pub(super) fn of((_, tid): Who) -> io::Result<Self> {
        let switches = Switches::of(tid)?;
        let unknown_since = Some(clock::now_ns());
        Ok(Self { switches, on: None, unknown_since, read: Vec::new() })
    }

    /// Appends the spans that have ended; that which has not, too, where it is cut at `closes_ns`. How much
    /// is missing.
    pub(super) fn read(&mut self, who: Who, closes_ns: Option<u64>, into: &mut Vec<Span>) -> u64 {
        self.read.clear();
        let lost = self.switches.read(&mut self.read);
        for switch in &self.read {
            let Switch { at_ns, cpu, is_out } = *switch;
            let unknown_since = self.unknown_since.take();
            // Without a switch before it, it was there when it was first seen.
            let on = self.on.take().or_else(|| unknown_since.map(|since| (cpu, since)));
            match on.filter(|_| is_out) {
                Some((its, since)) if its == cpu && since < at_ns => {
                    into.push(span(who, cpu, since, at_ns));
                }
                _ => {}
            }
            if !is_out {
                self.on = Some((cpu, at_ns));
            }
        }
        if let Some(now_ns) = closes_ns {
            self.close(who, now_ns, into);
        }
        lost
    }

    fn close(&mut self, who: Who, now_ns: u64, into: &mut Vec<Span>) {
        if let Some(since) = self.unknown_since {
            // No switch at all: it has computed all the time, or done nothing.
            let stat = procfs::thread_stat(who.0, who.1).filter(|stat| stat.state == 'R');
            self.on = stat.map(|stat| (stat.cpu as u32, since));
            self.unknown_since = self.on.is_none().then_some(since);
        }
        if let Some((cpu, since)) = self.on.filter(|(_, since)| *since < now_ns) {
            into.push(span(who, cpu, since, now_ns));
            self.on = Some((cpu, now_ns));
        }
    }
}
