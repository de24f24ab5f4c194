"""A member's YAML file, read without trust: size, depth and aliases are limited, tags are refused.

A file is flat: keys with a text or a list of texts. So it is read straight from the parser's events;
nothing is built that the file's author could blow up. Every mistake of a file is told at once, each with
its line.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from sqlalchemy import inspect

from daicho.core.errors import Invalid
from daicho.core.language import Text
from daicho.core.model import Base, check_text
from daicho.core.types import StringList
from daicho.members.models import HumanMember, VirtualMember

SIZE_MAX = 1024 * 1024
"""The largest file, in bytes."""
ALIASES_MAX = 100
ITEMS_MAX = 1_000
"""The most texts in a list."""
OWN = frozenset({"id", "file_uri", "created_at", "updated_at"})
"""Columns that the ledger fills, not the file."""
SAME = {"custom_prompt": "system_prompt"}
"""Other names of keys."""
REQUIRED: Mapping[type[Base], tuple[str, ...]] = {
    HumanMember: ("name",),
    VirtualMember: ("name", "llm_model"),
}
STRING_TAG = "tag:yaml.org,2002:str"
NULLS = frozenset({"", "~", "null", "Null", "NULL"})


class _Nested:
    """A value that is neither a text nor a list of texts."""


Value = str | list[str] | None | _Nested


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
    """What a file says: a row of its table, or what is wrong with it."""

    row: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, line: int | None, key: str | None, en: str, ja: str) -> None:
        self.problems.append(Problem(line, key, Text(en, ja)))


def read(content: bytes, model: type[Base]) -> Document:
    """Read a member's file.

    Args:
        content: the file's bytes; UTF-8, with or without a byte order mark.
        model: whose file it is.

    Returns every column that a file sets, None where it does not; or all that is wrong.
    """
    document = Document()
    if len(content) > SIZE_MAX:
        document.wrong(
            None,
            None,
            f"is {len(content):,} bytes long; at most {SIZE_MAX:,}",
            f"{len(content):,} バイトあります (最大 {SIZE_MAX:,})",
        )
        return document
    columns = {column.key: column for column in inspect(model).columns if column.key not in OWN}
    seen: dict[str, int] = {}
    try:
        for line, key, value in _entries(content.decode("utf-8-sig"), document):
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
                _take(
                    document, model, line, key, name, value, many=isinstance(columns[name].type, StringList)
                )
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        document.wrong(line, None, "is not UTF-8 text", "UTF-8 の文字列ではありません")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        document.wrong(
            mark.line + 1 if mark else None, None, f"not YAML: {reason}", f"YAML ではありません: {reason}"
        )
    except _Refused as refused:
        document.problems.append(refused.problem)
    else:
        for name in REQUIRED[model]:
            if not document.row.get(name) and not any(one.key == name for one in document.problems):
                document.wrong(seen.get(name), name, "is missing", "がありません")
    document.row = {**dict.fromkeys(columns), **document.row} if not document.problems else {}
    return document


class _Refused(Exception):
    """The rest of the file is not read."""

    def __init__(self, line: int, en: str, ja: str) -> None:
        super().__init__(en)
        self.problem = Problem(line, None, Text(en, ja))


def _entries(text: str, document: Document) -> Iterator[tuple[int, str, Value]]:
    """Yield each key of the one mapping that a file is, with its line and its value."""
    events = _Events(text)
    events.expect(yaml.StreamStartEvent)
    if isinstance(events.peek(), yaml.StreamEndEvent):
        return
    events.expect(yaml.DocumentStartEvent)
    if not isinstance(events.peek(), yaml.MappingStartEvent):
        here = events.peek()
        if not (isinstance(here, yaml.ScalarEvent) and _text(here) is None):
            raise _Refused(
                events.line(here), "is no mapping of keys to values", "「キー: 値」の形ではありません"
            )
        events.next()
    else:
        events.next()
        while not isinstance(events.peek(), yaml.MappingEndEvent):
            start = events.peek()
            key = events.value()
            value = events.value()
            if isinstance(key, str):
                yield events.line(start), key, value
            else:
                document.wrong(
                    events.line(start), None, "a key must be a text", "キーは文字列でなければなりません"
                )
        events.next()
    events.expect(yaml.DocumentEndEvent)
    if not isinstance(end := events.peek(), yaml.StreamEndEvent):
        raise _Refused(events.line(end), "holds a second document", "2 つ目の文書があります")


class _Events:
    """The parser's events, one after the other, with the values that anchors name."""

    def __init__(self, text: str) -> None:
        self._events = yaml.parse(text, Loader=LOADER)
        self._ahead: Any = None
        self._named: dict[str, Value] = {}
        self._aliases = 0

    def peek(self) -> Any:
        if self._ahead is None:
            self._ahead = next(self._events)
        return self._ahead

    def next(self) -> Any:
        event = self.peek()
        self._ahead = None
        return event

    def expect(self, kind: type[yaml.Event]) -> None:
        event = self.next()
        if not isinstance(event, kind):
            raise _Refused(
                self.line(event), "is no mapping of keys to values", "「キー: 値」の形ではありません"
            )

    @staticmethod
    def line(event: Any) -> int:
        line: int = event.start_mark.line
        return line + 1

    def value(self) -> Value:
        """Read the next value whole. What is deeper than a list of texts is gone over, not built."""
        event = self.next()
        if isinstance(event, yaml.AliasEvent):
            self._aliases += 1
            if self._aliases > ALIASES_MAX:
                raise _Refused(
                    self.line(event),
                    f"more than {ALIASES_MAX} aliases",
                    f"エイリアスが {ALIASES_MAX} を超えています",
                )
            return self._named.get(str(event.anchor), _Nested())
        found: Value
        if isinstance(event, yaml.ScalarEvent):
            found = _text(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            found = self._list()
        else:
            self._skip(1)
            found = _Nested()
        if event.anchor is not None:
            self._named[event.anchor] = found
        return found

    def _list(self) -> Value:
        texts: list[str] = []
        flat = True
        while not isinstance(event := self.peek(), yaml.SequenceEndEvent):
            if isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
                item = self.value()
                flat = flat and isinstance(item, str)
                if isinstance(item, str):
                    texts.append(item)
            else:
                self.next()
                self._skip(1)
                flat = False
            if len(texts) > ITEMS_MAX:
                raise _Refused(
                    self.line(event), f"more than {ITEMS_MAX:,} texts", f"{ITEMS_MAX:,} 項目を超えています"
                )
        self.next()
        return texts if flat else _Nested()

    def _skip(self, depth: int) -> None:
        while depth:
            event = self.next()
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1


LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser where this PyYAML has it."""


def _text(event: yaml.ScalarEvent) -> str | None:
    """A scalar as it is written; None for null. A number or a date is a text here too."""
    if event.tag not in {None, "!", STRING_TAG}:
        raise _Refused(
            _Events.line(event), f"tag {event.tag} is not allowed", f"タグ {event.tag} は使えません"
        )
    plain = event.implicit[0] and event.tag is None
    return None if plain and event.value in NULLS else str(event.value)


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
    else:
        try:
            if isinstance(value, list):
                document.row[name] = [check_text(key, item) for item in value]
            else:
                text = value.strip() if name == "name" and isinstance(value, str) else value
                document.row |= model.row(**{name: text})
        except Invalid as error:
            document.problems.append(Problem(line, key, error.message))


def _unknown(document: Document, line: int, key: str, known: list[str]) -> None:
    near = difflib.get_close_matches(key, known, 1)
    document.wrong(
        line,
        key[:60],
        f"unknown key; did you mean {near[0]!r}?" if near else f"unknown key; known: {', '.join(known)}",
        f"不明なキーです。{near[0]!r} ではありませんか"
        if near
        else f"不明なキーです。使えるもの: {', '.join(known)}",
    )
