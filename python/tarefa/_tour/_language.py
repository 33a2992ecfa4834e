"""English or Portuguese, and which letters: by the options, else by the locale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

ENGLISH, PORTUGUESE = "en", "pt"
LANGUAGES = (ENGLISH, PORTUGUESE)

_LIKENESSES = {
    "áàâãä": "a",
    "ÁÀÂÃÄ": "A",
    "éêè": "e",
    "ÉÊÈ": "E",
    "íìî": "i",
    "Í": "I",
    "óôõö": "o",
    "ÓÔÕÖ": "O",
    "úüùµ": "u",
    "ÚÜ": "U",
    "ç": "c",
    "Ç": "C",
    "ñ": "n",
    "×✗": "x",  # noqa: RUF001 - the sign is meant
    "–—─": "-",  # noqa: RUF001
    "│": "|",
    "✓": "+",
    "█▓": "#",
    "▒": "=",
    "░·": ".",
    "→": ">",
    "‘’": "'",  # noqa: RUF001
    "“”«»": '"',
    "…": "~",
}
_TO_ASCII = {ord(letter): to for letters, to in _LIKENESSES.items() for letter in letters}


class Number(str):
    """A number as English writes it."""

    __slots__ = ()

    def of(self, language: str) -> str:
        """Return it as that language writes it: Portuguese has point and comma the other way."""
        if language != PORTUGUESE:
            return self
        return self.translate({ord(","): ".", ord("."): ","})


class Text(NamedTuple):
    """What is said, in both languages."""

    en: str
    pt: str

    def of(self, language: str) -> str:
        """Return it in that language."""
        return self.pt if language == PORTUGUESE else self.en

    def format(self, **values: object) -> Text:
        """Return it with the values in their places, numbers as each language writes them."""
        in_pt = {
            name: value.of(PORTUGUESE) if isinstance(value, Number) else value
            for name, value in values.items()
        }
        return Text(self.en.format(**values), self.pt.format(**in_pt))


def ascii_only(text: str) -> str:
    """Return the text in ASCII: letters without their marks, `?` for what has no likeness."""
    return text.translate(_TO_ASCII).encode("ascii", "replace").decode("ascii")


def by_name(name: str) -> str | None:
    """Return the language that `pt`, `pt_BR` or `en-GB` names; None for others."""
    first = name.replace("-", "_").split("_")[0].split(".")[0].split("@")[0].lower()
    if first in ("c", "posix"):
        return ENGLISH
    return first if first in LANGUAGES else None


def of_locale(environ: Mapping[str, str]) -> str:
    """Return the language of the locale's messages: English for all but Portuguese."""
    return by_name(_locale("LC_MESSAGES", environ)) or ENGLISH


def is_unicode(environ: Mapping[str, str]) -> bool:
    """Tell whether the locale has the letters of Unicode; without a locale they are ASCII."""
    name = _locale("LC_CTYPE", environ).lower()
    return "utf-8" in name or "utf8" in name


def at_start() -> Mapping[str, str]:
    """Return the environment that the process was executed with.

    The interpreter has changed ``LC_CTYPE`` since, where the locale was C (PEP 538).
    """
    with open("/proc/self/environ", "rb") as file:
        lines = file.read().decode(errors="surrogateescape").split("\0")
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _locale(category: str, environ: Mapping[str, str]) -> str:
    values = (environ.get(name) for name in ("LC_ALL", category, "LANG"))
    return next(filter(None, values), "C")
