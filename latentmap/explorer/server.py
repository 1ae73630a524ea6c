"""The web application of the explorer: its page, and one address for each action.

Everything lies below the token, so that a link holds all that is needed, and no cookie is sent from
anywhere else. Errors quote only what is ours: no path of the disk leaves the server.
"""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from latentmap.errors import ExplorerError, LatentmapError
from latentmap.explorer.answers import Asked
from latentmap.explorer.guarding import Guard
from latentmap.explorer.letters import MEDIA_TYPE, letter_of
from latentmap.explorer.session import Session
from latentmap.explorer.uploads import MOST_BYTES

_PAGE = Path(__file__).parent / "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
_MOST_ASKED = 1 << 17  # Bytes of a question.
_SENT_WITHIN = 30.0  # Seconds, of a question: who asks may have gone to sleep.
_MOST_NUMBER = 2**53
_LONGEST_CLIENT = 64
_AT_ONCE = 2  # Images that are received.
_UPLOADED_WITHIN = 60.0  # Seconds.
_FAULT = "the explorer could not do this: the terminal where it was started says why"


def create_app(
    session: Session,
    *,
    token: str,
    host: str = "127.0.0.1",
    notify: Callable[[str], None] | None = None,
    in_notebooks: bool = False,
) -> Guard:
    """The application that serves a session to whoever knows the token, as ``host``; ``notify`` is
    told, line by line, of faults that clients are not told the reason of. ``in_notebooks`` lets
    notebooks of this machine have the page in a frame.
    """
    tell = notify or (lambda line: None)
    uploading = asyncio.Semaphore(_AT_ONCE)
    files = {path.name: path.read_bytes() for path in sorted(_PAGE.iterdir())}
    files["theme.css"] = (resources.files("latentmap.report") / "templates/theme.css").read_bytes()

    async def page(request: Request) -> Response:
        return _file("index.html", files["index.html"])

    async def part(request: Request) -> Response:
        name = request.path_params["name"]
        return _file(name, files[name]) if name in files else _refusal("there is no such page", 404)

    async def answer(request: Request) -> Response:
        name = request.path_params["action"]
        if not session.knows(name):
            return _refusal("there is no such question", 404)
        try:
            body = await asyncio.wait_for(_body(request, _MOST_ASKED), _SENT_WITHIN)
        except asyncio.TimeoutError:
            return _refusal("the question did not come to its end: ask again", 408)
        if body is None:
            return _refusal(f"a question has {_MOST_ASKED:,} bytes at most", 413)
        try:
            client, number, asked = _question(body)
        except ExplorerError as error:
            return _refusal(str(error), 400)
        return await answered(name, asked, client, number)

    async def upload(request: Request) -> Response:
        too_large = _refusal(f"an image has {MOST_BYTES:,} bytes at most", 413)
        said = request.headers.get("content-length", "0")
        if not (said.isascii() and said.isdigit()) or len(said) > 12 or int(said) > MOST_BYTES:
            return too_large
        # The bytes of few are in memory, and none of these waits for a client that has gone away.
        async with uploading:
            try:
                body = await asyncio.wait_for(_body(request, MOST_BYTES), _UPLOADED_WITHIN)
            except asyncio.TimeoutError:
                return _refusal("the image did not come whole in time: send it again", 408)
            return too_large if body is None else await answered("upload", {"data": body})

    async def answered(name: str, asked: Asked, client: str = "", number: int = 0) -> Response:
        try:
            future = session.ask(name, asked, client=client, number=number)
            found = await asyncio.wrap_future(future)
            if found is None:
                return Response(status_code=204)
            # Pictures are packed in another thread, while the next ones are made.
            letter = await asyncio.to_thread(letter_of, found)
        except ExplorerError as error:
            return _refusal(str(error), 400)
        except LatentmapError as error:
            tell(f"{name}: {error}")
            return _refusal(_FAULT, 500)
        except Exception:
            for line in traceback.format_exc().splitlines():
                tell(line)
            return _refusal(_FAULT, 500)
        return Response(letter, media_type=MEDIA_TYPE)

    routes = [
        Route("/", page),
        Route("/page/{name}", part),
        Route("/api/{action}", answer, methods=["POST"]),
        Route("/upload", upload, methods=["POST"]),
    ]
    app = Starlette(routes=routes)
    return Guard(app, token=token, host=host, in_notebooks=in_notebooks)


def _file(name: str, content: bytes) -> Response:
    return Response(content, media_type=_TYPES[Path(name).suffix])


def _refusal(reason: str, status: int) -> Response:
    return JSONResponse({"error": reason}, status)


async def _body(request: Request, most: int) -> bytes | None:
    """What was sent; None of too much, of which no more is read."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            return None
        parts.append(part)
    return b"".join(parts)


def _question(body: bytes) -> tuple[str, int, dict[str, Any]]:
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
    if not isinstance(client, str) or len(client) > _LONGEST_CLIENT or not isinstance(asked, dict):
        raise ExplorerError("a question says its client, its number, and what is asked")
    if type(number) is not int or not 0 <= number <= _MOST_NUMBER:
        raise ExplorerError(f"questions are numbered from 0 to {_MOST_NUMBER}")
    return client, number, asked
