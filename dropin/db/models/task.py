"""The table ``tasks`` (seed 001, 2.3.2)."""

from daicho.tasks.models import Task

__all__ = ["Task"]
