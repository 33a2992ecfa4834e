"""How a process runs its task, to its end."""

from __future__ import annotations

import os
import sys
import threading
from types import CoroutineType, FrameType

from tarefa import _engine
from tarefa._convert import _descriptors
from tarefa._convert._pickling import loads
from tarefa._runtime import _task_end, _unraisable
from tarefa._runtime._coroutines import run_if_coroutine
from tarefa._runtime._errors import Interrupted, TarefaError, TimeLimitInterrupt
from tarefa._task import (
    _at_exit,
    _current,
    _environment,
    _exit,
    _limits,
    _main,
    _of_multiprocessing,
    _outcome,
    _payload,
    _preload,
    _unretrieved,
)
from tarefa._task._process import Process
from tarefa._task._state_numbers import EXIT_FAILURE, EXIT_SUCCESS, FAILED, FINISHED, INTERRUPTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_core: Any = None
_in_target = False
_finishing = False


def on_interrupt(_signum: int, frame: FrameType | None) -> None:
    """The handler of the interrupt signal, in the main thread."""
    if _engine.was_reminded():
        _unretrieved.on_reminder()
    if (_in_target or _finishing) and _core is not None and _core.take_interrupt():
        error = _interruption(_core, "was interrupted")
        if frame is not None:
            # For who asks where it was, if it goes on and is killed.
            _engine.note_frame(frame)
        _unraisable.watch()
        _core.note_delivered(error)
        raise error


class _Terminated(SystemExit):
    """``terminate()`` was called: what a target's ``finally`` blocks see."""


def on_terminate(_signum: int, _frame: FrameType | None) -> None:
    """The handler of SIGTERM, in the main thread; the next one, or some time, ends the process."""
    _engine.default_termination()
    if _in_target:
        raise _Terminated(1)
    if _core is None or _at_exit.runs:
        _engine.die_of_termination()
    # After the target, where nothing has to unwind; and CPython 3.13 and later drop what is raised
    # where they wait for threads.
    _end_terminated()


def _interruption(core: Any, what: str) -> Interrupted:
    label = f"process {core.name!r}"
    if core.over_time:
        return TimeLimitInterrupt(_limits.over_time_text(core, label))
    return Interrupted(f"{label} {what}")


# Modules that had to be imported to read the task.
_imported: list[str] = []

# Slow to import, and needed by few tasks: the zygote has it once one did.
_SELDOM = "cloudpickle"
_had_seldom = True


def _tarefa_call(payload: tuple[bytes, Any]) -> Any:
    """Prepare the process as the payload says, and call its target."""
    global _had_seldom
    data, buffers = payload
    image, (head, handle, difference, state, target, first), call = _payload.split(data)
    extra = None
    if head:
        extra = loads(head)
        _environment.apply(extra)
    modules = len(sys.modules)
    _had_seldom = _SELDOM in sys.modules
    _current.reads_task = True
    if image:
        if image != _main.image_id:
            _main.become(image, handle)
        if extra:
            _main.try_again()
        if difference:
            _main.differ(difference)
        if state:
            _main.apply_reached(state)
    if extra:
        _environment.apply_context(extra)
    function, args, kwargs = loads(call, buffers=buffers)
    if target:
        function = loads(target)
    initializer = loads(first) if first else None
    _descriptors.close_rest()
    if _core is not None:
        # What it mentions is this process's now: an end of a pipe closes when its user closes it.
        _core.drop_payload()
    if len(sys.modules) != modules:
        _imported.extend(list(sys.modules)[modules:])
    _current.reads_task = False
    if initializer is not None:
        _initialize(initializer)
    if function is None:
        return None
    value = function(*args, **kwargs)
    # Asked here too: in a new process each call is some pages more to copy.
    return value if type(value) is not CoroutineType else run_if_coroutine(value)


def _initialize(initializer: tuple[Any, tuple[Any, ...], dict[str, Any]]) -> None:
    """Call what ``configure`` was given; tasks that this one starts call it too."""
    _environment.initializer = initializer
    function, args, kwargs = initializer
    try:
        run_if_coroutine(function(*args, **kwargs))
    except BaseException as e:
        e.add_note(f"raised by the initializer of processes, {function!r}, before the target")
        raise


def forget_task() -> None:
    """In the zygote: as if nothing had run here."""
    global _core
    _core = _current.process_task = None
    _imported.clear()


def run(core: Any) -> None:
    """Run the task and end the process."""
    _engine.watch_termination()
    _engine.watch_keyboard(core)
    code = _tarefa_run(core)
    if not _had_seldom and _SELDOM in sys.modules:
        _imported.append(_SELDOM)
    if _imported:
        _preload.note_needed(_imported)
    _engine.leave(code)


def _tarefa_run(core: Any) -> int:
    """Run the task; the process's exit code."""
    global _core, _in_target
    _core = core
    process = _current.process_task = Process._of(core)
    name = process._tarefa_name
    name_process(name)
    if not core.run_here():
        return 1
    state, code = FINISHED, EXIT_SUCCESS
    value: Any = None
    error: BaseException | None = None
    try:
        try:
            _in_target = True
            if core.interrupt_due() and core.take_interrupt():
                raise _interruption(core, "was interrupted before it ran")
            value = _tarefa_call(core.payload())
        finally:
            _in_target = False
            _engine.lift_memory_limit()
    except KeyboardInterrupt as e:
        state, code, error = INTERRUPTED, EXIT_FAILURE, e
    except SystemExit as e:
        code = _outcome.exit_code(e.code)
        if code:
            state, error = FAILED, e
            if not isinstance(e, _Terminated):
                _show_exit(e.code)
    except BaseException as e:
        state, code, error = FAILED, EXIT_FAILURE, e
        if isinstance(e, MemoryError) and not isinstance(e, TarefaError):
            error = _out_of_memory(core, e)
    _in_target = False  # an interrupt may have come before the same line above
    if isinstance(error, _Terminated):
        _end_terminated()
    if state == INTERRUPTED and _current.started:
        _exit.stop_all()
    _finish_threads()
    if _task_end.callbacks:
        _task_end.run()
    _flush()
    if isinstance(error, SystemExit):
        core.keep_quiet()
    if error is not None:
        error.__traceback__ = _targets_part(error.__traceback__)
    ends = False
    if not _at_exit.is_nothing():
        ends = _at_exit.is_needed()
        if not ends and _at_exit.is_child():
            _at_exit.shut_logging()
    if value is None and error is None and not ends:
        core.finish(FINISHED, EXIT_SUCCESS)
        return EXIT_SUCCESS
    ending = _outcome.Ending(core)
    if error is not None:
        ending.failed(state, code, error, deliver=ends)
    else:
        ending.returned(value, f"process {name!r}", deliver=ends)
    if ends:
        _at_exit.run(lambda: _end_late(core, ending))
        _flush()
        ending.publish()
    return ending.code


def _end_late(core: Any, ending: _outcome.Ending) -> None:
    """The process's exit functions take too long: it ends without them."""
    try:
        print(  # noqa: T201
            f"tarefa: process {core.name!r} (pid {os.getpid()}): what it does at its exit (atexit, "
            f"finalizers) still ran after {_at_exit.LIMIT:g} s, and it ends without that",
            file=sys.stderr,
            flush=True,
        )
    finally:
        ending.publish()
        _engine.leave(ending.code)


def _end_terminated() -> None:
    """``terminate()`` was called, and the target has unwound: the signal ends the process."""
    if _at_exit.is_needed():
        _at_exit.run(_engine.die_of_termination)
    _flush()
    _engine.die_of_termination()


def _show_exit(code: object) -> None:
    """Print what ``sys.exit()`` was called with, as an interpreter does at its end."""
    if not isinstance(code, int) and sys.stderr is not None:
        try:
            print(code, file=sys.stderr)  # noqa: T201
        except Exception:  # noqa: S110 - a closed stream
            pass


def _out_of_memory(core: Any, error: MemoryError) -> MemoryError:
    """The error with the limit in it, if there is one."""
    if core.memory_limit is None:
        return error
    error.__traceback__ = _targets_part(error.__traceback__)
    return _limits.over_memory(core, f"process {core.name!r}", error)


def _targets_part(tb: Any) -> Any:
    """The traceback without the frames of this module."""
    while tb is not None and tb.tb_frame.f_globals is globals():
        tb = tb.tb_next
    return tb


def name_process(name: str) -> None:
    """Show it so in the system's lists, and to ``logging``."""
    shown = name
    if not shown.isascii():
        # Without what UTF-8 has no bytes for.
        shown = shown.encode(errors="replace").decode()
    _engine.show_name(shown)
    _of_multiprocessing.set_process(name, _starter)


class _Starter:
    """What ``multiprocessing.parent_process()`` returns: who has started the process as a task."""

    def __getattr__(self, name: str) -> Any:
        found = self._found()
        if found is None:
            raise AttributeError(f"{name!r} of the process that started this one, which has ended")
        return getattr(found, name)

    def _found(self) -> Any:
        from tarefa._task._standard import parent_process

        return parent_process()

    def is_alive(self) -> bool:
        found = self._found()
        return found is not None and bool(found.is_alive())

    def join(self, timeout: float | None = None) -> None:
        found = self._found()
        if found is not None:
            found.join(timeout)

    def __repr__(self) -> str:
        return repr(self._found())


_starter = _Starter()


def _finish_threads() -> None:
    """Wait for what the target started and did not mean to leave: as at a program's end.

    An interrupt ends the wait, and its own tasks.
    """
    global _finishing
    if threading.active_count() > 1 or _current.started or _unretrieved.are_any():
        try:
            try:
                _finishing = True
                threading._shutdown()  # type: ignore[attr-defined]
            finally:
                _finishing = False
        except Interrupted:
            _exit.stop_all()
        except BaseException:
            sys.excepthook(*sys.exc_info())
        _finishing = False  # an interrupt may have come before the same line above


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: S110 - a closed stream has nothing to lose
            pass
