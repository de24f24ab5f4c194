"""docs/operations.md is followed: its own lines set up PostgreSQL, and each role can do its work and no more."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer

from daicho import Ledger, cli
from daicho.cli import application
from tests.postgres import Cluster, programs
from tests.test_docs import blocks
from tests.tls_server import TlsServer

ROOT = Path(__file__).parents[1]
GUIDES = ("docs/operations.md", "docs/operations.ja.md")
PASSWORDS = {"daicho_owner": "owners-own", "daicho_app": "applications-own", "daicho_readonly": "readers-own"}


def section(name: str, number: int) -> str:
    text = (ROOT / name).read_text(encoding="utf-8")
    (found,) = re.findall(rf"^## {number}\. .*?(?=^## )", text, re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Cluster, TlsServer]]:
    """A server of its own that asks our roles for passwords, by the guide's line, and TLS before it."""
    cluster = Cluster(durable=True)
    (line,) = re.findall(r"^hostssl .*$", section(GUIDES[0], 3), re.MULTILINE)
    ours = line.replace("hostssl", "host").replace("10.0.0.0/24", "127.0.0.1/32")
    (cluster.data / "pg_hba.conf").write_text(f"{ours}\nhost all postgres 127.0.0.1/32 trust\n")
    tls = TlsServer(tmp_path, cluster.port)
    try:
        with psycopg.connect(cluster.url()) as connection:
            connection.execute("SELECT pg_reload_conf()")
        yield cluster, tls
    finally:
        tls.close()
        cluster.close()


def commands(folder: Path, cluster: Cluster) -> None:
    """Programs of the guide's machine: sudo and psql with the superuser's login, and daicho."""
    folder.mkdir()
    superuser = f"PGHOST=127.0.0.1 PGPORT={cluster.port} PGUSER=postgres"
    typed = " ".join(f"{name}) echo {password}; echo {password};;" for name, password in PASSWORDS.items())
    scripts = {
        "sudo": f'shift 2; exec env {superuser} "$@"',
        "createdb": f'exec {programs()}/createdb "$@"',
        # \password asks who sits there; nobody does.
        "psql": f"""case "$*" in *password*)
            for word; do case "$word" in
                -c) ;;
                '\\password '*) case "${{word#* }}" in {typed} esac
                    ;;
            esac; done | setsid {programs()}/psql "$@" ;;
        *) exec {programs()}/psql "$@" ;; esac""",
        "daicho": f'exec {sys.executable} -m daicho "$@"',
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/bash\n{script}\n")
        (folder / name).chmod(0o755)


def test_the_guides_own_lines_set_up_postgresql_with_tls_and_least_rights(
    server: tuple[Cluster, TlsServer], tmp_path: Path
) -> None:
    cluster, tls = server
    commands(tmp_path / "bin", cluster)
    text = section(GUIDES[0], 3)
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    for guide, here in (("db.example", "localhost"), ("/etc/daicho/ca.crt", str(tls.certificate))):
        assert guide in lines
        lines = lines.replace(guide, here)
    asked = re.findall(r"read -rsp 'password of (\w+): '", lines)
    for name in asked:
        lines = lines.replace(
            f"read -rsp 'password of {name}: ' DATABASE_PASSWORD",
            f"read -r DATABASE_PASSWORD <<< {PASSWORDS[name]}",
        )
    environment = os.environ | {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "DATABASE_PORT": str(tls.port),
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("login", "tls", "row security", "schema", "drift", "durability"):
        assert re.search(rf"^✓  {name} ", done.stdout, re.MULTILINE), (name, done.stdout)
    assert not any(password in done.stdout + done.stderr for password in PASSWORDS.values())

    def url(role: str) -> str:
        way = f"postgresql://{role}:{PASSWORDS[role]}@127.0.0.1:{cluster.port}/daicho"
        return tls.url(way, "verify-full")

    with Ledger(url("daicho_app")) as ledger:
        ledger.calls.start("call-1", "client")
        acme, other = (ledger.usage.create_tenant(name).id for name in ("Acme", "Other"))
        record = {"operation": "o", "model": "m", "input_tokens": 1}
        theirs = ledger.for_tenant(other).usage.record(**record)
        own = ledger.for_tenant(acme)
        own.usage.record(**record)
        assert theirs.id not in [one.id for one in own.usage.list().items]
    with psycopg.connect(url("daicho_app"), autocommit=True) as app:
        app.execute(f"SET daicho.tenant_id = '{acme}'")
        assert app.execute("SELECT count(*) FROM ai_usage_logs").fetchone() == (
            1,
        )  # whatever it forgets to say
        for statement in ("CREATE TABLE t (a int)", "DROP TABLE calls", "ALTER TABLE calls ADD a int"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(statement)
    with psycopg.connect(url("daicho_readonly"), autocommit=True) as reader:
        assert reader.execute("SELECT count(*) FROM ai_usage_logs").fetchone() == (2,)
        with pytest.raises(psycopg.errors.Error):
            reader.execute("DELETE FROM calls")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url("daicho_app").replace(PASSWORDS["daicho_app"], "a-guess"))
    # And after an upgrade, as the owner: it may, though it may not change roles.
    assert cli.run(["--database", url("daicho_owner"), "db", "grant", "--apply"]) == 0


def test_the_guides_commands_exist() -> None:
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in GUIDES]
    named = re.findall(r"`(daicho [a-z][^`]*)`", "".join(texts))
    lines = "".join(blocks(GUIDES[0], "sh")).replace("\\\n", " ").splitlines()
    plain = [line.split(" #")[0].rstrip() for line in [*named, *lines]]
    ours = [re.match(r"(?:.*\s)?daicho(?:-run(?: --owner)?)? (.*)", line) for line in plain]
    asked = [shlex.split(found[1]) for found in ours if found]
    assert len(asked) > 12
    root: Any = typer.main.get_command(application())
    for rest in asked:
        command = root
        for word in rest:
            if not (below := getattr(command, "commands", {})) or word.startswith("-"):
                break
            command = below[word]
        options = {
            option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert {word for word in rest if word.startswith("--")} <= options, rest


def test_both_guides_say_the_same() -> None:
    strip = re.compile(r" +#.*|'[^']*: '")
    for language in ("sh", "ini", "text", "nginx"):
        one, other = ([strip.sub("", block) for block in blocks(name, language)] for name in GUIDES)
        assert one == other
    rows = [
        len(re.findall(r"^\|", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)) for name in GUIDES
    ]
    assert rows[0] == rows[1]


def test_the_files_that_the_guide_installs_are_there() -> None:
    for pattern in re.findall(r"packaging/systemd/\S+", (ROOT / GUIDES[0]).read_text(encoding="utf-8")):
        assert list(ROOT.glob(pattern)), pattern
