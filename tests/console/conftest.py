"""A real server in a process of its own, a real browser, and a second process that writes."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from daicho import Ledger
from tests.setup_browser import find_browser

SERVE = (
    "from daicho import Settings; from daicho.server.run import serve; serve(Settings(server={'port': 0}))"
)
WRITE = """
import json, sys, time
from daicho import Ledger
with Ledger(sys.argv[1]) as ledger:
    print("ready", flush=True)
    for line in sys.stdin:
        method, arguments = json.loads(line)
        getattr(getattr(ledger, sys.argv[2]), method)(**arguments)
        print(time.time(), flush=True)
"""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_SECONDS = 60


class Console:
    """A running ``daicho serve``, and the browser that is signed in to it."""

    def __init__(self, url: str, base: str, link: str, browser: Browser, contexts: Path) -> None:
        self.url, self.base, self.contexts = url, base, contexts
        self.complaints: list[str] = []
        self._browser = browser
        signing_in = browser.new_context()
        signing_in.new_page().goto(link)
        self._cookies = signing_in.storage_state()
        signing_in.close()

    def page(self, path: str = "/calls", **context: Any) -> Page:
        """Open a page in a browser of its own and wait until it is live; close it by its context."""
        page = self.context(**context).new_page()
        page.goto(self.base + path)
        page.wait_for_selector("link-state[data-state=up]")
        return page

    def context(self, **context: Any) -> BrowserContext:
        """A browser of its own: its language, colours, size and time zone."""
        settings = {
            "locale": "en-US",
            "timezone_id": "Asia/Tokyo",
            "viewport": {"width": 1280, "height": 800},
        }
        made = self._browser.new_context(storage_state=self._cookies, **{**settings, **context})
        made.set_default_timeout(15_000)
        made.on("weberror", lambda error: self.complaints.append(str(error.error)))
        made.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        made.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        return made

    def close(self) -> None:
        """Close what was opened; nothing must have gone wrong in the browser."""
        for context in self._browser.contexts:
            context.close()
        complaints, self.complaints = self.complaints, []
        assert not complaints


class Writer:
    """Another process that writes to the ledger; each call returns when its write is acknowledged."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def __call__(self, method: str, **arguments: Any) -> float:
        """Run an operation of its room and return the time at which it was acknowledged."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([method, arguments]) + "\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium. It fails, and says why, where none is."""
    path = find_browser()
    if path is None:
        pytest.fail("no Chromium on this machine; run: python -m tests.setup_browser", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def serving(url: str, browser: Browser, folder: Path) -> Iterator[Console]:
    """Run ``daicho serve`` on a database."""
    contexts = folder / "contexts"
    environment = {**os.environ, "DATABASE_URL": url, "DAICHO_CONTEXTS": str(contexts), "DAICHO_LANG": "en"}
    log = folder / "server.log"
    with log.open("w") as errors:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVE],
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            assert server.stdout is not None
            link = None
            for line in server.stdout:
                if link := re.search(r"http://\S+\?token=\S+", line):
                    break
            assert link, log.read_text()
            console = Console(url, link[0].split("/?")[0], link[0], browser, contexts)
            yield console
            console.close()
        finally:
            server.terminate()
            server.wait(START_SECONDS)
    said = log.read_text()
    assert "Traceback" not in said, said


@pytest.fixture
def serve(browser: Browser, tmp_path: Path) -> Callable[[str], Any]:
    """Serve a database of one's own: ``with serve(url) as console``."""
    return lambda url: serving(url, browser, tmp_path)


@pytest.fixture(scope="package")
def shared(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console on an SQLite file that many tests share: each names its own calls and clients."""
    folder = tmp_path_factory.mktemp("console")
    with serving(f"sqlite:///{folder / 'shared.db'}", browser, folder) as console:
        yield console


@pytest.fixture
def console(shared: Console) -> Iterator[Console]:
    """The shared console; when the test ends its pages are closed, and none may have complained."""
    yield shared
    shared.close()


@pytest.fixture
def ledger(console: Console) -> Iterator[Ledger]:
    """The shared console's ledger, written to by this process."""
    with Ledger(console.url) as ledger:
        yield ledger


@pytest.fixture
def writing() -> Callable[[str], Any]:
    """Another process that writes to a database's room: ``with writing(url, "tasks") as write``."""

    @contextmanager
    def start(url: str, room: str = "calls") -> Iterator[Writer]:
        process = subprocess.Popen(
            [sys.executable, "-c", WRITE, url, room], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield Writer(process)
        finally:
            process.communicate(timeout=START_SECONDS)

    return start
