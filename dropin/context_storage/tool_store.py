"""A task's tool calls: ``tools.jsonl``."""

from daicho.tasks.conversation import ToolStore

__all__ = ["ToolStore"]
