"""The wheel carries all that an installed Daicho needs."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]


def test_the_wheel_carries_migrations_assets_and_types(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("daicho-*.whl")
    packed = {name for name in ZipFile(wheel).namelist() if name.startswith("daicho/")}
    source = ROOT / "src"
    needed = {
        str(path.relative_to(source))
        for path in (source / "daicho").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == needed
    assert {"daicho/py.typed", "daicho/migrations/env.py", "daicho/migrations/script.py.mako"} <= packed


def test_daicho_installed_from_its_wheel_sets_up_a_database(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("daicho-*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    run = "import sys; sys.path.insert(0, sys.argv.pop(1)); from daicho.cli import main; import daicho; assert 'installed' in daicho.__file__; main()"
    for arguments in (["db", "upgrade"], ["db", "current"], ["calls", "list"]):
        command = [sys.executable, "-c", run, str(tmp_path / "installed"), *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "daicho.db").exists()
