"""The operations on tasks (seed 001, 2.4.1)."""

from daicho.core.operation import Sync
from daicho.tasks.store import TaskStore
from db.connection import NAIVE, DatabaseConnection


class TaskRepository(TaskStore[Sync]):
    """``create`` … ``delete`` of the design's table, each a transaction of its own.

    Args:
        connection: the process's, if None.
    """

    naive = NAIVE

    def __init__(self, connection: DatabaseConnection | None = None) -> None:
        super().__init__((connection or DatabaseConnection()).ledger.tasks.runner)
