"""The web application of the explorer: its page, and one address for each action.

Everything lies below the token, so that a link holds all that is needed, and no cookie is sent from
anywhere else. Errors quote only what is ours: no path of the disk leaves the server.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from latentmap.errors import ExplorerError, ImageError, LatentmapError
from latentmap.explorer.answers import Answer, Asked
from latentmap.explorer.guarding import Guard
from latentmap.explorer.letters import MEDIA_TYPE, letter_of
from latentmap.explorer.receiving import body_of, read_question, wanted
from latentmap.explorer.session import Session
from latentmap.explorer.trainings import OnlyTrainings
from latentmap.explorer.uploads import MOST_BYTES, see_upload

_PAGE = Path(__file__).parent / "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
_MOST_ASKED = 1 << 17  # Bytes of a question.
_SENT_WITHIN = 30.0  # Seconds, of a question: who asks may have gone to sleep.
_RECEIVED, _DECODED = 10, 2  # Images at once.
_UPLOADED_WITHIN = 60.0  # Seconds.
_UPLOAD = "upload"  # An action whose questions are files.
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
    receiving, decoding = asyncio.Semaphore(_RECEIVED), asyncio.Semaphore(_DECODED)
    files = {path.name: path.read_bytes() for path in sorted(_PAGE.iterdir())}
    files["theme.css"] = (resources.files("latentmap.report") / "templates/theme.css").read_bytes()

    async def page(request: Request) -> Response:
        return _file("index.html", files["index.html"])

    async def part(request: Request) -> Response:
        name = request.path_params["name"]
        return _file(name, files[name]) if name in files else _refusal("there is no such page", 404)

    async def answer(request: Request) -> Response:
        name = request.path_params["action"]
        if not session.knows(name) or name == _UPLOAD:
            return _refusal("there is no such question", 404)
        try:
            body = await body_of(request, most=_MOST_ASKED, within=_SENT_WITHIN)
        except asyncio.TimeoutError:
            return _refusal("the question did not come to its end: ask again", 408)
        if body is None:
            return _refusal(f"a question has {_MOST_ASKED:,} bytes at most", 413)
        try:
            client, number, asked = read_question(body)
        except ExplorerError as error:
            return _refusal(str(error), 400)
        return await answered(request, name, asked, client, number)

    async def upload(request: Request) -> Response:
        explored = session.explored
        if isinstance(explored, OnlyTrainings):
            return _refusal("no model is here to see an image", 404)
        too_large = _refusal(f"an image has {MOST_BYTES:,} bytes at most", 413)
        said = request.headers.get("content-length", "0")
        if not (said.isascii() and said.isdigit()) or len(said) > 12 or int(said) > MOST_BYTES:
            return too_large
        # The bytes of few are in memory, the pixels of fewer, and none of these waits for a client
        # that has gone away. Networks go on meanwhile.
        async with receiving:
            try:
                body = await body_of(request, most=MOST_BYTES, within=_UPLOADED_WITHIN)
            except asyncio.TimeoutError:
                return _refusal("the image did not come whole in time: send it again", 408)
            if body is None:
                return too_large
            async with decoding:
                views = [model.view for model in explored.models]
                try:
                    seen = await asyncio.to_thread(see_upload, body, views)
                except ImageError as error:
                    return _refused(f"This is no image that can be taken: {error}")
        return await answered(request, _UPLOAD, {"seen": seen})

    async def answered(
        request: Request, name: str, asked: Asked, client: str = "", number: int = 0
    ) -> Response:
        try:
            future = session.ask(name, asked, client=client, number=number)
            found = await wanted(future, request)
            if found is None:
                return Response(status_code=204)
            # Pictures are packed in another thread, while the next ones are made.
            letter = await asyncio.to_thread(letter_of, found)
        except ExplorerError as error:
            return _refused(str(error))
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


def _refused(reason: str) -> Response:
    """A letter that refuses what was asked: browsers complain on the console of any other status
    than that of success.
    """
    return Response(letter_of(Answer({"refused": reason})), media_type=MEDIA_TYPE)


def _refusal(reason: str, status: int) -> Response:
    return JSONResponse({"error": reason}, status)
