"""Daicho (台帳): the ledger of AI agents and bots."""

from daicho.core.errors import Conflict, DaichoError, Invalid, NotFound, Outdated, Unavailable
from daicho.core.page import Page
from daicho.core.settings import Settings
from daicho.ledger import AsyncLedger, Ledger
from daicho.tasks.context import TaskContextManager
from daicho.tasks.key import TaskKey

__all__ = [
    "AsyncLedger",
    "Conflict",
    "DaichoError",
    "Invalid",
    "Ledger",
    "NotFound",
    "Outdated",
    "Page",
    "Settings",
    "TaskContextManager",
    "TaskKey",
    "Unavailable",
    "__version__",
]
__version__ = "0.1.0"
