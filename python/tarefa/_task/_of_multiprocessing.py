"""What ``multiprocessing`` is told in a process: its name, its starter, the program's key.

At once where it is loaded. The zygote loads it only after the first fork, for it takes as long to
import as all that a first process needs; in a process that was forked before, this finds the
module's import, and tells it then.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from typing import Any

_MODULE = "multiprocessing.process"
# Asks for the process's name in each record, but only of a module that is loaded.
_ASKING = "logging"

_key: bytes | None = None
_name: str | None = None
_starter: Any = None
# Whose key was set last.
_keyed: Any = None


def set_key(key: bytes) -> None:
    """The key that all processes of the program have."""
    global _key, _keyed
    _key, _keyed = key, None
    _tell()


def set_process(name: str, starter: Any) -> None:
    """Who this is, and who has started it."""
    global _name, _starter
    _name, _starter = name, starter
    _tell()


def _tell() -> None:
    global _keyed
    module: Any = sys.modules.get(_MODULE)
    if module is None:
        return
    process = module._current_process
    if _key is not None and _keyed is not process:
        if process.authkey != _key:
            process.authkey = _key
        _keyed = process
    if _name is not None:
        process._name = _name
        module._parent_process = _starter


def watch() -> None:
    """In the zygote: have it told when it is loaded."""
    if _MODULE not in sys.modules:
        sys.meta_path.insert(0, _finder)


def forget_to_watch() -> None:
    """In the zygote, once it has it: its children find no trace of that."""
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


class _Finder:
    """Sees what is imported, and finds nothing itself.

    In children that have it it stays: others iterate the list that it is in, also at this moment.
    """

    _is_asking = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name == _ASKING:
            import multiprocessing.process  # noqa: F401
        elif name == _MODULE and not self._is_asking:
            self._is_asking = True
            try:
                return self._found(name, path, target)
            finally:
                self._is_asking = False
        return None

    def _found(self, name: str, path: Any, target: Any) -> ModuleSpec | None:
        for finder in list(sys.meta_path):
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
                return spec
        return None


_finder = _Finder()


class _Loader:
    """Loads the module as its own loader does, and tells it."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _tell()
