"""How the command line is run in tests: as a person runs it, in a process of its own, or in this one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from daicho import cli
from tests.processes import python

COMMAND = [sys.executable, "-m", "daicho"]


def daicho(
    *arguments: str, url: str | None = None, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, whose imports were made before."""
    return python("-m", "daicho", *arguments, given=stdin, environment=surroundings(url, **environment))


def started(
    *arguments: str, url: str | None = None, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does, from Python's start: in any language and locale."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        env=surroundings(url, **environment),
        timeout=60,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def surroundings(url: str | None = None, **environment: str) -> dict[str, str]:
    """The environment of a process whose ledger is ``url``."""
    return os.environ | ({"DATABASE_URL": url} if url else {}) | environment


class Here:
    """Runs the command in this process: quicker, where the process itself is not in question."""

    def __init__(self, url: str, capture: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self._capture = capture

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Return what it wrote to standard output; standard error is kept in ``said``."""
        self._capture.readouterr()
        ended = cli.run(["--database", self.url, *arguments])
        out, self.said = self._capture.readouterr()
        assert ended == code, self.said
        return out


def one_line(said: str) -> str:
    """The one line that a failing command says, without its prefix."""
    assert "Traceback" not in said
    assert said.startswith("daicho: ")
    assert said.count("\n") == 1, said
    assert said.endswith("\n")
    return said.removeprefix("daicho: ").rstrip()


def written(path: Path, *lines: str | bytes) -> str:
    """Write lines to a file and return its name."""
    path.write_bytes(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines))
    return str(path)
