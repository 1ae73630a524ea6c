"""The explorer as an address: uvicorn in a thread of its own, on a socket that is ours."""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from latentmap.errors import ExplorerError
from latentmap.explorer.session import Session

_STARTS_WITHIN = 30.0  # Seconds.
_ENDS_WITHIN = 5


def require_server() -> None:
    """Passes where the libraries of the server are installed.

    Raises:
        ExplorerError: they are not.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ExplorerError(
            "the explorer needs starlette and uvicorn, which are not installed: "
            'pip install "latentmap[explore]"'
        ) from error


class Serving:
    """A session that is served until ``close``; ``address`` is where, with the token that whoever
    asks has to know.

    Only this machine can reach it, unless ``host`` is one of its other addresses. ``port`` 0 takes
    a free one. ``notify`` is told, in a line, of faults that no client is told the reason of;
    ``in_notebooks`` lets notebooks of this machine have the page in a frame.
    """

    def __init__(
        self,
        session: Session,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        notify: Callable[[str], None] | None = None,
        in_notebooks: bool = False,
    ) -> None:
        require_server()
        import uvicorn

        from latentmap.explorer.server import create_app

        self._session = session
        self._socket = _listening(host, port)
        self.token = secrets.token_urlsafe(24)
        self.port: int = self._socket.getsockname()[1]
        app = create_app(
            session, token=self.token, host=host, notify=notify, in_notebooks=in_notebooks
        )
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_ENDS_WITHIN,
        )
        self._server = uvicorn.Server(config)
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="explorer-server", daemon=True).start()
        self._wait()
        self.address = f"http://{_written(host)}:{self.port}/{self.token}/"

    def wait(self) -> None:
        """Returns when the server has ended."""
        # Not by joining the thread: Ctrl-C in it makes Python 3.11 take a thread for ended that is
        # not. In steps, so that Ctrl-C is heard everywhere.
        while not self._ended.wait(0.5):
            pass

    def end(self) -> None:
        """Has the server and the session end, and does not wait for it."""
        self._server.should_exit = True
        self._session.end()

    def close(self) -> None:
        """Ends the server and the session."""
        self._server.should_exit = True
        self._ended.wait(2 * _ENDS_WITHIN)
        self._session.close()
        self._socket.close()

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._ended.set()

    def _wait(self) -> None:
        end = time.monotonic() + _STARTS_WITHIN
        while not self._server.started:
            if self._ended.is_set() or time.monotonic() > end:
                self._socket.close()
                raise ExplorerError("the server did not start: try another port (--port)")
            time.sleep(0.01)


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ExplorerError: the port is taken, or the host is none of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family)
    except (OSError, UnicodeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ExplorerError(
            f"port {port} of {host} cannot be had ({reason}): choose another port (--port), or an "
            "address of this machine (--host)"
        ) from error
    # asyncio sends small packets at once where it is told that this is TCP. Else an answer waits
    # for the client's acknowledgement, up to 40 ms.
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=listening.detach())


def _written(host: str) -> str:
    """A host as it stands in an address that a browser here can open."""
    with contextlib.suppress(ValueError):
        known = ipaddress.ip_address(host)
        if known.is_unspecified:
            return "[::1]" if known.version == 6 else "127.0.0.1"
        return f"[{host}]" if known.version == 6 else host
    return host
