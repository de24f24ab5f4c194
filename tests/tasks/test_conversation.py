"""Messages, summaries and tool calls, and what the model is sent next."""

import json
import os
import resource
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daicho import Invalid
from daicho.tasks.conversation import Conversation


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(one) for one in (folder / name).read_bytes().splitlines()]


def contents(conversation: Conversation) -> list[object]:
    return [message.content for message in conversation.messages.current()]


def talk(conversation: Conversation, count: int) -> None:
    for number in range(1, count + 1):
        conversation.messages.add_message("user" if number % 2 else "assistant", f"m{number}")


def test_the_files_hold_the_fields_that_they_should(tmp_path: Path) -> None:
    conversation = Conversation(tmp_path)
    conversation.messages.add_message("user", "直してください", tokens=5)
    conversation.messages.add_message("tool", "ok", tool_name="run_tests")
    conversation.summaries.add_summary(1, 1, "要約", 100, 25)
    conversation.tools.add_tool_call("run_tests", {"path": "."}, {"passed": 3}, duration_ms=12.5)
    conversation.tools.add_tool_call("read_file", {"path": "x"}, error="no such file")
    first, second = lines(tmp_path, "messages.jsonl")
    assert list(first) == ["seq", "role", "content", "timestamp", "tokens"]
    assert list(second) == ["seq", "role", "content", "timestamp", "tokens", "tool_name"]
    assert (first["seq"], first["tokens"], second["seq"], second["tokens"]) == (1, 5, 2, None)
    assert lines(tmp_path, "current.jsonl") == [
        {"role": "system", "content": "要約"},
        {"role": "tool", "content": "ok", "tool_name": "run_tests"},
    ]
    (summary,) = lines(tmp_path, "summaries.jsonl")
    names = [
        "id",
        "start_seq",
        "end_seq",
        "summary",
        "original_tokens",
        "summary_tokens",
        "ratio",
        "timestamp",
    ]
    assert list(summary) == names
    assert [summary[name] for name in names[:7]] == [1, 1, 1, "要約", 100, 25, 0.25]
    done, failed = lines(tmp_path, "tools.jsonl")
    assert list(done) == ["seq", "tool", "args", "result", "status", "error", "duration_ms", "timestamp"]
    assert (done["seq"], done["status"], done["error"]) == (1, "success", None)
    assert (failed["seq"], failed["status"], failed["error"]) == (2, "error", "no such file")
    assert "直してください" in (tmp_path / "messages.jsonl").read_text("utf-8")  # readable, not escaped


def test_a_summary_stands_for_its_messages_and_a_later_one_for_it(tmp_path: Path) -> None:
    conversation = Conversation(tmp_path)
    talk(conversation, 6)
    conversation.summaries.add_summary(2, 4, "s1")
    assert contents(conversation) == ["m1", "s1", "m5", "m6"]
    talk(conversation, 1)
    conversation.summaries.add_summary(2, 6, "s2")
    assert contents(conversation) == ["m1", "s2", "m1"]
    conversation.close()
    again = Conversation(tmp_path)
    assert again.torn == []
    assert contents(again) == ["m1", "s2", "m1"]
    again.messages.add_message("user", "on")
    assert contents(again) == ["m1", "s2", "m1", "on"]
    assert [message.seq for message in again.messages] == list(range(1, 9))


@pytest.mark.parametrize(("start", "end"), [(0, 2), (3, 2), (1, 7), (-1, 1), (3, 5), (4, 6)])
def test_a_summary_of_messages_that_it_cannot_stand_for_is_invalid(
    tmp_path: Path, start: int, end: int
) -> None:
    conversation = Conversation(tmp_path)
    talk(conversation, 6)
    conversation.summaries.add_summary(2, 4, "s1")
    with pytest.raises(Invalid, match="a summary of messages"):
        conversation.summaries.add_summary(start, end, "no")
    assert len(list(conversation.summaries)) == 1
    assert contents(conversation) == ["m1", "s1", "m5", "m6"]


@pytest.mark.parametrize("loss", ["missing", "torn", "short", "old", "foreign"])
def test_a_current_context_that_is_not_what_it_should_be_is_made_anew(tmp_path: Path, loss: str) -> None:
    conversation = Conversation(tmp_path)
    talk(conversation, 6)
    before = (tmp_path / "current.jsonl").read_bytes()
    conversation.summaries.add_summary(3, 3, "s")  # one line for one: the number of lines stays
    conversation.messages.add_message("user", "last")
    right = (tmp_path / "current.jsonl").read_bytes()
    conversation.close()
    wrong = {
        "torn": right[:-5],
        "short": right[: right[:-1].rindex(b"\n") + 1],
        "old": before + right.splitlines(keepends=True)[-1],
        "foreign": b"rubbish\n",
    }
    if loss == "missing":
        (tmp_path / "current.jsonl").unlink()
    else:
        (tmp_path / "current.jsonl").write_bytes(wrong[loss])
    again = Conversation(tmp_path)
    assert "current.jsonl: made anew from the messages" in [told.en for told in again.torn]
    assert (tmp_path / "current.jsonl").read_bytes() == right


def test_a_torn_message_is_cut_and_the_next_one_takes_its_number(tmp_path: Path) -> None:
    conversation = Conversation(tmp_path)
    talk(conversation, 3)
    conversation.close()
    path = tmp_path / "messages.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    again = Conversation(tmp_path)
    assert [told.en.split(":")[0] for told in again.torn] == ["messages.jsonl", "current.jsonl"]
    assert again.messages.add_message("user", "new").seq == 3
    assert contents(again) == ["m1", "m2", "new"]


def test_what_another_program_left_is_carried_on_and_kept(tmp_path: Path) -> None:
    """Gaps, lines without a number, fields of its own, and a current context of another making."""
    (tmp_path / "messages.jsonl").write_text(
        '{"seq": 3, "role": "user", "content": "a", "timestamp": 1732180000.5, "name": "emma"}\n'
        '{"role": "user", "content": "no number"}\n'
        '{"seq": 1732180000000, "role": "assistant", "content": null, "tool_calls": [{"id": "c1"}]}\n'
    )
    foreign = b'{"role": "user", "content": "only here"}\n'
    (tmp_path / "current.jsonl").write_bytes(foreign)
    conversation = Conversation(tmp_path)
    assert (tmp_path / "current.jsonl.former").read_bytes() == foreign
    assert lines(tmp_path, "current.jsonl") == [
        {"role": "user", "content": "a", "name": "emma"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1"}]},
    ]
    assert conversation.messages.add_message("user", "on").seq == 1_732_180_000_001
    conversation.summaries.add_summary(1, 1_732_180_000_000, "all of it")
    assert contents(conversation) == ["all of it", "on"]
    conversation.close()
    again = Conversation(tmp_path)
    assert again.torn == []  # gaps are no reason to make it anew
    assert contents(again) == ["all of it", "on"]


def test_a_full_disk_costs_no_message_and_no_summary(tmp_path: Path) -> None:
    """current.jsonl cannot be written: what follows from the others waits, and is told all the same."""
    conversation = Conversation(tmp_path)
    talk(conversation, 4)
    child = os.fork()
    if child == 0:  # the limit on files' sizes stays this process's for good
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        current = tmp_path / "current.jsonl"
        code = 1
        try:  # room for messages, none for the context
            current.write_bytes(current.read_bytes().ljust(3000, b" "))
            resource.setrlimit(resource.RLIMIT_FSIZE, (2990, 2990))
            conversation.messages.add_message("user", "m5")
            conversation.messages.add_message("user", "m6")
            conversation.summaries.add_summary(1, 2, "s")
            code = 0 if contents(conversation) == ["s", "m3", "m4", "m5", "m6"] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    conversation.close()
    assert contents(Conversation(tmp_path)) == ["s", "m3", "m4", "m5", "m6"]


def test_many_threads_number_their_messages_without_a_gap(tmp_path: Path) -> None:
    conversation = Conversation(tmp_path)

    def write(name: int) -> None:
        for number in range(50):
            conversation.messages.add_message("assistant", f"{name}-{number}")
            conversation.tools.add_tool_call("t", number)

    threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [message.seq for message in conversation.messages] == list(range(1, 401))
    assert [call.seq for call in conversation.tools] == list(range(1, 401))
    assert contents(conversation) == [message.content for message in conversation.messages]


def test_an_append_writes_as_much_at_the_100_000th_message_as_at_the_first(tmp_path: Path) -> None:
    """What is written and read, in bytes, is counted by the kernel: no clock takes part."""

    def cost(conversation: Conversation) -> tuple[int, int]:
        before = counters()
        conversation.messages.add_message("user", "the same")
        after = counters()
        return after[0] - before[0], after[1] - before[1]

    def counters() -> tuple[int, int]:
        told = dict(one.split(": ") for one in Path("/proc/self/io").read_text().splitlines())
        return int(told["rchar"]), int(told["wchar"])

    if not Path("/proc/self/io").exists():
        pytest.skip("only Linux counts this")
    few = Conversation(tmp_path)
    talk(few, 1)
    first = cost(few)
    few.close()
    many = tmp_path / "many"
    many.mkdir()
    record = {"role": "user", "content": "x"}
    with (many / "messages.jsonl").open("w") as messages, (many / "current.jsonl").open("w") as current:
        for seq in range(1, 100_000):
            messages.write(json.dumps({"seq": seq, **record}) + "\n")
            current.write(json.dumps(record) + "\n")
    conversation = Conversation(many)
    assert conversation.torn == []
    last = cost(conversation)
    assert conversation.messages.last_seq == 100_000
    slack = 200  # reading the counters themselves, and the number's own digits
    assert abs(last[0] - first[0]) < slack
    assert abs(last[1] - first[1]) < slack


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda c: c.messages.add_message("robot", "x"), "unknown role 'robot'; known: system"),
        (
            lambda c: c.messages.add_message("user", "x", tokens=-1),
            "tokens must be a whole number, 0 or more, not -1",
        ),
        (lambda c: c.messages.add_message("user", "x", tokens=1.5), "not 1.5"),
        (lambda c: c.messages.add_message("user", "x", tool_name=7), "tool_name"),
        (lambda c: c.tools.add_tool_call("t", error={"code": 404}), "error"),
        (lambda c: c.tools.add_tool_call("t", duration_ms="fast"), "duration_ms"),
        (lambda c: c.tools.add_tool_call(None), "tool"),
        (lambda c: c.messages.add_message("user", "\ud800"), "half a character"),
        (lambda c: c.tools.add_tool_call("t", status="maybe"), "'success' or 'error', not 'maybe'"),
        (lambda c: c.tools.add_tool_call("t", {1, 2}), "not JSON"),
    ],
)
def test_what_cannot_be_is_invalid_and_leaves_no_line(tmp_path: Path, act: Any, reason: str) -> None:
    conversation = Conversation(tmp_path)
    with pytest.raises(Invalid, match=reason):
        act(conversation)
    assert conversation.messages.add_message("user", "right").seq == 1
    assert conversation.tools.add_tool_call("t").seq == 1
    assert contents(conversation) == ["right"]


class AgainstLists(RuleBasedStateMachine):
    """Whatever is written, summarised, torn and reopened: the files say what plain lists say."""

    @initialize()
    def begin(self) -> None:
        import tempfile

        self.folder = Path(tempfile.mkdtemp())
        self.conversation = Conversation(self.folder)
        self.messages: list[str] = []
        self.current: list[tuple[int, int, str]] = []

    @rule(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20))
    def add(self, text: str) -> None:
        seq = self.conversation.messages.add_message("user", text).seq
        self.messages.append(text)
        self.current.append((seq, seq, text))

    @precondition(lambda self: self.current)
    @rule(data=st.data())
    def summarise(self, data: st.DataObject) -> None:
        first = data.draw(st.integers(0, len(self.current) - 1))
        last = data.draw(st.integers(first, len(self.current) - 1))
        start, end = self.current[first][0], self.current[last][1]
        summary = self.conversation.summaries.add_summary(start, end, f"summary {start}-{end}")
        self.current[first : last + 1] = [(start, end, summary.summary)]

    @rule(torn=st.sampled_from(["", "messages.jsonl", "summaries.jsonl", "tools.jsonl", "current.jsonl"]))
    def reopen(self, torn: str) -> None:
        self.conversation.close()
        if torn:
            with (self.folder / torn).open("ab") as file:
                file.write(b'{"seq": 99, "cont')
        self.conversation = Conversation(self.folder)
        assert bool(self.conversation.torn) == bool(torn)

    @rule()
    def lose_current(self) -> None:
        self.conversation.close()
        os.unlink(self.folder / "current.jsonl")  # noqa: PTH108
        self.conversation = Conversation(self.folder)

    @invariant()
    def the_same(self) -> None:
        assert [message.content for message in self.conversation.messages] == self.messages
        assert contents(self.conversation) == [text for _, _, text in self.current]


TestAgainstLists = AgainstLists.TestCase
TestAgainstLists.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
