"""Debian's Chromium, for each module of tests: Playwright's loop keeps those of asyncio out."""

from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="module")
def launch():
    """Starts a browser with some words of its command; it ends with the module."""
    api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip("needs Debian's chromium")
    browsers = []
    with api.sync_playwright() as playwright:

        def begin(*words):
            # Without a sandbox of its own: in containers there is none to have.
            args = ["--no-sandbox", *words]
            browsers.append(playwright.chromium.launch(executable_path=str(CHROMIUM), args=args))
            return browsers[-1]

        yield begin
        for browser in browsers:
            browser.close()


@pytest.fixture(scope="module")
def browser(launch):
    return launch()
