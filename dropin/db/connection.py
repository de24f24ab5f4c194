"""The connection of a process to its database (seed 001, 2.2.2): one, with a session for each thread."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session, scoped_session

import daicho_dropin
from daicho import Ledger, Settings, migrations
from daicho.core.manners import Naive
from daicho.core.own_sessions import OwnSession

NAIVE = Naive.LOCAL
"""These programs write ``datetime.now()``."""


class DatabaseConnection:
    """The one connection of this process: whoever asks gets the same.

    Args:
        config: what ``config.yaml`` holds, or ``Settings``; the first who asks says it.

    The pool has the design's values: 5 connections and 10 more for a while, 30 seconds to wait for one, and
    an hour until one is replaced (``database.pool``).

    >>> with DatabaseConnection().get_session() as session:                              # doctest: +SKIP
    ...     session.add(Task(...))                              # committed at the end, or rolled back
    """

    _instance: "DatabaseConnection | None" = None
    _making = threading.Lock()

    def __new__(cls, config: Settings | Mapping[str, Any] | None = None) -> "DatabaseConnection":
        with DatabaseConnection._making:
            if DatabaseConnection._instance is None:
                made = super().__new__(cls)
                made._config = config
                made.session_factory = scoped_session(
                    daicho_dropin.sessions(NAIVE, "tasks", expire_on_commit=False)
                )
                DatabaseConnection._instance = made
            return DatabaseConnection._instance

    _config: Settings | Mapping[str, Any] | None
    session_factory: scoped_session[OwnSession]
    """Gives each thread a session of its own, which it commits and removes itself."""

    @classmethod
    def get_instance(cls, config: Settings | Mapping[str, Any] | None = None) -> "DatabaseConnection":
        """Return the connection, as calling the class does."""
        return cls(config)

    @property
    def ledger(self) -> Ledger:
        """The ledger that it stands on."""
        return daicho_dropin.ledger(NAIVE, self._config)

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine."""
        return daicho_dropin.engine(NAIVE)

    @contextmanager
    def get_session(self) -> Iterator[Session]:
        """Open this thread's session: committed at the end of the block, rolled back on any error.

        A block within a block is a part of it: an error undoes the inner one alone.
        """
        if self.session_factory.registry.has():
            with self.session_factory.begin_nested():
                yield self.session_factory()
            return
        try:
            with self.session_factory() as session, session.begin():
                yield session
        finally:
            self.session_factory.remove()

    session_scope = get_session

    def create_tables(self) -> None:
        """Bring the database to the newest revision, as ``daicho db upgrade``. For development."""
        migrations.run(self.ledger.database, "upgrade", "head")

    def close(self) -> None:
        """Let every connection go. The next use opens it anew."""
        self.session_factory.remove()
        DatabaseConnection._instance = None
        daicho_dropin.close()
