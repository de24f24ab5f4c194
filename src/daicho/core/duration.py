"""How long things are kept, as people write it in settings: ``365d``, ``12w``, ``6h``, ``2y``."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

DAYS = {"d": 1, "w": 7, "y": 365}
LONGEST = timedelta(days=36_500)


def read_duration(value: object) -> timedelta:
    """Read a length of time: a whole number and ``h``, ``d``, ``w`` or ``y`` (365 days).

    Raises PydanticCustomError, whose message stands in settings after the key's name.
    """
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"(\d{1,6})\s*([hdwy])", str(value).strip().lower())
    if found is None:
        raise PydanticCustomError(
            "duration", "not a length of time; write 365d, 12w, 6h or 2y (h hours, d days, w weeks, y years)"
        )
    number, unit = int(found[1]), found[2]
    length = timedelta(hours=number) if unit == "h" else timedelta(days=number * DAYS[unit])
    if not timedelta(0) < length <= LONGEST:
        raise PydanticCustomError("duration", "must be longer than nothing, and at most 100y")
    return length


def written(length: timedelta) -> str:
    """Write a length of time as settings would have it, in days where it has whole ones."""
    hours = int(length.total_seconds()) // 3600
    return f"{hours}h" if hours % 24 else f"{hours // 24}d"


Duration = Annotated[timedelta, BeforeValidator(read_duration)]
"""A field of the settings that holds a length of time."""
