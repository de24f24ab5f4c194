"""The database of a coding agent's tasks (seed 001), and of a garage's members (seed 002)."""

from db.config import get_database_url, get_settings
from db.connection import DatabaseConnection
from db.models import Base, HumanMember, Task, VirtualMember
from db.repositories import TaskRepository

__all__ = [
    "Base",
    "DatabaseConnection",
    "HumanMember",
    "Task",
    "TaskRepository",
    "VirtualMember",
    "get_database_url",
    "get_settings",
]
