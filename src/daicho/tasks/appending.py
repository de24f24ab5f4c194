"""Appending to a file of JSON lines: numbered, read as its readers will, there whole or not at all."""

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from daicho.core.errors import Conflict, Invalid
from daicho.core.language import Text
from daicho.tasks.jsonl import last_number, mend, not_written, parsed, to_json
from daicho.tasks.schemas import Record

R = TypeVar("R", bound=Record)


class JsonLines(Generic[R]):
    """A file that lines are appended to, by one process, from any of its threads.

    Args:
        path: the file; made if it is not there.
        kind: what a line is.
        number: the field that counts the lines from 1; None if they are not counted.
        durable: whether a line outlives power loss too, not only the end of the process.

    Mends the file first; ``torn`` is what had to be cut.
    """

    def __init__(self, path: Path, kind: type[R], number: str | None = None, *, durable: bool = True) -> None:
        self.path = path
        self.torn = mend(path)
        self._kind = kind
        self._number = number
        self._durable = durable
        self._lock = threading.Lock()
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise not_written(path, error) from None
        last = last_number(path, kind, number) if number else 0
        # One value, so that whatever interrupts an append finds both of before or both of after.
        self._end = (self._file.tell(), last)

    @property
    def last(self) -> int:
        """The number of the last line."""
        return self._end[1]

    @property
    def closed(self) -> bool:
        """Whether the file has been let go."""
        return self._file.closed

    @property
    def told(self) -> list[Text]:
        """What was cut, as something to tell; nothing if nothing was."""
        if not self.torn:
            return []
        start = self.torn[:40].decode(errors="replace")
        return [
            Text(
                f"{self.path.name}: a torn last line of {len(self.torn):,} bytes was cut ({start!r})",
                f"{self.path.name}: 切れた最後の行 ({len(self.torn):,} バイト) を除きました ({start!r})",
            )
        ]

    def append(self, fields: Mapping[str, Any]) -> R:
        """Append a line, with the next number; it is there, whole, when this returns it.

        Raises, with nothing written: Invalid for what is no line of this file; Unavailable when the disk
        fails; Conflict once the file is closed.
        """
        with self._lock:
            if self._file.closed:
                raise Conflict(
                    f"{self.path.name}: nobody works on this task any more",
                    f"{self.path.name}: このタスクの作業は終わっています",
                )
            size, last = self._end
            line = to_json({self._number: last + 1, **fields} if self._number else fields)
            record = self._checked(line)
            try:
                rest = memoryview(line)
                while rest:
                    rest = rest[self._file.write(rest) :]
                if self._durable:
                    os.fsync(self._file.fileno())
                self._end = (size + len(line), last + 1)
            except BaseException as error:
                if self._end == (size, last):
                    with suppress(OSError):  # what stays is a torn line, which the next reader does not count
                        self._file.truncate(size)
                if isinstance(error, OSError):
                    raise not_written(self.path, error) from None
                raise
            return record

    def close(self) -> None:
        """Let the file go. A second call does nothing."""
        with self._lock:
            self._file.close()

    def _checked(self, line: bytes) -> R:
        """Return a line as its readers will read it, or raise Invalid."""
        found = parsed(0, line, self._kind)
        if found.record is None:
            raise Invalid(f"{self.path.name}: {found.problem}")
        return found.record
