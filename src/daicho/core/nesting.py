"""How deep JSON is nested, and what its names are: measured before anything walks through it."""

import json
import re
from collections.abc import Collection, Iterable, Mapping

from daicho.core.errors import Invalid

JSON_LEVELS = 100
"""How deep JSON may be nested: a limit of its own, as Python's depends on how deep the stack is already."""
MARKS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[][{}]', re.DOTALL)
"""A text within JSON, as a whole, or a bracket."""
STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}


class TooDeepError(ValueError):
    """JSON has more than ``JSON_LEVELS`` levels."""


def measure_text(text: str) -> bool:
    """Return False for a text that is no JSON, and deep: its brackets do not pair. True says nothing.

    Raises TooDeepError for one of too many levels.
    """
    if text.count("[") + text.count("{") <= JSON_LEVELS or not text.lstrip().startswith(("[", "{")):
        return True
    level = deepest = 0
    for mark in MARKS.finditer(text):
        level += STEPS.get(mark[0], 0)
        deepest = max(deepest, level)
    if level == 0 and deepest > JSON_LEVELS:
        raise TooDeepError
    return level == 0


def measure(value: object) -> None:
    """Raise TooDeepError for mappings and lists within each other of too many levels."""
    level = _containers([value])
    for _ in range(JSON_LEVELS):
        # Each once: what stands in many places, or in itself, is looked at once a level.
        level = _containers(held for outer in level for held in _within(outer))
        if not level:
            return
    if level:
        raise TooDeepError


def plain(name: str, value: object) -> object:
    """Return mappings and lists within each other, once measured, as dicts whose names are texts, and lists.

    Raises Invalid for names that are the same as text, and ValueError for those that JSON cannot hold.
    """
    if isinstance(value, list | tuple):
        return [plain(name, held) for held in value]
    if not isinstance(value, Mapping):
        return value
    held = {_name(key): plain(name, inner) for key, inner in value.items()}
    if len(held) < len(value):
        raise Invalid(
            f"{name} has names that are the same as text, as 1 and '1' are",
            f"{name} に、1 と '1' のように、文字列にすると同じになる名前があります",
        )
    return held


def _containers(values: Iterable[object]) -> Collection[object]:
    return {id(value): value for value in values if isinstance(value, Mapping | list | tuple)}.values()


def _within(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _name(key: object) -> object:
    return json.dumps(key, allow_nan=False) if key is None or isinstance(key, int | float) else key
