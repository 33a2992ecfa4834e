"""What must hold of a trace that Perfetto loads, looked at in its file.

- Each event has a phase that is known, whole numbers for its process and track, and a time from 0.
- Slices of a track are in the order of their beginnings, and lie inside each other or apart.
- Tracks of cores have one slice at a time.
- Each process and each track is named once, and no track is without a name.
- In protocol buffers, besides: each sequence begins before it is used, with its track and its
  clock; each number for a text was given that, once; no track's number is given twice; each slice
  that begins ends.
"""

import json
from collections import defaultdict
from pathlib import Path

CORES = 1 << 22
BEGIN, END, INSTANT = 1, 2, 3


def _ns(microseconds):
    return round(microseconds * 1000)


def fields(message):
    """Yield number and value of each field of a message in the wire format of protocol buffers."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                assert value < 1 << 64
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            assert key & 7 == 2, f"a form that is not used: {key & 7}"
            length = varint()
            assert at + length <= len(message), "ends early"
            yield key >> 3, message[at : at + length]
            at += length


def _one(message):
    found = {}
    for number, value in fields(message):
        assert number not in found, f"field {number} twice"
        found[number] = value
    return found


def _many(message, number):
    return [value for field, value in fields(message) if field == number]


class _Sequence:
    """Packets of one writer, as Perfetto follows them."""

    def __init__(self):
        self.track = None
        self.clock = None
        self.texts = defaultdict(dict)
        self.open = []

    def learn(self, interned):
        for which, entry in fields(interned):
            entry = _one(entry)
            assert entry[1] > 0
            assert entry[1] not in self.texts[which], "a number is given again"
            self.texts[which][entry[1]] = entry[2].decode()


class _Protobuf:
    """Reads a trace, and gives the events that it has as the other format has them."""

    def __init__(self, data):
        self.sequences = {}
        self.tracks = {}
        self.threads = set()
        self.events = []
        self.start = None
        for number, packet in fields(data):
            assert number == 1, "a trace has packets"
            self.packet(_one(packet))
        assert all(not sequence.open for sequence in self.sequences.values()), "a slice without end"

    def packet(self, packet):
        number = packet[10]
        flags = packet.get(13, 0)
        if flags & 1:
            assert number not in self.sequences, "a sequence begins again"
            self.sequences[number] = _Sequence()
        sequence = self.sequences[number]
        if 59 in packet:
            defaults = _one(packet[59])
            sequence.track = _one(defaults[11])[11]
            assert defaults[58] == 64
        if 12 in packet:
            sequence.learn(packet[12])
        if 6 in packet:
            self.clocks(sequence, packet[6])
        if 60 in packet:
            self.describe(packet[60])
        if 11 in packet:
            self.event(sequence, packet, flags)

    def clocks(self, sequence, snapshot):
        clocks = [_one(clock) for clock in _many(snapshot, 1)]
        assert clocks[0][1] == 3
        if self.start is None:
            assert _many(snapshot, 2) == [3], "the first says which clock all is in"
            self.start = clocks[0][2]
        assert clocks[0][2] == self.start
        if len(clocks) > 1:
            assert (clocks[1][1], clocks[1][3]) == (64, 1)
            sequence.clock = clocks[1][2]

    def describe(self, descriptor):
        descriptor = _one(descriptor)
        uuid = descriptor[1]
        assert uuid not in self.tracks, "a track is described twice"
        parent = descriptor.get(5)
        assert parent is None or parent in self.tracks
        name = descriptor.get(2, b"").decode()
        if 3 in descriptor:
            process = _one(descriptor[3])
            self.tracks[uuid] = (process[1], 0)
            self.name("process_name", process[1], 0, process[6].decode())
        elif 4 in descriptor:
            thread = _one(descriptor[4])
            self.tracks[uuid] = (thread[1], thread[2])
            self.name("thread_name", thread[1], thread[2], thread[5].decode())
        elif parent is None:
            self.tracks[uuid] = (CORES, 0)
            self.name("process_name", CORES, 0, name)
        else:
            core = int(name.removeprefix("core ")) + 1
            self.tracks[uuid] = (CORES, core)
            self.name("thread_name", CORES, core, name)

    def name(self, what, pid, tid, name):
        # The system gives a number again, in the end: a thread's is another track then.
        if what == "process_name" or (pid, tid) not in self.threads:
            event = {"ph": "M", "name": what, "pid": pid, "tid": tid, "args": {"name": name}}
            self.events.append(event)
        if what == "thread_name":
            self.threads.add((pid, tid))

    def event(self, sequence, packet, flags):
        event = defaultdict(list)
        for number, value in fields(packet[11]):
            event[number].append(value)
        if 58 in packet:
            assert packet[58] == 3
            return
        assert flags == 2, "what refers to what was said before needs that"
        assert sequence.clock is not None
        assert sequence.track in self.tracks
        sequence.clock += packet[8]
        (phase,) = event[9]
        args = {}
        for annotation in map(_one, event[4]):
            name = sequence.texts[3][annotation[1]]
            args[name] = sequence.texts[29][annotation[17]] if 17 in annotation else annotation[3]
        if phase == END:
            begun = sequence.open.pop()
            begun["dur"] = (sequence.clock - self.start) / 1000 - begun["ts"]
            if begun["cat"] != "core":
                begun["args"]["ended"] = "returned"
            begun["args"].update(args)
            return
        names = [sequence.texts[2][iid] for iid in event[10]] + [n.decode() for n in event[23]]
        (name,) = names
        (category,) = (sequence.texts[1][iid] for iid in event[3])
        pid, tid = self.tracks[sequence.track]
        made = {"ph": "X", "cat": category, "pid": pid, "tid": tid, "name": name, "args": args}
        made["ts"] = (sequence.clock - self.start) / 1000
        if phase == BEGIN:
            sequence.open.append(made)
        else:
            assert phase == INSTANT
            made["ph"] = "i"
        self.events.append(made)


def load(path):
    """Return the events of a file, which holds to the rules."""
    path = Path(path)
    if path.suffix == ".pftrace":
        events = _Protobuf(path.read_bytes()).events
    else:
        events = json.loads(path.read_text())["traceEvents"]
    names = defaultdict(set)
    tracks = defaultdict(list)
    for event in events:
        assert event["ph"] in "MXi", event
        assert (type(event["pid"]), type(event["tid"])) == (int, int), event
        assert type(event["name"]) is str, event
        assert event["name"], event
        if event["ph"] == "M":
            number = event["tid"] if event["name"] == "thread_name" else 0
            key = event["pid"], number
            assert event["args"]["name"], event
            assert key not in names[event["name"]], f"named twice: {event}"
            names[event["name"]].add(key)
            continue
        assert event["ts"] >= 0, event
        if event["ph"] == "X":
            assert event["dur"] >= 0, event
            tracks[event["pid"], event["tid"]].append(event)
    for track, slices in tracks.items():
        assert track in names["thread_name"], f"no name: {track}"
        assert (track[0], 0) in names["process_name"], f"no name: {track}"
        last, around = 0, []
        for event in slices:
            start = _ns(event["ts"])
            end = start + _ns(event["dur"])
            assert start >= last, f"out of order: {event}"
            last = start
            while around and around[-1] <= start and end > around[-1]:
                around.pop()
            if around:
                assert end <= around[-1], f"overlaps the one around it: {event}"
                assert track[0] != CORES, f"two at once on a core: {event}"
            around.append(end)
    return events


def slices(path, category=None):
    """Return the slices of a file, or those of a category."""
    events = (event for event in load(path) if event["ph"] == "X")
    return [event for event in events if category in (None, event["cat"])]
