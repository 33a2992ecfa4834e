"""``Board``: what each worker of a pool of processes is at, in shared memory."""

from __future__ import annotations

from tarefa._engine import BoardCore, register_class


class Board(BoardCore):
    """A board; its handle travels to the workers."""

    __module__ = "tarefa"


def _from_handle(core: BoardCore) -> Board:
    return Board.__new__(Board, core)


register_class("Board", _from_handle)
