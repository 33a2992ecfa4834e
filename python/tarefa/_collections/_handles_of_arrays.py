"""What a handle of an array's memory becomes: an ``Array`` or a ``Value``, whose classes are here.

Imported when the first handle arrives, for a program that has one of the two may be sent the other.
"""

from __future__ import annotations

from tarefa._collections import (
    _array,  # noqa: F401
    _value,  # noqa: F401
)
from tarefa._collections._making import from_handle
from tarefa._engine import register_class

register_class("Array", from_handle)
