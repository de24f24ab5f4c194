"""The drop-in's names on each database, as the environment says where it is."""

from collections.abc import Iterator

import pytest

import daicho_dropin
from db.connection import DatabaseConnection


@pytest.fixture(autouse=True)
def _own_ledger() -> Iterator[None]:
    """Every test has the process's ledger to itself."""
    from console_backend.config import get_settings

    get_settings.cache_clear()
    yield
    DatabaseConnection().close()
    daicho_dropin.close()


@pytest.fixture
def configured(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The settings name a new database, once of each kind; its URL."""
    monkeypatch.setenv("DATABASE_URL", url)
    return url
