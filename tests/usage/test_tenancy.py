"""Tenants and what belongs to them: made once by their ids, found, and gone with all that is theirs."""

from uuid import uuid4

import pytest

from daicho import Conflict, Invalid, Ledger, NotFound
from tests.cli.terminal import Here, daicho, one_line
from tests.faces import Faces

KINDS = ("user", "assessment", "lead")


def scoped(face: Faces, tenant_id: str) -> Faces:
    return Faces(face.ledger.for_tenant(tenant_id), face._finish)


def record(ledger: Faces | Ledger, tenant_id: str, **more: object) -> str:
    values = {"operation": "o", "model": "m", "input_tokens": 10, "output_tokens": 5} | more
    stored = ledger.usage.record(tenant_id=tenant_id, **values)
    return str(stored.id)


def sums_agree(ledger: Faces | Ledger) -> bool:
    return not any(one.differ for one in ledger.usage.verify())


def test_a_tenant_is_made_once_for_an_id_and_stays_as_it_is(face: Faces) -> None:
    key = str(uuid4())
    first = face.usage.create_tenant("Acme", id=key)
    again = face.usage.create_tenant("Other", id=key.upper())
    assert (first.id, again.id, again.name) == (key, key, "Acme")
    assert again.created_at == first.created_at
    assert face.usage.create_tenant("Acme").id != key
    assert face.usage.rename_tenant(key, "Acme Ltd").name == "Acme Ltd"
    assert face.usage.get_tenant(key).name == "Acme Ltd"


@pytest.mark.parametrize("name", ["", "  ", "x" * 256, "a\x00b"], ids=["empty", "blank", "long", "nul"])
def test_a_name_that_cannot_be_is_invalid(ledger: Ledger, name: str) -> None:
    with pytest.raises(Invalid, match="name"):
        ledger.usage.create_tenant(name)
    tenant = ledger.usage.create_tenant("Acme")
    with pytest.raises(Invalid, match="name"):
        ledger.usage.rename_tenant(tenant.id, name)


@pytest.mark.parametrize("key", ["nonsense", str(uuid4()), ""], ids=["nonsense", "unknown", "empty"])
def test_what_is_not_there_is_not_found(face: Faces, key: str) -> None:
    usage = face.usage
    for ask in (usage.get_tenant, usage.tenant_contents, usage.delete_tenant, usage.find_tenant):
        with pytest.raises(NotFound, match="no such tenant"):
            ask(key)
    with pytest.raises(NotFound):
        usage.rename_tenant(key, "x")
    with pytest.raises(NotFound):
        usage.create_key(key, "read")
    for kind in KINDS:
        with pytest.raises(NotFound, match="no such tenant"):
            getattr(usage, f"create_{kind}")(key)
        with pytest.raises(NotFound, match="no such tenant"):
            getattr(usage, f"list_{kind}s")(tenant_id=key)
        with pytest.raises(NotFound, match=f"no such {kind}"):
            getattr(usage, f"delete_{kind}")(key)


def test_tenants_are_listed_by_name_and_searched(face: Faces) -> None:
    for name in ("Noah & Co", "acme", "田中商店", "Acme 100%"):
        face.usage.create_tenant(name)
    first = face.usage.list_tenants(limit=3)
    rest = face.usage.list_tenants(limit=3, cursor=first.next)
    assert [one.name for one in [*first, *rest]] == sorted(["Noah & Co", "acme", "田中商店", "Acme 100%"])
    assert rest.next is None
    assert {one.name for one in face.usage.list_tenants(text="ACME")} == {"acme", "Acme 100%"}
    assert [one.name for one in face.usage.list_tenants(text="0%")] == ["Acme 100%"]


def test_a_tenant_is_found_by_id_and_by_a_name_that_only_one_has(face: Faces) -> None:
    acme = face.usage.create_tenant("Acme")
    assert face.usage.find_tenant("Acme").id == acme.id
    assert face.usage.find_tenant(acme.id.upper()).id == acme.id
    other = face.usage.create_tenant("Acme")
    both = ", ".join(sorted([acme.id, other.id]))
    with pytest.raises(Conflict, match=f"several tenants are named 'Acme'; give the id of one: {both}"):
        face.usage.find_tenant("Acme")


@pytest.mark.parametrize("kind", KINDS)
def test_what_belongs_to_a_tenant_is_made_once_for_an_id(face: Faces, kind: str) -> None:
    acme, other = face.usage.create_tenant("Acme"), face.usage.create_tenant("Other")
    create = getattr(face.usage, f"create_{kind}")
    key = str(uuid4())
    made = create(acme.id, "華扇", id=key)
    assert (made.id, made.tenant_id, made.name) == (key, acme.id, "華扇")
    assert create(acme.id, "again", id=key).name == "華扇"
    assert create(acme.id).name is None
    with pytest.raises(Conflict, match="belongs to another tenant"):
        create(other.id, id=key)
    listed = getattr(face.usage, f"list_{kind}s")
    assert [one.name for one in listed(tenant_id=acme.id)] == [None, "華扇"]
    assert len(listed()) == 2
    assert len(listed(tenant_id=other.id)) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_records_outlive_who_they_were_for_and_the_sums_agree(face: Faces, kind: str) -> None:
    acme = face.usage.create_tenant("Acme")
    made = getattr(face.usage, f"create_{kind}")(acme.id)
    kept = [record(face, acme.id, **{f"{kind}_id": made.id}) for _ in range(3)]
    record(face, acme.id)
    getattr(face.usage, f"delete_{kind}")(made.id)
    logs = {one.id: one for one in face.usage.list(tenant_id=acme.id)}
    assert all(getattr(logs[key], f"{kind}_id") is None for key in kept)
    assert sums_agree(face)
    assert face.usage.tenant_contents(acme.id)["records"] == 4
    with pytest.raises(NotFound):
        getattr(face.usage, f"delete_{kind}")(made.id)


def test_deleting_a_tenant_takes_all_that_is_its_own_and_nothing_else(face: Faces) -> None:
    acme, other = face.usage.create_tenant("Acme"), face.usage.create_tenant("Other")
    for tenant in (acme, other):
        user = face.usage.create_user(tenant.id)
        face.usage.create_assessment(tenant.id)
        face.usage.create_lead(tenant.id)
        face.usage.create_key(tenant.id, "read")
        face.usage.set_price(tenant_id=tenant.id, discount=0.1)
        for number in range(5):
            record(face, tenant.id, user_id=user.id, source=f"call:{number}")
    whole = {"records": 5, "users": 1, "assessments": 1, "leads": 1, "keys": 1, "prices": 1}
    assert dict(face.usage.tenant_contents(acme.id)) == whole
    assert dict(face.usage.delete_tenant(acme.id)) == whole
    with pytest.raises(NotFound):
        face.usage.get_tenant(acme.id)
    assert dict(face.usage.tenant_contents(other.id)) == whole
    assert face.usage.cost_of("call:1").api_calls == 1
    assert len(face.usage.list()) == 5
    assert sums_agree(face)


def test_a_tenants_own_ledger_makes_no_tenants_and_gives_ids_itself(face: Faces) -> None:
    acme = face.usage.create_tenant("Acme")
    own = scoped(face, acme.id).usage
    for ask in (
        lambda: own.create_tenant("x"),
        lambda: own.rename_tenant(acme.id, "x"),
        lambda: own.delete_tenant(acme.id),
    ):
        with pytest.raises(Invalid, match="operator's"):
            ask()
    for kind in KINDS:
        with pytest.raises(Invalid, match="leave it out"):
            getattr(own, f"create_{kind}")(acme.id, id=str(uuid4()))
        assert getattr(own, f"create_{kind}")(acme.id, "x").tenant_id == acme.id
    assert [one.id for one in own.list_tenants()] == [acme.id]
    assert face.usage.get_tenant(acme.id).name == "Acme"
    with pytest.raises(NotFound):
        face.ledger.for_tenant("nonsense")


def test_a_tenants_transaction_happens_wholly_or_not_at_all(url: str) -> None:
    with Ledger(url) as ledger:
        acme = ledger.usage.create_tenant("Acme")
        own = ledger.for_tenant(acme.id)
        with pytest.raises(NotFound), own.begin() as tx:
            tx.usage.create_user(acme.id, "華扇")
            tx.usage.record(operation="o", model="m")
            tx.usage.delete_lead(str(uuid4()))
        assert len(own.usage.list_users()) == 0
        with own.begin() as tx:
            user = tx.usage.create_user(acme.id, "華扇")
            tx.usage.record(operation="o", model="m", user_id=user.id)
        assert [one.user_id for one in own.usage.list()] == [user.id]


# -- the command line --------------------------------------------------------------------------------


def test_tenants_are_made_listed_and_deleted_in_the_terminal(
    sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Here(sqlite_url, capsys)
    key = str(uuid4())
    assert run("tenants", "create", "Acme", "--id", key) == f"{key}\n"
    assert f'"id":"{key}","name":"Acme"' in run("tenants", "create", "Acme", "--id", key, "--json")
    assert key in run("tenants", "list")
    assert run("tenants", "list", "--search", "nobody") == ""
    with Ledger(sqlite_url) as ledger:
        record(ledger, key)
    run("tenants", "delete", "Nobody", code=1)
    assert one_line(run.said) == "no such tenant: Nobody"
    gone = run("tenants", "delete", "Acme", "--yes")
    assert gone.startswith(f"deleted: Acme ({key}) with 1 usage records, 0 users")
    assert run("tenants", "list") == ""


@pytest.mark.parametrize(
    ("answer", "left"), [(b"", 1), (b"n\n", 1), (b"y\n", 0)], ids=["nothing", "no", "yes"]
)
def test_deleting_a_tenant_says_what_goes_and_asks(sqlite_url: str, answer: bytes, left: int) -> None:
    with Ledger(sqlite_url) as ledger:
        record(ledger, ledger.usage.create_tenant("Acme").id)
        done = daicho("tenants", "delete", "Acme", url=sqlite_url, stdin=answer)
        assert "1 usage records" in done.stderr
        assert done.returncode == (1 if left else 0)
        assert len(ledger.usage.list_tenants()) == left
