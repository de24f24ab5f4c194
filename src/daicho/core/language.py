"""English and Japanese: the languages that people are spoken to in.

Words stand in pairs where they are used, ``say("Calls", "通話")``, so that neither can be
forgotten. Which one a person gets is the context's: the browser's request on the console and the
API, ``DAICHO_LANG`` or the locale in the terminal.
"""

import os
from contextvars import ContextVar
from typing import Literal, NamedTuple

Language = Literal["en", "ja"]


def from_environment() -> Language:
    """The terminal's language: ``DAICHO_LANG``, then ``LC_ALL``, ``LC_MESSAGES``, ``LANG``."""
    for name in ("DAICHO_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "ja" if value.lower().startswith("ja") else "en"
    return "en"


def from_header(accept_language: str | None) -> Language:
    """The language that an ``Accept-Language`` header prefers; English where it names neither."""
    best: tuple[float, Language] = (0.0, "en")
    for part in (accept_language or "").split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            continue
        primary = tag.split("-")[0].lower()
        if primary == "ja" and quality > best[0]:
            best = (quality, "ja")
        elif primary == "en" and quality > best[0]:
            best = (quality, "en")
    return best[1]


current: ContextVar[Language | None] = ContextVar("daicho_language", default=None)


class Text(NamedTuple):
    """One sentence in both languages; ``str()`` gives the one of the moment."""

    en: str
    ja: str

    def __str__(self) -> str:
        return self.ja if (current.get() or from_environment()) == "ja" else self.en


def say(en: str, ja: str) -> str:
    """Return the text in the language of the current context."""
    return str(Text(en, ja))
