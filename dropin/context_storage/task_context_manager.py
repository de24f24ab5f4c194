"""An agent's work on a task (seed 001, 2.5.1)."""

from daicho.tasks.context import TaskContextManager

__all__ = ["TaskContextManager"]
