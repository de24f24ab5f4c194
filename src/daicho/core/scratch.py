"""A folder for temporary files that does not outlive its process by much, however that ends."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextmanager
def scratch(prefix: str, within: Path | None = None) -> Iterator[Path]:
    """Give a new folder where temporary files are kept, and remove it at the end.

    Args:
        within: the folder that it is made in, instead.
        prefix: how its name begins. Folders of this name and this user whose process was killed are
            removed too: a process holds its own (``flock``), and the system lets go of it when that dies.
            Windows and some network file systems have no lock for folders; there they stay.
    """
    if sys.platform != "win32":
        for left in (within or Path(tempfile.gettempdir())).glob(f"{prefix}*"):
            _remove_left(left)
    folder, held = _made(prefix, within)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if held is not None:
            os.close(held)


def _made(prefix: str, within: Path | None) -> tuple[Path, int | None]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=within))
        if sys.platform == "win32":
            return folder, None
        try:
            held = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # another process took it for one that was left
            continue
        with suppress(OSError):  # a file system without locks
            fcntl.flock(held, fcntl.LOCK_EX)
        if folder.exists():
            return folder, held
        os.close(held)


def _remove_left(folder: Path) -> None:
    if sys.platform == "win32":
        return
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # another user's, or gone
        return
    try:
        if os.fstat(opened).st_uid == os.geteuid():
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:  # its process works
        pass
    finally:
        os.close(opened)
