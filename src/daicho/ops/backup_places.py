"""Where backups are kept: a folder here; ``backup_bucket`` is one of S3, MinIO, GCS or Azure."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from daicho.core.backup import not_written, sync
from daicho.core.errors import DaichoError, Invalid, NotFound, Unavailable
from daicho.core.language import Text
from daicho.core.scratch import scratch
from daicho.core.settings import Settings
from daicho.ops.backup_manifest import CHUNK, SIDE, Manifest, check_file, is_backup, parse, sha256_of

Advance = Callable[[int], None]
DEFAULT = "backups"
UNFINISHED = ".daicho-backup-"
AT_ONCE = 16
"""Side files that are read at the same time."""


def nobody(_: int) -> None:
    """Is told how far work is, and tells nobody."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A backup in a place.

    Attributes:
        name: of its file.
        size: of its file there, in bytes.
        manifest: its side file; None where that is missing or damaged, which ``wrong`` tells.
    """

    name: str
    size: int
    manifest: Manifest | None
    wrong: Text | None = None


class Place(ABC):
    """Where backups are kept.

    Attributes:
        shown: the place, for people.
    """

    shown: str

    @abstractmethod
    def check(self) -> None:
        """Raise Invalid or Unavailable if nothing could be kept here."""

    @abstractmethod
    @contextmanager
    def work(self) -> Iterator[Path]:
        """Give a folder with room for a backup while it is made or checked."""

    @abstractmethod
    def files(self) -> dict[str, int]:
        """All names and sizes here. Raises Unavailable."""

    @abstractmethod
    def put(self, file: Path, side: bytes, name: str, advance: Advance = nobody) -> None:
        """Keep a backup under its name: complete or not there. ``file`` may be taken away."""

    @abstractmethod
    def put_side(self, name: str, side: bytes) -> None:
        """Replace a backup's side file."""

    @abstractmethod
    def side(self, name: str) -> bytes | None:
        """A backup's side file; None where there is none."""

    @abstractmethod
    def fetch(self, name: str, into: Path, advance: Advance = nobody) -> str:
        """Copy a backup into a file, and return its SHA-256. Raises NotFound, Unavailable."""

    @abstractmethod
    def drop(self, name: str) -> None:
        """Remove a file; nothing happens where there is none."""

    @contextmanager
    def at_hand(self, manifest: Manifest, advance: Advance = nobody) -> Iterator[Path]:
        """Give a backup as a file of this machine that has been checked, which is only to be read."""
        with self.work() as work:
            path = work / manifest.file
            sha256 = self.fetch(manifest.file, path, advance)
            check_file(manifest, path.stat().st_size, sha256)
            yield path

    def remove(self, name: str) -> None:
        """Remove a backup: first itself, then its side file."""
        self.drop(name)
        self.drop(name + SIDE)

    def uri(self, name: str) -> str:
        """Where a backup is, for people."""
        return f"{self.shown.rstrip('/')}/{name}"

    def stored(self, wanted: Callable[[list[str]], list[str]] = lambda names: names) -> list[Stored]:
        """Return the backups here. ``wanted`` chooses, by their names, whose side files are read."""
        files = self.files()
        names = wanted([name for name in files if is_backup(name)])
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="daicho-backups") as threads:
            return list(threads.map(lambda name: self._one(name, files[name]), names))

    def one(self, name: str) -> Stored:
        """Return a backup here. Raises NotFound."""
        size = self.files().get(name)
        if size is None:
            raise NotFound(Text(f"backup in {self.shown}", f"バックアップ ({self.shown}) "), name)
        return self._one(name, size)

    def _one(self, name: str, size: int) -> Stored:
        side = self.side(name)
        if side is None:
            text = Text("has no side file", "付属ファイルがありません")
            return Stored(name, size, None, text)
        try:
            manifest = parse(side, name)
        except DaichoError as error:
            return Stored(name, size, None, error.message)
        if size != manifest.size:
            return Stored(
                name, size, manifest, Text("is damaged: its size differs", "破損: サイズが違います")
            )
        return Stored(name, size, manifest)


class Folder(Place):
    """A folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shown = str(path)

    def check(self) -> None:
        if not self.path.is_dir():
            raise Invalid(
                f"{self.path}: there is no such folder; create it or name another one",
                f"{self.path}: フォルダーがありません。作成するか、別のフォルダーを指定してください",
            )

    @contextmanager
    def work(self) -> Iterator[Path]:
        self.check()
        with ExitStack() as made:
            try:
                folder = made.enter_context(scratch(UNFINISHED, self.path))
            except OSError as error:
                raise not_written(self.path, error.strerror or str(error)) from None
            yield folder

    def files(self) -> dict[str, int]:
        self.check()
        try:
            return {entry.name: entry.stat().st_size for entry in os.scandir(self.path) if entry.is_file()}
        except OSError as error:
            raise self._unread(error) from None

    def put(self, file: Path, side: bytes, name: str, advance: Advance = nobody) -> None:
        try:
            file.chmod(0o600)
            sync(file)
            self.put_side(name, side)
            file.rename(self.path / name)  # of the same file system: it is there whole, or not yet
            with suppress(OSError):  # a system that cannot sync a folder
                sync(self.path)
        except OSError as error:
            raise not_written(self.path, error.strerror or str(error)) from None

    def put_side(self, name: str, side: bytes) -> None:
        try:
            with self.work() as work:
                part = work / "side"
                part.write_bytes(side)
                part.chmod(0o600)
                sync(part)
                part.replace(self.path / (name + SIDE))
        except OSError as error:
            raise not_written(self.path, error.strerror or str(error)) from None

    def side(self, name: str) -> bytes | None:
        try:
            return (self.path / (name + SIDE)).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unread(error) from None

    def fetch(self, name: str, into: Path, advance: Advance = nobody) -> str:
        found = hashlib.sha256()
        try:
            with (self.path / name).open("rb") as source, into.open("xb") as target:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
                    found.update(chunk)
                    advance(len(chunk))
        except FileNotFoundError:
            raise NotFound(Text("backup", "バックアップ"), self.uri(name)) from None
        except OSError as error:
            raise self._unread(error) from None
        return found.hexdigest()

    @contextmanager
    def at_hand(self, manifest: Manifest, advance: Advance = nobody) -> Iterator[Path]:
        path = self.path / manifest.file  # where it is: the folder may be one that is only to be read
        try:
            check_file(manifest, path.stat().st_size, sha256_of(path, advance))
        except OSError as error:
            raise self._unread(error) from None
        yield path

    def drop(self, name: str) -> None:
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(
                f"{self.uri(name)}: {error.strerror}", f"{self.uri(name)}: {error.strerror}"
            ) from None

    def _unread(self, error: OSError) -> Unavailable:
        reason = error.strerror or str(error)
        return Unavailable(
            f"{self.path}: cannot be read, or copied from ({reason}); check its permissions and free space",
            f"{self.path}: 読み取り・コピーができません ({reason})。権限と空き容量を確かめてください",
        )


def place_of(name: str, settings: Settings, *, make: bool = False) -> Place:
    """Return the place that a name means: a folder's path, or ``s3://bucket/prefix``.

    Args:
        settings: ``storage`` has the keys of S3.
        make: make the folder that is the default one.

    Raises Invalid for what cannot be one; DaichoError where obstore is not installed.
    """
    if "://" not in name:
        folder = Path(name).expanduser().absolute()
        if make and name == DEFAULT:
            with suppress(OSError):
                folder.mkdir(mode=0o700, exist_ok=True)
        return Folder(folder)
    if name.startswith("file://"):
        return Folder(Path(unquote(urlsplit(name).path)))
    try:
        from daicho.ops.backup_bucket import Bucket
    except ModuleNotFoundError as error:
        raise DaichoError(
            f"buckets need {error.name}; run: pip install 'daicho[s3]'",
            f"バケットには {error.name} が必要です。次を実行してください: pip install 'daicho[s3]'",
        ) from None
    return Bucket(name, settings.storage)
