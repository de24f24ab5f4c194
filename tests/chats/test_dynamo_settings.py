"""Where DynamoDB is, and who asks: settings that cannot be are named, secrets are not."""

import logging
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


@pytest.mark.parametrize(
    "url",
    [
        "http://u:s3cret@bad host:80",
        "http://u:s3cret@",
        "u:s3cret@h:80",
        "http://h?token=s3cret",
        "http://u:s3cret@h#s3cret",
        "http://u:s3cret@127.0.0.1:99999",
        "http://u:s3cret@127.0.0.1:port",
        "http://u:s3cret@[bad",
        "http://u:s3cret@h_h",
        "ftp://u:s3cret@h",
        "http://u:s3cret@h\n:80",
    ],
)
@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"])
def test_an_endpoint_that_cannot_be_is_not_repeated(
    table: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    url: str,
    name: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.delenv("AWS_ENDPOINT_URL_DYNAMODB")
    monkeypatch.setenv(name, url)
    with Ledger() as ledger, pytest.raises(Invalid, match=name) as refused:
        ledger.chats.history("s")
    if name == "AWS_ENDPOINT_URL_DYNAMODB":  # what boto3 reads by itself, it logs by itself
        assert "s3cret" not in caplog.text
    assert all("s3cret" not in words for words in (str(refused.value), repr(refused.value)))


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
@pytest.mark.parametrize("control", ["\n", "\x7f"])
def test_a_key_with_a_line_break_is_named_and_not_repeated(
    table: Settings, monkeypatch: pytest.MonkeyPatch, name: str, control: str
) -> None:
    monkeypatch.setenv(name, f"s3cret{control}")
    with Ledger() as ledger, pytest.raises(Invalid, match=name) as refused:
        ledger.chats.history("s")
    assert "s3cret" not in str(refused.value)


def test_a_user_in_the_endpoint_is_passed_over(
    table: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = str(table.chats.dynamodb.endpoint_url).replace("http://", "http://somebody:s3cret@")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
    with Ledger() as ledger:
        assert ledger.chats.append("s", "user", "x").content == "x"
    assert "s3cret" not in caplog.text


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
