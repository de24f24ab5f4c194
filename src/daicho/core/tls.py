"""Whether what is said to a PostgreSQL server elsewhere can be read on the way."""

import logging
import os
from collections.abc import Sequence
from enum import StrEnum
from ipaddress import ip_address

from sqlalchemy import URL

from daicho.core.language import say

log = logging.getLogger("daicho")

CERTAIN = frozenset({"require", "verify-ca", "verify-full"})
"""The values of ``sslmode`` with which libpq speaks TLS or not at all."""
CHECKED = frozenset({"verify-ca", "verify-full"})
"""Those with which it also looks whose certificate it is given."""


class Way(StrEnum):
    """How safe the way to a server is, by what the URL and the environment say."""

    LOCAL = "local"
    """It stays within this machine."""
    CHECKED = "checked"
    ENCRYPTED = "encrypted"
    """Nobody can listen, though somebody could pose as the server."""
    OPEN = "open"
    """Nothing keeps a connection from being open to all who are between."""


def is_loopback(host: str) -> bool:
    """Whether a host name or address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def hosts(url: URL) -> list[str]:
    """Return the servers that a PostgreSQL URL names, as libpq finds them; none for a socket."""
    given = _given(url, "hostaddr", "PGHOSTADDR") or [url.host or ""]
    if given == [""]:
        given = _given(url, "host", "PGHOST")
    named = (host.rpartition(":")[0] if host.count(":") == 1 else host for host in given)
    return [host for host in named if host and not host.startswith(("/", "@"))]


def mode(url: URL) -> str:
    """Return the ``sslmode`` of a PostgreSQL URL, as libpq finds it."""
    return (_given(url, "sslmode", "PGSSLMODE") or ["prefer"])[-1]


def way(url: URL) -> Way:
    """Return how safe the way to a PostgreSQL server is."""
    if all(is_loopback(host) for host in hosts(url)):
        return Way.LOCAL
    if mode(url) in CHECKED or _given(url, "gssencmode", "PGGSSENCMODE") == ["require"]:
        return Way.CHECKED
    return Way.ENCRYPTED if mode(url) in CERTAIN else Way.OPEN


def warn_of_open_way(url: URL) -> None:
    """Warn, once for each server, of connections that others could read."""
    if way(url) is not Way.OPEN:
        return
    there = ", ".join(host for host in hosts(url) if not is_loopback(host))
    if there in _warned:
        return
    _warned.add(there)
    log.warning(
        say(
            f"connections to PostgreSQL on {there} may be read on the way (sslmode={mode(url)}); add"
            " ?sslmode=verify-full&sslrootcert=FILE to DATABASE_URL, or set DATABASE_SSLMODE and"
            " DATABASE_SSLROOTCERT (docs/operations.md)",
            f"{there} の PostgreSQL への通信は、途中で読まれるおそれがあります (sslmode={mode(url)})。"
            "DATABASE_URL に ?sslmode=verify-full&sslrootcert=FILE を付けるか、"
            "DATABASE_SSLMODE と DATABASE_SSLROOTCERT を設定してください (docs/operations.ja.md)",
        )
    )


_warned: set[str] = set()


def _given(url: URL, name: str, variable: str) -> list[str]:
    value: str | Sequence[str] = url.query.get(name) or os.environ.get(variable, "")
    together = value if isinstance(value, str) else ",".join(value)
    return [part.strip() for part in together.split(",") if part.strip()]
