"""People are spoken to in English or Japanese."""

import pickle

import pytest

from daicho import Invalid, NotFound
from daicho.core import language
from daicho.core.language import Text, from_environment, from_header, say


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, "en"),
        ("", "en"),
        ("ja", "ja"),
        ("ja-JP,ja;q=0.9,en;q=0.8", "ja"),
        ("en-US,en;q=0.9,ja;q=0.8", "en"),
        ("fr,ja;q=0.3", "ja"),
        ("de", "en"),
        ("ja;q=x", "en"),
        ("ja;q=0", "en"),
    ],
)
def test_the_browsers_preference_decides(header: str | None, expected: str) -> None:
    assert from_header(header) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"DAICHO_LANG": "ja"}, "ja"),
        ({"DAICHO_LANG": "en", "LANG": "ja_JP.UTF-8"}, "en"),
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LC_ALL": "C.UTF-8", "LANG": "ja_JP.UTF-8"}, "en"),
        ({}, "en"),
    ],
)
def test_the_terminals_locale_decides(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], expected: str
) -> None:
    for name in ("DAICHO_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert from_environment() == expected


def test_an_error_speaks_the_language_of_whoever_reads_it() -> None:
    error = NotFound(Text("call", "通話"), "call-123")
    assert str(error) == "no such call: call-123"
    token = language.current.set("ja")
    try:
        assert str(error) == "通話が見つかりません: call-123"
        assert say("yes", "はい") == "はい"
    finally:
        language.current.reset(token)


def test_an_error_survives_pickling() -> None:
    for error in (NotFound(Text("call", "通話"), "x"), Invalid("a", "あ")):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert again.message == error.message
