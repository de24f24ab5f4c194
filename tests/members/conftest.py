"""Sources of members' files: a folder, and a bucket of a real S3 server."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest

from daicho.core.sections import Storage
from daicho.members.schemas import Listed
from daicho.members.source import Source

KEYS = {"access_key_id": "members-key", "secret_access_key": "members-secret"}


class Files:
    """A source, and the folder behind it."""

    def __init__(self, source: Source, folder: Path) -> None:
        self.source, self.folder = source, folder

    def put(self, path: str, text: str | bytes) -> str:
        """Write a file; return its URI."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(".new")  # whole at once, for who reads meanwhile
        new.write_bytes(text if isinstance(text, bytes) else text.encode())
        new.replace(file)
        return self.source.uri(path)

    def drop(self, path: str) -> None:
        (self.folder / path).unlink()


class Bucket(Files):
    """A place in a bucket, written by way of its server."""

    def put(self, path: str, text: str | bytes) -> str:
        obstore.put(self.store, path, text if isinstance(text, bytes) else text.encode())
        return self.source.uri(path)

    def drop(self, path: str) -> None:
        obstore.delete(self.store, path)

    @property
    def store(self) -> Any:
        return self.source._store


async def listed_by(source: Source) -> dict[str, Listed]:
    """All files of a source, by URI."""
    return {source.uri(one.path): one async for some in source.listed() for one in some}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A folder as a source."""
    folder = tmp_path / "source"
    folder.mkdir()
    return Files(Source(str(folder), Storage()), folder)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A real S3 server (``rclone serve s3``) and the folder of its buckets."""
    folder = tmp_path_factory.mktemp("s3")
    (folder / "bucket").mkdir()
    rclone = shutil.which("rclone", path=str(Path(sys.executable).parent)) or "rclone"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            rclone,
            "serve",
            "s3",
            "--addr",
            f"127.0.0.1:{port}",
            "--auth-key",
            ",".join(KEYS.values()),
            str(folder),
        ],
        stderr=subprocess.DEVNULL,
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            with socket.socket() as trying:
                if trying.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", folder
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def bucket(s3: tuple[str, Path], request: pytest.FixtureRequest) -> Bucket:
    """A place of one's own in the bucket."""
    endpoint, folder = s3
    name = f"t{abs(hash(request.node.nodeid)):x}"
    storage = Storage.model_validate({"endpoint": endpoint, "region": "us-east-1", **KEYS})
    return Bucket(Source(f"s3://bucket/{name}", storage), folder / "bucket" / name)
