"""Members: 10,000 files in a real S3 server, taken over for the first time, and a second time unchanged.

The driver of the first two rows gets one file after the other, reads it with ``yaml.safe_load`` and saves
it by the ORM, a commit each: once by boto3, S3's own client, once by obstore, which we use too. That of the
third lists the bucket, nothing else.

What bounds the first sync is the server beside us on the same two cores: of some 0.3 ms of processor time
a file, getting it takes 0.16 (half of that the server's) and listing it 0.05 (the server makes a checksum of
each). 64 threads that do nothing but get files reach 11,000 of them a second.
"""

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import obstore
import yaml
from obstore.store import S3Store
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from bench.harness import Place, Row, seconds
from daicho import AsyncLedger
from daicho.core.sections import Storage
from daicho.core.types import now
from daicho.members import sync
from daicho.members.models import HumanMember
from daicho.members.source import Source

FILES = 10_000
BY_DRIVER = 1_000
"""Files that the driver saves: its pace is even, and ten times as many take long."""
KEYS = ("bench-key", "bench-secret")


def rows(fresh: Callable[[], list[Place]]) -> Iterator[Row]:
    with server() as (endpoint, store):
        storage = Storage.model_validate(
            {
                "endpoint": endpoint,
                "region": "us-east-1",
                "access_key_id": KEYS[0],
                "secret_access_key": KEYS[1],
            }
        )
        for place in fresh():
            source = Source("s3://bucket", storage)
            ours = FILES / seconds(
                lambda place=place, source=source: asyncio.run(synced(place.url, source, FILES))
            )
            again = seconds(lambda place=place, source=source: asyncio.run(synced(place.url, source, 0)))
            listing = seconds(
                lambda store=store: [one for some in obstore.list(store, chunk_size=1000) for one in some]
            )
            for name, get in getters(endpoint, store).items():
                yield Row(
                    f"first sync of {FILES:,} files; driver: {name}, {place.kind}",
                    "files/s",
                    ours,
                    BY_DRIVER / one_by_one(place, get),
                )
            yield Row(f"second sync, nothing changed, {place.kind}", "ms", again * 1000, listing * 1000)


async def synced(url: str, source: Source, wanted: int) -> None:
    async with AsyncLedger(url) as ledger:
        plan = await sync.plan(ledger.members, source)
        done = await sync.carry_out(ledger.members, plan)
        assert len(done) == wanted, "files were lost"


def getters(endpoint: str, store: S3Store) -> dict[str, Callable[[str], bytes]]:
    """How one file is got, by each client's name."""
    boto = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=KEYS[0],
        aws_secret_access_key=KEYS[1],
    )
    return {
        "boto3": lambda path: boto.get_object(Bucket="bucket", Key=path)["Body"].read(),
        "obstore": lambda path: bytes(obstore.get(store, path).bytes()),
    }


def one_by_one(place: Place, get: Callable[[str], bytes]) -> float:
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM human_members")

    def work() -> None:
        for number in range(BY_DRIVER):
            values = yaml.safe_load(get(f"human_members/{number}.yml"))
            with Session(engine) as session:
                member = session.execute(
                    select(HumanMember).filter_by(name=values["name"])
                ).scalar_one_or_none()
                if member is None:
                    member = HumanMember(name=values["name"], created_at=now())
                    session.add(member)
                member.role, member.skills, member.updated_at = values["role"], values["skills"], now()
                session.commit()

    took = seconds(work)
    engine.dispose()
    return took


@contextmanager
def server() -> Iterator[tuple[str, S3Store]]:
    """An S3 server with the files in its bucket."""
    rclone = shutil.which("rclone", path=str(Path(sys.executable).parent)) or "rclone"
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        inside = Path(folder) / "bucket" / "human_members"
        inside.mkdir(parents=True)
        for number in range(FILES):
            (inside / f"{number}.yml").write_text(
                f"name: Person {number}\nrole: engineer\nskills: [python, go]\n"
            )
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        address = f"127.0.0.1:{port}"
        command = [rclone, "serve", "s3", "--addr", address, "--auth-key", ",".join(KEYS), folder]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            while True:
                with socket.socket() as trying:
                    if trying.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            endpoint = f"http://{address}"
            options = {"allow_http": True}
            yield (
                endpoint,
                S3Store(
                    "bucket",
                    endpoint=endpoint,
                    region="us-east-1",
                    access_key_id=KEYS[0],
                    secret_access_key=KEYS[1],
                    client_options=options,
                ),
            )
        finally:
            process.terminate()
            process.wait()
