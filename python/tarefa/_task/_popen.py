"""A ``subprocess.Popen`` whose program ends with the task that runs it, however that ends."""

from __future__ import annotations

import os
import subprocess
from subprocess import TimeoutExpired
from typing import Any

from tarefa import _engine

__all__ = ["Popen", "TimeoutExpired"]


class Popen(subprocess.Popen[bytes]):
    """Takes a sequence of arguments, ``stdin``, ``stdout``, ``stderr``, ``cwd`` and ``env``."""

    def _execute_child(self, *plan: Any) -> None:
        args, folder, env = plan[0], plan[5], plan[6]
        pipes = plan[10:16]
        if env is None:
            env = os.environ
        variables = {os.fsencode(key): os.fsencode(value) for key, value in env.items()}
        argv = [os.fsencode(a) for a in args]
        paths = [argv[0]]
        if not os.path.dirname(argv[0]):
            search = os.get_exec_path(variables)  # type: ignore[arg-type]
            paths = [os.path.join(os.fsencode(place), argv[0]) for place in search]
        # Of each pair the end that the program gets; the pairs are (input, output, error).
        streams = (pipes[0], pipes[3], pipes[5])
        self.pid = _engine.spawn_program(
            paths,
            argv,
            [key + b"=" + value for key, value in variables.items()],
            None if folder is None else os.fsencode(folder),
            streams,
        )
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]
