"""One log file for many processes: they put records into a queue, and the program writes them.

usage: log_queue.py [FILE]

No line is written into another, the file can be rotated, and a process that is killed has logged
what it said before. Without a file name it writes to standard output.
"""

import logging
import logging.handlers
import os
import signal
import sys

import tarefa

log = logging.getLogger("jobs")


def job(records, number):
    """A process: its records go into the queue as they are made."""
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(logging.handlers.QueueHandler(records))
    log.info("job %d begins", number)
    if number == 2:
        log.error("job %d is about to be killed", number)
        os.kill(os.getpid(), signal.SIGKILL)
    log.info("job %d ends", number)


def main():
    if len(sys.argv) > 1:
        handler = logging.handlers.RotatingFileHandler(sys.argv[1], maxBytes=1 << 20, backupCount=3)
    else:
        handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(processName)s %(levelname)s %(message)s"))
    records = tarefa.Queue()
    listener = logging.handlers.QueueListener(records, handler)
    listener.start()
    jobs = [
        tarefa.Process(target=job, args=(records, n), name=f"job-{n}").start() for n in range(4)
    ]
    tarefa.wait(jobs)
    listener.stop()
    died = [task.name for task in jobs if isinstance(task.exception(), tarefa.WorkerDied)]
    print("killed:", *died)


if __name__ == "__main__":
    main()
