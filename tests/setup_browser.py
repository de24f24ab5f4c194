"""Chromium and a Japanese font for the tests that look at pages, and libfaketime for those that set a clock:
``python -m tests.setup_browser``.

What is on the machine is used. What is missing comes from apt when root, otherwise Playwright brings
its own Chromium. If none can be had, one line says why, and the browser tests fail with that reason.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

SHELL = "chromium-headless-shell"
"""The same browser without a window's own pages, which cost each test more than the page that it looks at."""
NAMES = (SHELL, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APT_SECONDS = 900
QUIET = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}


def find_browser() -> str | None:
    """The path of a Chromium that can be started; None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None) or _playwrights_own()


def find_faketime() -> str | None:
    """The path of libfaketime, which gives one process a clock of its own; None if it is not here."""
    places = (Path("/usr/lib"), Path("/usr/lib64"), Path("/usr/local/lib"))
    found = (path for place in places for path in place.glob("**/faketime/libfaketimeMT.so.1"))
    return next(map(str, found), None)


def has_japanese_font() -> bool:
    """Whether Japanese text would be drawn as such, not as empty boxes."""
    if sys.platform != "linux":
        return True
    if shutil.which("fc-list") is None:
        return False
    return bool(subprocess.run(["fc-list", ":lang=ja"], capture_output=True, text=True).stdout.strip())


def main() -> None:
    """Provide what is missing; end quickly when nothing is."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        if shutil.which(SHELL) is None and (find_browser() is None or _is_known(SHELL)):
            _install([SHELL])
        if find_browser() is None:  # a system that has no such package
            _install(["chromium"])
        if find_faketime() is None and _is_known("libfaketime"):
            _install(["libfaketime"])
        if not has_japanese_font():
            _install(["fontconfig", "fonts-noto-cjk"])
    if find_browser() is None:
        print("installing Chromium with Playwright (once)", flush=True)
        _run([sys.executable, "-m", "playwright", "install", "chromium"])
    if find_browser() is None:
        print("no Chromium could be installed: the browser tests will fail and say so")
    elif not has_japanese_font():
        print("no Japanese font is installed (fonts-noto-cjk): Japanese text in screenshots shows as boxes")


def _is_known(package: str) -> bool:
    return subprocess.run(["apt-cache", "show", "--quiet=2", package], capture_output=True).returncode == 0


def _install(packages: list[str]) -> None:
    print(f"installing {' and '.join(packages)} with apt-get (once)", flush=True)
    if _run(["apt-get", "update", "-qq"]):
        _run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages])


def _run(command: list[str]) -> bool:
    try:
        done = subprocess.run(command, env=QUIET, capture_output=True, text=True, timeout=APT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{command[0]}: {error}")
        return False
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        print(f"{' '.join(command[:2])}: {last}")
    return done.returncode == 0


def _playwrights_own() -> str | None:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


if __name__ == "__main__":
    main()
