"""What must hold of a trace that Perfetto loads, looked at in its file.

- Each event has a phase that is known, whole numbers for its process and track, and a time from 0.
- Slices of a track are in the order of their beginnings, and lie inside each other or apart.
- Tracks of cores have one slice at a time.
- Each process and each track is named once, and no track is without a name.
"""

import json
from collections import defaultdict
from pathlib import Path

CORES = 1 << 22


def _ns(microseconds):
    return round(microseconds * 1000)


def load(path):
    """Return the events of a file, which holds to the rules."""
    whole = json.loads(Path(path).read_text())
    events = whole["traceEvents"]
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
