"""Where DynamoDB is, and who asks: settings that cannot be are named, secrets are not."""

from typing import Any

import pytest

from daicho import Invalid, Ledger, Outdated, Settings, Unavailable
from daicho.chats.dynamo import ChatTable


def test_without_tables_it_is_said_how_to_get_them(unmade_table: Settings) -> None:
    with Ledger(settings=unmade_table) as ledger:
        for use in (
            lambda: ledger.chats.append("s", "user", "x"),
            lambda: ledger.chats.history("s"),
            lambda: ledger.chats.sessions(),
            lambda: ledger.chats.delete_session("s"),
        ):
            with pytest.raises(Outdated, match="daicho chats init"):
                use()


@pytest.mark.parametrize(
    ("without", "values", "said"),
    [
        (("AWS_REGION", "AWS_ENDPOINT_URL_DYNAMODB"), {}, "AWS_REGION"),
        ((), {"AWS_ENDPOINT_URL_DYNAMODB": "no url"}, "AWS_ENDPOINT_URL_DYNAMODB"),
        ((), {"AWS_REGION": "no region!"}, "AWS_REGION"),
        (("AWS_SECRET_ACCESS_KEY",), {}, "AWS_SECRET_ACCESS_KEY"),
        (("AWS_ACCESS_KEY_ID",), {}, "AWS_ACCESS_KEY_ID"),
    ],
    ids=["no-region", "no-url", "bad-region", "no-secret", "no-key"],
)
def test_settings_that_cannot_be_are_named(
    table: Settings,
    monkeypatch: pytest.MonkeyPatch,
    without: tuple[str, ...],
    values: dict[str, str],
    said: str,
) -> None:
    for name in without:
        monkeypatch.delenv(name)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with Ledger() as ledger, pytest.raises(Invalid, match=said):
        ledger.chats.history("s")


def test_without_any_keys_it_is_said_which(table: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with Ledger() as ledger, pytest.raises(Unavailable, match="AWS_ACCESS_KEY_ID"):
        ledger.chats.history("s")


def test_a_local_server_needs_no_region(table: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    with Ledger() as ledger:
        assert ledger.chats.append("s", "user", "x").content == "x"


def test_secrets_are_nowhere_to_be_read(
    faulty: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = {"AWS_SECRET_ACCESS_KEY": "the-secret-key", "AWS_SESSION_TOKEN": "the-session-token"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    place = ChatTable(settings.chats)
    said = [repr(place), place.place, repr(settings)]
    for code in ("InvalidSignatureException", "UnrecognizedClientException", "AccessDeniedException"):
        faulty.refuse("Query", code, message=f"the canonical request was: {secrets}")
        with Ledger() as ledger, pytest.raises(Unavailable, match=f"login refused.*{code}") as error:
            ledger.chats.history("s")
        said.append(str(error.value) + repr(error.value))
    user = faulty.endpoint.replace("http://", "http://somebody:the-password@")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", user)
    said.append(ChatTable(Settings().chats).place)
    said.append(caplog.text)
    for secret in (*secrets.values(), "the-password"):
        assert all(secret not in words for words in said)
