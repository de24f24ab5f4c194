"""Work of tasks in threads, and who it is that works."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import copy_context
from typing import TypeVar

R = TypeVar("R")


def caller() -> object:
    """Who is running: a task, or outside of tasks a thread."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return task or threading.current_thread()


async def in_thread(executor: Executor, call: Callable[[], R]) -> R:
    """Run a call in a thread, in the task's own context."""
    return await asyncio.get_running_loop().run_in_executor(executor, copy_context().run, call)


async def surely_in_thread(executor: Executor, call: Callable[[], R]) -> R:
    """As ``in_thread``, to the end, also where the task is cancelled before the thread has begun."""
    running = asyncio.ensure_future(in_thread(executor, call))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        running.exception()  # seen, if nobody else is told of it
        raise
