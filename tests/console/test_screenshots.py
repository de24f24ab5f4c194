"""The README's pictures. They are written over only if asked: ``DAICHO_SCREENSHOTS=1 make test``.

Unasked, some are still taken in each language.
"""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from daicho import Ledger
from daicho.chats import demo as chats_demo
from daicho.guilds import demo as guilds_demo
from daicho.usage import demo
from tests.console import scene

IMAGES = Path(__file__).parents[2] / "docs" / "images"
WANTED = os.environ.get("DAICHO_SCREENSHOTS") == "1"  # read before tests are cut off from the environment


def test_the_pictures_of_the_readme(serve: Callable[[str], Any], sqlite_url: str, tmp_path: Path) -> None:
    folder = IMAGES if WANTED else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    with Ledger(sqlite_url) as ledger:
        scene.fill(ledger)
        tasks = scene.tasks(ledger)
        chats_demo.fill(ledger, random.Random(5), scene.NOW)
        demo.fill(ledger, random.Random(5), scene.NOW)
        guilds_demo.fill(ledger, random.Random(5), scene.NOW)
        chats = {
            language: ledger.chats.sessions(prefix=f"support:demo-{shop}").items[-1].session_id
            for language, shop in (("en", "spoke-and-chain"), ("ja", "hikari-net"))
        }
    guilds = {"en": guilds_demo.GUILDS[0].id, "ja": guilds_demo.GUILDS[1].id}
    with serve(sqlite_url) as console:
        for language, locale, call_id in (("en", "en-US", scene.ENGLISH), ("ja", "ja-JP", scene.JAPANESE)):
            pages = {
                "console": "/calls",
                "call": f"/calls/{call_id}",
                "tasks": "/tasks",
                "task": f"/tasks/{tasks[language]}",
                "usage": "/usage?period=2026-09",
                "guild": f"/guilds/{guilds[language]}",
                "chat": f"/chats/{quote(chats[language], safe='')}",
            }
            turn = slice(None) if WANTED else slice(3 * (language == "ja"), None, 4)
            for name, path in list(pages.items())[turn]:
                context = console.context(locale=locale)
                # The browser has said before where it is: it need not ask a second time.
                zone = {"name": "daicho_zone", "value": quote("Asia/Tokyo", safe="")}
                context.add_cookies([{**zone, "url": console.base}])
                page = context.new_page()
                page.clock.set_fixed_time(scene.NOW)
                page.goto(console.base + path)
                page.wait_for_selector("link-state[data-state=up]")
                page.wait_for_selector(".d-card, .d-line, .d-chart path[fill*=series]")
                page.evaluate("document.fonts.ready")
                picture = folder / f"{name}-{language}.png"
                page.screenshot(path=picture, animations="disabled")
                assert picture.stat().st_size > 30_000, "an empty page is smaller"
