"""A pipeline over large arrays: each stage is a process, and no array is copied on its way.

usage: numpy_pipeline.py [FRAMES]

    make ──frames──> smooth ──frames──> measure ──numbers──> main

An array of `tarefa.empty` lies in shared memory. What is sent on is where it lies; its memory is
free with the last view of it, and then used again. Who is sent an array reads it: its sender may
look at it still. The queues hold two frames at most, so a slow stage slows down those
before it.
"""

import sys

import numpy as np

import tarefa

SHAPE = (480, 640)


def make(frames, count):
    """The first stage: frames with a bright spot that moves."""
    for n in range(count):
        frame = tarefa.empty(SHAPE, np.float32)
        frame[...] = 0
        frame[100:120, 10 * n : 10 * n + 20] = 1
        frames.put(frame)
    frames.shutdown()


def smooth(frames, smoothed):
    """The second: each pixel with those above and below it, in a frame of its own."""
    for frame in frames:
        made = tarefa.empty(frame.shape, frame.dtype)
        made[0], made[-1] = frame[0], frame[-1]
        made[1:-1] = (frame[:-2] + frame[1:-1] + frame[2:]) / 3
        smoothed.put(made)
    smoothed.shutdown()


def measure(frames, found):
    """The third: where it is brightest, and how bright all of it is."""
    for frame in frames:
        found.put((int(frame.sum(axis=0).argmax()), float(frame.sum())))
    found.shutdown()


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    frames, smoothed = tarefa.Queue(maxsize=2), tarefa.Queue(maxsize=2)
    found = tarefa.Queue()
    stages = [
        tarefa.Process(target=make, args=(frames, count)),
        tarefa.Process(target=smooth, args=(frames, smoothed)),
        tarefa.Process(target=measure, args=(smoothed, found)),
    ]
    for stage in stages:
        stage.start()
    for n, (column, light) in enumerate(found):
        print(f"frame {n}: brightest at column {column}, light {light:.0f}")
    for stage in stages:
        stage.result()


if __name__ == "__main__":
    main()
