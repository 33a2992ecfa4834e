"""``Program``: an executable as a target."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple


class CompletedProgram(NamedTuple):
    """What a :class:`Program` returns."""

    args: tuple[str, ...]
    """The program and its arguments."""
    returncode: int
    """Its exit code, or minus the number of the signal that ended it."""
    stdout: bytes | None
    """What it wrote, if captured."""
    stderr: bytes | None
    """What it wrote to its error output, if captured."""


class Program:
    """An executable, to be the target of a task: ``Process(target=Program("gzip", "-k", path))``.

    Program and process are told apart: this is the program, static; each task that runs it is
    a process of its own. The result is a :class:`CompletedProgram`. A task that ends before the
    program does takes the program with it.

    Args:
        argv: the program, by path or as found in ``PATH``, and its arguments.
        stdin: bytes to feed it, or a path to read from; None gives it nothing.
        stdout: a path to write its output to; None leaves it the task's.
        stderr: the same for its error output.
        env: its environment; None takes the task's.
        cwd: its working directory; None takes the task's.
        capture: keep its output and error output in the result.
        check: raise :class:`ProgramFailed` when it ends with another code than 0.

    Raises:
        TypeError: no program is named, or an argument is neither text nor a path.
    """

    __module__ = "tarefa"

    def __init__(
        self,
        *argv: str | os.PathLike[str],
        stdin: bytes | str | os.PathLike[str] | None = None,
        stdout: str | os.PathLike[str] | None = None,
        stderr: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        capture: bool = False,
        check: bool = False,
    ) -> None:
        if not argv:
            raise TypeError("a Program needs the name or path of an executable")
        given: tuple[object, ...] = argv
        for i, argument in enumerate(given):
            if not isinstance(argument, (str, os.PathLike)):
                kind = type(argument).__name__
                raise TypeError(
                    f"argument {i} of a Program must be text or a path, not {kind} {argument!r}"
                )
        for name, value in (("stdin", stdin), ("stdout", stdout), ("stderr", stderr)):
            taken: tuple[type, ...] = (str, os.PathLike)
            if name == "stdin":
                taken = (*taken, bytes, bytearray)
            if value is not None and not isinstance(value, taken):
                kind = type(value).__name__
                raise TypeError(
                    f"{name} of a Program must be a path, not {kind} {value!r}: "
                    "descriptors and open files mean nothing in another process"
                )
        self.args = tuple(os.fspath(a) for a in argv)
        self._stdin = stdin
        self._stdout = stdout
        self._stderr = stderr
        self._env = None if env is None else dict(env)
        self._cwd = cwd
        self._capture = capture
        self._check = check

    def __call__(self) -> CompletedProgram:
        """Run it and wait for its end."""
        import subprocess
        from contextlib import ExitStack

        from tarefa._task._popen import Popen

        with ExitStack() as files:
            feed: Any = None
            source: Any = subprocess.DEVNULL
            if isinstance(self._stdin, (bytes, bytearray)):
                feed, source = self._stdin, subprocess.PIPE
            elif self._stdin is not None:
                source = files.enter_context(open(self._stdin, "rb"))
            out, err = (self._target(where, files) for where in (self._stdout, self._stderr))
            process = Popen(
                self.args, stdin=source, stdout=out, stderr=err, env=self._env, cwd=self._cwd
            )
            try:
                output, errors = _communicate(process, feed)
            except BaseException:
                process.kill()
                process.wait()
                raise
        done = CompletedProgram(self.args, process.returncode, output, errors)
        if self._check and process.returncode != 0:
            from tarefa._runtime._errors import ProgramFailed

            text = f"{self.args[0]!r} ended with code {process.returncode}"
            if errors:
                text += ": " + errors.decode(errors="replace").strip()[-500:]
            raise ProgramFailed(text, done)
        return done

    def _target(self, where: Any, files: Any) -> Any:
        import subprocess

        if where is not None:
            return files.enter_context(open(where, "wb"))
        return subprocess.PIPE if self._capture else None

    def __repr__(self) -> str:
        return f"tarefa.Program({', '.join(map(repr, self.args))})"


def _communicate(process: Any, feed: bytes | None) -> tuple[bytes | None, bytes | None]:
    """Feed and read the program; an interrupt of the task ends the wait."""
    import threading

    if threading.current_thread() is threading.main_thread():
        return process.communicate(feed)  # type: ignore[no-any-return]
    # In a thread only waits of tarefa's own are interrupted at once: another thread does the
    # reading, and this one waits for it.
    from tarefa._sync._event import Event

    ended, answer = Event(), []

    def read() -> None:
        try:
            answer.append(process.communicate(feed))
        finally:
            ended.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    ended.wait()
    reader.join()
    return answer[0] if answer else (None, None)
