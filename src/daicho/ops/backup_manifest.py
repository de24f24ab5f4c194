"""What is known of a backup: the side file that stands beside it, and the names of both.

A backup is two files: ``daicho-20261128T093000Z-7c1e.db`` (an SQLite database) or ``….dump`` (PostgreSQL's
custom format), and ``….json`` beside it, which says what the database held at the backup's instant. The side
file comes first and goes last: where a backup is, it is whole and can be checked.
"""

import hashlib
import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from daicho.core.errors import Conflict, Invalid

SIDE = ".json"
ENDINGS = {"sqlite": ".db", "postgresql": ".dump"}
NAME = re.compile(r"(?P<ledger>[A-Za-z0-9_.-]+)-(?P<time>\d{8}T\d{6}Z)-[0-9a-f]{4}\.(db|dump)")
TIME = "%Y%m%dT%H%M%SZ"
NEWEST_FORMAT = 1
CHUNK = 1 << 20
SHOWN = 5


class Held(BaseModel):
    """What a table held. The checksum does not depend on the rows' order."""

    table: str
    rows: int
    checksum: str


class Manifest(BaseModel):
    """A backup's side file.

    Attributes:
        format: of this file; a later one is not read.
        daicho: the version of Daicho that made it.
        file: the backup's name.
        ledger: the name of the database: an SQLite file's without its ending, or PostgreSQL's.
        kind: of the database.
        server: the database's program and version.
        made: its instant.
        revision: of the schema; None where there is none.
        size, sha256: of the file, in bytes.
        tables: what each table held at that instant.
        verified: when it was restored and found to hold the same; None if never.
    """

    format: int = Field(NEWEST_FORMAT, le=NEWEST_FORMAT)
    daicho: str
    file: str
    ledger: str
    kind: Literal["sqlite", "postgresql"]
    server: str
    made: datetime
    revision: str | None
    size: int
    sha256: str
    tables: list[Held]
    verified: datetime | None = None

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return sum(table.rows for table in self.tables)


def new_name(ledger: str, kind: str, made: datetime) -> str:
    """Return a name that no other backup has."""
    return f"{ledger}-{made.astimezone(UTC):{TIME}}-{secrets.token_hex(2)}{ENDINGS[kind]}"


def ledger_of(database: str, kind: str) -> str:
    """What the names of a database's backups begin with."""
    name = Path(database).stem if kind in ENDINGS and ENDINGS[kind] == ".db" else database
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name) or "ledger"


def is_backup(name: str) -> bool:
    """Whether a file is a backup of ours, by its name."""
    return NAME.fullmatch(name) is not None


def ledger_in(name: str) -> str:
    """The ledger that a backup's name names."""
    found = NAME.fullmatch(name)
    return found["ledger"] if found else ""


def time_in(name: str) -> datetime:
    """The instant that a backup's name names. Raises ValueError for what is none."""
    found = NAME.fullmatch(name)
    return datetime.strptime(found["time"] if found else "", TIME).replace(tzinfo=UTC)


def parse(side: bytes, name: str) -> Manifest:
    """Read a side file. Raises Invalid for one that is damaged or is of a newer Daicho."""
    try:
        return Manifest.model_validate_json(side)
    except ValidationError as error:
        newer = any(problem["loc"] == ("format",) for problem in error.errors())
        if newer:
            raise Invalid(
                "was made by a newer Daicho; upgrade Daicho",
                "より新しい Daicho のバックアップです。Daicho を更新してください",
            ) from None
        raise Invalid(
            f"its side file {name}{SIDE} is damaged, so it cannot be checked",
            f"付属ファイル {name}{SIDE} が壊れているため、確かめられません",
        ) from None


def sha256_of(path: Path, advance: Callable[[int], None] = lambda _: None) -> str:
    """Return a file's SHA-256."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
            advance(len(chunk))
    return found.hexdigest()


def check_file(manifest: Manifest, size: int, sha256: str) -> None:
    """Raise Invalid if a file is not the one that the side file tells of."""
    if size != manifest.size:
        raise _damaged(
            manifest, f"{size:,} bytes, not {manifest.size:,}", f"{size:,} / {manifest.size:,} バイト"
        )
    if sha256 != manifest.sha256:
        raise _damaged(manifest, "its SHA-256 differs", "SHA-256 が一致しません")


def check_held(manifest: Manifest, found: list[Held], place: str) -> None:
    """Raise Conflict if a restored database does not hold what the backup's side file says."""
    wanted = {table.table: table for table in manifest.tables}
    there = {table.table: table for table in found}
    names = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
    if names:
        shown = ", ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else "")
        raise Conflict(
            f"{place}: restored, it does not hold what the database held: {shown}",
            f"{place}: 復元した内容が元のデータベースと一致しません: {shown}",
        )


def _damaged(manifest: Manifest, reason: str, reason_ja: str) -> Invalid:
    return Invalid(
        f"{manifest.file}: is damaged ({reason}); take another one (daicho db backups)",
        f"{manifest.file}: 壊れています ({reason_ja})。別のバックアップを使ってください (daicho db backups)",
    )
