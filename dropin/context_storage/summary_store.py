"""A task's summaries: ``summaries.jsonl``."""

from daicho.tasks.conversation import SummaryStore

__all__ = ["SummaryStore"]
