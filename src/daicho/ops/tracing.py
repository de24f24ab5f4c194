"""Traces of Daicho itself, for OpenTelemetry: a span for each request, each operation, each shared commit.

Names and attributes are those of OpenTelemetry's semantic conventions. Texts and values of the ledger stand
in none of them. Whoever imports this needs ``daicho[otel]``.
"""

import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode, Tracer
from opentelemetry.trace import TracerProvider as Provider

from daicho.core.engine import Database
from daicho.core.errors import DaichoError

log = logging.getLogger("daicho")

FLUSH_SECONDS = 3.0
"""How long the end of the process waits for the last spans to be sent."""
LINKS = 128
"""The most links of one span."""
NOISY = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal")
"""Loggers that would tell of an unreachable collector again and again."""


class Spans:
    """Makes spans of a database's operations (``core.measure.Tracer``).

    Args:
        tracer: what makes them.
        database: whose operations they are.
    """

    def __init__(self, tracer: Tracer, database: Database) -> None:
        self._tracer = tracer
        self._attributes = _of_database(database)
        self._dynamodb = database.settings.chats.backend == "dynamodb"

    @contextmanager
    def operation(self, name: str) -> Iterator[None]:
        attributes = {**self._attributes, "db.operation.name": name}
        if self._dynamodb and name.startswith("chats."):
            attributes = {"db.system.name": "aws.dynamodb", "db.operation.name": name}
        with _noting_errors(self._tracer, f"daicho.{name}", SpanKind.CLIENT, attributes):
            yield

    @contextmanager
    def batch(self, name: str, links: Sequence[object]) -> Iterator[None]:
        contexts = [one for one in links if isinstance(one, SpanContext) and one.is_valid][:LINKS]
        attributes = {**self._attributes, "db.operation.batch.size": len(links)}
        to = [Link(context) for context in contexts]
        with _noting_errors(self._tracer, f"daicho.{name}", SpanKind.CLIENT, attributes, to):
            yield

    def link(self) -> object:
        return trace.get_current_span().get_span_context()

    def repeats(self, why: str) -> None:
        trace.get_current_span().add_event("daicho.retry", {"daicho.retry.reason": why})


def follow(database: Database, provider: Provider | None = None) -> None:
    """Make spans of a database's operations from now on.

    Args:
        database: the database of a ledger: ``ledger.database``.
        provider: what makes and sends them; the one that OpenTelemetry's API knows of, if None.
    """
    tracer = trace.get_tracer("daicho", tracer_provider=provider)
    database.measures.tracer = Spans(tracer, database)


class Tracing:
    """The traces of a server, sent as OpenTelemetry's environment variables say.

    Args:
        exporter: what sends them; by OTLP over HTTP, if None.
    """

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        for name in NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._exporter = SayingOnce(exporter or OTLPSpanExporter())
        self._provider = TracerProvider(resource=Resource.create(_named()), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("daicho")

    def follow(self, database: Database) -> None:
        """Make spans of a database's operations."""
        follow(database, self._provider)

    def request(
        self, method: str, attributes: Mapping[str, str | int], headers: Mapping[str, str]
    ) -> AbstractContextManager[Span]:
        """Follow a request that came in, as a part of the trace that its headers name.

        Args:
            method: its method, which is the span's name until its route is known.
            attributes: what is known of it.
            headers: its headers, by names in small letters.
        """
        return self._tracer.start_as_current_span(
            method, context=propagate.extract(headers), kind=SpanKind.SERVER, attributes=attributes
        )

    def close(self) -> None:
        """Send what is left, for some seconds at most, and stop."""
        ending = threading.Thread(target=self._provider.shutdown, name="daicho-traces-end", daemon=True)
        ending.start()
        ending.join(FLUSH_SECONDS)
        if ending.is_alive():
            log.warning("the last traces were not sent within %.0f seconds", FLUSH_SECONDS)
            self._exporter.shutdown()
            ending.join(1)


class SayingOnce(SpanExporter):
    """An exporter that tells once that the collector takes nothing, and once that it does again.

    Args:
        exporter: what sends.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._fails = False
        self._ended = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # whatever it is, it must not end the thread that sends
            log.debug("traces: %s", error)
            result = SpanExportResult.FAILURE
        failed = result is not SpanExportResult.SUCCESS
        if failed and not self._fails:
            log.warning("traces cannot be sent; they are dropped until the collector takes them")
        elif self._fails and not failed:
            log.warning("traces are sent again")
        self._fails = failed
        return result

    def shutdown(self) -> None:
        if not self._ended:
            self._ended = True
            self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def set_outcome(span: Span, method: str, route: str | None, status: int | None) -> None:
    """Note what became of a request: its route, and what it was answered."""
    if route is not None:
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
    if status is not None:
        span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(StatusCode.ERROR)


@contextmanager
def _noting_errors(
    tracer: Tracer,
    name: str,
    kind: SpanKind,
    attributes: Mapping[str, str | int],
    links: Sequence[Link] = (),
) -> Iterator[None]:
    with tracer.start_as_current_span(
        name,
        kind=kind,
        attributes=attributes,
        links=links,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(StatusCode.ERROR)
            if isinstance(error, DaichoError):  # an answer: where in the code it was given is of no use
                told = {"exception.type": type(error).__name__, "exception.message": str(error)}
                span.add_event("exception", told)
            else:
                span.record_exception(error)
            raise


def _of_database(database: Database) -> dict[str, str | int]:
    url = database.url
    attributes: dict[str, str | int] = {"db.system.name": url.get_backend_name()}
    if url.database:
        attributes["db.namespace"] = url.database
    if url.host:
        attributes["server.address"] = url.host
    if url.port:
        attributes["server.port"] = url.port
    return attributes


def _named() -> dict[str, str]:
    """The service's name and version, where the environment does not name it."""
    from daicho import __version__

    named = {"service.version": __version__}
    given = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not os.environ.get("OTEL_SERVICE_NAME") and "service.name=" not in given:
        named["service.name"] = "daicho"
    return named
