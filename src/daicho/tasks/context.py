"""``TaskContextManager``: an agent's work on one task, in the ledger and in the task's folder (seed 001).

The ledger leads and the folder follows: a task has ended in the ledger before its folder moves. A crash
in between leaves a folder that is late; ``daicho tasks repair`` moves it. Who works on a task holds its
folder (``lock``), and has the claim that the ledger gave it: whoever takes the task over gets another.
"""

import logging
import os
import shutil
import threading
import weakref
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self
from uuid import UUID

from daicho.core.errors import Conflict, DaichoError, Invalid
from daicho.core.settings import Settings
from daicho.core.types import uuid_text
from daicho.tasks.conversation import Conversation, SummaryStore, ToolStore
from daicho.tasks.files import TaskFiles
from daicho.tasks.key import TaskKey, described
from daicho.tasks.lock import Hold
from daicho.tasks.messages import MessageStore
from daicho.tasks.needs import OwnTaskLedger, TaskLedger
from daicho.tasks.schemas import TaskStatus

log = logging.getLogger("daicho")

HEARTBEAT = timedelta(seconds=15)
"""How often a task that is worked on says so, and hears whether someone has stopped it."""

_at_work: dict[str, object] = {}
"""The tasks that this process works on, each with the token of the context that does."""
_at_work_lock = threading.RLock()  # a finalizer may run while this thread holds it


class TaskContextManager:
    """An agent's work on a task, from any of its threads.

    Args:
        task_key: what the task is about (``TaskKey.of`` says in which forms).
        task_uuid: the task's own name.
        config: ``Settings``, or a mapping as ``config.yaml`` has it: ``context_storage`` and ``database``
            say where things are (the environment goes first); ``llm`` names provider, model and
            context length.
        user: for whom the agent works.
        is_resumed: take up again a task that has ended, was paused, or whose process is gone.
        ledger: the ledger to work on; one of its own, if None.

    Raises Conflict while another process works on the task, or if it has ended and is not to be resumed.

    >>> with Ledger("sqlite://") as ledger:                                        # doctest: +SKIP
    ...     key = TaskKey("github", "daicho", "ledger", "issue", "42")
    ...     with TaskContextManager(key, str(uuid4()), {}, ledger=ledger) as task:
    ...         task.get_message_store().add_message("user", "Fix the failing test.", tokens=6)
    ...         task.update_statistics(llm_calls=1, tokens=120)

    As a context it completes the task at the end, and fails it when an exception leaves.
    Seed 001, ``TaskContextManager``.
    """

    open_ledger: ClassVar[Callable[[Settings], OwnTaskLedger]]
    """Opens a ledger of one's own. ``daicho.ledger`` sets it: this room does not know that floor."""

    def __init__(
        self,
        task_key: object,
        task_uuid: str | UUID,
        config: Settings | Mapping[str, Any],
        user: str | None = None,
        is_resumed: bool = False,
        *,
        ledger: TaskLedger | None = None,
    ) -> None:
        uuid = uuid_text(task_uuid)
        if uuid is None:
            raise Invalid(
                f"task_uuid is not a UUID: {str(task_uuid)[:60]!r}",
                f"task_uuid が UUID ではありません: {str(task_uuid)[:60]!r}",
            )
        self.uuid = uuid
        settings = config if isinstance(config, Settings) else Settings.of(config)
        row = described(TaskKey.of(task_key), uuid, {} if isinstance(config, Settings) else config)
        self._own: OwnTaskLedger | None = None
        if ledger is None:
            ledger = self._own = type(self).open_ledger(settings)
        self._ledger: TaskLedger = ledger
        self.files = TaskFiles(settings.context_storage.base_dir)
        self._process = os.getpid()
        self._changing = threading.RLock()
        self._stopped = threading.Event()
        self._beating: threading.Event | None = None
        self._conversation: Conversation | None = None
        self._hold: Hold | None = None
        self._claim: str | None = None
        self._token = object()
        self._let_go = weakref.finalize(self, _leave, self._own, uuid, self._token)
        try:
            self._begin({**row, "user": user}, is_resumed)
        except BaseException:
            self._rest()
            self._let_go()
            raise

    # -- seed 001, the table of 2.5.1 -------------------------------------------------------------------

    def update_status(self, status: str, error_message: str | None = None) -> bool:
        """Move the task to a status, and its folder to where that belongs.

        Returns whether the task is in that status now: False if someone has ended it otherwise
        meanwhile, which stands. Raises Invalid for an unknown status.
        """
        wanted = TaskStatus.of(status)
        self._check_process()
        with self._changing:
            try:
                done = self._ledger.tasks.update_status(self.uuid, wanted, error_message, claim=self._claim)
            except Conflict as error:
                log.warning("%s", error)
                done = False
            self._follow()
            return done

    def update_statistics(
        self, llm_calls: int = 0, tool_calls: int = 0, tokens: int = 0, compressions: int = 0
    ) -> bool:
        """Add to the task's numbers. Returns whether the ledger has the task. Raises Invalid."""
        return self._ledger.tasks.update_statistics(self.uuid, llm_calls, tool_calls, tokens, compressions)

    def complete(self) -> bool:
        """The task is done. As ``update_status``."""
        return self.update_status(TaskStatus.COMPLETED)

    def stop(self, error_message: str | None = None) -> bool:
        """The task is given up before its end. As ``update_status``."""
        return self.update_status(TaskStatus.STOPPED, error_message)

    def fail(self, error_message: str) -> bool:
        """The task has failed. As ``update_status``."""
        return self.update_status(TaskStatus.FAILED, error_message)

    def pause(self) -> bool:
        """The task rests; ``update_status("running")``, or another process, goes on with it."""
        return self.update_status(TaskStatus.PAUSED)

    def get_message_store(self) -> MessageStore:
        """The task's messages. Raises Conflict unless the task runs."""
        return self._working().messages

    def get_summary_store(self) -> SummaryStore:
        """The task's summaries. Raises Conflict unless the task runs."""
        return self._working().summaries

    def get_tool_store(self) -> ToolStore:
        """The task's tool calls. Raises Conflict unless the task runs."""
        return self._working().tools

    # -- what Daicho adds -------------------------------------------------------------------------------

    @property
    def folder(self) -> Path | None:
        """The task's folder, where it is now."""
        return self.files.folder(self.uuid)

    @property
    def stop_requested(self) -> bool:
        """Whether someone else has stopped the task: heard of at the next heartbeat, within 15 seconds.

        An agent looks at it between two steps and gives up.
        """
        return self._stopped.is_set()

    def heartbeat(self) -> bool:
        """Say that this process lives; a thread does so every 15 seconds. Returns ``not stop_requested``."""
        period = self._beating
        status = self._ledger.tasks.heartbeat(self.uuid, claim=self._claim)
        if status != TaskStatus.RUNNING and period is not None and period is self._beating:
            self._stopped.set()  # unless this task rests, or has rested meanwhile, by its own wish
        return not self._stopped.is_set()

    def close(self) -> None:
        """Let the task, its files, the heartbeat and an own ledger go. A second call does nothing.

        A task that has not ended rests from now on: it is paused.
        """
        if os.getpid() != self._process:
            return  # a forked child's copy: the task is its parent's
        with self._changing:
            try:
                if self._conversation is not None and not self._stopped.is_set():
                    self.pause()
                elif self._conversation is not None:
                    self._follow()
            except DaichoError as error:
                log.warning("task %s: its pause could not be recorded: %s", self.uuid, error)
            finally:
                self._rest()
                self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if os.getpid() != self._process:
            return
        try:
            if self._conversation is not None:  # it has not ended yet
                self._end(kind, error)
        except DaichoError as problem:
            if kind is None:
                raise
            # The exception that leaves is what matters; the task is found by its dead process.
            log.warning("task %s: its end could not be recorded: %s", self.uuid, problem)
        finally:
            self.close()

    # -- how it goes --------------------------------------------------------------------------------------

    def _begin(self, row: Mapping[str, Any], is_resumed: bool) -> None:
        """Hold the folder, then claim the task: what goes wrong before that leaves the ledger as it was."""
        self._enter()
        made = self.files.folder(self.uuid) is None
        self.files.make(self.uuid)
        try:
            self._open()
            task = self._ledger.tasks.claim(row, resume=is_resumed)
        except BaseException:
            if made and self._hold is not None and (folder := self.files.folder(self.uuid)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        self._claim = task.claim
        try:
            self._follow()
        except DaichoError as error:
            self._ledger.tasks.update_status(
                task.uuid, TaskStatus.FAILED, _storable(str(error)), claim=self._claim
            )
            raise

    def _end(self, kind: type[BaseException] | None, error: BaseException | None) -> None:
        """End the task as the block that did the work has ended."""
        if kind is None and self._stopped.is_set():
            self._follow()  # someone else has ended or paused it
        elif kind is None:
            self.complete()
        elif issubclass(kind, Exception):
            self.fail(_storable(f"{kind.__name__}: {error}"))
        else:
            self.stop(kind.__name__)

    def _follow(self) -> None:
        """Bring folder, files and heartbeat to what the ledger says, as long as the task is this one's."""
        task = self._ledger.tasks.get_by_uuid(self.uuid)
        if task is not None and task.claim == self._claim and task.status == TaskStatus.RUNNING:
            self._enter()
            self._open()
            folder = self.files.settle(task)
            if self._conversation is not None and folder is not None:
                self._conversation.moved(folder)
            self._beat()
            return
        conversation = self._still()
        try:
            if task is not None and task.claim == self._claim and self._hold is not None:
                folder = self.files.settle(task)
                if conversation is not None and folder is not None:
                    conversation.moved(folder)
        finally:
            self._rest()

    def _open(self) -> None:
        """Hold the task's folder and open its files, unless that is so already."""
        if self._hold is None:
            self._hold = self.files.take(self.uuid)
            if self._hold is None:
                raise Conflict(
                    f"task {self.uuid} is being worked on by another process",
                    f"タスク {self.uuid} は別のプロセスが処理中です",
                )
        if self._conversation is None and (folder := self.files.folder(self.uuid)) is not None:
            self._conversation = Conversation(folder)

    def _beat(self) -> None:
        if self._beating is None:
            self._stopped.clear()
            self._beating = threading.Event()
            arguments = (weakref.ref(self), self._beating, HEARTBEAT.total_seconds())
            threading.Thread(target=_beat, args=arguments, name="daicho-heartbeat", daemon=True).start()

    def _still(self) -> Conversation | None:
        """Write no more: no heartbeat, no line. Return the conversation that was open."""
        if self._beating is not None:
            self._beating.set()
            self._beating = None
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            conversation.close()
        return conversation

    def _rest(self) -> None:
        """Work on the task no longer: others may."""
        self._still()
        if self._hold is not None:
            self._hold.release()
            self._hold = None
        _retire(self.uuid, self._token)

    def _working(self) -> Conversation:
        self._check_process()
        if self._conversation is None:
            raise Conflict(
                f"task {self.uuid} is not being worked on here any more",
                f"タスク {self.uuid} の作業はここでは終わっています",
            )
        return self._conversation

    def _check_process(self) -> None:
        """Raise Conflict in a forked child: the task is its parent's."""
        if os.getpid() != self._process:
            raise Conflict(
                f"task {self.uuid} is its parent process's ({self._process})",
                f"タスク {self.uuid} は親プロセス ({self._process}) のものです",
            )

    def _enter(self) -> None:
        """Let no second one in this process work on it: the ledger tells processes apart, not threads."""
        with _at_work_lock:
            holder = _at_work.setdefault(self.uuid, self._token)
        if holder is not self._token:
            raise Conflict(
                f"task {self.uuid} is being worked on in this process already",
                f"タスク {self.uuid} は既にこのプロセスが処理中です",
            )


def _beat(reference: "weakref.ref[TaskContextManager]", ended: threading.Event, seconds: float) -> None:
    """Say every so often that the process lives, until told to end or nobody holds the context."""
    while not ended.wait(seconds):
        context = reference()
        if context is None:
            return
        try:
            context.heartbeat()
        except DaichoError as error:  # the next one may get through
            log.warning("task %s: no heartbeat: %s", context.uuid, error)
        del context


def _leave(own: OwnTaskLedger | None, uuid: str, token: object) -> None:
    """What a context leaves to do, also one that was dropped without ``close``; done once."""
    _retire(uuid, token)
    if own is not None:
        own.close()


def _forget_parents() -> None:
    """In a forked child: what the parent works on, it does not."""
    _at_work.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parents)


def _retire(uuid: str, token: object) -> None:
    """Let others of this process work on a task, if it is this context that does."""
    with _at_work_lock:
        if _at_work.get(uuid) is token:
            del _at_work[uuid]


def _storable(text: str) -> str:
    """A text of any origin as a column takes it, at a length that people read."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "�")[:10_000]
