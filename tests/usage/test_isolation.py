"""A tenant sees, changes and learns nothing of another: every operation and every route is tried.

Each is called by two tenants that are alike: by one with somebody's ids, by the other with nobody's. A
new operation, route or argument that this file knows nothing of fails it.
"""

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import filterfalse, islice
from operator import attrgetter
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daicho import AsyncLedger, DaichoError, Ledger, Settings
from daicho.core.access import KeyScope, allowed
from daicho.core.buffer import Receipt
from daicho.core.operation import TwoFaced
from daicho.server.app import create_app
from daicho.usage.store import UsageStore
from tests.faces import Faces
from tests.serving import Running
from tests.usage.isolation import (
    VALUES,
    Asking,
    World,
    alike,
    asking_of_record,
    everything_of,
    given_in,
    known,
    realised,
    shown,
    world,
)

SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
NOT_OPERATIONS = {"room", "whose", "naive", "narrowed", "aged", "traces_of", "left_of"}


# -- operations --------------------------------------------------------------------------------------


def arguments(name: str) -> Asking:
    body = inspect.getattr_static(UsageStore, name).__wrapped__
    parameters = [
        one
        for one in inspect.signature(body).parameters.values()
        if one.name not in {"self", "session", "database"}
    ]
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        assert len(parameters) == 1, name
        return asking_of_record(name)
    return Asking(
        {one.name: known(one.name, name) for one in parameters if one.default is one.empty},
        {one.name: known(one.name, name) for one in parameters if one.default is not one.empty},
    )


def operations() -> dict[str, Asking]:
    found = {}
    for name in dir(UsageStore):
        if name.startswith("_") or name in NOT_OPERATIONS:
            continue
        assert isinstance(inspect.getattr_static(UsageStore, name), TwoFaced), f"what is UsageStore.{name}?"
        found[name] = arguments(name)
    assert len(found) > 30
    return found


OPERATIONS = operations()


@pytest.fixture
def hurried(tmp_path: Path) -> None:
    """What is enqueued waits for nothing."""
    (tmp_path / "config.yaml").write_text("database: {buffer: {seconds: 0.001}}")


@pytest.mark.parametrize(
    ("url", "face"), [("sqlite", "sync"), ("postgresql", "async")], indirect=True, ids=["sync", "async"]
)
@pytest.mark.usefixtures("hurried")
def test_no_operation_tells_a_tenant_of_another(face: Faces) -> None:
    with Ledger(face.ledger.database.url) as everything:
        for name, asking in OPERATIONS.items():
            there = world(everything)
            before = everything_of(everything, there.secret)
            for asked in asking.cases():
                ask_both(face, there, name, asked)
            assert everything_of(everything, there.secret) == before, name


@pytest.mark.parametrize("face", ["sync"], indirect=True)  # both faces are tried above
@pytest.mark.usefixtures("hurried")
@settings(max_examples=3, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_no_series_of_operations_tells_a_tenant_of_another(face: Faces, data: st.DataObject) -> None:
    with Ledger(face.ledger.database.url) as everything:
        there = world(everything)
        before = everything_of(everything, there.secret)
        for name in data.draw(st.permutations(sorted(OPERATIONS)), "order"):
            ask_both(face, there, name, data.draw(OPERATIONS[name].any(), name))
        assert everything_of(everything, there.secret) == before


def ask_both(face: Faces, there: World, name: str, asked: dict[str, Any]) -> None:
    answers = []
    for side in there.sides:
        ledger = Faces(face.ledger.for_tenant(side[0]["tenant"]), face._finish)
        answers.append(answer_of(ledger, name, realised(asked, side)))
    compare(there, name, asked, answers)


def answer_of(ledger: Faces, name: str, asked: dict[str, Any]) -> Any:
    try:
        answer = getattr(ledger.usage, name)(**asked)
        return answer.result(30) if isinstance(answer, Receipt) else answer
    except DaichoError as error:
        return f"{type(error).__name__}: {error}"


def compare(there: World, name: str, asked: Any, answers: list[Any]) -> None:
    """The answers must be alike, and tell nothing of the other tenant but what was asked with."""
    raw = shown(answers[0])
    there.known |= given_in(realised(asked, there.sides[0]), there.secret)
    assert given_in(raw, there.secret) <= there.known, (name, raw)
    first, second = (alike(answer, side) for answer, side in zip(answers, there.sides, strict=True))
    assert first == second, (name, asked)


# -- routes ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Route:
    """A route of the API. ``body`` is None for one that takes none; ``lines``: it takes lines of them too."""

    method: str
    path: str
    tenants: bool
    place: Asking
    query: Asking
    body: Asking | None = None
    lines: bool = False

    def cases(self) -> Iterator[dict[str, Any]]:
        """What to ask: each value of each argument in turn."""
        place, query = next(self.place.cases()), next(self.query.cases())
        own = next(islice(self.place.cases(), sum(map(len, self.place.needed.values())) + 1, None))
        bodies = list(self.body.cases()) if self.body else []
        for where in (place, own) if place else (place,):
            yield from ({"place": where, "query": one} for one in self.query.cases())
            yield from ({"place": where, "query": query, "body": one} for one in bodies)
        yield from ({"place": one, "query": query} for one in self.place.cases())
        if self.lines:
            yield {"place": place, "query": query, "body": bodies}
            yield {"place": place, "query": query, "lines": [*bodies, *bodies]}


def routes() -> list[Route]:
    app = create_app(AsyncLedger("sqlite://"), Settings(), console=False)
    described = app.openapi()
    found = []
    for context in iter_route_contexts(app.routes):
        for method in sorted(context.methods or ()):
            path = str(context.path_format)
            if path.startswith(("/login", "/health", "/webhooks/")):
                continue
            if allowed(context.endpoint):  # a tenant's route is described
                found.append(route(method, path, described["paths"][path][method.lower()], described))
            else:
                places = dict.fromkeys(re.findall(r"\{(\w+)", path), VALUES["id"])
                found.append(Route(method, path, False, Asking(places, {}), Asking({}, {})))
    assert sum(one.tenants for one in found) > 5
    return found


def route(method: str, path: str, operation: Any, described: Any) -> Route:
    parts: dict[str, dict[str, list[Any]]] = {"path": {}, "query": {}}
    for parameter in operation.get("parameters", []):
        parts[parameter["in"]][parameter["name"]] = known(parameter["name"], f"{method} {path}")
    made = Route(method, path, True, Asking(parts["path"], {}), Asking({}, parts["query"]))
    if not (body := operation.get("requestBody")):
        return made
    schema = body["content"]["application/json"]["schema"]
    fields = schema.get("anyOf", [schema])[0]
    if "$ref" in fields:
        fields = described["components"]["schemas"][fields["$ref"].rsplit("/", 1)[1]]
    pools = {name: known(name, f"{method} {path}") for name in fields["properties"]}
    needed = fields.get("required", [])
    asking = Asking(
        {name: pools[name] for name in needed}, {name: pools[name] for name in pools if name not in needed}
    )
    return replace(made, body=asking, lines="application/x-ndjson" in body["content"])


ROUTES = routes()


def test_every_route_is_tried() -> None:
    tried = {(one.method, one.path): one.tenants for one in ROUTES}
    assert tried["POST", "/api/v1/usage"]
    assert tried["GET", "/api/v1/usage/report"]
    assert tried["GET", "/api/v1/tenants/{tenant_id}/keys"]
    assert not tried["GET", "/api/v1/calls"]
    assert len(tried) > 40


def test_no_route_tells_a_tenant_of_another(server: Running, url: str) -> None:
    with Ledger(url) as ledger, server.client(None) as client:
        for one in filter(attrgetter("tenants"), ROUTES):
            there = world(ledger)
            before = everything_of(ledger, there.secret)
            for asked in one.cases():
                request_both(client, there, one, asked, KeyScope.ADMIN)
            assert everything_of(ledger, there.secret) == before, one.path
        there = world(ledger)  # one for all that no tenant may ask
        before = everything_of(ledger, there.secret)
        for one in filterfalse(attrgetter("tenants"), ROUTES):
            for scope in KeyScope:
                request_both(client, there, one, next(one.cases()), scope)
        assert everything_of(ledger, there.secret) == before


def request_both(
    client: httpx.Client, there: World, one: Route, asked: dict[str, Any], scope: KeyScope
) -> None:
    answers = []
    for side in there.sides:
        client.headers["Authorization"] = f"Bearer {side[0][scope]}"
        answer = client.request(one.method, **request(one.path, realised(asked, side)))
        assert answer.status_code < 500, answer.text
        assert one.tenants or answer.status_code == 403, answer.text
        answers.append([answer.status_code, answer.headers.get("content-type"), body_of(answer)])
    compare(there, f"{one.method} {one.path}", asked, answers)


def request(path: str, asked: dict[str, Any]) -> dict[str, Any]:
    """A request's parts, as the client takes them."""

    def written(value: Any) -> str:
        return json.dumps(value, default=datetime.isoformat)

    made = {"url": path.format(**asked["place"]), "params": json.loads(written(asked["query"]))}
    if "lines" in asked:
        content = "\n".join(map(written, asked["lines"]))
        return made | {"content": content, "headers": {"Content-Type": "application/x-ndjson"}}
    if "body" in asked:
        made |= {"content": written(asked["body"]), "headers": {"Content-Type": "application/json"}}
    return made


def body_of(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return answer.text
