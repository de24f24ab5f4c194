"""The wheel: small, whole, and enough beside Daicho's."""

import os
import subprocess
import sys
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

from tests.dropin.printed import printed

ROOT = Path(__file__).parents[2]
RUN = """
import sys
sys.path.insert(0, sys.argv[1])
import console_backend, daicho, database.manager, db.database, context_storage
assert all(sys.argv[1] in module.__file__ for module in (console_backend, daicho, database, db, context_storage))
"""


def build(folder: Path, into: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (wheel,) = into.glob("*.whl")
    return wheel


def test_both_wheels_installed_run_a_program_as_printed(tmp_path: Path) -> None:
    dropin, daicho = build(ROOT / "dropin", tmp_path / "a"), build(ROOT, tmp_path / "b")
    with ZipFile(dropin) as archive:
        names = archive.namelist()
        metadata = message_from_bytes(archive.read(next(one for one in names if one.endswith("METADATA"))))
    packed = {name for name in names if ".dist-info/" not in name}
    folder = ROOT / "dropin"
    wanted = {
        str(path.relative_to(folder)) for path in folder.glob("*/**/*") if path.suffix in {".py", ".typed"}
    }
    assert packed == wanted
    assert sum(name.endswith("py.typed") for name in packed) == 5
    assert metadata.get_all("Requires-Dist") == ["daicho>=0.1.0"]
    assert dropin.stat().st_size < 40_000

    target = str(tmp_path / "installed")
    install = ["-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-compile", "--target", target]
    subprocess.run([sys.executable, *install, str(dropin), str(daicho)], check=True, capture_output=True)
    program = RUN + printed("000", "from console_backend.service_client import (")
    program += printed("000", "from console_backend.database import SessionLocal") + "\nprint(logs[0].text)"
    environment = {name: os.environ[name] for name in os.environ.keys() - {"PYTHONPATH"}}
    environment["DATABASE_URL"] = "sqlite:///call_console.db"
    done = subprocess.run(
        [sys.executable, "-c", program, target], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "こんにちは\n", done.stderr
    assert (tmp_path / "call_console.db").is_file()
