"""The places of chat logs: SQLite, PostgreSQL and DynamoDB, each empty."""

from collections.abc import Iterator

import pytest

from daicho import Settings
from tests.dynalite import Dynalite, dynamodb, table, unmade_table
from tests.faces import Faces, both_faces
from tests.faulty import Faulty

__all__ = ["dynamodb", "table", "unmade_table"]

PLACES = ("sqlite", "postgresql", "dynamodb")


@pytest.fixture(params=PLACES)
def place_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a ledger whose chat logs are in each of the places; the environment says which."""
    if request.param == "dynamodb":
        request.getfixturevalue("table")
        return request.getfixturevalue("sqlite_url")
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    monkeypatch.setenv("DATABASE_URL", url)
    return url


@pytest.fixture(params=["sync", "async"])
def chats(request: pytest.FixtureRequest, place_url: str) -> Iterator[Faces]:
    """A ledger with chat logs in each place, on each face: a test that takes it runs six times."""
    with both_faces(place_url, asynchronous=request.param == "async") as face:
        yield face


@pytest.fixture
def faulty(dynamodb: Dynalite, table: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    """A server in front of DynamoDB; from here on the environment, not ``table``, says to go by way of it."""
    proxy = Faulty(dynamodb.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", proxy.endpoint)
    yield proxy
    proxy.close()
