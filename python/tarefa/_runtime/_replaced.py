"""Files that are whole or as they were: the new one is written beside, and put in its place."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

_SPECIAL = ("/dev/", "/proc/")
"""Names there are of files that others have open, by descriptors."""


def write(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file at once."""

    def fill(file: Path) -> None:
        file.write_text(text, encoding="utf-8")

    replace(path, fill)


def replace(path: str | os.PathLike[str], fill: Callable[[Path], None]) -> None:
    """Have a file filled, which takes the place of the one at ``path`` when that is done.

    What is no regular file, or lies in a folder that takes no other, is filled itself.
    """
    place = _resolved(path)
    try:
        old = os.stat(place)
    except FileNotFoundError:
        old = None
    if old is not None:
        if not stat.S_ISREG(old.st_mode) or str(place).startswith(_SPECIAL):
            return fill(place)
        # Under more than one name, or somebody else's, it would not stay what it is.
        if old.st_nlink > 1 or old.st_uid != os.geteuid():
            return fill(place)
        # One that is not to be written is not to be replaced either.
        os.close(os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC))
    try:
        beside = _beside(place)
    except OSError:
        if old is None:
            raise
        return fill(place)
    try:
        if old is not None:
            os.chmod(beside, stat.S_IMODE(old.st_mode))
        fill(beside)
        os.replace(beside, place)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return None


def _beside(place: Path) -> Path:
    number = 0
    while True:
        # Not made of its own name, which may be as long as one can be.
        beside = place.with_name(f".tarefa-{os.getpid()}-{number}")
        try:
            os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
        except FileExistsError:
            number += 1
        else:
            return beside


def _resolved(path: str | os.PathLike[str]) -> Path:
    """Where links lead, up to one of the system's own."""
    place = Path(path)
    for _ in range(40):
        if str(place).startswith(_SPECIAL) or not place.is_symlink():
            break
        place = place.parent / place.readlink()
    return place
