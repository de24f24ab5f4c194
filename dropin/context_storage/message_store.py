"""A task's messages: ``messages.jsonl`` and ``current.jsonl``."""

from daicho.tasks.messages import MessageStore

__all__ = ["MessageStore"]
