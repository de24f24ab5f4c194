"""The systemd units: what they name is there, systemd takes them, and what they start says that it is ready."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import httpx
import pytest

from daicho.core.settings import ENVIRONMENT
from tests.postgres import free_port

FOLDER = Path(__file__).parents[1] / "packaging" / "systemd"
PROGRAM = "/opt/daicho/bin/daicho"
SERVICES = sorted(FOLDER.glob("*.service"))
EXPOSED = 25
"""What systemd-analyze calls OK, in tenths; a unit that says nothing has 96."""


class Unit(RawConfigParser):
    """A unit's file: keys may stand twice, and their letter case counts."""

    def __init__(self, path: Path) -> None:
        super().__init__(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
        self.optionxform = str  # type: ignore[assignment, method-assign]
        self.read(path, encoding="utf-8")


def example() -> dict[str, str]:
    """Every variable of the example of /etc/daicho/daicho.env."""
    text = (FOLDER / "daicho.env").read_text(encoding="utf-8")
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.MULTILINE))


def test_systemd_takes_every_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd is not on this machine")
    program = tmp_path / "daicho"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for path in FOLDER.iterdir():
        text = path.read_text(encoding="utf-8").replace(PROGRAM, str(program))
        (tmp_path / path.name).write_text(text)
    units = [str(tmp_path / path.name) for path in FOLDER.iterdir() if path.suffix in {".service", ".timer"}]
    assert len(units) == 5
    verified = subprocess.run([analyze, "verify", *units], capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")
    for unit in units:
        if unit.endswith(".service"):
            looked = [analyze, "security", "--offline=true", f"--threshold={EXPOSED}", "--no-pager", unit]
            done = subprocess.run(looked, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout.splitlines()[-1]


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_a_unit_runs_daicho_as_its_own_user_in_its_own_folder(path: Path) -> None:
    service = Unit(path)["Service"]
    program, *words = shlex.split(service["ExecStart"])
    assert (program, service["User"]) == (PROGRAM, "daicho")
    assert service["WorkingDirectory"].removeprefix("/var/lib/") in service["StateDirectory"].split()
    assert (service["ProtectSystem"], service["NoNewPrivileges"], service["UMask"]) == (
        "strict",
        "yes",
        "0077",
    )
    assert not re.search("PASSWORD=|TOKEN=", path.read_text())
    assert words[0] in {"serve", "db"}


@pytest.mark.parametrize("owner", [False, True])
def test_daicho_by_hand_is_daicho_as_the_service_runs_it(owner: bool, tmp_path: Path) -> None:
    (tmp_path / "systemd-run").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "systemd-run").chmod(0o755)
    command = [str(FOLDER / "daicho-run"), *(["--owner"] if owner else []), "calls", "search", "a b"]
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    said = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert said[said.index(PROGRAM) :] == [PROGRAM, "calls", "search", "a b"]
    service = Unit(FOLDER / "daicho.service")["Service"]
    for name in ("User", "UMask", "WorkingDirectory", "EnvironmentFile"):
        assert f"--property={name}={service[name]}" in said
    assert ("--property=EnvironmentFile=-/etc/daicho/owner.env" in said) is owner


def test_every_timer_starts_a_service_that_is_there() -> None:
    timers = sorted(path.stem for path in FOLDER.glob("*.timer"))
    assert timers == [path.stem for path in SERVICES if Unit(path)["Service"]["Type"] == "oneshot"]
    for name in timers:
        assert Unit(FOLDER / f"{name}.timer")["Timer"]["Persistent"] == "true"


def test_the_example_of_the_environment_names_settings_that_are_read() -> None:
    assert set(example()) <= {*ENVIRONMENT, "DAICHO_LANG"}
    assert example()["DAICHO_TOKEN"] == ""  # nobody's example is anybody's key


def test_the_unit_starts_a_server_that_says_when_it_is_ready_and_ends_in_order(tmp_path: Path) -> None:
    service = Unit(FOLDER / "daicho.service")["Service"]
    assert service["Type"] == "notify"
    _, *words = shlex.split(service["ExecStart"])
    port = free_port()
    # As systemd does: nothing of this environment, but its own.
    given = {
        name: value.replace("/var/lib/daicho", str(tmp_path)) for name, value in example().items() if value
    }
    given = {name: given[name] for name in ("DATABASE_URL", "DAICHO_CONTEXTS")}
    given |= {"DAICHO_TOKEN": "9f86d081884c7d659a2feaa0c55ad015", "DAICHO_PORT": str(port)}
    given |= {"DAICHO_PUBLIC_NAME": "daicho.example", "PATH": os.environ["PATH"]}
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(60)
        command = [sys.executable, "-m", "daicho", *words]
        server = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=given | {"NOTIFY_SOCKET": str(address)},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert manager.recv(100) == b"READY=1"
            base = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=base, trust_env=False) as proxy:
                assert proxy.get("/health/ready").json()["status"] in {"ok", "warn"}
                named = proxy.get("/health/live", headers={"Host": "daicho.example"})
                assert named.status_code == 200
                assert proxy.get("/health/live", headers={"Host": "other.example"}).status_code == 421
            server.send_signal(signal.SIGTERM)
            assert manager.recv(100) == b"STOPPING=1"
            said, _ = server.communicate(timeout=30)
            assert server.returncode == 0
            assert "https://daicho.example/?token=" in said
        finally:
            server.kill()
            server.wait()
