"""What clients send, which may stop at any time, and whether they still wait for an answer."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import Future
from typing import Any, TypeVar

from starlette.requests import Request

from latentmap.errors import ExplorerError

_SILENT_FOR = 5.0  # Seconds between two parts of what is sent.
_LOOKED_AFTER = 0.2  # Seconds, again and again.
_MOST_NUMBER = 2**53
_LONGEST_CLIENT = 64

T = TypeVar("T")


async def body_of(request: Request, *, most: int, within: float) -> bytes | None:
    """What was sent; None of more than ``most`` bytes, of which no more is read.

    Raises:
        asyncio.TimeoutError: it was not all there ``within`` so many seconds, or nothing came for a
            while.
    """
    return await asyncio.wait_for(_body(request, most), within)


async def _body(request: Request, most: int) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    coming = request.stream().__aiter__()
    while True:
        try:
            part = await asyncio.wait_for(coming.__anext__(), _SILENT_FOR)
        except StopAsyncIteration:
            return b"".join(parts)
        size += len(part)
        if size > most:
            return None
        parts.append(part)


async def wanted(future: Future[T], request: Request) -> T | None:
    """What a future gives; None as soon as who asked for it has gone away, and what has not begun
    then is not done.
    """
    waiting = asyncio.wrap_future(future)
    while not (await asyncio.wait([waiting], timeout=_LOOKED_AFTER))[0]:
        if await request.is_disconnected() and waiting.cancel():
            return None
    return waiting.result()


def read_question(body: bytes) -> tuple[str, int, dict[str, Any]]:
    """Who asks, the how manieth question it is, and what is asked.

    Raises:
        ExplorerError: that is not what was sent.
    """
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ExplorerError("a question is written in JSON") from error
    known = sent if isinstance(sent, dict) else {}
    client, number, asked = (known.get(name) for name in ("client", "number", "asked"))
    if not isinstance(client, str) or not isinstance(asked, dict):
        raise ExplorerError("a question says its client, its number, and what is asked")
    if not 0 < len(client) <= _LONGEST_CLIENT:
        raise ExplorerError(f"the name of a client has 1 to {_LONGEST_CLIENT} letters")
    if type(number) is not int or not 0 <= number <= _MOST_NUMBER:
        raise ExplorerError(f"questions are numbered from 0 to {_MOST_NUMBER}")
    return client, number, asked
