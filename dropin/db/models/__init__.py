"""The models of tasks (seed 001) and members (seed 002)."""

from daicho.members.models import HumanMember, VirtualMember
from db.models.base import Base, TimestampMixin
from db.models.task import Task

__all__ = ["Base", "HumanMember", "Task", "TimestampMixin", "VirtualMember"]
