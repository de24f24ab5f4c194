"""Settings: environment, then ``.env``, then ``config.yaml``, then the default.

The names of seeds 000 and 001 hold: ``DATABASE_URL`` and ``DB_ECHO``; ``DATABASE_TYPE`` …
``DATABASE_PASSWORD``; the ``database:`` section of ``config.yaml`` with ``sqlite``, ``postgresql``
and ``pool``; ``context_storage.base_dir``. ``DATABASE_URL`` overrides the parts.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import yaml
from dotenv import dotenv_values
from pydantic import (
    ValidationError,
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

from daicho.core.errors import Invalid
from daicho.core.sections import (
    Backup,
    Chats,
    ContextStorage,
    Database,
    Members,
    Retention,
    Server,
    Storage,
    over,
)

CONFIG_FILE = "config.yaml"
DEFAULT_URL = "sqlite:///daicho.db"


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
        return cls(**over(known, _environment()))

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
