"""What a check finds, and how it is asked: bounded in time, whatever it looks at."""

import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from time import monotonic

from daicho.core.errors import DaichoError
from daicho.core.language import Text

MB = 1024 * 1024
GB = 1024 * MB


class State(StrEnum):
    """How bad it is. Only what fails makes a server unready and the doctor exit with 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has found.

    Attributes:
        name: what was looked at: ``database``, ``disk``.
        message: for who may know all of it.
        mend: the way out, where there is something to mend.
    """

    name: str
    state: State
    message: Text
    mend: Text | None = None


Ask = Callable[[], Iterable[Finding]]


def ok(name: str, en: str, ja: str | None = None) -> Finding:
    """Return a finding that all is well."""
    return Finding(name, State.OK, Text(en, ja or en))


def worst(findings: Iterable[Finding]) -> State:
    """Return the worst state among findings."""
    found = {finding.state for finding in findings}
    return next((state for state in (State.FAIL, State.WARN) if state in found), State.OK)


class Question:
    """A check that is asked in a thread of its own, once at a time.

    Args:
        name: of its finding, should there be no answer.
        ask: looks, and gives what it finds. What it raises is a finding too.

    A database that hangs keeps that thread, and nobody else: who asks meanwhile waits for the same answer.
    """

    def __init__(self, name: str, ask: Ask) -> None:
        self._name, self._ask = name, ask
        self._lock = threading.Lock()
        self._asked: Future[list[Finding]] | None = None

    def begin(self) -> Future[list[Finding]]:
        """Ask, unless that is under way; return the answer to come."""
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = Future()
                threading.Thread(
                    target=self._run, args=(self._asked,), name=f"daicho-check-{self._name}", daemon=True
                ).start()
            return self._asked

    def _run(self, asked: Future[list[Finding]]) -> None:
        try:
            asked.set_result(list(self._ask()))
        except Exception as error:
            asked.set_result([failed(self._name, error)])

    def unanswered(self, seconds: float) -> Finding:
        """Return the finding that there was no answer in time."""
        return Finding(
            self._name,
            State.FAIL,
            Text(f"no answer within {seconds:.0f} s", f"{seconds:.0f} 秒以内に応答がありません"),
            Text(
                "see whether it hangs: its load, its disk, the network", "負荷、ディスク、ネットワークを確認"
            ),
        )


def answers(questions: Sequence[Question], seconds: float) -> list[Finding]:
    """Ask questions side by side; return what they find, in their order, after ``seconds`` at the latest."""
    end = monotonic() + seconds
    found: list[Finding] = []
    for question, asked in [(question, question.begin()) for question in questions]:
        try:
            found += asked.result(max(0.0, end - monotonic()))
        except TimeoutError:
            found.append(question.unanswered(seconds))
    return found


def failed(name: str, error: Exception) -> Finding:
    """Return the finding that an error is. A DaichoError names its own way out."""
    said = (
        error.message if isinstance(error, DaichoError) else Text(*[f"{type(error).__name__}: {error}"] * 2)
    )
    return Finding(name, State.FAIL, said)


def size(count: int) -> str:
    """Write a number of bytes for people."""
    if count < MB:
        return f"{count / 1024:.0f} kB"
    return f"{count / MB:.0f} MB" if count < GB else f"{count / GB:.1f} GB"


def room_on(name: str, folder: Path, *, fail: int, warn: int, worst: State = State.FAIL) -> Finding:
    """Look how much room is left where a folder is.

    Args:
        fail: bytes below which hardly anything can be written.
        warn: bytes below which that is near.
        worst: what the first means at worst.
    """
    free = shutil.disk_usage(folder).free
    state = worst if free < fail else State.WARN if free < warn else State.OK
    return Finding(
        name,
        state,
        Text(f"{size(free)} free for {folder}", f"{folder} の空き容量 {size(free)}"),
        None
        if state is State.OK
        else Text("free some space or enlarge the volume", "空きを作るか、ボリュームを広げてください"),
    )
