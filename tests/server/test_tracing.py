"""Traces, sent by the real exporter to a real receiver on loopback."""

import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from daicho import Ledger
from daicho.server.tracing import configured
from tests.serving import running

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = "nobody's business"


class Receiver:
    """What an OTLP collector does with spans: takes them."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []
        received = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = ExportTraceServiceRequest()
                request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
                for one in request.resource_spans:
                    received.resources.append(attributes(one.resource))
                    for scope in one.scope_spans:
                        received.spans += scope.spans
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Take no more."""
        self._server.shutdown()
        self._server.server_close()

    def named(self, name: str) -> list[Span]:
        """The spans of this name."""
        return [span for span in self.spans if span.name == name]


def attributes(of: Any) -> dict[str, Any]:
    """The attributes of a span, an event or a resource."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in of.attributes}


@pytest.fixture(autouse=True)
def _no_others_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OTEL_SDK_DISABLED",
        "OTEL_TRACES_EXPORTER",
        "OTEL_SERVICE_NAME",
        "OTEL_RESOURCE_ATTRIBUTES",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A collector that the environment names."""
    receiver = Receiver()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    yield receiver
    receiver.close()


@contextmanager
def traced(url: str) -> Iterator[Any]:
    """A server with the traces that the environment asks for, which are sent when the block ends."""
    traces = configured()
    assert traces is not None
    with running(url, traces=traces) as server:
        yield server
    traces.close()


def test_requests_and_operations_are_one_trace(url: str, receiver: Receiver) -> None:
    with traced(url) as server, server.client(traceparent=f"00-{TRACE}-{PARENT}-01") as client:
        client.post("/api/v1/calls", json={"call_id": "call-1", "client_id": "c"})
        client.post("/api/v1/calls/call-1/logs?token=hush", json={"role": "user", "text": SECRET})
        client.get("/api/v1/calls/nobody")
        client.get("/metrics")
    (request,) = receiver.named("POST /api/v1/calls/{call_id}/logs")
    (append,) = receiver.named("daicho.calls.append_log")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert append.trace_id == request.trace_id
    said = attributes(request)
    assert said["http.request.method"] == "POST"
    assert said["http.response.status_code"] == 201
    assert said["url.path"] == "/api/v1/calls/call-1/logs"
    assert request.kind == Span.SPAN_KIND_SERVER
    system = "sqlite" if url.startswith("sqlite") else "postgresql"
    assert attributes(append)["db.system.name"] == system
    assert attributes(append)["db.operation.name"] == "calls.append_log"
    (commit,) = receiver.named("daicho.group_commit")
    assert [link.span_id for link in commit.links] == [append.span_id]
    (missing,) = receiver.named("daicho.calls.get")
    assert attributes(missing)["error.type"] == "NotFound"
    assert [event.name for event in missing.events] == ["exception"]
    assert receiver.resources[0]["service.name"] == "daicho"
    assert not any("/metrics" in span.name for span in receiver.spans)
    everything = "".join(str(span) for span in receiver.spans)
    assert SECRET not in everything
    assert "hush" not in everything


def test_what_is_tried_again_is_an_event(new_postgres: Callable[..., str], receiver: Receiver) -> None:
    traces = configured()
    assert traces is not None
    with Ledger(new_postgres()) as ledger:
        traces.follow(ledger.database)
        ledger.calls.start("call-1", "c")
        # The next use of the pool's connection finds it gone, and begins anew.
        ledger.database.run(lambda session: None)
        with ThreadPoolExecutor(1) as thread:
            thread.submit(_end_others, ledger).result()
        assert ledger.calls.get("call-1").client_id == "c"
    traces.close()
    spans = receiver.named("daicho.calls.get")
    events = [(event.name, attributes(event)["daicho.retry.reason"]) for event in spans[0].events]
    assert events[0] in {("daicho.retry", "disconnected"), ("daicho.retry", "shutdown")}


def _end_others(ledger: Ledger) -> None:
    import psycopg

    with psycopg.connect(ledger.database.url.set(drivername="postgresql").render_as_string(False)) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_collector_that_is_not_there_is_told_of_once(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens: refused
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        told = threading.Event()
        tries = []
        with caplog.at_level(logging.WARNING):
            traces = configured()
            assert traces is not None
            send = traces._exporter._exporter.export

            def counting(spans: Any) -> Any:
                result = send(spans)
                tries.append(len(spans))
                if len(tries) == 3:
                    told.set()
                return result

            monkeypatch.setattr(traces._exporter._exporter, "export", counting)
            with running(sqlite_url, traces=traces) as server, server.client() as client:
                while not told.is_set():
                    assert client.get("/api/v1/calls").status_code == 200
            traces.close()
    lines = [record.getMessage() for record in caplog.records if "traces" in record.getMessage()]
    assert lines == ["traces cannot be sent; they are dropped until the collector takes them"]
    assert {record.name for record in caplog.records} == {"daicho"}


def test_nothing_of_it_is_imported_unless_asked_for() -> None:
    code = (
        "import sys; from daicho.server import run, tracing; assert tracing.configured() is None;"
        "print(*[name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(("name", "value"), [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")])
def test_it_can_be_turned_off(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert configured() is None


def test_without_what_it_needs_the_server_goes_on_and_says_so(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "daicho.ops.tracing", None)
    assert configured() is None
    assert "pip install 'daicho[otel]'" in caplog.text
