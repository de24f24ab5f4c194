"""Who works in a task's folder: one process holds it, and the system lets go of it when that dies.

The lock is the folder's own (``flock``): it moves with the folder and leaves nothing behind. Windows has
none for folders; there the ledger's claim alone keeps two agents apart.
"""

import os
import sys
import weakref
from pathlib import Path
from typing import Self

if sys.platform != "win32":
    import fcntl


class Hold:
    """A folder that this process holds, until ``release`` or the process's end."""

    def __init__(self, opened: int | None) -> None:
        self._opened = opened
        _held.add(self)

    def release(self) -> None:
        """Let it go. A second call does nothing."""
        opened, self._opened = self._opened, None
        if opened is not None:
            os.close(opened)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    __del__ = release


def take(folder: Path) -> Hold | None:
    """Hold a folder; None while another process, or another part of this one, does.

    Raises FileNotFoundError if it is not there.
    """
    if sys.platform == "win32":
        return Hold(None)
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(opened)
        return None
    return Hold(opened)


_held: "weakref.WeakSet[Hold]" = weakref.WeakSet()


def _let_parent_hold() -> None:
    """In a forked child: what the parent holds is the parent's alone."""
    for hold in list(_held):
        hold.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_parent_hold)
