"""Pages: by whatever steps a list is read, it is the list."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daicho import Invalid, Ledger
from daicho.core.page import check_limit, decode_number, encode

BEGUN = datetime(2026, 11, 21, tzinfo=UTC)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(offsets=st.lists(st.integers(0, 3), max_size=12), limits=st.lists(st.integers(1, 5), min_size=1))
def test_a_list_read_in_any_steps_is_the_list(ledger: Ledger, offsets: list[int], limits: list[int]) -> None:
    for call in ledger.calls.list(limit=1000):
        ledger.calls.delete(call.call_id)
    for number, offset in enumerate(offsets):
        ledger.calls.start(f"call-{number}", "c", started_at=BEGUN + timedelta(microseconds=offset))
    expected = [
        f"call-{n}" for n, _ in sorted(enumerate(offsets), key=lambda pair: (pair[1], pair[0]), reverse=True)
    ]
    seen: list[str] = []
    cursor = None
    for step in range(100):
        page = ledger.calls.list(limit=limits[step % len(limits)], cursor=cursor)
        assert len(page) <= limits[step % len(limits)]
        seen += [call.call_id for call in page]
        if (cursor := page.next) is None:
            break
    assert seen == expected


@given(st.text(max_size=40))
def test_no_text_makes_a_cursor_fail_otherwise_than_as_invalid(text: str) -> None:
    try:
        number = decode_number(text)
    except Invalid:
        return
    assert isinstance(number, int)


@given(st.integers(0, 2**63 - 1))
def test_a_cursor_of_a_number_gives_it_back(number: int) -> None:
    assert decode_number(encode([number])) == number


@pytest.mark.parametrize("limit", ["5", True, None, 5.0, b"5"], ids=repr)
def test_a_limit_that_is_no_whole_number_is_invalid(ledger: Ledger, limit: object) -> None:
    message = f"^limit must be a whole number, not {type(limit).__name__}$"
    with pytest.raises(Invalid, match=message):
        check_limit(limit)
    with pytest.raises(Invalid, match=message):
        ledger.calls.list(limit=limit)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_limit_is_1_to_1000(limit: int) -> None:
    with pytest.raises(Invalid, match=f"^limit is {limit}; 1 to 1000$"):
        check_limit(limit)
    assert (check_limit(1), check_limit(1000)) == (1, 1000)
