"""The doctor's look at the settings: where each comes from, which are misspelt, which are unsafe."""

import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from daicho.core.errors import DaichoError
from daicho.core.language import Text
from daicho.core.settings import CONFIG_FILE, ENVIRONMENT, Settings, config_file
from daicho.core.tls import is_loopback
from daicho.ops.findings import Finding, State, ok

DOTENV = ".env"
SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|KEY")
OTHERS = frozenset({"DAICHO_LANG", "DAICHO_TEST_POSTGRES_URL"})
OURS = re.compile(r"DATABASE_|DAICHO_|CHATLOG_|DB_")
LIKENESS = 0.85
"""How like a name of ours a variable must be to be a slip of it. ``DATABASE_URL_OLD`` is none."""
DIFFERENT_SIGNS = 8
GUESSABLE = re.compile(r"password|changeme|secret|example|daicho|token|12345", re.IGNORECASE)


def settings_origin() -> Iterator[Finding]:
    """Say which files are read, and which setting comes from where; of secrets only that they are set."""
    there = [name for name in (DOTENV, CONFIG_FILE) if Path(name).is_file()]
    folder = Path.cwd()
    yield ok(
        "settings files",
        f"{' and '.join(there) or 'none'} in {folder}",
        f"{folder} の {'、'.join(there)}" if there else f"{folder} にはありません",
    )
    try:
        dotenv = {name: value for name, value in dotenv_values(DOTENV, encoding="utf-8").items() if value}
        config = config_file(Path(CONFIG_FILE))
    except (DaichoError, UnicodeDecodeError):
        return  # who reads the settings says it
    for name, path in ENVIRONMENT.items():
        if value := os.environ.get(name):
            origin = Text("environment", "環境変数")
        elif value := dotenv.get(name):
            origin = Text(DOTENV, DOTENV)
        elif value := _at(config, path):
            origin = Text(CONFIG_FILE, CONFIG_FILE)
        else:
            continue
        shown = _shown(name, str(value))
        yield ok(name, f"{shown} ({origin.en})", f"{shown} ({origin.ja})")
    yield from _slips({*os.environ, *dotenv})
    yield from _open_files(dotenv, config)


def settings_checks(settings: Settings) -> Iterator[Finding]:
    """Look at what the server would do with the settings."""
    host, token = settings.server.host, settings.server.token
    if not is_loopback(host) and token is None:
        yield Finding(
            "server",
            State.FAIL,
            Text(
                f"{host} is open to the network, and there is no DAICHO_TOKEN: daicho serve will not start",
                f"{host} はネットワークに公開されますが、DAICHO_TOKEN がなく daicho serve は起動しません",
            ),
            Text("set DAICHO_TOKEN=$(openssl rand -hex 24)", "DAICHO_TOKEN=$(openssl rand -hex 24) を設定"),
        )
    elif not is_loopback(host):
        yield Finding(
            "server",
            State.WARN,
            Text(
                f"listens on {host} without TLS: the token could be read on the way",
                f"{host} で TLS なしに待ち受けます。途中でトークンを読まれるおそれがあります",
            ),
            Text(
                "put a proxy with TLS before it, and let only the proxy reach it (docs/operations.md)",
                "TLS のプロキシーを前に置き、そこからだけ届くようにしてください (docs/operations.ja.md)",
            ),
        )
    else:
        yield ok("server", f"listens on {host}: this machine only", f"{host} (このマシンのみ) で待ち受けます")
    if token is not None:
        yield _token(token.get_secret_value())


def _token(token: str) -> Finding:
    if len(set(token)) >= DIFFERENT_SIGNS and not GUESSABLE.search(token):
        return ok("token", f"{len(token)} characters", f"{len(token)} 文字")
    return Finding(
        "token",
        State.WARN,
        Text("DAICHO_TOKEN can be guessed", "DAICHO_TOKEN は推測されるおそれがあります"),
        Text("make another: openssl rand -hex 24", "作り直してください: openssl rand -hex 24"),
    )


def _slips(names: set[str]) -> Iterator[Finding]:
    """Name variables that nothing reads, and that are like ones that something does."""
    known = [*ENVIRONMENT, *OTHERS]
    for name in sorted(names - set(known)):
        meant = get_close_matches(name, known, 1, LIKENESS) if OURS.match(name) else []
        if meant and meant[0] not in names:
            yield Finding(
                name,
                State.WARN,
                Text(f"nothing reads it; is {meant[0]} meant?", f"読まれません。{meant[0]} ではありませんか"),
                Text(f"rename it to {meant[0]}, or remove it", f"{meant[0]} に直すか、削除してください"),
            )


def _open_files(dotenv: Mapping[str, str], config: Mapping[str, Any]) -> Iterator[Finding]:
    """Name files with secrets that everyone on this machine may read."""
    secret = {
        DOTENV: any(SECRET.search(name) for name in dotenv),
        CONFIG_FILE: any(SECRET.search(name) and _at(config, path) for name, path in ENVIRONMENT.items()),
    }
    for name, holds in secret.items():
        if holds and os.name == "posix" and Path(name).stat().st_mode & 0o004:
            yield Finding(
                name,
                State.WARN,
                Text(
                    "holds secrets and can be read by everyone on this machine",
                    "秘密の値を含み、このマシンの誰でも読めます",
                ),
                Text(f"chmod 600 {name}", f"chmod 600 {name}"),
            )


def _at(config: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    at: Any = config
    for key in path:
        at = at.get(key) if isinstance(at, Mapping) else None
    return at


def _shown(name: str, value: str) -> str:
    if name == "DATABASE_URL":
        try:
            return make_url(value).render_as_string(hide_password=True)
        except (ArgumentError, ValueError):
            return "***"
    if SECRET.search(name):
        return "***"
    # An address may hold a password too.
    return re.sub(r"(?<=://)[^/@]*@", "***@", value)
