"""The Dockerfile: what it copies is there and is enough, and what it makes runs as no one."""

import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and their arguments."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


def of_image(wanted: str) -> str:
    """The argument of the one instruction of that name in the image that is run."""
    whole = instructions()
    last = max(place for place, (word, _) in enumerate(whole) if word == "FROM")
    (found,) = [rest for word, rest in whole[last:] if word == wanted]
    return found


def test_the_wheel_builds_from_what_the_image_copies(tmp_path: Path) -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert ignored[0] == "*"
    sent = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    copied = [
        word
        for name, rest in instructions()
        if name == "COPY" and "--from" not in rest
        for word in rest.split()[:-1]
    ]
    assert sorted(copied) == sorted(sent)
    for name in copied:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "wheels"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = (tmp_path / "wheels").iterdir()
    (run,) = [rest for name, rest in instructions() if name == "RUN" and "/opt/daicho/bin/pip" in rest]
    pattern, extra = re.findall(r"echo /wheels/(\S+)\)\[(\w+)\]", run)[0]
    assert fnmatch(wheel.name, pattern)
    with ZipFile(wheel) as archive:
        (about,) = [archive.read(name) for name in archive.namelist() if name.endswith("/METADATA")]
    assert f"Provides-Extra: {extra}\n".encode() in about


def test_the_image_is_small_and_its_user_no_one() -> None:
    *made, last = (rest.split()[0] for word, rest in instructions() if word == "FROM")
    assert (made, last) == (["python:3.13-slim-trixie", "postgres:16-trixie"], "python:3.13-slim-trixie")
    assert re.fullmatch(r"([1-9]\d{3,}):\1", of_image("USER"))
    assert of_image("STOPSIGNAL") == "SIGTERM"
    assert not any("apt" in rest.split() for word, rest in instructions() if word == "RUN")
    (contexts,) = re.findall(r"DAICHO_CONTEXTS=(\S+)", of_image("ENV"))
    assert contexts in of_image("RUN").split()  # made in the image, or the volume would be root's


def test_postgresqls_clients_come_with_what_they_need_and_run(tmp_path: Path) -> None:
    """By the very lines of the Dockerfile, with programs that are linked as the image's are."""
    (gathered,) = [rest for word, rest in instructions() if word == "RUN" and "/client" in rest]
    programs = {name: shutil.which(name) for name in ("ls", "cp")}  # any that need libraries
    for name, stand_in in (("pg_dump", "ls"), ("pg_restore", "cp")):
        gathered = gathered.replace(f"/usr/lib/postgresql/16/bin/{name}", f"{tmp_path}/{name}")
        shutil.copy(str(programs[stand_in]), tmp_path / name)
    made = gathered.replace("/client", f"{tmp_path}/client")
    subprocess.run(["sh", "-ec", made], check=True)
    libraries = {path.name.split(".so")[0] for path in (tmp_path / "client" / "lib").iterdir()}
    assert libraries
    assert not libraries & {"libc", "libm", "libpthread", "ld-linux-x86-64"}
    written = of_image("RUN")
    written = written[written.index("for name in") :]
    (tmp_path / "bin").mkdir()
    for was, is_ in (("/opt/postgresql", f"{tmp_path}/client"), ("/usr/local/bin", f"{tmp_path}/bin")):
        written = written.replace(was, is_)
    subprocess.run(["sh", "-ec", written], check=True)
    done = subprocess.run([tmp_path / "bin" / "pg_dump", "--version"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout
