"""The files of a coding agent's tasks (seed 001)."""

from context_storage.message_store import MessageStore
from context_storage.summary_store import SummaryStore
from context_storage.task_context_manager import TaskContextManager
from context_storage.tool_store import ToolStore

__all__ = ["MessageStore", "SummaryStore", "TaskContextManager", "ToolStore"]
