"""Waiting for a page, where the content policy lets no script of the browser's driver wait inside it."""

import asyncio


async def until(page, expression, *, timeout_s=10.0):
    """Return when the expression is true in the page. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not await page.evaluate(expression):  # noqa: ASYNC110 - the page is no part of this loop
            await asyncio.sleep(0.03)


async def until_idle(server, *, timeout_s=5.0):
    """Return when the server answers nobody any more. Raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while server.server_state.tasks:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.02)
