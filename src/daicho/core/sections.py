"""The parts of ``config.yaml``: what each key may hold, and what it is when nobody sets it."""

import difflib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from daicho.core.duration import Duration

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
        return over({"postgresql": flat}, others) if flat else others


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


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one nest of values over another."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            merged[key] = over(under, value)
        else:
            merged[key] = value
    return merged
