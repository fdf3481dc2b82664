"""A real browser on a real server with a backend in memory. Nothing is downloaded; a missing browser is a failure."""

import asyncio
import inspect
import json
import shutil
import socket
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright

from browser.support import web_cases
from browser.support.web_fake import FakeToban
from toban.entrypoints.http import application, server

_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_PATIENCE_MS = 10_000


def _chromium():
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.fail("the browser tests need Debian's chromium: sudo apt-get install chromium fonts-noto-cjk")
    return path


def pytest_collection_modifyitems(items):
    """One event loop for the whole session: starting a browser for each test would take longer than the tests."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and inspect.iscoroutinefunction(item.function):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser():
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=_chromium(), args=_FLAGS)
        yield launched
        await launched.close()


class Site:
    """A running server and its backend."""

    def __init__(self, toban, running):
        self.toban = toban
        self.server = running
        self.url = f"http://127.0.0.1:{running.port}"


@pytest_asyncio.fixture(loop_scope="session")
async def site():
    toban = FakeToban(web_cases.all_cases())
    listener = socket.create_server(("127.0.0.1", 0))
    running = server.Server(application.create(toban))
    serving = asyncio.create_task(running.serve(sockets=[listener]))
    await asyncio.wait_for(running.ready.wait(), 10)
    yield Site(toban, running)
    running.stop()
    await asyncio.wait_for(serving, 10)


class Visitor:
    """Pages of one viewer. What a page must never do is collected while it is used."""

    def __init__(self, site):
        self.site = site
        self.problems = []
        self.outside = []

    def watch(self, page):
        """Collect script errors and requests to other hosts."""
        page.on("pageerror", lambda error: self.problems.append(f"script error: {error}"))
        page.on("console", self._heard)
        page.on("request", self._asked)
        page.set_default_timeout(_PATIENCE_MS)

    def _heard(self, message):
        if message.type in {"error", "warning"}:
            self.problems.append(f"console {message.type}: {message.text}")

    def _asked(self, request):
        if not request.url.startswith((self.site.url, "data:")):
            self.outside.append(request.url)


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser, site):
    """A function that opens a page: path, width, scheme, lang, zone, scripts. Fails at the end for errors or outsiders."""
    visitor = Visitor(site)
    contexts = []

    async def open_one(path="/", *, width=1440, scheme="light", lang="en", zone="Asia/Tokyo", scripts=True):
        context = await browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            locale=lang,
            timezone_id=zone,
            java_script_enabled=scripts,
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = await context.new_page()
        visitor.watch(page)
        await page.goto(site.url + path)
        if scripts:
            await page.locator('#live-state[data-state="on"]').wait_for()
        return page

    open_one.visitor = visitor
    yield open_one
    for context in contexts:
        await context.close()
    assert visitor.problems == [], json.dumps(visitor.problems, indent=1)
    assert visitor.outside == []
