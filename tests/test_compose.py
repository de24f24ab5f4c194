"""compose.yaml and its scripts hold together, as far as can be seen without an engine.

What runs in Daicho's containers runs here too, by the very same lines, beside a real PostgreSQL and a
real S3 server; only the addresses are others. MinIO itself is not here.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from daicho import Ledger, Settings
from daicho.core.sections import Server, Storage
from daicho.core.settings import ENVIRONMENT
from daicho.members.schemas import Kind, is_member_file
from daicho.members.source import Source
from daicho.server.auth import PUBLIC
from tests import dynalite
from tests.dynalite import Dynalite
from tests.members import conftest as members
from tests.postgres import free_port
from tests.test_image import of_image

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"] == "daicho:local")
ONCE = sorted(name for name, service in SERVICES.items() if service.get("restart") == "no")
VARIABLE = re.compile(r"\$\{(?P<name>\w+):(?:\?(?P<missing>[^}]+)|-(?P<default>[^}]*))\}")
KEYS = {
    match["name"]: f"key-of-{match['name'].lower()}"
    for match in VARIABLE.finditer((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    if match["missing"]
}

s3 = members.s3
dynamodb = dynalite.dynamodb


def filled(text: str) -> str:
    """A value as Compose hands it on: ``.env`` has the keys and nothing else."""
    full = VARIABLE.sub(lambda match: KEYS[match["name"]] if match["missing"] else match["default"], text)
    assert "$" not in full
    return full


def environment(service: str) -> dict[str, str]:
    return {name: filled(value) for name, value in SERVICES[service].get("environment", {}).items()}


def health_check() -> list[str]:
    _, _, command = of_image("HEALTHCHECK").partition(" CMD ")
    program, *rest = json.loads(command)
    assert program == "python"
    return [sys.executable, *rest]


def command(service: str) -> list[str]:
    assert json.loads(of_image("ENTRYPOINT")) == ["daicho"]
    return [sys.executable, "-m", "daicho", *SERVICES[service]["command"]]


def test_the_compose_file_fits_its_schema(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text((ROOT / "compose.yaml").read_text(encoding="utf-8").replace("depends_on", "depend_on"))
    for file, code in ((ROOT / "compose.yaml", 0), (wrong, 1)):
        check = ["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
        done = subprocess.run([sys.executable, *check], capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr


def test_all_that_a_service_names_is_there() -> None:
    mounted = [volume.split(":") for service in SERVICES.values() for volume in service.get("volumes", [])]
    assert {source for source, *_ in mounted if not source.startswith(".")} == set(COMPOSE["volumes"])
    assert all((ROOT / source).exists() for source, *_ in mounted if source.startswith("."))
    (contexts,) = re.findall(r"DAICHO_CONTEXTS=(\S+)", of_image("ENV"))
    assert f"contexts:{contexts}" in SERVICES["daicho"]["volumes"]
    checked = {"healthcheck", "build"}  # ours stands in the Dockerfile
    for service in SERVICES.values():
        assert not {"networks", "secrets", "configs"} & set(service)
        for other, wanted in service.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy":
                assert checked & set(SERVICES[other])
            else:
                assert (wanted["condition"], other in ONCE) == ("service_completed_successfully", True)
    assert SERVICES["daicho"]["depends_on"] == {
        "postgres": {"condition": "service_healthy"},
        "minio": {"condition": "service_healthy"},
        "migrate": {"condition": "service_completed_successfully"},
    }


def test_images_are_pinned_and_ours_is_built_once_and_never_pulled() -> None:
    for service in SERVICES.values():
        _, tag, *digest = re.split("[:@]", filled(service["image"]), maxsplit=2)
        assert tag != "latest"
        assert digest or tag in {"16", "local"} or re.fullmatch(r"\d+\.\d+\.\d+", tag)
    assert [name for name, service in SERVICES.items() if "build" in service] == ["daicho"]
    assert {SERVICES[name]["pull_policy"] for name in OURS} == {"never"}


def test_ports_are_open_to_this_machine_only() -> None:
    ports = [filled(port) for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) >= 4
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)


def test_no_key_stands_in_the_file() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|SECRET", name):
                match = VARIABLE.fullmatch(value)
                assert match is not None, name
                assert match["missing"] == "run sh compose/keys.sh first"


def test_the_script_writes_every_key_that_is_needed_and_keeps_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "compose").mkdir()
    shutil.copy(ROOT / "compose" / "keys.sh", tmp_path / "compose")
    env = tmp_path / ".env"

    def run() -> dict[str, str]:
        subprocess.run(["sh", tmp_path / "compose" / "keys.sh"], check=True, cwd="/")
        return dict(line.split("=") for line in env.read_text().splitlines() if "=" in line)

    first = run()
    assert set(first) == set(KEYS)
    assert all(re.fullmatch("[0-9a-f]{48}", key) for key in first.values())
    assert len(set(first.values())) == len(first)
    assert env.stat().st_mode & 0o077 == 0
    assert run() == first
    env.write_text("DAICHO_TOKEN=\nPOSTGRES_PASSWORD=mine")  # an example copied, a line left open
    second = run()
    assert second.pop("POSTGRES_PASSWORD") == "mine"
    assert all(re.fullmatch("[0-9a-f]{48}", key) for key in second.values())


def test_the_example_names_every_variable() -> None:
    named = re.findall(r"^(?:# )?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert sorted(named) == sorted({match["name"] for match in VARIABLE.finditer(str(SERVICES))})


@pytest.mark.parametrize("service", OURS)
def test_daicho_knows_every_setting_that_it_is_given(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = environment(service)
    assert set(given) <= {*ENVIRONMENT, "DAICHO_LANG"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    for name in set(given) - {"DAICHO_LANG"} - {name for name, value in given.items() if not value}:
        value: Any = settings
        for part in ENVIRONMENT[name]:
            value = getattr(value, part)
        assert str(value.get_secret_value() if hasattr(value, "get_secret_value") else value) == given[name]
    postgres = environment("postgres")
    url = settings.database_url()
    assert (url.username, url.password) == (postgres["POSTGRES_USER"], postgres["POSTGRES_PASSWORD"])
    assert (url.host, url.port, url.database) == ("postgres", 5432, postgres["POSTGRES_DB"])


def test_minio_and_daicho_know_the_same_addresses_and_keys() -> None:
    minio, daicho, bucket = (environment(name) for name in ("minio", "daicho", "bucket"))
    hook = urlsplit(minio["MINIO_NOTIFY_WEBHOOK_ENDPOINT_DAICHO"])
    assert (hook.hostname, hook.port) == ("daicho", Server().port)
    assert hook.path in PUBLIC
    assert minio["MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_DAICHO"] == daicho["DAICHO_WEBHOOK_TOKEN"]
    assert minio["MINIO_NOTIFY_WEBHOOK_QUEUE_DIR_DAICHO"] in str(SERVICES["minio"]["volumes"])
    assert daicho["AWS_ENDPOINT_URL"] == "http://minio:9000"
    assert bucket["MINIO_ROOT_PASSWORD"] == minio["MINIO_ROOT_PASSWORD"]
    assert bucket["MINIO_DAICHO_PASSWORD"] == daicho["AWS_SECRET_ACCESS_KEY"]
    assert daicho["DAICHO_MEMBERS_SOURCE"] in SERVICES["sync"]["command"]
    ports = {int(port.rpartition(":")[2]) for name in SERVICES for port in SERVICES[name].get("ports", [])}
    assert ports == {5432, 8000, 9000, 9001, int(of_image("EXPOSE"))}


def test_dynamodb_and_daicho_know_the_same_address_and_its_tables_have_a_folder() -> None:
    dynamodb, daicho = SERVICES["dynamodb"], environment("daicho")
    address = urlsplit(daicho["AWS_ENDPOINT_URL_DYNAMODB"])
    assert (address.hostname, address.port) == ("dynamodb", 8000)
    assert dynamodb["healthcheck"]["test"][-1] == f"http://127.0.0.1:{address.port}/"
    folder = dynamodb["command"][dynamodb["command"].index("-dbPath") + 1]
    assert f"dynamodb:{folder}" in dynamodb["volumes"]
    assert daicho["AWS_ACCESS_KEY_ID"].isalnum()  # DynamoDB Local takes no other
    assert daicho["CHATLOG_BACKEND"] == "sql"
    assert (dynamodb["cap_drop"], dynamodb["cap_add"]) == (["ALL"], ["DAC_OVERRIDE"])
    assert dynamodb["security_opt"] == ["no-new-privileges:true"]
    for name, service in SERVICES.items():
        assert ("dynamodb" in service.get("depends_on", {})) == (name == "chats")


@pytest.mark.parametrize("backend", ["sql", "dynamodb"])
def test_the_services_line_prepares_the_place_of_chats(backend: str, dynamodb: Dynalite) -> None:
    elsewhere = {
        "DATABASE_URL": "sqlite:///ledger.db",
        "CHATLOG_BACKEND": backend,
        "CHATLOG_TABLE": f"Composed-{backend}",
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb.endpoint,
    }
    given = {"PATH": os.environ["PATH"]} | environment("chats") | elsewhere
    for _ in range(2):
        done = subprocess.run(command("chats"), env=given, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    place = {
        "backend": backend,
        "dynamodb": {
            "table": given["CHATLOG_TABLE"],
            "endpoint_url": dynamodb.endpoint,
            "region": given["AWS_REGION"],
            "access_key_id": given["AWS_ACCESS_KEY_ID"],
            "secret_access_key": given["AWS_SECRET_ACCESS_KEY"],
        },
    }
    database = {"url": given["DATABASE_URL"]}
    with Ledger(settings=Settings.of({"database": database, "chats": place})) as ledger:
        assert ledger.chats.append("s", "user", "kept").content == "kept"
        assert [message.content for message in ledger.chats.history("s")] == ["kept"]


def test_the_bucket_is_made_and_tells_of_members_files_only(tmp_path: Path) -> None:
    log = tmp_path / "log"
    recorder = tmp_path / "mc"  # MinIO's client is not here: what would be asked of it is written down
    recorder.write_text(f'#!/bin/sh\nfor word; do printf "%s\\t" "$word"; done >> {log}\necho >> {log}\n')
    recorder.chmod(0o755)
    surroundings = environment("bucket") | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", ROOT / "compose" / "bucket.sh"], check=True, env=surroundings)
    asked = [line.split("\t")[:-1] for line in log.read_text().splitlines()]
    alias, bucket, policy, user, attached, *events = asked
    assert alias[-2:] == [surroundings["MINIO_ROOT_USER"], surroundings["MINIO_ROOT_PASSWORD"]]
    assert bucket == ["mb", "--ignore-existing", "store/members"]
    daicho = environment("daicho")
    assert daicho["DAICHO_MEMBERS_SOURCE"] == "s3://members"
    assert user[-2:] == [daicho["AWS_ACCESS_KEY_ID"], daicho["AWS_SECRET_ACCESS_KEY"]]
    assert attached[-3:] == [policy[-2], "--user", daicho["AWS_ACCESS_KEY_ID"]]
    assert SERVICES["bucket"]["volumes"] == ["./compose:/compose:ro"]
    allowed = json.loads((ROOT / policy[-1].removeprefix("/")).read_text())["Statement"]
    assert all(re.search(":(Get|List)", action) for one in allowed for action in one["Action"])
    assert all(place.split("/")[0] == "arn:aws:s3:::members" for one in allowed for place in one["Resource"])
    suffixes = [event[event.index("--suffix") + 1] for event in events]
    assert len(suffixes) == 2
    assert all(is_member_file(kind, f"{kind.folder}/a{suffix}") for kind in Kind for suffix in suffixes)
    for event in events:
        assert event[:5] == ["event", "add", "--ignore-existing", "--event", "put,delete"]
        assert event[-2:] == ["store/members", "arn:minio:sqs::DAICHO:webhook"]


def notice(path: str, event: str, sequencer: str) -> dict[str, Any]:
    """A notification as MinIO sends it."""
    item = {"key": path.replace("/", "%2F"), "size": 1, "eTag": "x", "sequencer": sequencer}
    place = {"bucket": {"name": "members", "arn": "arn:aws:s3:::members"}, "object": item}
    record = {"eventVersion": "2.0", "eventSource": "minio:s3", "eventName": event, "s3": place}
    return {"EventName": event, "Key": f"members/{path}", "Records": [record]}


def test_the_services_lines_bring_members_from_the_bucket_into_the_ledger(
    new_postgres: Callable[..., str], s3: tuple[str, Path], tmp_path: Path
) -> None:
    endpoint, folder = s3
    (folder / "members").mkdir()
    storage = Storage.model_validate({"endpoint": endpoint, "region": "us-east-1", **members.KEYS})
    bucket = members.Bucket(Source("s3://members", storage), folder / "members")
    emma = bucket.put("human_members/emma.yml", "name: Emma\n")
    url = new_postgres(migrated=False)
    port = free_port()
    elsewhere = {
        "DATABASE_URL": url,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": members.KEYS["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": members.KEYS["secret_access_key"],
        "DAICHO_PORT": str(port),
        "DAICHO_CONTEXTS": str(tmp_path),
    }

    def surroundings(service: str) -> dict[str, str]:
        return {"PATH": os.environ["PATH"]} | environment(service) | elsewhere

    def run(service: str) -> None:
        done = subprocess.run(command(service), env=surroundings(service), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def healthy() -> bool:
        return subprocess.run(health_check(), env=surroundings("daicho"), capture_output=True).returncode == 0

    run("migrate")
    assert not healthy()
    with (
        subprocess.Popen(command("daicho"), env=surroundings("daicho"), stdout=subprocess.PIPE) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as minio,
        Ledger(url) as ledger,
    ):
        try:
            assert server.stdout is not None
            said = [server.stdout.readline() for _ in range(3)]
            assert healthy(), said
            run("sync")
            assert ledger.members.get_human("Emma").file_uri == emma

            given = environment("minio")
            hook = urlsplit(given["MINIO_NOTIFY_WEBHOOK_ENDPOINT_DAICHO"])
            token = given["MINIO_NOTIFY_WEBHOOK_AUTH_TOKEN_DAICHO"]
            minio.headers.update({"Host": hook.netloc, "Authorization": f"Bearer {token}"})
            assert minio.head(hook.path).status_code < 500  # how MinIO asks whether anyone is there

            def tell(path: str, event: str, sequencer: str) -> tuple[int, str]:
                answer = minio.post(hook.path, json=notice(path, event, sequencer))
                return answer.status_code, answer.json()["results"][0]["outcome"]

            bucket.put("human_members/olivia.yaml", "name: Olivia\n")
            assert tell("human_members/olivia.yaml", "s3:ObjectCreated:Put", "17A1") == (200, "added")
            # MinIO tells again what was not answered by 200, and nothing else until then.
            bucket.put("human_members/bad.yml", "nam: x\n")
            assert tell("human_members/bad.yml", "s3:ObjectCreated:Put", "17A2") == (400, "invalid")
            assert tell("human_members/bad.yml", "s3:ObjectCreated:Put", "17A2") == (200, "known")
            bucket.put("human_members/other.yml", "name: Olivia\n")
            assert tell("human_members/other.yml", "s3:ObjectCreated:Put", "17A4") == (400, "conflict")
            assert tell("human_members/other.yml", "s3:ObjectCreated:Put", "17A4") == (200, "known")
            bucket.drop("human_members/emma.yml")
            assert tell("human_members/emma.yml", "s3:ObjectRemoved:Delete", "17A3") == (200, "removed")
            assert [human.name for human in ledger.members.list_humans().items] == ["Olivia"]
            server.send_signal(getattr(signal, of_image("STOPSIGNAL")))
            assert server.wait(20) == 0
        finally:
            server.kill()
