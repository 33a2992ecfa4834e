"""The typecodes by what Python makes of their items: for type checkers."""

from __future__ import annotations

from typing import Literal, TypeAlias

IntCode: TypeAlias = Literal["b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "n", "N"]
FloatCode: TypeAlias = Literal["f", "d"]
ComplexCode: TypeAlias = Literal["F", "D"]
