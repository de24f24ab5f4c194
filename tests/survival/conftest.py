"""A proxy in front of the PostgreSQL of all tests."""

from collections.abc import Iterator

import pytest
from sqlalchemy import make_url

from tests.survival.proxy import Proxy


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[Proxy]:
    """A proxy in front of the server of all tests."""
    url = make_url(postgres_url)
    proxy = Proxy(str(url.host), url.port or 5432)
    yield proxy
    proxy.close()


@pytest.fixture
def behind(proxy: Proxy, postgres_url: str) -> str:
    """The same database, seen through the proxy."""
    return make_url(postgres_url).set(host="127.0.0.1", port=proxy.port).render_as_string(False)
