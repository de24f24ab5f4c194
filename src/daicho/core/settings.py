"""Settings: environment, then ``.env``, then ``config.yaml``, then the default.

The names of seeds 000 and 001 hold: ``DATABASE_URL`` and ``DB_ECHO``; ``DATABASE_TYPE`` …
``DATABASE_PASSWORD``; the ``database:`` section of ``config.yaml`` with ``sqlite``, ``postgresql``
and ``pool``; ``context_storage.base_dir``. ``DATABASE_URL`` overrides the parts.
"""

import difflib
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from daicho.core.duration import Duration
from daicho.core.errors import Invalid

CONFIG_FILE = "config.yaml"
DEFAULT_URL = "sqlite:///daicho.db"
TOKEN_MIN = 16
"""The shortest token that lets anyone in, in characters."""


class Section(BaseModel):
    """A part of ``config.yaml``. A key that nothing reads is a mistake, and is said."""

    model_config = ConfigDict(extra="forbid")


class Sqlite(Section):
    """``database.sqlite``."""

    path: str | None = Field(None, description="The file, relative to context_storage.base_dir.")
    synchronous: Literal["full", "normal"] = Field(
        "full", description="full survives power loss; normal only the end of the process."
    )


class Postgresql(Section):
    """``database.postgresql``: the parts of a URL."""

    host: str = "localhost"
    port: int = Field(5432, ge=1, le=65535)
    name: str = "coding_agent"
    user: str = ""
    password: SecretStr = SecretStr("")
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] | None = None
    sslrootcert: str | None = Field(None, description="A file of the authorities' certificates.")


class Pool(Section):
    """``database.pool``: how many connections are kept, and for how long (seconds)."""

    size: int = Field(5, ge=1, le=1000)
    max_overflow: int = Field(10, ge=0, le=1000)
    timeout: float = Field(30, gt=0)
    recycle: int = Field(3600, ge=-1)
    connect_timeout: float = Field(10, ge=2, description="How long connecting to PostgreSQL may take.")
    silence: float = Field(
        15, gt=0, description="How long it may say nothing before it is asked whether it is there."
    )


class Writer(Section):
    """``database.writer``: the group-commit writer."""

    queue: int = Field(10_000, ge=1, description="Appends that may wait; one more makes its caller wait.")
    batch: int = Field(500, ge=1, description="The most appends that share one commit.")


class Buffer(Section):
    """``database.buffer``: what is enqueued, until it is written."""

    size: int = Field(10_000, ge=1, description="Items that it holds; one more makes its caller wait.")
    batch: int = Field(1_000, ge=1, description="So many are written at once, and together at most.")
    seconds: float = Field(0.5, gt=0, description="How long an item waits for others at most.")


class Database(Section):
    """``database``: where the ledger lives."""

    type: Literal["sqlite", "postgresql"] = "sqlite"
    url: SecretStr | None = None
    echo: bool = False
    sqlite: Sqlite = Sqlite()
    postgresql: Postgresql = Postgresql()
    pool: Pool = Pool()
    writer: Writer = Writer()
    buffer: Buffer = Buffer()
    slow_query_ms: float | None = Field(
        None, ge=0, description="From how many milliseconds on a statement goes to the log; unset: none."
    )

    @model_validator(mode="before")
    @classmethod
    def _flat_names(cls, values: Any) -> Any:
        """Seed 001 also writes ``database.host`` … ``database.password``: what ``postgresql`` leaves open."""
        if not isinstance(values, Mapping):
            return values
        flat = {name: values[name] for name in Postgresql.model_fields if name in values}
        others = {name: value for name, value in values.items() if name not in flat}
        return _over({"postgresql": flat}, others) if flat else others


class ContextStorage(Section):
    """``context_storage``: where tasks keep their files."""

    model_config = ConfigDict(extra="ignore")
    base_dir: Path = Path("contexts")


def _long_enough(token: SecretStr) -> SecretStr:
    if len(token.get_secret_value()) < TOKEN_MIN:
        raise ValueError(f"the token must be at least {TOKEN_MIN} characters long")
    return token


class Storage(Section):
    """``storage``: the S3 or MinIO server of members' files and backups; AWS's own variables say the rest."""

    endpoint: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None


class Members(Section):
    """``members``: where members' files are, and who may tell of changes."""

    source: str | None = Field(None, description="The bucket that /webhooks/minio looks into.")
    webhook_token: SecretStr | None = Field(
        None,
        description="What MinIO sends as its auth_token; at least 16 characters. Unset or empty: off.",
    )

    @field_validator("webhook_token")
    @classmethod
    def _empty_is_off(cls, token: SecretStr | None) -> SecretStr | None:
        return _long_enough(token) if token and token.get_secret_value() else None


class Dynamodb(Section):
    """``chats.dynamodb``: the table of chat logs. What else is unset boto3 finds as it always does."""

    table: str = Field(
        "ChatLogs", pattern=r"^[A-Za-z0-9_.-]{3,200}$", description="Its index is <table>-index."
    )
    unit: Literal["s", "ms"] = Field("s", description="What the table's timestamps count.")
    endpoint_url: str | None = Field(
        None, repr=False, description="LocalStack, DynamoDB Local, dynalite; AWS, if unset."
    )
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None
    session_token: SecretStr | None = None


class Chats(Section):
    """``chats``: where chat logs are kept, and for how long."""

    backend: Literal["sql", "dynamodb"] = Field("sql", description="sql: in the ledger's own database.")
    days: int | None = Field(
        None, ge=1, le=36_500, description="How long messages are kept; unset: until they are deleted."
    )
    dynamodb: Dynamodb = Dynamodb()

    @field_validator("backend", mode="before")
    @classmethod
    def _in_any_case(cls, backend: object) -> object:
        return backend.strip().lower() if isinstance(backend, str) else backend


class Backup(Section):
    """``backup``: where backups go, and which of them stay."""

    to: str = Field("backups", description="A folder, or s3://bucket/prefix. The default one is made.")
    keep: int | None = Field(None, ge=1, description="So many of the newest stay; unset: all.")
    days: int | None = Field(None, ge=1, le=36_500, description="Those of so many days stay; unset: all.")
    scratch: SecretStr | None = Field(
        None, description="The PostgreSQL server whose scratch databases backups are verified in."
    )


class Retention(Section):
    """``retention``: how long rows stay, by their table; unset: for good. ``daicho db clean`` keeps to it."""

    calls: Duration | None = Field(None, description="Calls that have ended, with their transcripts.")
    call_logs: Duration | None = Field(None, description="Lines of calls that have ended; the calls stay.")
    tasks: Duration | None = Field(None, description="Tasks that have ended, with their folders.")
    ai_usage_logs: Duration | None = Field(None, description="Single records of usage; their sums stay.")
    tickets: Duration | None = Field(None, description="Tickets that are closed, with their messages.")
    ticket_messages: Duration | None = Field(None, description="Messages of tickets that are closed.")
    logs: Duration | None = Field(None, description="What happened in guilds.")
    tracks: Duration | None = Field(None, description="Music that is neither queued nor playing.")
    avatar_histories: Duration | None = Field(None, description="Changes of avatars; the statistics stay.")
    chat_logs: Duration | None = Field(None, description="Messages of chats. The same as chats.days.")

    @model_validator(mode="before")
    @classmethod
    def _known_tables(cls, values: Any) -> Any:
        for name in values if isinstance(values, Mapping) else ():
            if name not in cls.model_fields:
                near = difflib.get_close_matches(str(name), cls.model_fields, 1)
                raise PydanticCustomError(
                    "unknown_table",
                    "no table {name} that may have one{nearest}; those that may: {known}",
                    {
                        "name": repr(name),
                        "nearest": f", did you mean {near[0]!r}?" if near else "",
                        "known": ", ".join(cls.model_fields),
                    },
                )
        return values

    def of(self, table: str) -> timedelta | None:
        """Return how long a table's rows stay; None: for good."""
        length: timedelta | None = getattr(self, table)
        return length


class Server(Section):
    """``server``: what ``daicho serve`` listens on and whom it lets in."""

    host: str = "127.0.0.1"
    port: int = Field(8765, ge=0, le=65535)
    public_name: str | None = Field(
        None, description="The name by which a proxy with TLS on this machine makes it known: daicho.example."
    )
    token: SecretStr | None = Field(
        None, description="The bearer token; at least 16 characters. Unset: a new one at every start."
    )

    metrics_token: SecretStr | None = Field(
        None, description="A bearer token that may read /metrics and nothing else; at least 16 characters."
    )

    @field_validator("token", "metrics_token")
    @classmethod
    def _not_short(cls, token: SecretStr | None) -> SecretStr | None:
        return _long_enough(token) if token is not None else None


ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "DATABASE_URL": ("database", "url"),
    "DATABASE_TYPE": ("database", "type"),
    "DATABASE_HOST": ("database", "postgresql", "host"),
    "DATABASE_PORT": ("database", "postgresql", "port"),
    "DATABASE_NAME": ("database", "postgresql", "name"),
    "DATABASE_USER": ("database", "postgresql", "user"),
    "DATABASE_PASSWORD": ("database", "postgresql", "password"),
    "DATABASE_SSLMODE": ("database", "postgresql", "sslmode"),
    "DATABASE_SSLROOTCERT": ("database", "postgresql", "sslrootcert"),
    "DB_ECHO": ("database", "echo"),
    "DAICHO_SLOW_QUERY_MS": ("database", "slow_query_ms"),
    "DAICHO_SQLITE_SYNCHRONOUS": ("database", "sqlite", "synchronous"),
    "DAICHO_CONTEXTS": ("context_storage", "base_dir"),
    "AWS_ENDPOINT_URL": ("storage", "endpoint"),
    "AWS_REGION": ("storage", "region"),
    "AWS_ACCESS_KEY_ID": ("storage", "access_key_id"),
    "AWS_SECRET_ACCESS_KEY": ("storage", "secret_access_key"),
    "AWS_ENDPOINT_URL_DYNAMODB": ("chats", "dynamodb", "endpoint_url"),
    "AWS_SESSION_TOKEN": ("chats", "dynamodb", "session_token"),
    "CHATLOG_BACKEND": ("chats", "backend"),
    "CHATLOG_DAYS": ("chats", "days"),
    "CHATLOG_TABLE": ("chats", "dynamodb", "table"),
    "DAICHO_MEMBERS_SOURCE": ("members", "source"),
    "DAICHO_WEBHOOK_TOKEN": ("members", "webhook_token"),
    "DAICHO_BACKUP_TO": ("backup", "to"),
    "DAICHO_BACKUP_SCRATCH": ("backup", "scratch"),
    "DAICHO_HOST": ("server", "host"),
    "DAICHO_PORT": ("server", "port"),
    "DAICHO_PUBLIC_NAME": ("server", "public_name"),
    "DAICHO_METRICS_TOKEN": ("server", "metrics_token"),
    "DAICHO_TOKEN": ("server", "token"),
}
"""Each environment variable (and ``.env`` name) and the place in ``config.yaml`` that it overrides."""
ALSO: Mapping[str, tuple[str, ...]] = {
    "AWS_REGION": ("chats", "dynamodb", "region"),
    "AWS_ACCESS_KEY_ID": ("chats", "dynamodb", "access_key_id"),
    "AWS_SECRET_ACCESS_KEY": ("chats", "dynamodb", "secret_access_key"),
}
"""What some of them override besides: AWS's own variables speak of all its services."""


class Settings(BaseSettings):
    """Everything that can be set.

    ``Settings()`` reads the environment, ``.env`` and ``config.yaml`` of the current directory.

    Raises Invalid, naming the file and the key, when one of them cannot be right.
    """

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    database: Database = Database()
    context_storage: ContextStorage = ContextStorage()
    storage: Storage = Storage()
    members: Members = Members()
    chats: Chats = Chats()
    backup: Backup = Backup()
    retention: Retention = Retention()
    server: Server = Server()

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _readable(error) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (
            init_settings,
            InitSettingsSource(settings_cls, _environment()),
            InitSettingsSource(settings_cls, config_file(Path(CONFIG_FILE))),
        )

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """Return the settings that a mapping gives, read as ``config.yaml``: the environment goes first."""
        known = {name: value for name, value in config.items() if name in cls.model_fields}
        return cls(**_over(known, _environment()))

    @model_validator(mode="after")
    def _one_word_on_chats(self) -> Self:
        """``chats.days`` and ``retention.chat_logs`` are one rule under two names: each fills the other."""
        kept, days = self.retention.chat_logs, self.chats.days
        if kept is None:
            if days is not None:
                update = {"chat_logs": timedelta(days=days)}
                self.retention = self.retention.model_copy(update=update)
            return self
        if kept % timedelta(days=1):
            raise PydanticCustomError("chat_logs", "retention.chat_logs: chat logs are kept for whole days")
        if days is not None and kept.days != days:
            raise PydanticCustomError(
                "chat_logs",
                "retention.chat_logs says {kept} days and chats.days (CHATLOG_DAYS) {days}: they mean the"
                " same, set one of them",
                {"kept": kept.days, "days": days},
            )
        self.chats = self.chats.model_copy(update={"days": kept.days})
        return self

    def database_url(self) -> URL:
        """Return the URL that the settings mean, with its driver: ``DATABASE_URL`` or the parts."""
        database = self.database
        if database.url is not None and database.url.get_secret_value():
            return parse_url(database.url.get_secret_value())
        if database.type == "postgresql":
            parts = database.postgresql
            tls = {"sslmode": parts.sslmode, "sslrootcert": parts.sslrootcert}
            return URL.create(
                "postgresql+psycopg",
                username=parts.user or None,
                password=parts.password.get_secret_value() or None,
                host=parts.host,
                port=parts.port,
                database=parts.name,
                query={name: value for name, value in tls.items() if value},
            )
        if database.sqlite.path is not None:
            return parse_url(f"sqlite:///{self.context_storage.base_dir / database.sqlite.path}")
        return parse_url(DEFAULT_URL)


def parse_url(text: str) -> URL:
    """Return a database URL with the driver that Daicho speaks.

    ``postgres://`` and ``postgresql://`` (with any driver suffix) mean psycopg 3, ``sqlite://`` the
    standard library's driver. Raises Invalid for anything else; a password is never repeated.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise Invalid(
            "DATABASE_URL is not a URL; write sqlite:///daicho.db, sqlite:// (in memory)"
            " or postgresql://user@host/name",
            "DATABASE_URL が URL ではありません。sqlite:///daicho.db、sqlite:// (メモリ上)、"
            "postgresql://user@host/name のように書いてください",
        ) from None
    scheme = url.drivername.split("+")[0]
    if scheme in {"postgres", "postgresql"}:
        return url.set(drivername="postgresql+psycopg")
    if scheme == "sqlite":
        return url.set(drivername="sqlite+pysqlite")
    raise Invalid(
        f"DATABASE_URL: unknown scheme {scheme!r}; write sqlite:///daicho.db or postgresql://user@host/name",
        f"DATABASE_URL: {scheme!r} は使えません。"
        "sqlite:///daicho.db や postgresql://user@host/name と書いてください",
    )


def _environment() -> dict[str, Any]:
    """The environment's values and, below them, those of ``.env``, put in their nested places."""
    try:
        flat: dict[str, str | None] = {**dotenv_values(".env", encoding="utf-8"), **os.environ}
    except UnicodeDecodeError:
        raise Invalid(".env is not UTF-8 text", ".env が UTF-8 の文字列ではありません") from None
    nested: dict[str, Any] = {}
    for name, path in (*ENVIRONMENT.items(), *ALSO.items()):
        if value := flat.get(name):
            place = nested
            for key in path[:-1]:
                place = place.setdefault(key, {})
            place[path[-1]] = value
    return nested


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one nest of values over another."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            merged[key] = _over(under, value)
        else:
            merged[key] = value
    return merged


def config_file(path: Path) -> dict[str, Any]:
    """Return what a ``config.yaml`` says to Daicho; nothing where there is none. Raises Invalid."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} cannot be read: {error}", f"{path} を読めません: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise Invalid(f"{path}: {line}{problem}", f"{path}: {line}{problem}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise Invalid(
            f"{path} must hold keys and values at its top level",
            f"{path} の最上位は「キー: 値」でなければなりません",
        )
    return {
        key: value for key, value in content.items() if key in Settings.model_fields and value is not None
    }


def _readable(error: ValidationError) -> Invalid:
    """One line a mistake: the key, the environment variable that may have set it, the reason."""
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        path = tuple(str(part) for part in problem["loc"])
        variable = next((name for name, place in ENVIRONMENT.items() if place == path), None)
        name = ".".join(path) + (f" ({variable})" if variable else "")
        lines.append(f"{name}: {problem['msg']}" if name else problem["msg"])
    return Invalid("settings: " + "; ".join(lines), "設定: " + "; ".join(lines))
