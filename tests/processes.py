"""Python programs in processes of their own, quickly: forked off one that has imported everything.

Starting Python and importing Daicho takes longer than most commands do. What is started here is as real as
``python -m daicho``: it has its own memory, files, environment, folder, exit code and end. Only its imports
were made before, in English; where they are in question, or how Python itself begins, start Python.
"""

import atexit
import gc
import json
import os
import runpy
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO, NoReturn

import boto3
import botocore.loaders
import botocore.session

SECONDS = 110
READY = ("alembic.autogenerate", "alembic.config", "rich.console", "sqlalchemy.ext.asyncio")
NUMBER = struct.Struct("i")


def read_once() -> None:
    """Let botocore read what it knows of DynamoDB once, not for every client."""
    botocore.session.create_loader = cache(botocore.loaders.create_loader)
    boto3.client("dynamodb", region_name="us-east-1")


class Starter:
    """The process that others are forked off, as its client sees it."""

    def __init__(self) -> None:
        here, there = socket.socketpair()
        environment = os.environ | {"DAICHO_LANG": "en"}
        with there:
            self._process = subprocess.Popen(
                [sys.executable, __file__], stdin=there, stdout=subprocess.DEVNULL, env=environment
            )
        self._socket = here
        self._one = threading.Lock()
        atexit.register(self._end)

    def run(
        self,
        arguments: tuple[str, ...],
        files: tuple[IO[bytes], IO[bytes], IO[bytes]],
        environment: dict[str, str],
        folder: Path,
    ) -> int:
        """Run to the end; return the exit code as ``subprocess`` does. It is killed if it takes too long."""
        with self._one, tempfile.TemporaryFile() as request:
            request.write(json.dumps([arguments, environment, str(folder)]).encode())
            request.seek(0)
            socket.send_fds(self._socket, [b"1"], [file.fileno() for file in (*files, request)])
            process = self._answer()
            self._socket.settimeout(SECONDS)
            try:
                return self._answer()
            except TimeoutError:
                os.kill(process, signal.SIGKILL)
                self._socket.settimeout(None)
                self._answer()
                raise subprocess.TimeoutExpired(arguments, SECONDS) from None
            finally:
                self._socket.settimeout(None)

    def _answer(self) -> int:
        (number,) = NUMBER.unpack(self._socket.recv(NUMBER.size))
        return int(number)

    def _end(self) -> None:
        self._socket.close()
        self._process.wait()


starter = cache(Starter)


def python(
    *arguments: str, given: bytes = b"", folder: Path | None = None, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m MODULE …``, ``-c CODE …`` or ``-`` (the program is ``given``) to its end."""
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
        stdin.write(given)
        stdin.seek(0)
        surroundings = dict(os.environ) if environment is None else environment
        code = starter().run(arguments, (stdin, out, said), surroundings, folder or Path.cwd())
        out.seek(0)
        said.seek(0)
        return subprocess.CompletedProcess(
            ["python", *arguments], code, out.read().decode(), said.read().decode()
        )


# -- in the other process ----------------------------------------------------------------------------


def acknowledged_until_killed(code: str, url: str, count: int) -> list[bytes]:
    """Start a program that says ``ready`` and then a line for each write; kill -9 it after so many lines.

    Returns every line that was said whole.
    """
    child = subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    said = [child.stdout.readline() for _ in range(count)]
    os.kill(child.pid, signal.SIGKILL)
    said += [line for line in child.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]
    child.wait()
    return said


def serve() -> None:
    """Fork a process for every request; return in each of them, with what it is to do done."""
    from sqlalchemy.orm import configure_mappers

    from daicho import cli

    for module in READY:
        import_module(module)
    cli.command()
    configure_mappers()
    read_once()
    gc.freeze()
    requests = socket.socket(fileno=os.dup(0))
    while True:
        asked, files, _, _ = socket.recv_fds(requests, 1, 4)
        if not asked:
            return
        process = os.fork()
        if not process:
            requests.close()
            with os.fdopen(files.pop(), "rb") as request:
                arguments, environment, folder = json.load(request)
            become(arguments, environment, folder, files)
        for file in files:
            os.close(file)
        requests.send(NUMBER.pack(process))
        requests.send(NUMBER.pack(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])))


def become(arguments: list[str], environment: dict[str, str], folder: str, files: list[int]) -> NoReturn:
    """Be the process that was asked for, until its end."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    kind, *rest = arguments
    sys.path[0] = folder if kind == "-m" else ""
    if kind == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        sys.exit()
    code = sys.stdin.read() if kind == "-" else rest.pop(0)
    sys.argv = [kind, *rest]
    main = sys.modules["__main__"] = ModuleType("__main__")
    exec(compile(code, "<string>", "exec"), vars(main))  # noqa: S102
    sys.exit()


if __name__ == "__main__":
    serve()
