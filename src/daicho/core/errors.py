"""The errors that Daicho raises on purpose.

::

    DaichoError
    ├── NotFound       no such thing                        HTTP 404
    ├── Conflict       the thing is in another state        HTTP 409
    ├── Invalid        what came in cannot be right         HTTP 422
    └── Unavailable    the database cannot answer just now  HTTP 503
        └── Outdated   schema and code do not fit together  HTTP 503

Every message stands in English and Japanese; ``str(error)`` speaks the language of the context.
"""

from typing import ClassVar

from daicho.core.language import Text


class DaichoError(Exception):
    """Something that Daicho was asked cannot be done."""

    status: ClassVar[int] = 500
    title: ClassVar[Text] = Text("error", "エラー")

    def __init__(self, en: str, ja: str | None = None) -> None:
        super().__init__(en)
        self.message = Text(en, ja or en)

    def __str__(self) -> str:
        return str(self.message)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message))


class NotFound(DaichoError):
    """There is no such thing. ``NotFound(Text("call", "通話"), "call-123")``."""

    status = 404
    title = Text("not found", "見つかりません")

    def __init__(self, kind: Text, key: object) -> None:
        super().__init__(f"no such {kind.en}: {key}", f"{kind.ja}が見つかりません: {key}")


class Conflict(DaichoError):
    """The thing is in a state that does not allow this."""

    status = 409
    title = Text("conflict", "競合")


class Invalid(DaichoError):
    """What came in cannot be right. The message names the thing, the place and the way out."""

    status = 422
    title = Text("invalid input", "入力が正しくありません")


class Unavailable(DaichoError):
    """The database cannot answer just now; the same request may succeed later."""

    status = 503
    title = Text("unavailable", "利用できません")


class Outdated(Unavailable):
    """The database's schema and this version of Daicho do not fit together."""

    title = Text("schema mismatch", "スキーマの不一致")


def located(error: DaichoError, where: Text) -> DaichoError:
    """Return the error of one of many things, saying which: ``located(error, Text("line 3", "3 行目"))``."""
    en, ja = error.message
    return _rebuild(type(error), Text(f"{where.en}: {en}", f"{where.ja}: {ja}"))


def _rebuild(kind: type[DaichoError], message: Text) -> DaichoError:
    error = kind.__new__(kind)
    DaichoError.__init__(error, *message)
    return error
