"""A member's file as keys and values, read straight from the YAML parser's events.

Nothing is built that the file's author could blow up: depth, aliases and lists are limited, tags refused.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from daicho.core.language import Text

ALIASES_MAX = 100
DEPTH_MAX = 20
"""How deep values may be nested before the rest is not read: the parser's time grows with it squared."""
ITEMS_MAX = 1_000
"""The most texts in a list."""
STRING_TAG = "tag:yaml.org,2002:str"
TAGS = {
    yaml.ScalarEvent: STRING_TAG,
    yaml.SequenceStartEvent: "tag:yaml.org,2002:seq",
    yaml.MappingStartEvent: "tag:yaml.org,2002:map",
}
"""The one tag that each may have: that which it has anyway."""
NOT_YAML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")
"""Characters that no YAML may hold; the parser would not say where."""
NULLS = frozenset({"", "~", "null", "Null", "NULL"})


class Nested:
    """A value that is neither a text nor a list of texts."""


Value = str | list[str] | None | Nested


class Refused(Exception):
    """The rest of the file is not read: why, and from which line on."""

    def __init__(self, line: int, en: str, ja: str) -> None:
        super().__init__(en)
        self.line = line
        self.reason = Text(en, ja)


def entries(text: str) -> Iterator[tuple[int, Value, Value]]:
    """Yield each key of the one mapping that a file is, with its line and its value.

    Raises Refused where the rest is not read; YAMLError.
    """
    _check_characters(text)
    events = _Events(text)
    events.expect(yaml.StreamStartEvent)
    if isinstance(events.peek(), yaml.StreamEndEvent):
        return
    events.expect(yaml.DocumentStartEvent)
    if not isinstance(events.peek(), yaml.MappingStartEvent):
        here = events.peek()
        if not (isinstance(here, yaml.ScalarEvent) and _text(here) is None):
            raise Refused(
                events.line(here), "is no mapping of keys to values", "「キー: 値」の形ではありません"
            )
        events.next()
    else:
        _check_tag(events.next())
        while not isinstance(events.peek(), yaml.MappingEndEvent):
            start = events.peek()
            key = events.value()
            value = events.value()
            yield events.line(start), key, value
        events.next()
    events.expect(yaml.DocumentEndEvent)
    if not isinstance(end := events.peek(), yaml.StreamEndEvent):
        raise Refused(events.line(end), "holds a second document", "2 つ目の文書があります")


class _Events:
    """The parser's events, one after the other, with the values that anchors name."""

    def __init__(self, text: str) -> None:
        parser = LOADER(text)
        self.peek: Callable[[], Any] = parser.peek_event
        self.next: Callable[[], Any] = parser.get_event
        self._named: dict[str, Value] = {}
        self._aliases = 0

    def expect(self, kind: type[yaml.Event]) -> None:
        event = self.next()
        if not isinstance(event, kind):
            raise Refused(
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
                raise Refused(
                    self.line(event),
                    f"more than {ALIASES_MAX} aliases",
                    f"エイリアスが {ALIASES_MAX} を超えています",
                )
            if event.anchor not in self._named:
                raise Refused(
                    self.line(event),
                    f"alias *{event.anchor}: no &{event.anchor} stands before it",
                    f"エイリアス *{event.anchor}: 前に &{event.anchor} がありません",
                )
            return self._named[event.anchor]
        _check_tag(event)
        found: Value
        if isinstance(event, yaml.ScalarEvent):
            found = _text(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            found = self._list()
        else:
            self._skip(event)
            found = Nested()
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
                self._skip(self.next())
                flat = False
            if len(texts) > ITEMS_MAX:
                raise Refused(
                    self.line(event), f"more than {ITEMS_MAX:,} texts", f"{ITEMS_MAX:,} 項目を超えています"
                )
        self.next()
        return texts if flat else Nested()

    def _skip(self, event: Any) -> None:
        """Go over the rest of a list or a mapping that has begun."""
        _check_tag(event)
        depth = 1
        while depth:
            event = self.next()
            _check_tag(event)
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > DEPTH_MAX:
                    raise Refused(
                        self.line(event),
                        f"is nested deeper than {DEPTH_MAX} levels",
                        f"入れ子が {DEPTH_MAX} 段を超えています",
                    )
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1


LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser where this PyYAML has it."""


def _check_tag(event: Any) -> None:
    tag = getattr(event, "tag", None)
    if tag is not None and tag not in {"!", TAGS.get(type(event))}:
        raise Refused(_Events.line(event), f"tag {tag} is not allowed", f"タグ {tag} は使えません")


def _text(event: yaml.ScalarEvent) -> str | None:
    """A scalar as it is written; None for null. A number or a date is a text here too."""
    plain = event.implicit[0] and event.tag is None
    return None if plain and event.value in NULLS else str(event.value)


def _check_characters(text: str) -> None:
    if found := NOT_YAML.search(text):
        sign = f"U+{ord(found[0]):04X}"
        raise Refused(
            text.count("\n", 0, found.start()) + 1,
            f"has the character {sign}, which YAML does not allow; remove it",
            f"YAML で使えない文字 {sign} があります。取り除いてください",
        )
