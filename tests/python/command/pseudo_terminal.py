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
    """Runs a command in a terminal of so many columns and rows; killed at the end of the `with`.

    A variable of `env` that is None is none of the command's. Where the terminal is not the
    `controlling` one no signal comes from it.
    """

    def __init__(self, command, *, columns=100, rows=30, env=None, controlling=True):
        self._ours, theirs = pty.openpty()
        self.columns, self.rows = columns, rows
        self._set_size(theirs)
        self.text = ""
        self._cells, self._at = {}, (0, 0)
        environment = {**os.environ, "TERM": "xterm-256color", **(env or {})}
        environment.pop("COLUMNS", None)
        environment = {name: value for name, value in environment.items() if value is not None}
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: controlling and fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        if self._ours is not None:
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

    def go_away(self):
        """Close the terminal, as who closes its window does."""
        self._read()
        os.close(self._ours)
        self._ours = None

    def stop_output(self):
        """Take no more of what is written, as after Ctrl-S: who writes waits."""
        termios.tcflow(self._theirs, termios.TCOOFF)

    def forget(self):
        """Empty the screen here alone: what is seen from now on was drawn anew."""
        self._read()
        self._cells.clear()
        self.text = ""

    def send(self, keys):
        """Press keys."""
        os.write(self._ours, keys.encode())

    def _read(self):
        while self._ours is not None and select.select([self._ours], [], [], 0)[0]:
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
        assert self.process.returncode == code, (self.process.returncode, self.text[-2000:])
        return self.text

    def is_restored(self):
        """Whether the terminal is as it was before the program."""
        shown = self.text.rfind("\x1b[?1049l") > self.text.rfind("\x1b[?1049h")
        return shown and termios.tcgetattr(self._theirs)[3] == self.before[3]

    def reads_keys(self):
        """Whether each key comes as it is pressed, and is not shown."""
        return not termios.tcgetattr(self._theirs)[3] & (termios.ICANON | termios.ECHO)

    def set_back(self):
        """Give the terminal the modes that it had before the program, as a shell does."""
        termios.tcsetattr(self._theirs, termios.TCSANOW, self.before)

    def signal(self, number=signal.SIGTERM):
        """Send the program a signal."""
        self.process.send_signal(number)
