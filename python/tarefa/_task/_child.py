"""How a process runs its task, to its end."""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any

from tarefa import _engine
from tarefa._convert._pickling import loads
from tarefa._runtime import _task_end, _unraisable
from tarefa._runtime._errors import Interrupted, TarefaError, TimeLimitInterrupt
from tarefa._task import (
    _current,
    _environment,
    _exit,
    _limits,
    _main,
    _outcome,
    _payload,
    _preload,
    _unretrieved,
)
from tarefa._task._process import Process
from tarefa._task._state import EXIT_FAILURE, EXIT_SUCCESS, FAILED, FINISHED, INTERRUPTED

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


def _interruption(core: Any, what: str) -> Interrupted:
    label = f"process {core.name!r}"
    if core.over_time:
        return TimeLimitInterrupt(_limits.over_time_text(core, label))
    return Interrupted(f"{label} {what}")


# Modules that had to be imported to read the task.
_imported: list[str] = []


def _tarefa_call(payload: tuple[bytes, Any]) -> Any:
    """Prepare the process as the payload says, and call its target."""
    data, buffers = payload
    image, (head, handle, difference, state, target), call = _payload.split(data)
    extra = None
    if head:
        extra = loads(head)
        _environment.apply(extra)
    modules = len(sys.modules)
    _current.reads_task = True
    if image:
        if image != _main.image_id:
            _main.become(image, handle)
        if difference:
            _main.differ(difference)
        if state:
            _main.apply(loads(state))
    if extra:
        _environment.apply_context(extra)
    function, args, kwargs = loads(call, buffers=buffers)
    if target:
        function = loads(target)
    if len(sys.modules) != modules:
        _imported.extend(list(sys.modules)[modules:])
    _current.reads_task = False
    if function is None:
        return None
    return function(*args, **kwargs)


def forget_task() -> None:
    """In the zygote: as if nothing had run here."""
    global _core
    _core = _current.process_task = None
    _imported.clear()


def run(core: Any) -> None:
    """Run the task and end the process."""
    code = _tarefa_run(core)
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
            _show_exit(e.code)
    except BaseException as e:
        state, code, error = FAILED, EXIT_FAILURE, e
        if isinstance(e, MemoryError) and not isinstance(e, TarefaError):
            error = _out_of_memory(core, e)
    _in_target = False  # an interrupt may have come before the same line above
    if state == INTERRUPTED and _current.started:
        _exit.stop_all()
    _finish_threads()
    _task_end.run()
    _flush()
    if isinstance(error, SystemExit):
        core.keep_quiet()
    if error is not None:
        error.__traceback__ = _targets_part(error.__traceback__)
        _outcome.finish_failed(core, state, code, error)
    elif not _outcome.finish_returned(core, value, f"process {name!r}"):
        code = 1
    return code


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
    shown = name[:15]
    if not shown.isascii():
        # Without what UTF-8 has no bytes for.
        shown = shown.encode(errors="replace").decode()
    _engine.set_thread_name(shown)
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None:
        multiprocessing.current_process()._name = name


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
