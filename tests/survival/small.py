"""A disk of its own, and small: what runs in it may fill it. A tmpfs in a mount namespace of its own."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest


def environment() -> dict[str, str]:
    """What a program of these tests needs to find them, wherever it runs."""
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


@cache
def namespace() -> list[str] | None:
    """The words that begin a mount namespace, as root or as anyone; None where there is no such thing."""
    for words in (["unshare", "-m"], ["unshare", "-Urm"]):
        trial = [*words, "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"]
        if shutil.which("unshare") and subprocess.run(trial, capture_output=True).returncode == 0:
            return words
    return None


def on_a_small_disk(folder: Path, megabytes: int, command: list[str]) -> list[str]:
    """Return the command that runs another one with a small, empty disk at a folder."""
    words = namespace()
    if words is None:
        pytest.skip("no mount namespace here: a small disk cannot be had")
    mount = f'mount -t tmpfs -o size={megabytes}m none "{folder}" && exec "$@"'
    return [*words, "sh", "-c", mount, "sh", *command]


def fill(path: Path, leave: int = 0) -> None:
    """Fill a disk to its last byte, but for some."""
    left = os.statvfs(path.parent)
    with path.open("wb", buffering=0) as file:
        try:
            os.posix_fallocate(file.fileno(), 0, max(0, left.f_bavail * left.f_frsize - leave))
            while not leave:
                file.seek(0, os.SEEK_END)
                file.write(b"\0" * 512)
        except OSError:
            pass
