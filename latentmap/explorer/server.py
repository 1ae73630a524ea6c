"""The web application of the explorer: its page, and one address for each action.

Everything lies below the token, so that a link holds all that is needed, and no cookie is sent from
anywhere else. Errors quote only what is ours: no path of the disk leaves the server.
"""

from __future__ import annotations

import asyncio
import functools
import traceback
from collections.abc import Callable, Mapping
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
    desk = _Desk(session, notify or (lambda line: None))
    routes = [
        Route("/", _page),
        Route("/page/{name}", _part),
        Route("/api/{action}", desk.answer, methods=["POST"]),
        Route("/upload", desk.upload, methods=["POST"]),
    ]
    app = Starlette(routes=routes)
    return Guard(app, token=token, host=host, in_notebooks=in_notebooks)


async def _page(request: Request) -> Response:
    return _file("index.html")


async def _part(request: Request) -> Response:
    name = request.path_params["name"]
    return _file(name) if name in _files() else _refusal("there is no such page", 404)


class _Desk:
    """Where questions and images come in, and answers go out; ``tell`` gets faults."""

    def __init__(self, session: Session, tell: Callable[[str], None]) -> None:
        self._session, self._tell = session, tell
        self._receiving = asyncio.Semaphore(_RECEIVED)
        self._decoding = asyncio.Semaphore(_DECODED)

    async def answer(self, request: Request) -> Response:
        """The answer to a question."""
        name = request.path_params["action"]
        if not self._session.knows(name) or name == _UPLOAD:
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
        return await self._answered(request, name, asked, client, number)

    async def upload(self, request: Request) -> Response:
        """The answer to a file of an image."""
        explored = self._session.explored
        if isinstance(explored, OnlyTrainings):
            return _refusal("no model is here to see an image", 404)
        too_large = _refusal(f"an image has {MOST_BYTES:,} bytes at most", 413)
        said = request.headers.get("content-length", "0")
        if not (said.isascii() and said.isdigit()) or len(said) > 12 or int(said) > MOST_BYTES:
            return too_large
        # The bytes of few are in memory, the pixels of fewer, and none of these waits for a client
        # that has gone away. Networks go on meanwhile.
        async with self._receiving:
            try:
                body = await body_of(request, most=MOST_BYTES, within=_UPLOADED_WITHIN)
            except asyncio.TimeoutError:
                return _refusal("the image did not come whole in time: send it again", 408)
            if body is None:
                return too_large
            async with self._decoding:
                values = explored.images.range_of_files
                try:
                    seen = await asyncio.to_thread(see_upload, body, explored.views, values)
                except ImageError as error:
                    return _refused(f"This is no image that can be taken: {error}")
        return await self._answered(request, _UPLOAD, {"seen": seen})

    async def _answered(
        self, request: Request, name: str, asked: Asked, client: str = "", number: int = 0
    ) -> Response:
        try:
            future = self._session.ask(name, asked, client=client, number=number)
            found = await wanted(future, request)
            if found is None:
                return Response(status_code=204)
            # Pictures are packed in another thread, while the next ones are made.
            letter = await asyncio.to_thread(letter_of, found)
        except ExplorerError as error:
            return _refused(str(error))
        except LatentmapError as error:
            self._tell(f"{name}: {error}")
            return _refusal(_FAULT, 500)
        except Exception:
            for line in traceback.format_exc().splitlines():
                self._tell(line)
            return _refusal(_FAULT, 500)
        return Response(letter, media_type=MEDIA_TYPE)


@functools.cache
def _files() -> Mapping[str, bytes]:
    """What the page consists of, by names."""
    files = {path.name: path.read_bytes() for path in sorted(_PAGE.iterdir())}
    theme = resources.files("latentmap.report") / "templates/theme.css"
    return {**files, "theme.css": theme.read_bytes()}


def _file(name: str) -> Response:
    return Response(_files()[name], media_type=_TYPES[Path(name).suffix])


def _refused(reason: str) -> Response:
    """A letter that refuses what was asked: browsers complain on the console of any other status
    than that of success.
    """
    return Response(letter_of(Answer({"refused": reason})), media_type=MEDIA_TYPE)


def _refusal(reason: str, status: int) -> Response:
    return JSONResponse({"error": reason}, status)
