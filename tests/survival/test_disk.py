"""A disk that is full: nothing half-written, nothing lost, and no restart once there is room again."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.survival.small import environment, on_a_small_disk


@pytest.mark.parametrize(("kind", "megabytes"), [("sqlite", 4), ("postgresql", 24)])
def test_a_full_disk_is_said_and_leaves_each_write_once_when_there_is_room_again(
    kind: str, megabytes: int, tmp_path: Path, new_sqlite: Callable[[Path], str]
) -> None:
    template = tmp_path / "template.db"
    new_sqlite(template)
    disk = tmp_path / "disk"
    disk.mkdir()
    command = [sys.executable, "-m", "tests.survival.filling", kind, str(template), str(disk)]
    done = subprocess.run(
        on_a_small_disk(disk, megabytes, command),
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert len(found["refusals"]) >= 2
    assert all("the disk is full; nothing of this was written" in said for said in found["refusals"].values())
    assert done.stderr == ""
