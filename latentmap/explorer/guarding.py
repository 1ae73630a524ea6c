"""Who may ask the explorer: whoever knows its token, from its own page, by a name of this machine.

A page elsewhere can send requests to this machine, even by a name of its own that it has led here
(DNS rebinding). Neither knows the token, which is part of every path; that hosts and origins are
checked too is for tokens that were passed on.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors ",
    ]
)
# Who may have the page in a frame, where it is for a notebook: pages of this machine, as those of
# Jupyter are, and the windows of VS Code. Each of them has to know the token.
_NOTEBOOKS = (
    "http://localhost:* http://127.0.0.1:* https://localhost:* https://127.0.0.1:* "
    "vscode-webview: vscode-file:"
)
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class Guard:
    """An application behind a token, which is the first part of every path; it sees the rest.

    ``in_notebooks`` lets notebooks of this machine have its pages in a frame.
    """

    def __init__(self, app: ASGIApp, *, token: str, host: str, in_notebooks: bool = False) -> None:
        self._app, self._token = app, token
        policy = _POLICY + (_NOTEBOOKS if in_notebooks else "'none'")
        self._headers = [(b"content-security-policy", policy.encode()), *_HEADERS]
        self._names = {"localhost", host.lower(), socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *self._headers]}
            await send(message)

        fault = self._fault(scope)
        if fault is not None:
            await _refuse(guarded, fault)
            return
        await self._app({**scope, "root_path": f"/{self._token}"}, receive, guarded)

    def _fault(self, scope: Scope) -> str | None:
        """Why a request is refused; None where it is not."""
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if not self._is_here(host):
            return "this address is not known here: open the one that the terminal shows"
        origin = headers.get(b"origin")
        if origin is not None and not _is_same(origin, host, headers.get(b"sec-fetch-site")):
            return "only the page of the explorer may ask it"
        first, _, rest = scope["path"].removeprefix("/").partition("/")
        if not hmac.compare_digest(first.encode(), self._token.encode()):
            return "the token is missing or wrong: open the address that the terminal shows"
        if not rest and not scope["path"].endswith("/"):
            return "the address ends with a slash"
        return None

    def _is_here(self, host: str) -> bool:
        """Whether a host is a number, which no page elsewhere is called by, or a name of ours."""
        with suppress(ValueError):
            name = urlsplit(f"//{host}").hostname or ""
            if name in self._names:
                return True
            ipaddress.ip_address(name)
            return True
        return False


def _is_same(origin: str, host: str, site: str | None) -> bool:
    """Whether a page at ``origin`` is of the host that it asks, which is a name of ours.

    A browser says so by ``site`` (Sec-Fetch-Site), which no script can write, and which holds
    behind whatever forwards the port. It is not said to an address that is neither encrypted nor of
    the browser's own machine; there, and by old browsers, hosts are compared, not schemes: an
    encrypted connection may have ended on the way here.
    """
    if site is not None:
        return site == "same-origin"
    return origin.lower() in {f"{scheme}://{host}".lower() for scheme in ("http", "https")}


async def _refuse(send: Send, reason: str) -> None:
    body = json.dumps({"error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
