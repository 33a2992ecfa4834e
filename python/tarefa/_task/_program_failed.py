"""``ProgramFailed``: apart from the other errors, for `subprocess` is slow to import."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tarefa._runtime._errors import TarefaError

if TYPE_CHECKING:
    from tarefa._task._program import CompletedProgram


class ProgramFailed(TarefaError, subprocess.CalledProcessError):
    """A :class:`tarefa.Program` with ``check=True`` ended with another code than 0.

    It has what ``subprocess.CalledProcessError`` has: ``returncode``, ``cmd``, ``stdout`` (also as
    ``output``) and ``stderr``.

    Attributes:
        completed: the :class:`tarefa.CompletedProgram`.
    """

    __module__ = "tarefa"

    def __init__(self, message: str, completed: CompletedProgram | None = None) -> None:
        if completed is None:
            subprocess.CalledProcessError.__init__(self, 1, ())
        else:
            code, cmd = completed.returncode, completed.args
            subprocess.CalledProcessError.__init__(
                self, code, cmd, completed.stdout, completed.stderr
            )
        self.args = (message,)
        self.completed = completed

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.args[0], self.completed)
