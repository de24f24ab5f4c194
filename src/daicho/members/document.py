"""A member's YAML file, read without trust: size, depth and aliases are limited, tags are refused.

A file is flat: keys with a text or a list of texts. So it is read straight from the parser's events;
nothing is built that the file's author could blow up. Every mistake of a file is told at once, each with
its line.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml
from sqlalchemy import inspect

from daicho.core.errors import Invalid
from daicho.core.language import Text
from daicho.core.model import Base, check_text
from daicho.core.types import StringList
from daicho.members.events import Refused, Value, entries
from daicho.members.models import HumanMember, VirtualMember

SIZE_MAX = 1024 * 1024
"""The largest file, in bytes."""
PROBLEMS_MAX = 100
"""The most mistakes of a file that are told one by one."""
OWN = frozenset({"id", "file_uri", "created_at", "updated_at"})
"""Columns that the ledger fills, not the file."""
SAME = {"custom_prompt": "system_prompt"}
"""Other names of keys."""
REQUIRED: Mapping[type[Base], tuple[str, ...]] = {
    HumanMember: ("name",),
    VirtualMember: ("name", "llm_model"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in a file: where, and what is wrong.

    Attributes:
        line: from 1; None where the file as a whole is meant.
        key: the key; None where there is none.
    """

    line: int | None
    key: str | None
    reason: Text

    def __str__(self) -> str:
        place = "" if self.line is None else f"{self.line}: "
        return f"{place}{f'{self.key}: ' if self.key else ''}{self.reason}"


@dataclass(slots=True)
class Document:
    """What a file says: a row of its table, or what is wrong with it.

    Attributes:
        length: of the row's texts together, in characters.
    """

    row: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    length: int = 0
    _more: int = 0

    def wrong(self, line: int | None, key: str | None, en: str, ja: str) -> None:
        self.add(Problem(line, key, Text(en, ja)))

    def add(self, problem: Problem) -> None:
        if not self.is_full():
            self.problems.append(problem)

    def is_full(self) -> bool:
        """Whether a further mistake is only counted; it is, by this."""
        full = len(self.problems) >= PROBLEMS_MAX
        self._more += full
        return full

    def close(self) -> None:
        """Say how many mistakes more there are than are told."""
        if self._more:
            self.problems.pop()
            self._more += 1
            self.wrong(
                None, None, f"and {self._more:,} more mistakes", f"ほかに {self._more:,} 件の誤りがあります"
            )


def read(content: bytes, model: type[Base]) -> Document:
    """Read a member's file.

    Args:
        content: the file's bytes; UTF-8, with or without a byte order mark.
        model: whose file it is.

    Returns every column that a file sets, None where it does not; or all that is wrong.
    """
    document = Document()
    if len(content) > SIZE_MAX:
        document.wrong(None, None, f"is longer than {SIZE_MAX:,} bytes", f"{SIZE_MAX:,} バイトを超えています")
        return document
    columns = _columns(model)
    seen: dict[str, int] = {}
    try:
        for line, key, value in entries(content.decode("utf-8-sig")):
            if not isinstance(key, str):
                document.wrong(line, None, "a key must be a text", "キーは文字列でなければなりません")
                continue
            other = SAME.get(key, key)
            name = other if other in columns else key
            if name not in columns:
                _unknown(document, line, key, [*columns, *(k for k, v in SAME.items() if v in columns)])
            elif name in seen:
                document.wrong(
                    line, key, f"is given twice; first in line {seen[name]}", f"{seen[name]} 行目にもあります"
                )
            else:
                seen[name] = line
                _take(document, model, line, key, name, value, many=columns[name])
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        document.wrong(line, None, "is not UTF-8 text", "UTF-8 の文字列ではありません")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        document.wrong(
            mark.line + 1 if mark else None, None, f"not YAML: {reason}", f"YAML ではありません: {reason}"
        )
    except Refused as refused:
        document.wrong(refused.line, None, *refused.reason)
    else:
        for name in REQUIRED[model]:
            given = str(document.row.get(name) or "").strip()
            if not given and not any(one.key == name for one in document.problems):
                document.wrong(seen.get(name), name, "is missing", "がありません")
    document.close()
    document.row = {**dict.fromkeys(columns), **document.row} if not document.problems else {}
    return document


@cache
def _columns(model: type[Base]) -> Mapping[str, bool]:
    """The columns that a file fills, each with whether it takes a list."""
    return {
        column.key: isinstance(column.type, StringList)
        for column in inspect(model).columns
        if column.key not in OWN
    }


def _take(
    document: Document,
    model: type[Base],
    line: int,
    key: str,
    name: str,
    value: Value,
    *,
    many: bool,
) -> None:
    """Check a value and put it into the row."""
    if value is None or value == []:
        return
    if many and not isinstance(value, list):
        document.wrong(line, key, "must be a list of texts: [one, two]", "文字列のリストです: [one, two]")
    elif not many and not isinstance(value, str):
        document.wrong(line, key, "must be one text", "文字列 1 つでなければなりません")
    elif isinstance(value, list) and not all(text.strip() for text in value):
        document.wrong(line, key, "holds an empty text", "空の文字列があります")
    else:
        try:
            if isinstance(value, list):
                document.row[name] = [check_text(key, item) for item in value]
            else:
                text = value.strip() if name == "name" and isinstance(value, str) else value
                document.row |= model.row(**{name: text})
            document.length += _length(document.row[name])
        except Invalid as error:
            document.add(Problem(line, key, error.message))
        if document.length > SIZE_MAX:  # aliases may repeat a long text
            raise Refused(
                line,
                f"its texts are longer than {SIZE_MAX:,} characters together",
                f"全体で {SIZE_MAX:,} 文字を超えています",
            )


def _length(value: str | list[str]) -> int:
    return len(value) if isinstance(value, str) else sum(map(len, value))


def _unknown(document: Document, line: int, key: str, known: list[str]) -> None:
    if document.is_full():
        return
    near = difflib.get_close_matches(key, known, 1)
    document.wrong(
        line,
        key[:60],
        f"unknown key; did you mean {near[0]!r}?" if near else f"unknown key; known: {', '.join(known)}",
        f"不明なキーです。{near[0]!r} ではありませんか"
        if near
        else f"不明なキーです。使えるもの: {', '.join(known)}",
    )
