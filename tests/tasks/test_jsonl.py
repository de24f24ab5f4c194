"""Files of JSON lines: appended to, read in pages from either end, mended after a crash."""

import json
import os
import resource
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daicho import Conflict, Invalid, Unavailable
from daicho.tasks import jsonl
from daicho.tasks.appending import JsonLines
from daicho.tasks.schemas import Message


def line(seq: int, content: object = "x") -> bytes:
    return json.dumps({"seq": seq, "role": "user", "content": content}, ensure_ascii=False).encode() + b"\n"


def seqs(lines: jsonl.Lines[Message]) -> list[int | None]:
    return [one.record.seq if one.record else None for one in lines.items]


def opened(path: Path) -> JsonLines[Message]:
    return JsonLines(path, Message, "seq")


def write(path: Path, count: int) -> Path:
    path.write_bytes(b"".join(line(seq, "こんにちは" * seq) for seq in range(1, count + 1)))
    return path


def test_pages_go_through_a_file_from_either_end(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", 10)
    for newest_first in (False, True):
        found: list[int | None] = []
        cursor = None
        while True:
            page = jsonl.read(path, Message, limit=3, cursor=cursor, newest_first=newest_first)
            found += seqs(page)
            assert page.end == path.stat().st_size
            if (cursor := page.next) is None:
                break
        assert found == (list(range(10, 0, -1)) if newest_first else list(range(1, 11)))


def test_a_reader_follows_a_file_from_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", 2)
    end = jsonl.read(path, Message, limit=1, newest_first=True).end
    assert seqs(jsonl.read(path, Message, cursor=end)) == []
    with path.open("ab") as file:
        file.write(line(3) + b'{"seq": 4, "role": "us')
    page = jsonl.read(path, Message, cursor=end)
    assert (seqs(page), page.next) == ([3], None)
    with path.open("ab") as file:
        file.write(b'er"}\n')
    assert seqs(jsonl.read(path, Message, cursor=page.end)) == [4]


def test_one_line_is_read_again_by_its_place(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", 5)
    for one in jsonl.read(path, Message).items:
        assert jsonl.read(path, Message, cursor=one.at, limit=1).items == [one]


def test_what_is_no_place_is_invalid(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", 3)
    for wrong in (1, 5, path.stat().st_size + 1, 2**40, -1):
        for newest_first in (False, True):
            with pytest.raises(Invalid, match=r"is not a place in m\.jsonl"):
                jsonl.read(path, Message, cursor=wrong, newest_first=newest_first)
    with pytest.raises(Invalid, match="limit"):
        jsonl.read(path, Message, limit=0)


def test_no_file_and_an_empty_one_have_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    for newest_first in (False, True):
        assert jsonl.read(path, Message, newest_first=newest_first) == jsonl.Lines([], None, 0)
    path.touch()
    assert jsonl.read(path, Message, newest_first=True) == jsonl.Lines([], None, 0)
    assert list(jsonl.scan(path, Message)) == []


def test_a_line_that_cannot_be_read_is_said_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(line(1) + b"rubbish\n" + b'{"role": "user"}\n' + b"\xff\xfe\n\n" + line(2))
    page = jsonl.read(path, Message)
    assert seqs(page) == [1, None, None, None, None, 2]
    problems = [one.problem for one in page.items]
    assert problems[0] is None
    assert problems[2] == "seq: Field required"
    assert all(problems[1:5])


def test_a_page_of_long_lines_ends_early(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b"".join(line(seq, "x" * (jsonl.PAGE_BYTES // 2)) for seq in range(1, 6)))
    assert seqs(jsonl.read(path, Message)) == [1, 2]
    back = jsonl.read(path, Message, newest_first=True)
    assert seqs(back) == [5, 4]
    assert seqs(jsonl.read(path, Message, cursor=back.next, newest_first=True)) == [3, 2]


def test_reading_the_end_of_a_large_file_reads_little_of_it(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    with path.open("wb") as file:
        file.seek(2**34)  # 16 GiB of nothing, which takes no room on the disk
        file.write(b"\n" + line(1) + line(2))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_inblock
    page = jsonl.read(path, Message, limit=2, newest_first=True)
    assert seqs(page) == [2, 1]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_inblock - before < 10_000


# -- what a crash leaves ---------------------------------------------------------------------------------


@given(st.integers(min_value=0, max_value=10_000))
def test_a_file_cut_anywhere_keeps_every_whole_line(
    tmp_path_factory: pytest.TempPathFactory, at: int
) -> None:
    whole = b"".join(line(seq, "日本語" * seq) for seq in range(1, 6))
    at %= len(whole) + 1
    path = tmp_path_factory.mktemp("cut") / "m.jsonl"
    path.write_bytes(whole[:at])
    kept = whole[:at].count(b"\n")
    complete = whole[:at].endswith(b"}")  # only its newline is missing
    file = opened(path)
    assert [one.seq for one in jsonl.records(path, Message)] == list(range(1, kept + complete + 1))
    assert bool(file.torn) == (not complete and not whole[:at].endswith(b"\n") and at > 0)
    assert file.append({"role": "user"}).seq == kept + complete + 1
    file.close()
    assert list(jsonl.records(path, Message))[-1].seq == kept + complete + 1
    assert not jsonl.is_torn(path)


def test_a_torn_line_is_cut_reported_and_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(line(1) + b'{"seq": 2, "ro')
    assert jsonl.is_torn(path)
    file = opened(path)
    assert file.torn == b'{"seq": 2, "ro'
    assert "a torn last line of 14 bytes was cut" in file.told[0].en
    assert path.read_bytes() == line(1)
    assert (tmp_path / "m.jsonl.torn").read_bytes() == b'{"seq": 2, "ro\n'
    assert opened(path).told == []


def test_lines_that_power_loss_has_filled_with_nothing_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(line(1) + b"\x00" * 20 + b"\n" + b"\x00" * 5)
    assert jsonl.mend(path) == b"\x00" * 20 + b"\n" + b"\x00" * 5
    assert path.read_bytes() == line(1)


def test_a_line_that_does_not_fit_on_the_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    file = opened(path)
    file.append({"role": "user"})
    size = path.stat().st_size
    child = os.fork()
    if child == 0:  # the limit on files' sizes stays this process's for good
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, size + 10))
        try:
            file.append({"role": "user", "content": "x" * 1000})
        except Unavailable:
            os._exit(0 if path.stat().st_size == size else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert path.stat().st_size == size


@pytest.mark.parametrize(
    "content",
    ["\ud83d", float("nan"), {1, 2}, b"bytes", object()],
    ids=lambda content: type(content).__name__,
)
def test_what_json_cannot_hold_is_invalid_and_not_written(tmp_path: Path, content: object) -> None:
    file = opened(tmp_path / "m.jsonl")
    with pytest.raises(Invalid):
        file.append({"role": "user", "content": content})
    assert (tmp_path / "m.jsonl").read_bytes() == b""


@pytest.mark.parametrize(
    "fields",
    [{"role": 7}, {}, {"role": "user", "tokens": "many"}, {"role": "user", "tool_name": ["x"]}],
    ids=str,
)
def test_a_line_that_its_readers_could_not_read_is_invalid(tmp_path: Path, fields: dict[str, object]) -> None:
    file = opened(tmp_path / "m.jsonl")
    with pytest.raises(Invalid, match=r"m\.jsonl: "):
        file.append(fields)
    assert (tmp_path / "m.jsonl").read_bytes() == b""
    assert file.append({"role": "user"}).seq == 1


def test_what_is_nested_deeper_than_readers_go_is_invalid(tmp_path: Path) -> None:
    nested: list[object] = []
    for _ in range(300):
        nested = [nested]
    file = opened(tmp_path / "m.jsonl")
    with pytest.raises(Invalid):
        file.append({"role": "user", "content": nested})
    assert (tmp_path / "m.jsonl").read_bytes() == b""


def test_numbers_go_on_behind_lines_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(line(7) + b'{"role": "user"}\nrubbish\n')
    assert opened(path).append({"role": "user"}).seq == 10


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(jsonl.BOM + line(1))
    assert opened(path).append({"role": "user"}).seq == 2


def test_an_append_that_is_interrupted_is_there_or_not_but_never_by_half(tmp_path: Path) -> None:
    """What Ctrl+C and timeouts do to an agent that goes on afterwards."""

    class Interrupted(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    path = tmp_path / "m.jsonl"
    file = opened(path)
    former = signal.signal(signal.SIGALRM, interrupt)
    acknowledged = []
    try:
        for number in range(600):
            signal.setitimer(signal.ITIMER_REAL, 0.000001 + number % 40 * 0.00002)
            try:
                for _ in range(50):
                    acknowledged += [file.append({"role": "user", "content": "日本語" * 200}).seq]
            except (Interrupted, Unavailable, Invalid):
                pass
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    except Interrupted:
        pass
    finally:
        signal.signal(signal.SIGALRM, former)
    seqs_there = [one.seq for one in jsonl.records(path, Message)]
    assert seqs_there == list(range(1, len(seqs_there) + 1))
    assert set(acknowledged) <= set(seqs_there)
    assert len(set(acknowledged)) == len(acknowledged)


@pytest.mark.parametrize("name", ["folder", "loop"])
def test_what_the_system_refuses_is_said(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    else:
        path.symlink_to(path)
    with pytest.raises(Unavailable, match=name):
        opened(path)
    with pytest.raises(Unavailable, match=name):
        jsonl.read(path, Message)


def test_a_closed_file_takes_no_more(tmp_path: Path) -> None:
    file = opened(tmp_path / "m.jsonl")
    file.close()
    file.close()
    with pytest.raises(Conflict, match="nobody works on this task any more"):
        file.append({"role": "user"})


def test_replacing_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "current.jsonl"
    jsonl.replace(path, b"one\n")
    jsonl.replace(path, b"two\n")
    assert path.read_bytes() == b"two\n"
    (tmp_path / "folder.tmp").mkdir()
    with pytest.raises(Unavailable, match="not written"):
        jsonl.replace(tmp_path / "folder", b"x")
    assert not (tmp_path / "folder").exists()
