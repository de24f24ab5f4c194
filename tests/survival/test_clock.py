"""A clock that is set back and forward while a ledger is written: order, pages and signs of life stay right."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.setup_browser import find_faketime
from tests.survival.small import environment


def test_a_clock_that_steps_back_and_forward_breaks_no_order_no_page_and_no_task(
    sqlite_url: str, tmp_path: Path
) -> None:
    library = find_faketime()
    if library is None:
        pytest.skip("libfaketime is not installed")
    clock = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(tmp_path / "clock"),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    (tmp_path / "clock").write_text("+0")
    command = [sys.executable, "-m", "tests.survival.stepping", sqlite_url]
    done = subprocess.run(command, capture_output=True, text=True, env=environment() | clock, timeout=110)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["wrong"] == []
