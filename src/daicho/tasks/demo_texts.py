"""What the demo's agents do, in English; ``demo_texts_ja`` has the Japanese ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Use:
    """A tool call, with what it gave or what went wrong."""

    tool: str
    args: Mapping[str, Any]
    result: str = ""
    error: str | None = None


Step = str | Use
"""The agent says something, or uses a tool."""


@dataclass(frozen=True, slots=True)
class Script:
    """A piece of work.

    Attributes:
        wish: what the issue or the pull request asks for.
        steps: what the agent says and does, in order.
        summary: what the first half comes down to.
    """

    wish: str
    steps: tuple[Step, ...]
    summary: str


SYSTEM = (
    "You are a coding agent. You work on one issue at a time, in a checkout of its repository.\n"
    "Read before you write. Run the tests after every change. Say what you did in two sentences."
)

SCRIPTS = (
    Script(
        "Login fails with a 500 when the e-mail address has a plus sign\n\n"
        "Steps: sign up as `anna+test@example.com`, log out, log in again.\n"
        "Expected: the dashboard. Seen: Internal Server Error.",
        (
            "I'll reproduce this first, then look at how the address is looked up.",
            Use(
                "search_code",
                {"query": "find_by_email"},
                "app/accounts/lookup.py:18: def find_by_email(raw: str) -> Account | None:\n"
                "app/auth/login.py:41:     account = find_by_email(form['email'])",
            ),
            Use(
                "read_file",
                {"path": "app/accounts/lookup.py", "lines": "10-32"},
                "def find_by_email(raw: str) -> Account | None:\n"
                "    email = unquote_plus(raw).lower()\n"
                "    return Account.query.filter_by(email=email).one()",
            ),
            "There it is: `unquote_plus` turns the plus sign into a space, and `.one()` raises when nothing is"
            " found. The form is decoded already, so the address must not be decoded a second time.",
            Use(
                "edit_file",
                {
                    "path": "app/accounts/lookup.py",
                    "old": "email = unquote_plus(raw).lower()",
                    "new": "email = raw.strip().lower()",
                },
                "1 replacement",
            ),
            Use(
                "edit_file",
                {"path": "app/accounts/lookup.py", "old": ".one()", "new": ".one_or_none()"},
                "1 replacement",
            ),
            Use(
                "run_command",
                {"command": "pytest tests/auth -q"},
                error="1 failed, 23 passed: tests/auth/test_login.py::test_unknown_address expected 401, got 500",
            ),
            "The login view does not expect None yet. I'll answer 401 there.",
            Use(
                "edit_file",
                {
                    "path": "app/auth/login.py",
                    "old": "if not account.check(form['password']):",
                    "new": "if account is None or not account.check(form['password']):",
                },
                "1 replacement",
            ),
            Use("run_command", {"command": "pytest tests/auth -q"}, "25 passed in 1.84s"),
            "Addresses with a plus sign can log in again, and an unknown address is answered with 401. I added a"
            " test for each.",
        ),
        "The 500 came from decoding the address twice (`unquote_plus` in app/accounts/lookup.py) and from `.one()`"
        " on an empty result. Both are changed; the tests of the login view come next.",
    ),
    Script(
        "Make the nightly export faster\n\nIt takes 50 minutes for 200,000 orders and blocks the backup window.",
        (
            "I'll measure before changing anything.",
            Use(
                "run_command",
                {"command": "python -m cProfile -s cumtime scripts/export.py --limit 2000"},
                "   ncalls  cumtime\n     2000   24.310  orders/export.py:57(customer_of)\n"
                "     2000    3.120  orders/export.py:88(write_row)\n        1    0.412  csv.py:140(flush)",
            ),
            "Nearly all the time goes into `customer_of`: one query for each order.",
            Use(
                "read_file",
                {"path": "orders/export.py", "lines": "50-95"},
                "def customer_of(order):\n    return session.get(Customer, order.customer_id)\n\n"
                "def export(out, limit=None):\n    for order in session.scalars(select(Order).limit(limit)):\n"
                "        write_row(out, order, customer_of(order))",
            ),
            Use(
                "edit_file",
                {
                    "path": "orders/export.py",
                    "old": "session.scalars(select(Order).limit(limit))",
                    "new": "session.scalars(select(Order).options(joinedload(Order.customer)).limit(limit),"
                    " execution_options={'yield_per': 1000})",
                },
                "1 replacement",
            ),
            Use(
                "run_command",
                {"command": "time python scripts/export.py --limit 20000"},
                "20000 rows\nreal 0m4.771s",
            ),
            Use("run_command", {"command": "pytest tests/orders -q"}, "41 passed in 6.02s"),
            "The export now reads orders and customers with one query, a thousand rows at a time: 20,000 rows take"
            " 5 seconds instead of 4 minutes, and memory stays flat.",
        ),
        "Profiling shows one query for each order (`customer_of`). The plan: load customers with the orders by"
        " `joinedload`, and stream with `yield_per`.",
    ),
    Script(
        "Review: add retries to the payment client\n\nPlease check the back-off and whether a charge can happen twice.",
        (
            "I'll read the diff first.",
            Use(
                "git_diff",
                {"base": "main"},
                "+@retry(stop=stop_after_attempt(5), wait=wait_exponential())\n"
                "+def charge(self, order, amount):\n+    return self._post('/charges', order=order, amount=amount)",
            ),
            "Two remarks so far: every error is retried, refusals too, and a time-out after the charge was made"
            " would make it again. The API takes an `Idempotency-Key`.",
            Use(
                "search_code",
                {"query": "Idempotency-Key"},
                "docs/payments.md:31: Send `Idempotency-Key` with every POST; keys are kept for 24 hours.",
            ),
            Use(
                "post_comment",
                {
                    "path": "payments/client.py",
                    "line": 44,
                    "body": "Please send one `Idempotency-Key` for all attempts, and retry only on 429, 5xx"
                    " and connection errors.",
                },
                "comment 1 posted",
            ),
            Use("run_command", {"command": "pytest tests/payments -q"}, "17 passed in 0.93s"),
            "I asked for two changes: an idempotency key for all attempts of a charge, and no retry on refusals."
            " The back-off itself is fine.",
        ),
        "The diff retries every error of `charge` up to five times. Missing: an idempotency key, and a list of what"
        " is worth a retry.",
    ),
    Script(
        "Dark mode: the calendar's weekend columns are unreadable",
        (
            "I'll look at which colours the weekend cells use.",
            Use(
                "search_code",
                {"query": ".cal-weekend"},
                "web/styles/calendar.css:72: .cal-weekend { background: #f7f7f7; color: inherit; }",
            ),
            "The background is fixed while the text follows the theme: white on nearly white.",
            Use(
                "edit_file",
                {
                    "path": "web/styles/calendar.css",
                    "old": "background: #f7f7f7;",
                    "new": "background: var(--surface-sunk);",
                },
                "1 replacement",
            ),
            Use(
                "run_command",
                {"command": "npx playwright test calendar"},
                error="Error: browserType.launch: Executable doesn't exist. Run: npx playwright install",
            ),
            Use("run_command", {"command": "npx playwright install chromium"}, "Chromium downloaded"),
            Use("run_command", {"command": "npx playwright test calendar"}, "6 passed (11.2s)"),
            "Weekend cells use the theme's own surface colour now; contrast is 8.9:1 in dark mode and 12.6:1 in"
            " light mode.",
        ),
        "Weekend cells have a fixed light background in web/styles/calendar.css. It becomes a variable of the theme.",
    ),
)

ERRORS = (
    "The model's provider answered 429 five times in a row; gave up after 10 minutes.",
    "Tests still fail after 8 attempts: tests/test_sync.py::test_two_writers (AssertionError: 41 != 42)",
    "git push was refused: protected branch 'main' needs a review.",
    "The context is full although it was summarized 6 times.",
)
STOPS = ("cancelled by hand", "The issue was closed meanwhile.")
