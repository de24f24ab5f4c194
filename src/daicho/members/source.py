"""Where members' files are: a bucket of S3, MinIO, GCS or Azure, or a folder, all through obstore.

A source has two folders, ``human_members`` and ``virtual_members``, a ``.yml`` or ``.yaml`` file for each.

Files are read in threads: obstore waits for the server without Python's lock, and so costs half of what a
task does that is woken twice. What is made of a file is made by the thread that has read it, while the
server has the next ones ready: a single thread that computes for long would keep the lock from all of them.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import obstore
from obstore.exceptions import BaseError, InvalidPathError, PermissionDeniedError
from obstore.store import from_url

from daicho.core.errors import Invalid, Unavailable
from daicho.core.sections import Storage
from daicho.members.document import SIZE_MAX
from daicho.members.place import folder_of, reason_of, spelled
from daicho.members.schemas import Kind, Listed, is_member_file, kind_of, wrong_uri

AT_ONCE = 64
"""Files that are read at the same time: a bucket far away answers each after some 20 ms."""
LISTED_AT_ONCE = 1000
"""Files that S3 lists in one answer."""
IN_A_ROW = 8
"""Files that a thread reads before it hands them over."""
T = TypeVar("T")
Content = tuple[bytes, str | None, datetime | None]
"""A file's content, its etag and when it was modified."""


class Source:
    """A place that holds members' files.

    Args:
        url: ``s3://bucket/prefix``, ``gs://…``, ``az://…``, ``file:///folder``, or a folder's path.
        storage: endpoint and keys of S3; what is unset comes from the standard AWS variables.

    Raises Invalid for a place that cannot be.

    Attributes:
        base: the place as URIs of its files begin, spelled in one way however it was given.
    """

    def __init__(self, url: str, storage: Storage) -> None:
        self.base = spelled(url)
        self._folder = folder_of(self.base)
        try:
            self._store: Any = from_url(self.base, **store_options(self.base, storage))
        except (BaseError, ValueError) as error:
            raise Invalid(*(f"{url}: {text}" for text in reason_of(error))) from None
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="daicho-members")

    def uri(self, path: str) -> str:
        """The URI of a file, as ``file_uri`` keeps it."""
        return f"{self.base}/{path}"

    def path(self, uri: str) -> str:
        """The path of a file of this source."""
        return uri.removeprefix(f"{self.base}/")

    def holds(self, uri: str) -> bool:
        """Whether a URI is that of a member's file of this source; one further down is another's."""
        return uri.startswith(f"{self.base}/") and kind_of(self.path(uri)) is not None

    async def listed(self) -> AsyncGenerator[Sequence[Listed]]:
        """Yield every member's file, some at a time; the place lists further ones meanwhile.

        A file may come twice. Raises Unavailable if the place does not answer.
        """
        pages = self._pages()
        coming = asyncio.ensure_future(asyncio.to_thread(next, pages, None))
        try:
            while page := await coming:
                coming = asyncio.ensure_future(asyncio.to_thread(next, pages, None))
                yield page
        finally:
            coming.cancel()

    async def read(self, path: str) -> Content:
        """Return a file's content, its etag and when it was modified.

        Of a file that is too long to be a member's, no more is read than shows that.

        Raises FileNotFoundError if it is not there any more, which the place itself must have said;
        Unavailable.
        """
        try:
            return await asyncio.to_thread(self._read, path)
        except FileNotFoundError:
            await asyncio.to_thread(self._answers)
            raise

    async def read_together(self, files: Sequence[Listed], make: Callable[[Listed, bytes], T]) -> list[T]:
        """Return what ``make`` makes of files and their contents, in their order.

        Those that are not there any more are left out. One that cannot be read says so as what is wrong
        with it. Raises Unavailable.
        """
        loop = asyncio.get_running_loop()
        reading = [
            loop.run_in_executor(self._threads, self._read_some, files[start : start + IN_A_ROW], make)
            for start in range(0, len(files), IN_A_ROW)
        ]
        try:
            return [one for some in await asyncio.gather(*reading) for one in some]
        finally:
            for one in reading:
                one.cancel()

    async def has(self, path: str) -> bool:
        """Whether a file is there. Raises Unavailable."""
        if wrong_uri(self.uri(path)):
            return False
        try:
            await obstore.head_async(self._store, path)
        except FileNotFoundError:
            await asyncio.to_thread(self._answers)
            return False
        except (BaseError, OSError) as error:
            raise self._unavailable(error, path) from None
        return True

    def _read(self, path: str) -> Content:
        try:
            found = obstore.get(self._store, path)
            meta = found.meta
            if meta["size"] > SIZE_MAX:
                content = b"".join(islice(found.stream(min_chunk_size=SIZE_MAX + 1), 1))
            else:
                content = bytes(found.bytes())
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            said = self._unavailable(error, path)
            if isinstance(error, PermissionDeniedError) or self._folder is not None:
                raise Refused(*said.message) from None
            raise said from None
        return content, _plain(meta["e_tag"]), meta["last_modified"]

    def _read_some(self, files: Sequence[Listed], make: Callable[[Listed, bytes], T]) -> list[T]:
        found = []
        for file in files:
            try:
                found.append(make(file, b"" if file.wrong else self._read(file.path)[0]))
            except FileNotFoundError:
                continue  # it has gone since it was listed: the next sync sees to it
            except Refused as refused:
                found.append(make(replace(file, etag=None, wrong=refused.message), b""))
        return found

    def _pages(self) -> Iterator[Sequence[Listed]]:
        """Every member's file, so many at a time as the place lists at once; none of them is empty."""
        if self._folder is not None:
            self._answers()
        try:
            for kind in Kind:
                for some in obstore.list(self._store, f"{kind.folder}/", chunk_size=LISTED_AT_ONCE):
                    page = [
                        Listed(kind, meta["path"], _plain(meta["e_tag"]), meta["last_modified"])
                        for meta in some
                        if is_member_file(kind, meta["path"])
                    ]
                    if page:
                        yield page
        except InvalidPathError as error:
            if self._folder is None:
                raise self._unavailable(error) from None
            files = self._list_folder(self._folder)
            while page := list(islice(files, LISTED_AT_ONCE)):
                yield page
        except (BaseError, OSError) as error:
            raise self._unavailable(error) from None

    def _list_folder(self, folder: Path) -> Iterator[Listed]:
        """As ``_pages``, for a folder with names that obstore cannot pass over: each is told of."""
        for kind in Kind:
            for file in folder.joinpath(kind.folder).glob("*"):
                path = f"{kind.folder}/{os.fsencode(file.name).decode(errors='backslashreplace')}"
                if not is_member_file(kind, path):
                    continue
                wrong = wrong_uri(f"{kind.folder}/{file.name}")
                try:
                    meta: Any = {} if wrong else obstore.head(self._store, path)
                except (BaseError, OSError):
                    continue  # a folder, or gone by now
                yield Listed(kind, path, _plain(meta.get("e_tag")), meta.get("last_modified"), wrong)

    def _answers(self) -> None:
        """Raise Unavailable if the place itself is not there: then nothing is known of its files."""
        if self._folder is not None:
            if not self._folder.is_dir():
                raise Unavailable(f"{self.base}: no such folder", f"{self.base}: フォルダーがありません")
            return
        try:
            next(iter(obstore.list(self._store, f"{Kind.HUMAN.folder}/", chunk_size=1)), None)
        except (BaseError, OSError) as error:
            raise self._unavailable(error) from None

    def _unavailable(self, error: Exception, path: str | None = None) -> Unavailable:
        place = self.base if path is None else self.uri(path)
        return Unavailable(*(f"{place}: {text}" for text in reason_of(error)))


class Refused(Unavailable):
    """One file cannot be read, though the place answers."""


def store_options(url: str, storage: Storage) -> dict[str, Any]:
    """What obstore is told of the server and its keys."""
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
