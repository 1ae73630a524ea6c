"""The server answers whoever has the token, from its own page, and tells nothing of the disk."""

import asyncio
import io
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentmap.errors import ImageError
from latentmap.explorer import Answer, Session
from latentmap.explorer.actions import ACTIONS
from latentmap.explorer.letters import letter_of
from latentmap.explorer.uploads import see_upload
from tests.core.explorer.letters import read_letter

client_of = pytest.importorskip("starlette.testclient").TestClient
TOKEN = "a-token"
HOST = "http://127.0.0.1:8000"


def unreadable(explored, asked):
    raise ImageError("/home/somebody/secret/7.png cannot be read")


def broken(explored, asked):
    raise RuntimeError("/home/somebody/secret")


def empty(explored, asked):
    return Answer({})


@pytest.fixture(scope="module")
def said():
    return []


@pytest.fixture(scope="module")
def app(explored, said):
    from latentmap.explorer.server import create_app

    more = {"unreadable": unreadable, "broken": broken, "empty": empty}
    session = Session(explored, {**ACTIONS, **more})
    yield create_app(session, token=TOKEN, notify=said.append)
    session.close()


@pytest.fixture
def own_app(explored):
    """An application for a loop of events of one's own."""
    from latentmap.explorer.server import create_app

    session = Session(explored)
    yield create_app(session, token=TOKEN)
    session.close()


@pytest.fixture
def client(app):
    return client_of(app, base_url=HOST)


def ask(client, action, asked, *, number=0, client_id="me", **options):
    question = {"client": client_id, "number": number, "asked": asked}
    return client.post(f"/{TOKEN}/api/{action}", content=json.dumps(question), **options)


PAGES = [f"/{TOKEN}/", f"/{TOKEN}/page/main.js", f"/{TOKEN}/page/theme.css", "/", "/none", "/x/y"]


@pytest.mark.parametrize("path", PAGES)
def test_every_answer_allows_the_page_itself_alone(client, path):
    headers = client.get(path).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'"
    assert policy["connect-src"] == "'self'" and policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    ["/", "/page/main.js", "/api/move", "//", "/a-toke/", "/a-token-x/", "/A-TOKEN/", "/%00/"],
)
def test_without_the_token_nothing_is_told(client, path):
    for reply in (client.get(path), client.post(path, content="{}")):
        assert reply.status_code == 403
        assert "the token is missing or wrong" in reply.json()["error"]


def test_the_page_and_its_parts_are_served(client):
    page = client.get(f"/{TOKEN}/")
    assert page.status_code == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    known = Path(__file__).parents[3] / "latentmap/explorer/page"
    scripts = sorted(path.name for path in known.glob("*.js"))
    for name in (*scripts, "style.css", "theme.css"):
        part = client.get(f"/{TOKEN}/page/{name}")
        assert part.status_code == 200
        assert part.headers["content-type"].startswith(("text/javascript", "text/css"))
    for name in ("none.js", "..%2fserver.py", "../server.py", "%2e%2e/server.py", "__init__.py"):
        assert client.get(f"/{TOKEN}/page/{name}").status_code in (403, 404)


def test_the_page_asks_for_nothing_from_elsewhere():
    for path in (Path(__file__).parents[3] / "latentmap/explorer/page").iterdir():
        assert not re.search(r"https?://|//[a-z]+\.|@import|url\(", path.read_text("utf-8")), path


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "", "127.0.0.1.evil.example"]
)
def test_other_hosts_are_refused(client, host):
    reply = client.get(f"/{TOKEN}/", headers={"host": host})
    assert reply.status_code == 403 and "is not known here" in reply.json()["error"]


@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost:8000", "[::1]:8000", "192.168.0.7"])
def test_numbers_and_names_of_this_machine_are_not(client, host):
    assert client.get(f"/{TOKEN}/", headers={"host": host}).status_code == 200


ORIGINS = ["http://evil.example", "null", "http://127.0.0.1:8001", "", "http://[", "http://"]
ORIGINS += ["ftp://127.0.0.1:8000", "127.0.0.1:8000", f"{HOST}/", f"{HOST}@evil.example"]


@pytest.mark.parametrize("origin", ORIGINS)
def test_other_origins_are_refused(client, origin):
    reply = ask(client, "describe", {}, headers={"origin": origin})
    assert reply.status_code == 403 and "only the page" in reply.json()["error"]
    assert ask(client, "describe", {}, headers={"origin": HOST}).status_code == 200


# What browsers send through what forwards the port: the proxy may end the encryption, and say its
# own name, or ours, in Host.
FORWARDED = [
    {"origin": "https://127.0.0.1:8000"},
    {"origin": "HTTPS://LocalHost:8888", "host": "localhost:8888"},
    {"origin": "https://tunnel.example", "host": "localhost:8000", "sec-fetch-site": "same-origin"},
]


@pytest.mark.parametrize("headers", FORWARDED)
def test_a_page_that_is_forwarded_may_ask(client, headers):
    assert ask(client, "describe", {}, headers=headers).status_code == 200


# A page elsewhere, one of another port or another scheme here, and one whose name leads here now.
STRANGE = [
    *({"origin": HOST, "sec-fetch-site": site} for site in ("cross-site", "same-site", "none", "")),
    {"origin": "https://tunnel.example", "host": "localhost:8000"},
    {"origin": "http://evil.example", "host": "evil.example", "sec-fetch-site": "same-origin"},
]


@pytest.mark.parametrize("headers", STRANGE)
def test_what_a_browser_calls_another_page_may_not(client, headers):
    assert ask(client, "describe", {}, headers=headers).status_code == 403


def test_a_step_is_one_letter_with_all_pictures(client, explored):
    asked = {"state": "moves=variables_2_0.5", "by": "variables"}
    reply = ask(client, "move", asked)
    assert reply.headers["content-type"] == "application/octet-stream"
    told, pictures = read_letter(reply.content)
    answer = ACTIONS["move"](explored, asked)
    assert told["values"] == answer.told["values"] and told["values"][2] == 0.5
    for picture, expected in zip(pictures, answer.pictures, strict=True):
        np.testing.assert_array_equal(picture, np.broadcast_to(expected, picture.shape))


@pytest.mark.parametrize(
    "shape", [(8, 6, 1), (8, 6, 3), (128, 128, 3), (129, 128, 1), (129, 128, 3)]
)
def test_no_pixel_is_lost_on_the_way(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    told, (found, other) = read_letter(letter_of(Answer({"n": 1}, [pixels, pixels[::-1].copy()])))
    kind = "image/png" if shape[0] * shape[1] <= 128 * 128 else "image/bmp"
    assert told["n"] == 1 and [file["type"] for file in told["files"]] == [kind, kind]
    np.testing.assert_array_equal(found, np.broadcast_to(pixels, found.shape))
    np.testing.assert_array_equal(other, found[::-1])


def test_a_question_that_is_no_longer_wanted_has_no_answer(client):
    assert ask(client, "empty", {}, number=5, client_id="late").status_code == 200
    late = ask(client, "empty", {}, number=4, client_id="late")
    assert (late.status_code, late.content) == (204, b"")


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"no json", 400),
        (b"[]", 400),
        (b"[" * 60000, 400),
        (b'{"client": "a", "number": 1}', 400),
        (b'{"client": 3, "number": 1, "asked": {}}', 400),
        (b'{"client": "", "number": 1, "asked": {}}', 400),
        (b'{"client": "a", "number": -1, "asked": {}}', 400),
        (b'{"client": "a", "number": 1e400, "asked": {}}', 400),
        (b'{"client": "' + b"a" * 65 + b'", "number": 1, "asked": {}}', 400),
        (b'{"client": "a", "number": 1, "asked": {"state": "\\ud800"}}', 200),
        (b"x" * (1 << 18), 413),
    ],
)
def test_what_is_no_question_is_refused(client, content, status):
    reply = client.post(f"/{TOKEN}/api/move", content=content)
    assert reply.status_code == status
    assert status == 200 or reply.json()["error"]


def test_other_ways_of_asking_are_refused(client):
    assert ask(client, "none", {}).status_code == 404
    assert client.get(f"/{TOKEN}/api/move").status_code == 405
    assert client.get(f"/{TOKEN}/none").status_code == 404
    assert client.get(f"/{TOKEN}").status_code == 403


def test_errors_tell_no_path_of_the_disk(client, said):
    """Neither those of ours, whose reason is told to the terminal, nor those that are faults."""
    for action in ("unreadable", "broken"):
        said.clear()
        reply = ask(client, action, {})
        assert reply.status_code == 500
        assert "somebody" not in reply.text and "the terminal" in reply.json()["error"]
        assert any("/home/somebody/secret" in line for line in said)
    refused = ask(client, "move", {"state": "start=image&image=../../etc/passwd"})
    assert refused.status_code == 200  # Of any other the browser complains on the console.
    told, _ = read_letter(refused.content)
    assert told["refused"].startswith("none of the 400 images is called '../../etc/passwd'")


def upload(client, content, **options):
    return client.post(f"/{TOKEN}/upload", content=content, **options)


def test_a_file_is_sent_as_it_is(client, explored, images):
    file = io.BytesIO()
    Image.fromarray(images.read(4)[..., 0]).save(file, "PNG")
    told, _ = read_letter(upload(client, file.getvalue()).content)
    _, (seen,) = read_letter(ask(client, "uploaded", {"upload": told["upload"]}).content)
    np.testing.assert_array_equal(seen[..., :1], images.read(4))
    refused, _ = read_letter(upload(client, b"no image").content)
    assert refused["refused"].startswith("This is no image that can be taken")


def test_a_question_cannot_keep_files_from_being_sent(client):
    """As one could that counted as an upload, and had a larger number than these have."""
    for client_id in ("", "a"):
        reply = ask(client, "upload", {"data": "text"}, number=7, client_id=client_id)
        assert reply.status_code == 404
    assert "upload" in read_letter(upload(client, picture()).content)[0]


def picture(width=8, height=8):
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, "PNG")
    return file.getvalue()


def test_a_file_that_is_refused_does_not_say_how_to_start_the_command(client):
    told, _ = read_letter(upload(client, picture(12000, 12000)).content)
    assert re.search("too much for [0-9]+ bytes$", told["refused"])


def test_networks_answer_while_a_file_is_decoded(client, monkeypatch):
    """It is decoded in another thread: until the answer is there, this one does not go on."""
    decoding, answered = threading.Event(), threading.Event()

    def see(*asked):
        decoding.set()
        assert answered.wait(10)
        return see_upload(*asked)

    monkeypatch.setattr("latentmap.explorer.server.see_upload", see)
    with ThreadPoolExecutor(1) as another:
        sent = another.submit(upload, client, picture())
        assert decoding.wait(10)
        assert ask(client, "move", {"state": ""}).status_code == 200
        answered.set()
        assert "upload" in read_letter(sent.result(10).content)[0]


def parts_of(size):
    """So many bytes, without saying so before."""
    for _ in range(0, size, 1 << 20):
        yield b"\0" * (1 << 20)


@pytest.mark.parametrize("content", [b"\0" * ((1 << 25) + 1), parts_of((1 << 25) + 1)])
def test_a_file_that_is_too_large_is_not_taken(client, content):
    reply = upload(client, content)
    assert reply.status_code == 413
    assert reply.json()["error"] == "an image has 33,554,432 bytes at most"


@pytest.mark.parametrize("length", ["-1", "x", "\u00b2", "9" * 13])
def test_a_length_that_is_none_is_refused(client, length):
    assert (
        upload(client, b"", headers={"content-length": length.encode("latin-1")}).status_code == 413
    )


@pytest.mark.parametrize("limit", ["server._UPLOADED_WITHIN", "receiving._SILENT_FOR"])
def test_a_file_that_does_not_come_is_not_waited_for(own_app, monkeypatch, limit):
    """Nor does it keep others waiting: the client has gone away, as a laptop that was closed."""
    monkeypatch.setattr(f"latentmap.explorer.{limit}", 0.05)
    assert send_at_once(own_app, [()] * 12) == [408] * 12


def test_a_few_files_that_do_not_come_do_not_hold_up_another(own_app):
    """Which is whole at once, while these are still waited for."""
    assert send_at_once(own_app, [*[()] * 9, (picture(),)], enough=1) == [200]


def send_at_once(app, files, enough=None):
    """Sends the parts of each file, and then nothing; the statuses of the answers, until there are
    ``enough``.
    """
    found = []

    async def one(parts):
        left = [{"type": "http.request", "body": part, "more_body": False} for part in parts]

        async def receive():
            if not left:
                await asyncio.sleep(60)
            return left.pop(0)

        async def send(message):
            if "status" in message:
                found.append(message["status"])

        scope = {
            "type": "http",
            "scheme": "http",
            "method": "POST",
            "path": f"/{TOKEN}/upload",
            "root_path": "",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1:8000")],
        }
        await app(scope, receive, send)

    async def many():
        tasks = [asyncio.create_task(one(parts)) for parts in files]
        while len(found) < (enough or len(files)):
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            tasks = [task for task in tasks if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(many())
    return found


def test_no_answer_tells_where_the_images_lie(client, explored):
    folder = str(Path(explored.images.path).parent)
    asked = {"ids": explored.images.ids[:2].tolist()}
    answers = [ask(client, "describe", {}), ask(client, "show", asked), client.get(f"/{TOKEN}/")]
    for reply in (*answers, ask(client, "images", {"start": 0, "count": 9})):
        assert reply.status_code == 200 and folder.encode() not in reply.content
