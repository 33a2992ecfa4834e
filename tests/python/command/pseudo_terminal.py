"""A program in a pseudo-terminal: keys sent to it, and the screen that it draws."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

from support import eventually

_CONTROL = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b[()][A-Z0-9]|\x1b[=>78]")


class Terminal:
    """Runs a command in a terminal of so many columns and rows; killed at the end of the `with`."""

    def __init__(self, command, *, columns=100, rows=30, env=None):
        self._ours, theirs = pty.openpty()
        self.columns, self.rows = columns, rows
        self._set_size(theirs)
        self.text = ""
        self._cells, self._at = {}, (0, 0)
        environment = {**os.environ, "TERM": "xterm-256color", **(env or {})}
        environment.pop("COLUMNS", None)
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    def _set_size(self, descriptor):
        size = struct.pack("HHHH", self.rows, self.columns, 0, 0)
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, size)

    def resize(self, columns, rows):
        """Give the terminal another size, of which its program hears."""
        self.columns, self.rows = columns, rows
        self._cells.clear()
        self._set_size(self._ours)

    def send(self, keys):
        """Press keys."""
        os.write(self._ours, keys.encode())

    def _read(self):
        while select.select([self._ours], [], [], 0)[0]:
            new = os.read(self._ours, 65536).decode(errors="replace")
            self.text += new
            self._draw(new)

    def _draw(self, text):
        last = 0
        for found in _CONTROL.finditer(text):
            self._put(text[last : found.start()])
            last = found.end()
            numbers, letter = found.group(1) or "", found.group(2)
            if letter in ("H", "f"):
                row, _, column = numbers.partition(";")
                self._at = (int(row or 1) - 1, int(column or 1) - 1)
            elif letter == "J":
                self._cells.clear()
        self._put(text[last:])

    def _put(self, text):
        row, column = self._at
        for letter in text:
            if letter == "\r":
                column = 0
            elif letter == "\n":
                row += 1
            elif letter.isprintable():
                self._cells[row, column] = letter
                column += 1
        self._at = (row, column)

    def lines(self):
        """Return the screen as it is now."""
        self._read()
        width = max((column for _, column in self._cells), default=-1) + 1
        rows = range(max((row for row, _ in self._cells), default=-1) + 1)
        return [
            "".join(self._cells.get((row, column), " ") for column in range(width)).rstrip()
            for row in rows
        ]

    def shows(self, *wanted):
        """Return the screen's lines once they hold all of these."""
        seen = []

        def look():
            seen[:] = self.lines()
            return all(any(it in line for line in seen) for it in wanted)

        try:
            eventually(look)
        except TimeoutError:
            raise AssertionError(f"never shows {wanted}:\n" + "\n".join(seen)) from None
        return seen

    def ended(self, code=0):
        """Wait for the program's end; return all that it wrote."""
        eventually(lambda: self._read() or self.process.poll() is not None)
        self._read()
        assert self.process.returncode == code, self.text[-2000:]
        return self.text

    def is_restored(self):
        """Whether the terminal is as it was before the program."""
        shown = self.text.rfind("\x1b[?1049l") > self.text.rfind("\x1b[?1049h")
        return shown and termios.tcgetattr(self._theirs)[3] == self.before[3]

    def signal(self, number=signal.SIGTERM):
        """Send the program a signal."""
        self.process.send_signal(number)
