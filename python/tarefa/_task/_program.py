"""``Program``: an executable as a target."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, NamedTuple, TypeAlias

from tarefa import _engine
from tarefa._collections._list import List
from tarefa._runtime._shared import shown_names
from tarefa._runtime._showing import full_title
from tarefa._task._base import check_timeout

# As in `subprocess`, which is slow to import.
PIPE, STDOUT, DEVNULL = -1, -2, -3

_Path: TypeAlias = str | os.PathLike[str]
_Lines: TypeAlias = Callable[[Any], object] | List[Any]


class CompletedProgram(NamedTuple):
    """What a :class:`Program` returns."""

    args: tuple[str, ...]
    """The program and its arguments."""
    returncode: int
    """Its exit code, or minus the number of the signal that ended it."""
    stdout: Any
    """What it wrote, if captured: bytes, or str with ``text``."""
    stderr: Any
    """What it wrote to its error output, if captured."""
    pid: int = 0
    """Its process id, while it ran."""


CompletedProgram.__module__ = "tarefa"


class Program:
    """An executable, to be the target of a task: ``Process(target=Program("gzip", "-k", path))``.

    Program and process are told apart: this is the program, static; each task that runs it is
    a process of its own. The result is a :class:`CompletedProgram`. A task that ends before the
    program does takes the program with it.

    Args:
        argv: the program, by path or as found in ``PATH``, and its arguments.
        stdin: bytes to feed it, or a path to read from; None or ``subprocess.DEVNULL`` gives it
            nothing.
        stdout: a path to write its output to; a function that is called with each line as it
            comes, in the task, or a :class:`List` that gets them; ``subprocess.PIPE`` keeps it in
            the result, ``subprocess.DEVNULL`` nowhere; None leaves it the task's.
        stderr: the same for its error output; ``subprocess.STDOUT`` has it where the output goes.
        env: its environment; None takes the task's.
        cwd: its working directory; None takes the task's.
        capture: keep its output and error output in the result, where they go nowhere else.
        check: raise :class:`ProgramFailed` when it ends with another code than 0.
        input: what to feed it: bytes, or str with ``text``.
        text: whether input, output and lines are str.
        encoding: that of text, which is then meant; None is the system's.
        errors: what to do with bytes that are no text, as for ``open()``; text is then meant.
        timeout: seconds after which it is killed, and ``subprocess.TimeoutExpired`` raised.

    Raises:
        TypeError: no program is named, an argument is neither text nor a path; input of another
            type.
        ValueError: both ``stdin`` and ``input``; a stream that only another place can have.
    """

    __module__ = "tarefa"

    def __init__(
        self,
        *argv: _Path,
        stdin: bytes | bytearray | _Path | int | None = None,
        stdout: _Path | _Lines | int | None = None,
        stderr: _Path | _Lines | int | None = None,
        env: Mapping[str, str] | None = None,
        cwd: _Path | None = None,
        capture: bool = False,
        check: bool = False,
        input: bytes | bytearray | memoryview | str | None = None,  # noqa: A002 - as subprocess
        text: bool = False,
        encoding: str | None = None,
        errors: str | None = None,
        timeout: float | None = None,
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
        self.args = tuple(os.fspath(a) for a in argv)
        self._text = bool(text or encoding or errors)
        self._encoding, self._errors = encoding, errors
        self._stdin = _checked_stdin(stdin, input)
        self._input = _checked_input(input, self._text)
        self._stdout = _checked_output("stdout", stdout)
        self._stderr = _checked_output("stderr", stderr)
        self._env = None if env is None else dict(env)
        self._cwd = cwd
        self._capture = capture
        self._check = check
        try:
            self._timeout = check_timeout(timeout)
        except TypeError:
            raise TypeError(
                f"timeout of a Program must be a number of seconds or None, not {timeout!r}"
            ) from None
        # Its pid for other processes to see; made when the program first goes to one.
        self._shown: Any = None
        self._pid = 0

    @property
    def pid(self) -> int | None:
        """The process id of the program, while a task runs it: of several the latest start's."""
        pid: int = self._pid if self._shown is None else self._shown.value or self._pid
        return pid or None

    def _note_pid(self, pid: int) -> None:
        self._pid = pid
        if self._shown is not None:
            self._shown.value = pid

    def __getstate__(self) -> dict[str, Any]:
        if self._shown is None:
            from tarefa._collections._value import RawValue

            self._shown = RawValue("i")
        return self.__dict__

    def __call__(self) -> CompletedProgram:
        """Run it and wait for its end."""
        from contextlib import ExitStack

        from tarefa._task._popen import TimeoutExpired

        with ExitStack() as files:
            process = self._start(files)
            readers = Readers(process, self._sinks(), self._encoding_of_text())
            try:
                output, errors = _waited(lambda: readers.communicate(self._fed(), self._timeout))
            except BaseException as e:
                process.kill()
                process.wait()
                if isinstance(e, TimeoutExpired):
                    # Not what was left of it at the last wait.
                    e.cmd, e.timeout = self.args, self._timeout or 0.0
                    e.output, e.stderr = readers.so_far()
                raise
            finally:
                self._note_pid(0)
        code = process.returncode
        done = CompletedProgram(self.args, code, output, errors, process.pid)
        if self._check and code != 0:
            from tarefa._task._program_failed import ProgramFailed

            signal = _engine.signal_name(-code) if code < 0 else None
            how = f"was ended by {signal} (code {code})" if signal else f"ended with code {code}"
            text = f"{self.args[0]!r} {how}"
            if errors:
                said = errors if isinstance(errors, str) else errors.decode(errors="replace")
                text += ": " + said.strip()[-500:]
            raise ProgramFailed(text, done)
        return done

    def lines(self) -> Iterator[Any]:
        """Run it here, and give each line of its output as it comes, without its end.

        A program that goes on when nobody wants more is ended. ``check`` and ``timeout`` hold;
        what the task of a program is to do with lines says ``stdout``.

        Raises:
            ProgramFailed: with ``check``, when it ends with another code than 0.
            ValueError: ``stdout`` has its output.
        """
        if self._stdout not in (None, PIPE):
            raise ValueError("lines() gives what the program writes: leave stdout out")
        from collections import deque

        from tarefa._sync._condition import Condition
        from tarefa._task._thread import Thread

        got: deque[Any] = deque()
        more = Condition()

        def put(*line: Any) -> None:
            with more:
                got.append(line)
                more.notify()

        again = Program.__new__(Program)
        again.__dict__.update(self.__dict__, _stdout=put)

        def run() -> None:
            try:
                again()
            finally:
                put()

        runner = Thread(target=run, name=f"lines of {self.args[0]}", daemon=True).start()
        ended = False
        try:
            while not ended:
                with more:
                    more.wait_for(lambda: got)
                    line = got.popleft()
                if line:
                    yield line[0]
                else:
                    ended = True
        finally:
            if not ended:
                runner.interrupt()
            error = runner.exception()
        if error is not None:
            raise error

    def _start(self, files: Any) -> Any:
        from tarefa._task._popen import Popen

        source: Any = DEVNULL
        if self._fed() is not None:
            source = PIPE
        elif self._stdin is not None:
            try:
                source = files.enter_context(_opened(self._stdin))
            except OSError as e:
                e.add_note("stdin of a Program is a path; to feed it text, give input")
                raise
        out = self._target(self._stdout, files)
        if _is_path(self._stdout) and _is_path(self._stderr) and _same(self._stdout, self._stderr):
            # Opened twice each would write over what the other has written.
            err = out
        else:
            err = self._target(self._stderr, files)
        process = Popen(
            self.args, stdin=source, stdout=out, stderr=err, env=self._env, cwd=self._cwd
        )
        self._note_pid(process.pid)
        return process

    def _encoding_of_text(self) -> tuple[str, str] | None:
        """(encoding, what to do with errors); None for bytes."""
        if not self._text:
            return None
        import locale

        return self._encoding or locale.getencoding(), self._errors or "strict"

    def _fed(self) -> bytes | None:
        if isinstance(self._stdin, (bytes, bytearray)):
            return bytes(self._stdin)
        if isinstance(self._input, str):
            return self._input.encode(*(self._encoding_of_text() or ()))
        found: bytes | None = self._input
        return found

    def _target(self, where: Any, files: Any) -> Any:
        if where is None:
            return PIPE if self._capture else None
        if isinstance(where, int):
            return where
        if callable(where) or isinstance(where, List):
            return PIPE
        return files.enter_context(open(where, "wb"))

    def _sinks(self) -> tuple[Any, Any]:
        """For output and error output: what is called with each line; None to keep it."""

        def sink(where: Any) -> Any:
            if isinstance(where, List):
                return where.append
            return where if callable(where) else None

        return sink(self._stdout), sink(self._stderr)

    def __dir__(self) -> list[str]:
        return shown_names(self, super().__dir__())

    def __repr__(self) -> str:
        return f"{full_title(self)}({', '.join(map(repr, self.args))})"


def _is_path(where: Any) -> bool:
    return isinstance(where, (str, bytes, os.PathLike))


def _same(path: Any, other: Any) -> bool:
    """Whether two paths lead to one file, the first of which is there."""
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


class _Kept:
    """An output that is kept whole."""

    def __init__(self, text: tuple[str, str] | None) -> None:
        self._text = text
        self._come = bytearray()

    def take(self, data: bytes) -> None:
        self._come += data

    def so_far(self, whole: bool) -> Any:
        data = bytes(self._come)
        if self._text is None:
            return data
        encoding, errors = self._text
        # What was cut short may end within a character.
        text = data.decode(encoding, errors if whole else "replace")
        return text.replace("\r\n", "\n").replace("\r", "\n")


class _ByLine:
    """An output of which each line is handed on as it comes."""

    def __init__(self, sink: Callable[[Any], object], text: tuple[str, str] | None) -> None:
        self._sink = sink
        self._rest: Any = b"" if text is None else ""
        self._end: Any = b"\n" if text is None else "\n"
        self._decoder: Any = None
        if text is not None:
            import codecs
            import io

            encoding, errors = text
            decoder = codecs.getincrementaldecoder(encoding)(errors)
            self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)

    def take(self, data: bytes) -> None:
        """Take what has come; nothing is the end."""
        come = data if self._decoder is None else self._decoder.decode(data, final=not data)
        *lines, self._rest = (self._rest + come).split(self._end)
        if not data and self._rest:
            lines.append(self._rest)
        for line in lines:
            self._sink(line)

    def so_far(self, _whole: bool) -> None:
        return


class Readers:
    """Feeds a program and reads what it writes, whole or by lines."""

    def __init__(self, process: Any, sinks: tuple[Any, Any], text: tuple[str, str] | None) -> None:
        self._process = process
        self._streams: tuple[IO[bytes] | None, ...] = (process.stdout, process.stderr)
        self._outputs: list[Any] = [
            _Kept(text) if sink is None else _ByLine(sink, text) for sink in sinks
        ]

    def communicate(self, feed: bytes | None, timeout: float | None) -> tuple[Any, Any]:
        """Feed it, read it to its end, and wait for that; what is kept of both outputs."""
        import selectors
        import time

        process = self._process
        until = None if timeout is None else time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            left = memoryview(feed) if feed else memoryview(b"")
            if process.stdin is not None:
                if left:
                    os.set_blocking(process.stdin.fileno(), False)
                    selector.register(process.stdin, selectors.EVENT_WRITE, None)
                else:
                    process.stdin.close()
            for i, stream in enumerate(self._streams):
                if stream is not None:
                    selector.register(stream, selectors.EVENT_READ, i)
            while selector.get_map():
                for key, _ in selector.select(self._left(until, timeout)):
                    if key.data is None:
                        left = self._feed(selector, left)
                    else:
                        self._read(selector, key.fileobj, key.data)
        process.wait(self._left(until, timeout))
        return self.so_far(whole=True)

    def so_far(self, whole: bool = False) -> tuple[Any, Any]:
        """What was kept of output and error output; None for what is not kept."""
        kept = (
            None if stream is None else output.so_far(whole)
            for stream, output in zip(self._streams, self._outputs, strict=True)
        )
        return tuple(kept)  # type: ignore[return-value]

    def _left(self, until: float | None, timeout: float | None) -> float | None:
        import time

        from tarefa._task._popen import TimeoutExpired

        if until is None:
            return None
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutExpired(self._process.args, timeout or 0.0)
        return left

    def _feed(self, selector: Any, left: memoryview) -> memoryview:
        stdin = self._process.stdin
        try:
            left = left[os.write(stdin.fileno(), left[: 1 << 16]) :]
        except BlockingIOError:
            return left
        except BrokenPipeError:
            left = left[:0]  # it wants no more
        if not left:
            selector.unregister(stdin)
            stdin.close()
        return left

    def _read(self, selector: Any, stream: Any, which: int) -> None:
        data = os.read(stream.fileno(), 1 << 16)
        self._outputs[which].take(data)
        if not data:
            selector.unregister(stream)
            stream.close()


def _opened(path: Any) -> IO[bytes]:
    return open(path, "rb")


def _checked_stdin(stdin: object, given: object) -> Any:
    if given is not None and stdin is not None:
        raise ValueError("stdin and input arguments may not both be used.")
    if stdin == DEVNULL and isinstance(stdin, int):
        return None
    if stdin is None or isinstance(stdin, (str, os.PathLike, bytes, bytearray)):
        return stdin
    kind = type(stdin).__name__
    if stdin == PIPE and isinstance(stdin, int):
        raise ValueError("stdin=PIPE has nobody to write into it: give input=, or bytes as stdin")
    raise TypeError(
        f"stdin of a Program must be a path, bytes, None or subprocess.DEVNULL, not {kind} "
        f"{stdin!r}: descriptors and open files mean nothing in another process; give their path, "
        "or what they hold as input="
    )


def _checked_input(given: object, text: bool) -> Any:
    if given is None:
        return None
    kind = type(given).__name__
    if text and isinstance(given, str):
        return given
    if text:
        raise TypeError(f"input of a Program with text must be str, not {kind} {given!r:.40}")
    if isinstance(given, (bytes, bytearray, memoryview)):
        return bytes(given)
    hint = ": give text=True, or encode it" if isinstance(given, str) else ""
    raise TypeError(f"a bytes-like object is required, not {kind!r}, as input of a Program{hint}")


def _checked_output(name: str, where: object) -> Any:
    if isinstance(where, int):
        known = (PIPE, DEVNULL, STDOUT) if name == "stderr" else (PIPE, DEVNULL)
        if where in known and not isinstance(where, bool):
            return int(where)
        if where == STDOUT:
            raise ValueError("STDOUT can only be used for stderr")
    elif where is None or isinstance(where, (str, os.PathLike, List)) or callable(where):
        return where
    kind = type(where).__name__
    raise TypeError(
        f"{name} of a Program must be a path, a function or a List for its lines, None, or "
        f"subprocess.PIPE or DEVNULL, not {kind} {where!r}: descriptors and open files mean "
        "nothing in another process"
    )


def _waited(act: Callable[[], tuple[Any, Any]]) -> tuple[Any, Any]:
    """Do what feeds and reads the program; an interrupt of the task ends the wait."""
    import threading

    if threading.current_thread() is threading.main_thread():
        return act()
    # In a thread only waits of tarefa's own are interrupted at once: another thread does the
    # reading, and this one waits for it.
    from tarefa._sync._event import Event

    ended, answer = Event(), []
    failed: list[BaseException] = []

    def read() -> None:
        try:
            answer.append(act())
        except BaseException as e:
            failed.append(e)
        finally:
            ended.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    ended.wait()
    reader.join()
    if failed:
        raise failed[0]
    return answer[0]
