"""Alembic's environment: which database, which models, and one transaction around every run."""

import sys

from alembic import context
from sqlalchemy import Connection, text

from daicho.core.dialect import lock_for_migration, only_comparable
from daicho.core.engine import Database
from daicho.core.errors import DaichoError
from daicho.core.model import Base
from daicho.core.retry import translated
from daicho.ledger import open_database


def migrate(connection: Connection) -> None:
    """Run what the command asks for, in one transaction that no second migration can join."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
        include_object=only_comparable(connection),
    )
    with context.begin_transaction():
        lock_for_migration(connection)
        context.run_migrations()
        if connection.dialect.name == "sqlite":
            broken = connection.execute(text("PRAGMA foreign_key_check")).fetchall()
            if broken:
                raise RuntimeError(f"the migration would break {len(broken)} references; nothing was changed")


def online(database: Database) -> None:
    """Connect and migrate. SQLite rebuilds tables, so its references rest until the end."""
    with database.engine.connect() as connection:
        if database.in_threads:
            cursor = connection.connection.cursor()
            cursor.execute("PRAGMA foreign_keys = OFF")
            try:
                migrate(connection)
            finally:
                connection.rollback()
                cursor.execute("PRAGMA foreign_keys = ON")
        else:
            migrate(connection)


given = context.config.attributes.get("database")
if context.is_offline_mode():
    raise SystemExit("daicho writes no SQL scripts: its migrations look at the database they change")
if given is not None:
    online(given)
else:
    try:
        database = open_database()
        try:
            online(database)
        except Exception as error:
            raise translated(error, database.place) from None
        finally:
            database.close()
    except DaichoError as error:
        sys.exit(f"daicho: {error}")
