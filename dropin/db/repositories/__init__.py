"""The repositories (seed 001, 2.4)."""

from db.repositories.task_repository import TaskRepository

__all__ = ["TaskRepository"]
