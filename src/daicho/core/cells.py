"""What stands in the cells of another program's SQLite file, where any column may hold anything."""

import re

from daicho.core.errors import Invalid

Plain = str | int | float
Cell = Plain | bytes | None
"""What SQLite holds; bytes are a text, or what was meant to be one."""

WHOLE = re.compile(r"[+-]?\d{1,30}(\.0*)?")


def decoded(cell: Cell) -> Plain | None:
    """Return a cell with its text as text. Raises Invalid for what is not UTF-8."""
    if not isinstance(cell, bytes):
        return cell
    try:
        return cell.decode()
    except UnicodeDecodeError as error:
        raise Invalid(
            f"not UTF-8 text (byte {error.start + 1}); correct it",
            f"UTF-8 の文字列ではありません ({error.start + 1} バイト目)。直してください",
        ) from None


def as_text(value: Plain) -> str:
    """Return a text; a number as it would have been written."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def as_whole(value: Plain) -> int | None:
    """Return a whole number, however it was written: ``42``, ``42.0``, ``" +42 "``; None for what is none."""
    text = as_text(value).strip()
    return int(text.partition(".")[0]) if WHOLE.fullmatch(text) else None


def shown(value: Plain | None) -> str:
    """A cell as people see it."""
    return "NULL" if value is None else repr(value if isinstance(value, float) else str(value)[:60])
