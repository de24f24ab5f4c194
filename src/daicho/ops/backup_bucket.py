"""Backups in a bucket of S3, MinIO, GCS or Azure, through obstore."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from daicho.core.errors import Invalid, NotFound, Unavailable
from daicho.core.language import Text
from daicho.core.scratch import scratch
from daicho.core.sections import Storage
from daicho.members.place import CODES, reason_of, spelled
from daicho.members.source import store_options
from daicho.ops.backup_manifest import SIDE
from daicho.ops.backup_places import UNFINISHED, Advance, Place, nobody

PART = 16 << 20
PARTS_MAX = 9_000
"""S3 takes 10,000 parts."""
PARTS_AT_ONCE = 4
MAY_NOT_WRITE = Text(
    "this key may not write here; check the bucket's policy, or AWS_ACCESS_KEY_ID",
    "このキーには書き込む権限がありません。バケットのポリシーか AWS_ACCESS_KEY_ID を確かめてください",
)


class Bucket(Place):
    """A place in a bucket.

    Args:
        url: ``s3://bucket/prefix``, ``gs://…``, ``az://…``.
        storage: endpoint and keys of S3; what is unset comes from the standard AWS variables.

    Raises Invalid for a place that cannot be.
    """

    def __init__(self, url: str, storage: Storage) -> None:
        self.shown = spelled(url)
        options = store_options(self.shown, storage)
        # A part may take long on a slow line, an answer may not.
        limits = {"timeout": "24h", "connect_timeout": "10s", "read_timeout": "120s"}
        options["client_options"] = {**options.get("client_options", {}), **limits}
        options["retry_config"] = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}
        try:
            self._store: Any = from_url(self.shown, **options)
        except (BaseError, ValueError) as error:
            raise Invalid(*(f"{self.shown}: {text}" for text in reason_of(error))) from None

    def check(self) -> None:
        self.files()

    @contextmanager
    def work(self) -> Iterator[Path]:
        with scratch(UNFINISHED.lstrip(".")) as folder:
            yield folder

    def files(self) -> dict[str, int]:
        try:
            found = obstore.list_with_delimiter(self._store)
        except (BaseError, OSError) as error:
            raise self._unavailable(error) from None
        return {meta["path"].rpartition("/")[2]: meta["size"] for meta in found["objects"]}

    def put(self, file: Path, side: bytes, name: str, advance: Advance = nobody) -> None:
        self.put_side(name, side)
        size = file.stat().st_size
        part = max(PART, -(-size // PARTS_MAX))
        try:
            obstore.put(
                self._store, name, _parts(file, part, advance), chunk_size=part, max_concurrency=PARTS_AT_ONCE
            )
        except BaseException as error:
            self._forget(name)
            if isinstance(error, (BaseError, OSError)):
                raise self._unavailable(error, name, writing=True) from None
            raise

    def put_side(self, name: str, side: bytes) -> None:
        try:
            obstore.put(self._store, name + SIDE, side)
        except (BaseError, OSError) as error:
            raise self._unavailable(error, name, writing=True) from None

    def side(self, name: str) -> bytes | None:
        try:
            return bytes(obstore.get(self._store, name + SIDE).bytes())
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise self._unavailable(error, name) from None

    def fetch(self, name: str, into: Path, advance: Advance = nobody) -> str:
        found = hashlib.sha256()
        try:
            with into.open("xb") as target:
                for chunk in obstore.get(self._store, name).stream():
                    target.write(chunk)
                    found.update(chunk)
                    advance(len(chunk))
        except FileNotFoundError:
            raise NotFound(Text("backup", "バックアップ"), self.uri(name)) from None
        except BaseError as error:
            raise self._unavailable(error, name) from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise Unavailable(
                f"{into.parent}: no room for {name} ({reason}); name a larger folder by TMPDIR",
                f"{into.parent}: {name} を置けません ({reason})。TMPDIR で別のフォルダーを指定してください",
            ) from None
        return found.hexdigest()

    def drop(self, name: str) -> None:
        try:
            obstore.delete(self._store, name)
        except FileNotFoundError:
            pass
        except (BaseError, OSError) as error:
            raise self._unavailable(error, name, writing=True) from None

    def _forget(self, name: str) -> None:
        """Take the side file back: there is no backup for it."""
        try:
            obstore.delete(self._store, name + SIDE)
        except (BaseError, OSError):
            return  # alone it is no backup, and goes with an old one

    def _unavailable(
        self, error: Exception, name: str | None = None, *, writing: bool = False
    ) -> Unavailable:
        reason = reason_of(error)
        if writing and reason == CODES["AccessDenied"]:
            reason = MAY_NOT_WRITE
        place = self.shown if name is None else self.uri(name)
        return Unavailable(*(f"{place}: {text}" for text in reason))


def _parts(file: Path, size: int, advance: Advance) -> Iterator[bytes]:
    with file.open("rb") as source:
        while part := source.read(size):
            yield part
            advance(len(part))
