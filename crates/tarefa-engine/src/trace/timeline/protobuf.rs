//! As Perfetto has it itself: its trace in protocol buffers, a third of the size of the same as JSON.
//!
//! - A *sequence* of packets for each thread, and one for each core: so the track is said once, times
//!   are what has passed since the last event, and names are numbers.
//! - How a slice ended is said of those that have not returned.
//! - Of its messages these need so few fields that they are written here, by the numbers that the
//!   `.proto` files of Perfetto give them, which never change. Their paths below `protos/perfetto/`
//!   stand beside them. A library would bring a compiler for all of them.
//!
//! `tests/python/perfetto_rules.py` reads it back.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use super::data::{End, Kind, OnCore, Row, Slice, Source, Timeline};
use super::wire::Message;

/// `trace/trace_packet.proto`, and `trace/trace.proto` for the first.
mod packet {
    pub(super) const PACKET: u32 = 1;
    pub(super) const CLOCK_SNAPSHOT: u32 = 6;
    pub(super) const TIMESTAMP: u32 = 8;
    pub(super) const SEQUENCE: u32 = 10;
    pub(super) const TRACK_EVENT: u32 = 11;
    pub(super) const INTERNED_DATA: u32 = 12;
    pub(super) const SEQUENCE_FLAGS: u32 = 13;
    pub(super) const TIMESTAMP_CLOCK: u32 = 58;
    pub(super) const DEFAULTS: u32 = 59;
    pub(super) const TRACK_DESCRIPTOR: u32 = 60;

    /// The sequence begins: nothing that was said before holds.
    pub(super) const IS_CLEARED: u64 = 1;
    /// What was said before is needed.
    pub(super) const NEEDS_STATE: u64 = 2;
}

/// `trace/clock_snapshot.proto`, `common/builtin_clock.proto`.
mod clock {
    pub(super) const CLOCKS: u32 = 1;
    pub(super) const PRIMARY: u32 = 2;
    pub(super) const ID: u32 = 1;
    pub(super) const TIMESTAMP: u32 = 2;
    pub(super) const IS_INCREMENTAL: u32 = 3;

    pub(super) const MONOTONIC: u64 = 3;
    /// The first that a sequence may call its own.
    pub(super) const OWN: u64 = 64;
}

/// `trace/track_event/track_event.proto`.
mod event {
    pub(super) const CATEGORY: u32 = 3;
    pub(super) const ANNOTATIONS: u32 = 4;
    pub(super) const TYPE: u32 = 9;
    pub(super) const NAME_NUMBER: u32 = 10;
    pub(super) const TRACK: u32 = 11;
    pub(super) const NAME: u32 = 23;

    pub(super) const BEGIN: u64 = 1;
    pub(super) const END: u64 = 2;
    pub(super) const INSTANT: u64 = 3;
}

/// `trace/track_event/debug_annotation.proto`.
mod annotation {
    pub(super) const NAME_NUMBER: u32 = 1;
    pub(super) const UINT: u32 = 3;
    pub(super) const STRING_NUMBER: u32 = 17;
}

/// `trace/interned_data/interned_data.proto`; all that is in it has a number and a text.
mod interned {
    pub(super) const CATEGORIES: u32 = 1;
    pub(super) const NAMES: u32 = 2;
    pub(super) const ANNOTATION_NAMES: u32 = 3;
    pub(super) const STRINGS: u32 = 29;

    pub(super) const NUMBER: u32 = 1;
    pub(super) const TEXT: u32 = 2;
}

/// `trace/track_event/track_descriptor.proto`, `process_descriptor.proto`, `thread_descriptor.proto`.
mod track {
    pub(super) const UUID: u32 = 1;
    pub(super) const NAME: u32 = 2;
    pub(super) const PROCESS: u32 = 3;
    pub(super) const THREAD: u32 = 4;
    pub(super) const PARENT: u32 = 5;

    pub(super) const PROCESS_PID: u32 = 1;
    pub(super) const PROCESS_NAME: u32 = 6;
    pub(super) const THREAD_PID: u32 = 1;
    pub(super) const THREAD_TID: u32 = 2;
    pub(super) const THREAD_NAME: u32 = 5;
}

/// Bytes that are written at once.
const CHUNK: usize = 1 << 16;

pub(super) fn write(timeline: &Timeline, to: &mut dyn Write) -> io::Result<()> {
    let (out, uses) = (Message::default(), uses(timeline));
    let mut file = File { timeline, to, out, uses, sequences: COMMON };
    file.processes();
    let mut slices = &timeline.slices[..];
    for (number, row) in timeline.rows.iter().enumerate() {
        let its = slices.partition_point(|slice| slice.row as usize <= number);
        let (of_row, rest) = slices.split_at(its);
        slices = rest;
        file.thread(number, row, of_row)?;
    }
    file.cores()?;
    file.lost();
    file.flush(0)
}

/// How often each name is used: one that is used once needs no number.
fn uses(timeline: &Timeline) -> Vec<u32> {
    let mut uses = vec![0; timeline.names.len()];
    for slice in &timeline.slices {
        if let Some(uses) = uses.get_mut(slice.name as usize) {
            *uses += 1;
        }
    }
    uses
}

struct File<'a> {
    timeline: &'a Timeline,
    to: &'a mut dyn Write,
    out: Message,
    uses: Vec<u32>,
    /// How many sequences there are.
    sequences: u64,
}

/// The tracks' numbers: threads, processes and cores, each among their own.
fn of_thread(row: usize) -> u64 {
    row as u64 * 4 + 1
}

fn of_process(pid: i32) -> u64 {
    u64::from(pid.unsigned_abs()) * 4 + 2
}

fn of_core(cpu: u32) -> u64 {
    u64::from(cpu) * 4 + 3
}

/// What all cores are below.
const CORES: u64 = 4;
/// The sequence of what is no thread's and no core's.
const COMMON: u64 = 1;

impl File<'_> {
    fn flush(&mut self, from: usize) -> io::Result<()> {
        if self.out.len() >= from.max(1) {
            self.to.write_all(self.out.bytes())?;
            self.out.clear();
        }
        Ok(())
    }

    /// A packet without a time.
    fn packet(&mut self, sequence: u64, content: impl FnOnce(&mut Message)) {
        self.out.message(packet::PACKET, |packet| {
            packet.number(packet::SEQUENCE, sequence);
            content(packet);
        });
    }

    /// Which clock is meant, and the processes with their names.
    fn processes(&mut self) {
        let start = self.timeline.start_ns;
        self.packet(COMMON, |packet| {
            packet.number(packet::SEQUENCE_FLAGS, packet::IS_CLEARED);
            packet.message(packet::CLOCK_SNAPSHOT, |snapshot| {
                snapshot.message(clock::CLOCKS, |clock| {
                    clock.number(clock::ID, clock::MONOTONIC);
                    clock.number(clock::TIMESTAMP, start);
                });
                snapshot.number(clock::PRIMARY, clock::MONOTONIC);
            });
        });
        let mut names: BTreeMap<i32, &str> = BTreeMap::new();
        for row in &self.timeline.rows {
            // The main thread's row, if there is one, says what the process is.
            let name = names.entry(row.pid).or_insert(&row.name);
            if row.pid == row.tid {
                *name = &row.name;
            }
        }
        for (pid, name) in names {
            self.packet(COMMON, |packet| {
                packet.message(packet::TRACK_DESCRIPTOR, |track| {
                    track.number(track::UUID, of_process(pid));
                    track.message(track::PROCESS, |process| {
                        process.number(track::PROCESS_PID, u64::from(pid.unsigned_abs()));
                        process.text(track::PROCESS_NAME, name);
                    });
                });
            });
        }
    }

    fn thread(&mut self, number: usize, row: &Row, slices: &[Slice]) -> io::Result<()> {
        let uuid = of_thread(number);
        let mut sequence = self.sequence(uuid, |track| {
            track.number(track::PARENT, of_process(row.pid));
            track.message(track::THREAD, |thread| {
                thread.number(track::THREAD_PID, u64::from(row.pid.unsigned_abs()));
                thread.number(track::THREAD_TID, u64::from(row.tid.unsigned_abs()));
                thread.text(track::THREAD_NAME, &row.name);
            });
        });
        let mut open: Vec<&Slice> = Vec::new();
        for slice in slices {
            while open.len() > slice.depth as usize {
                open.pop().into_iter().for_each(|inner| self.end(&mut sequence, inner));
            }
            self.begin(&mut sequence, slice);
            open.push(slice);
            self.flush(CHUNK)?;
        }
        while let Some(inner) = open.pop() {
            self.end(&mut sequence, inner);
        }
        self.flush(CHUNK)
    }

    fn begin(&mut self, sequence: &mut Sequence, slice: &Slice) {
        let (category, numbers): (_, &[(&str, u64)]) = match slice.kind {
            Kind::Process => ("process", &[("task", slice.task)]),
            Kind::Thread => ("thread", &[("task", slice.task)]),
            Kind::Call { pool, batch, index } => {
                ("call", &[("pool", pool), ("batch", batch), ("index", u64::from(index))])
            }
        };
        let name = Some(self.timeline.name_of(slice)).filter(|name| !name.is_empty());
        let is_once = self.uses.get(slice.name as usize).is_some_and(|uses| *uses == 1);
        sequence.event(&mut self.out, slice.start_ns, event::BEGIN, |event, names| {
            names.category(event, category);
            names.name(event, name.unwrap_or("task"), is_once);
            for (name, value) in numbers {
                names.count(event, name, *value);
            }
        });
    }

    fn end(&mut self, sequence: &mut Sequence, slice: &Slice) {
        // What most do need not be said.
        let word = if slice.end == End::Returned { String::new() } else { slice.end.word() };
        sequence.event(&mut self.out, slice.end_ns, event::END, |event, names| {
            if !word.is_empty() {
                names.word(event, "ended", &word);
            }
        });
        if matches!(slice.end, End::Killed(_) | End::Gone) {
            sequence.event(&mut self.out, slice.end_ns, event::INSTANT, |event, names| {
                names.category(event, "death");
                names.name(event, &word, false);
            });
        }
    }

    /// A track for each core, with who was on it.
    fn cores(&mut self) -> io::Result<()> {
        let timeline = self.timeline;
        if timeline.source == Source::Unknown {
            return Ok(());
        }
        let name = format!("cores ({})", timeline.source.word());
        self.packet(COMMON, |packet| {
            packet.message(packet::TRACK_DESCRIPTOR, |track| {
                track.number(track::UUID, CORES);
                track.text(track::NAME, &name);
            });
        });
        let mut cores: BTreeMap<u32, Vec<&OnCore>> = BTreeMap::new();
        for on in &timeline.on_core {
            cores.entry(on.cpu).or_default().push(on);
        }
        for (cpu, mut spans) in cores {
            spans.sort_by_key(|on| on.start_ns);
            let mut sequence = self.sequence(of_core(cpu), |track| {
                track.number(track::PARENT, CORES);
                track.text(track::NAME, &format!("core {cpu}"));
            });
            for on in spans {
                let row = &timeline.rows[on.row as usize];
                sequence.event(&mut self.out, on.start_ns, event::BEGIN, |event, names| {
                    names.category(event, "core");
                    names.name(event, &row.name, false);
                    names.count(event, "pid", u64::from(row.pid.unsigned_abs()));
                    names.count(event, "tid", u64::from(row.tid.unsigned_abs()));
                });
                sequence.event(&mut self.out, on.end_ns, event::END, |_, _| {});
                self.flush(CHUNK)?;
            }
        }
        Ok(())
    }

    /// What is missing, at the end of all.
    fn lost(&mut self) {
        let (lost, end) = (self.timeline.lost, self.timeline.end_ns);
        if lost == 0 {
            return;
        }
        self.packet(COMMON, |packet| {
            packet.number(packet::TIMESTAMP, end);
            packet.number(packet::TIMESTAMP_CLOCK, clock::MONOTONIC);
            packet.message(packet::TRACK_EVENT, |event| {
                event.number(event::TYPE, event::INSTANT);
                event.number(event::TRACK, 0);
                event.text(event::NAME, &format!("{lost} events are lost"));
            });
        });
    }

    /// Begins the sequence of a track, which `describe` says more of.
    fn sequence(&mut self, track: u64, describe: impl FnOnce(&mut Message)) -> Sequence {
        self.sequences += 1;
        let (number, start) = (self.sequences, self.timeline.start_ns);
        self.packet(number, |packet| {
            packet.number(packet::SEQUENCE_FLAGS, packet::IS_CLEARED);
            packet.message(packet::DEFAULTS, |defaults| {
                defaults.message(packet::TRACK_EVENT, |event| event.number(event::TRACK, track));
                defaults.number(packet::TIMESTAMP_CLOCK, clock::OWN);
            });
            packet.message(packet::TRACK_DESCRIPTOR, |descriptor| {
                descriptor.number(track::UUID, track);
                describe(descriptor);
            });
        });
        self.packet(number, |packet| {
            packet.number(packet::SEQUENCE_FLAGS, packet::NEEDS_STATE);
            packet.message(packet::CLOCK_SNAPSHOT, |snapshot| {
                snapshot.message(clock::CLOCKS, |clock| {
                    clock.number(clock::ID, clock::MONOTONIC);
                    clock.number(clock::TIMESTAMP, start);
                });
                snapshot.message(clock::CLOCKS, |clock| {
                    clock.number(clock::ID, clock::OWN);
                    clock.number(clock::TIMESTAMP, start);
                    clock.number(clock::IS_INCREMENTAL, 1);
                });
            });
        });
        Sequence { number, last_ns: start, names: Names::default() }
    }
}

/// The events of one track, each told by what is new since the one before.
struct Sequence {
    number: u64,
    last_ns: u64,
    names: Names,
}

impl Sequence {
    fn event(
        &mut self,
        out: &mut Message,
        at_ns: u64,
        kind: u64,
        content: impl FnOnce(&mut Message, &mut Names),
    ) {
        let passed = at_ns.saturating_sub(self.last_ns);
        self.last_ns += passed;
        let names = &mut self.names;
        out.message(packet::PACKET, |packet| {
            packet.number(packet::TIMESTAMP, passed);
            packet.number(packet::SEQUENCE, self.number);
            packet.number(packet::SEQUENCE_FLAGS, packet::NEEDS_STATE);
            packet.message(packet::TRACK_EVENT, |event| {
                event.number(event::TYPE, kind);
                content(event, names);
            });
            if !names.new.is_empty() {
                packet.message(packet::INTERNED_DATA, |data| {
                    for (field, number, text) in names.new.drain(..) {
                        data.message(field, |entry| {
                            entry.number(interned::NUMBER, number);
                            entry.text(interned::TEXT, &text);
                        });
                    }
                });
            }
        });
    }
}

/// The texts of a sequence that have numbers, by what they are.
#[derive(Default)]
struct Names {
    known: [HashMap<String, u64>; 4],
    /// Those that no packet has told yet.
    new: Vec<(u32, u64, String)>,
}

impl Names {
    fn number_of(&mut self, which: usize, text: &str) -> u64 {
        if let Some(number) = self.known[which].get(text) {
            return *number;
        }
        let fields =
            [interned::CATEGORIES, interned::NAMES, interned::ANNOTATION_NAMES, interned::STRINGS];
        let number = self.known[which].len() as u64 + 1;
        self.known[which].insert(text.to_owned(), number);
        self.new.push((fields[which], number, text.to_owned()));
        number
    }

    fn category(&mut self, event: &mut Message, category: &str) {
        event.number(event::CATEGORY, self.number_of(0, category));
    }

    fn name(&mut self, event: &mut Message, name: &str, is_once: bool) {
        if is_once {
            event.text(event::NAME, name);
        } else {
            event.number(event::NAME_NUMBER, self.number_of(1, name));
        }
    }

    fn count(&mut self, event: &mut Message, name: &str, value: u64) {
        let name = self.number_of(2, name);
        event.message(event::ANNOTATIONS, |annotation| {
            annotation.number(annotation::NAME_NUMBER, name);
            annotation.number(annotation::UINT, value);
        });
    }

    fn word(&mut self, event: &mut Message, name: &str, word: &str) {
        let (name, word) = (self.number_of(2, name), self.number_of(3, word));
        event.message(event::ANNOTATIONS, |annotation| {
            annotation.number(annotation::NAME_NUMBER, name);
            annotation.number(annotation::STRING_NUMBER, word);
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Bytes of a timeline of so many calls, or of tasks with names of their own, on four threads that are
    /// on a core now and then.
    fn size(calls: u64, names: u64) -> usize {
        const LENGTH: u64 = 41_234;
        let row = |number: i32| Row {
            pid: 40_000 + number,
            tid: 40_000 + number,
            name: format!("worker-{number}"),
            thread: number as u64,
        };
        let call = |i: u64| Slice {
            row: (i * 4 / calls) as u32,
            depth: 0,
            kind: if names == calls {
                Kind::Thread
            } else {
                Kind::Call { pool: 1_000_007, batch: 2_000_000 + i / 64, index: (i % 64) as u32 }
            },
            task: 3_000_000 + i,
            name: (i % names) as u32,
            start_ns: 1 << 44 | (i % (calls / 4) * LENGTH),
            end_ns: 1 << 44 | (i % (calls / 4) * LENGTH + LENGTH - 321),
            end: End::Returned,
        };
        let slices: Vec<Slice> = (0..calls).map(call).collect();
        let on_core = slices.iter().step_by(50).map(|slice| OnCore {
            row: slice.row,
            cpu: slice.row,
            start_ns: slice.start_ns,
            end_ns: slice.end_ns,
        });
        let timeline = Timeline {
            start_ns: 1 << 44,
            end_ns: 1 << 45,
            rows: (0..4).map(row).collect(),
            names: (0..names).map(|i| format!("Thread-{i}")).collect(),
            on_core: on_core.collect(),
            slices,
            source: Source::Kernel,
            lost: 3,
        };
        assert_eq!(super::super::check::check(&timeline), [""; 0]);
        let mut out = Vec::new();
        write(&timeline, &mut out).unwrap();
        out.len()
    }

    #[test]
    fn a_million_tasks_have_sixty_megabytes_at_most() {
        const CALLS: u64 = 20_000;
        for names in [1, 10, CALLS] {
            let size = size(CALLS, names);
            assert!(size <= 60 * CALLS as usize, "{names}: {} bytes each", size / CALLS as usize);
        }
    }
}
