"""The state timeline and the marked search hits, as the pages are given them."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from daicho.calls.models import Call
from daicho.calls.page_search import parts
from daicho.calls.page_timeline import Stamp, spans

BEGUN = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def call(*, seconds: int | None) -> Call:
    ended = None if seconds is None else BEGUN + timedelta(seconds=seconds)
    return Call(call_id="call-1", started_at=BEGUN, ended_at=ended, current_state="init")


def stamp(seconds: int, state: str) -> Stamp:
    return Stamp(BEGUN + timedelta(seconds=seconds), state)


def test_states_last_until_the_next_one() -> None:
    stamps = [stamp(0, "greeting"), stamp(10, "greeting"), stamp(25, "booking"), stamp(50, "greeting")]
    made = spans(call(seconds=100), stamps, from_start=True)
    assert [(span.state, span.share) for span in made] == [
        ("greeting", 0.25),
        ("booking", 0.25),
        ("greeting", 0.5),
    ]
    assert made[-1].until == BEGUN + timedelta(seconds=100)


def test_the_last_state_of_a_live_call_goes_on() -> None:
    assert spans(call(seconds=None), [stamp(5, "greeting")], from_start=True)[-1].until is None


def test_what_no_line_tells_is_not_guessed() -> None:
    made = spans(call(seconds=100), [stamp(60, "booking")], from_start=False)
    assert [(span.state, span.share) for span in made] == [(None, 0.6), ("booking", 0.4)]


def test_a_call_without_lines_is_in_its_state() -> None:
    assert [span.state for span in spans(call(seconds=10), [], from_start=True)] == ["init"]


@given(st.lists(st.tuples(st.integers(-50, 150), st.sampled_from("ab")), max_size=8), st.booleans())
def test_whatever_the_clocks_said_the_bar_is_whole(lines: list[tuple[int, str]], from_start: bool) -> None:
    made = spans(call(seconds=100), [stamp(*line) for line in lines], from_start=from_start)
    assert all(span.share >= 0 for span in made)
    assert sum(span.share for span in made) <= 1.001
    assert sum(span.share for span in made) >= 0.99


def test_matches_are_marked_whatever_their_case() -> None:
    assert list(parts("Booking a booking", "BOOKING")) == [
        ("Booking", True),
        (" a ", False),
        ("booking", True),
    ]


def test_a_long_line_is_cut_around_its_first_match() -> None:
    pieces = list(parts("x" * 500 + "予約" + "y" * 500, "予約"))
    assert pieces[0] == ("…", False)
    assert pieces[2] == ("予約", True)
    assert pieces[-1] == ("…", False)
    assert sum(len(text) for text, _ in pieces) < 400


@given(st.text(max_size=60), st.text(min_size=1, max_size=5))
def test_the_pieces_of_a_short_line_are_the_line(line: str, text: str) -> None:
    assert "".join(piece for piece, _ in parts(line, text)) == line
