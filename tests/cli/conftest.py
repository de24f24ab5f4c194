"""Fixtures of the command line's tests."""

import pytest

from tests.cli.terminal import Here


@pytest.fixture
def here(url: str, capsys: pytest.CaptureFixture[str]) -> Here:
    """The command line in this process, on each database."""
    return Here(url, capsys)
