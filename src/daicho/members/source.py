"""Where members' files are: a bucket of S3, MinIO, GCS or Azure, or a folder, all through obstore.

A source has two folders, ``human_members`` and ``virtual_members``, a ``.yml`` or ``.yaml`` file for each.
"""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from daicho.core.errors import Invalid, Unavailable
from daicho.core.settings import Storage
from daicho.members.schemas import Kind, Listed, is_member_file


class Source:
    """A place that holds members' files.

    Args:
        url: ``s3://bucket/prefix``, ``gs://…``, ``az://…``, ``file:///folder``, or a folder's path.
        storage: endpoint and keys of S3; what is unset comes from the standard AWS variables.

    Raises Invalid for a place that cannot be.
    """

    def __init__(self, url: str, storage: Storage) -> None:
        given = url if "://" in url else Path(url).absolute().as_uri()
        self.base = given.rstrip("/")
        try:
            self._store: Any = from_url(self.base, **_options(self.base, storage))
        except (BaseError, ValueError) as error:
            raise Invalid(f"{url}: {_reason(error)}") from None

    def uri(self, path: str) -> str:
        """The URI of a file, as ``file_uri`` keeps it."""
        return f"{self.base}/{path}"

    def path(self, uri: str) -> str:
        """The path of a file of this source."""
        return uri.removeprefix(f"{self.base}/")

    async def listed(self) -> dict[str, Listed]:
        """Return every member's file, by its URI. Raises Unavailable if the place does not answer."""
        return await asyncio.to_thread(lambda: {self.uri(one.path): one for one in self._list()})

    async def read(self, path: str) -> tuple[bytes, str | None, datetime | None]:
        """Return a file's content, its etag and when it was modified.

        Raises FileNotFoundError if it is not there any more; Unavailable.
        """
        try:
            found = await obstore.get_async(self._store, path)
            content = bytes(await found.bytes_async())
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            raise Unavailable(f"{self.uri(path)}: {_reason(error)}") from None
        return content, _plain(found.meta["e_tag"]), found.meta["last_modified"]

    async def has(self, path: str) -> bool:
        """Whether a file is there. Raises Unavailable."""
        try:
            await obstore.head_async(self._store, path)
        except FileNotFoundError:
            return False
        except (BaseError, OSError) as error:
            raise Unavailable(f"{self.uri(path)}: {_reason(error)}") from None
        return True

    def _list(self) -> Iterator[Listed]:
        try:
            for kind in Kind:
                for some in obstore.list(self._store, f"{kind.folder}/", chunk_size=1000):
                    for meta in some:
                        if is_member_file(kind, meta["path"]):
                            yield Listed(kind, meta["path"], _plain(meta["e_tag"]), meta["last_modified"])
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise Unavailable(f"{self.base}: {_reason(error)}") from None


def _options(url: str, storage: Storage) -> dict[str, Any]:
    if not url.startswith(("s3://", "s3a://")):
        return {}
    secret = storage.secret_access_key
    given = {
        "endpoint": storage.endpoint,
        "access_key_id": storage.access_key_id,
        "secret_access_key": secret.get_secret_value() if secret else None,
        "region": storage.region,
    }
    options: dict[str, Any] = {name: value for name, value in given.items() if value}
    if (storage.endpoint or "").startswith("http://"):
        options["client_options"] = {"allow_http": True}
    return options


def _plain(etag: str | None) -> str | None:
    """An etag without the quotes that some answers put around it."""
    return etag.removeprefix("W/").strip('"') if etag else None


def _reason(error: Exception) -> str:
    """An error's first line: what follows is of no use to people, and may show what was sent."""
    return str(error).strip().splitlines()[0][:300]
