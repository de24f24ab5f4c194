"""The one ledger of a process, on which the import names of the older programs stand.

It is the settings' (``DATABASE_URL``, ``.env``, ``config.yaml``), opened when it is first used and closed
when the process ends. A forked child uses it as if it had opened it itself.
"""

import atexit
import os
import threading
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

from daicho import Ledger, Settings
from daicho.core.manners import Manners, Naive
from daicho.core.own_sessions import OwnSession

_ledgers: dict[Naive, Ledger] = {}
_opening = threading.RLock()


def ledger(naive: Naive, config: Settings | Mapping[str, Any] | None = None) -> Ledger:
    """Return this process's ledger for programs to which times without a zone mean ``naive``.

    Args:
        naive: what such a time means in their sessions.
        config: the settings, or a mapping as ``config.yaml``, for who opens it; read as always, if None.

    Nothing is read from the database yet. Raises Invalid for settings that cannot be.
    """
    with _opening:
        if naive not in _ledgers:
            settings = config if isinstance(config, Settings) or config is None else Settings.of(config)
            opened = Ledger(settings=settings)
            opened.database.manners = Manners(naive=naive, rereads=True)
            _ledgers[naive] = opened
        return _ledgers[naive]


def engine(naive: Naive) -> Engine:
    """Return the ledger's engine, for sessions and statements of the caller's own."""
    database = ledger(naive).database
    if database.in_memory:
        database.ensure_ready()
    return database.own_engine


def sessions(naive: Naive, room: str, **options: Any) -> sessionmaker[OwnSession]:
    """Return what opens sessions on the ledger: they are committed and closed by whoever has them.

    Args:
        naive: as for ``ledger``, which is opened with the first of them.
        room: what those who watch the ledger are told when one commits.
        options: as for ``sessionmaker``.
    """

    class Opened(OwnSession):
        def __init__(self, **given: Any) -> None:
            super().__init__(ledger(naive).database, room, **given)

    return sessionmaker(class_=Opened, **options)


def close() -> None:
    """Close the process's ledgers, as its end does. The next use opens new ones, by the settings of then."""
    with _opening:
        while _ledgers:
            _ledgers.popitem()[1].close()


def _in_child() -> None:
    global _opening
    _opening = threading.RLock()  # another thread of the parent may have held it


atexit.register(close)
os.register_at_fork(after_in_child=_in_child)
