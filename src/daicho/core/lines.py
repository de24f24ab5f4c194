"""Files of JSON lines that come from outside: read line by line, each with its number, whatever it holds."""

from collections.abc import Iterator
from typing import BinaryIO

from pydantic import ValidationError

from daicho.core.errors import Invalid
from daicho.core.language import Text
from daicho.core.mistakes import mistake

LINE_MAX = 256 * 1024 * 1024
"""The longest line of a file, in bytes."""


def numbered_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Give the lines of a file with their numbers; of one that is too long no more than shows that it is.

    A byte order mark is left out. Raises Invalid for a file that is UTF-16.
    """
    number = 0
    while line := file.readline(LINE_MAX + 2):
        number += 1
        if number == 1:
            if line.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise Invalid("the file is UTF-16; save it as UTF-8", "UTF-16 です。UTF-8 で保存してください")
            line = line.removeprefix(b"\xef\xbb\xbf")
        yield number, line
        while not line.endswith(b"\n") and (line := file.readline(LINE_MAX)):
            pass


def line_text(line: bytes) -> str:
    """Return a line as text, without its end. Raises Invalid for one that is too long, or no UTF-8."""
    if len(line) > LINE_MAX:
        raise Invalid(f"longer than {LINE_MAX:,} bytes", f"{LINE_MAX:,} バイトを超えています")
    try:
        return line.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise Invalid("not UTF-8 text", "UTF-8 の文字列ではありません") from None


def reason_of(error: ValidationError, *, below: int = 0) -> Text:
    """Return in a few words why a line is not what it should be.

    Args:
        below: how many of the first parts of the place say nothing to people.
    """
    first, *others = error.errors(include_url=False, include_input=False)
    place = "".join(f"{part}." for part in first["loc"][below:]).rstrip(".")
    said = mistake(first)
    more = f" (+{len(others)})" if others else ""
    return Text(*(f"{place}: {text}{more}" if place else text + more for text in said))
