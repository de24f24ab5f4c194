"""Where a plan puts the texts of files: a bucket of a million files need not fit into memory."""

import json
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from tempfile import SpooledTemporaryFile, gettempdir
from typing import Any

from daicho.core.errors import Unavailable

IN_MEMORY = 64 * 1024 * 1024
"""Bytes that a spool keeps in memory; what is more goes to a temporary file that has no name."""

Row = Mapping[str, Any]
Kept = Callable[[], Sequence[Row | None]]
"""Gives back what was put away, every time anew."""
_written = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


def _temporary() -> SpooledTemporaryFile[bytes]:
    return SpooledTemporaryFile(max_size=IN_MEMORY)


class Spool:
    """Rows put away one after the other, each read again when it is wanted. Its file goes when it goes."""

    def __init__(self) -> None:
        # Closed with the spool, not with a block: a plan is shown and carried out long after it was made.
        self._file = _temporary()
        self._end = 0
        weakref.finalize(self, self._file.close)

    def put(self, *rows: Row | None) -> Kept:
        """Put rows of texts and lists of texts away together; return what gives them back.

        Raises Unavailable if there is no room for them.
        """
        place = self._end
        try:
            self._file.seek(place)
            self._end += self._file.write(_written(rows).encode() + b"\n")
        except OSError as error:
            raise Unavailable(
                f"{gettempdir()}: no place for the files' texts: {error.strerror}; set TMPDIR to another",
                f"{gettempdir()}: 一時ファイルを書けません: {error.strerror}。TMPDIR を変えてください",
            ) from None
        return partial(self._get, place)

    def _get(self, place: int) -> Sequence[Row | None]:
        self._file.seek(place)
        rows: list[Row | None] = json.loads(self._file.readline())
        return rows
