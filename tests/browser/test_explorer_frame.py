"""The page of the explorer in a frame of a notebook, in Chromium, and in no frame of others."""

import http.client
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from latentmap.diagnostics.trace_moments import moment_of
from latentmap.explorer import Explorer, explore_spaces
from latentmap.explorer.trainings import Training
from latentmap.images import open_images
from latentmap.model.testing import LinearModel
from tests.core.diagnostics.traces_by_hand import trace_by_hand

pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def explorer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explorer")
    source, target = (LinearModel(6, (1, 8, 8), seed=seed, name=f"m{seed}") for seed in (1, 2))
    images = open_images("digits", limit=60)
    explored = explore_spaces(source, [target], images, folder / "cache")
    explored = replace(explored, trainings=(Training("a.trace", trace_by_hand()),))
    with Explorer(explored, state="start=random&seed=4") as explorer:
        yield explorer


@pytest.fixture(scope="module")
def browser(launch):
    # A name that is not of this machine leads here, as one can that does harm.
    return launch("--host-resolver-rules=MAP notebooks.example 127.0.0.1")


@pytest.fixture(scope="module")
def port(explorer):
    """Where a notebook is served whose cell shows the explorer."""
    cell = f"<!doctype html><title>Notebook</title>{explorer._repr_html_()}".encode()

    class Notebook(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(cell)

        def log_message(self, *words):
            pass

    with serving(Notebook) as port:
        yield port


@contextmanager
def serving(handler):
    """The port at which a handler answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def notebook_at(browser, host, port):
    """The page of the notebook, the frame in it, and what the console says."""
    page, said = browser.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.route("**/favicon.ico", lambda route: route.fulfill(body=b""))
    page.goto(f"http://{host}:{port}/")
    return page, page.frame_locator("iframe"), said


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_notebook_of_this_machine_has_the_page_in_its_cell(browser, explorer, port, host):
    page, frame, said = notebook_at(browser, host, port)
    frame.locator("figure img").nth(1).wait_for()
    frame.get_by_text("From the random code 4").wait_for()
    # No command draws what a notebook has made.
    assert frame.locator(".command").count() == 1 and frame.locator(".command").is_hidden()
    # Beside models, trainings are a view of their own.
    frame.get_by_role("tab", name="Traces").click()
    found = moment_of(explorer.explored.trainings[0].trace, 4)
    frame.get_by_text(f"{found.active.sum()} of 3 variables active").wait_for()
    assert said == []
    page.close()


def test_a_page_elsewhere_has_it_not(browser, port):
    page, frame, said = notebook_at(browser, "notebooks.example", port)
    page.wait_for_timeout(1000)
    assert frame.locator("#view").count() == 0
    assert any("frame-ancestors" in line for line in said)
    page.close()


def test_what_forwards_the_port_and_asks_for_localhost_has_the_page(browser, explorer):
    """As a tunnel does: the page has another origin than the one that the explorer is asked for."""
    where = urlsplit(explorer.address)

    class Tunnel(BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {**self.headers, "Host": f"localhost:{where.port}"}
            connection = http.client.HTTPConnection(where.hostname, where.port)
            connection.request(self.command, self.path, body, headers)
            reply = connection.getresponse()
            letter = reply.read()
            connection.close()
            self.send_response(reply.status)
            for name in ("content-type", "content-security-policy"):
                self.send_header(name, reply.headers[name])
            self.end_headers()
            self.wfile.write(letter)

        do_POST = do_GET

        def log_message(self, *words):
            pass

    with serving(Tunnel) as port:
        page, said = browser.new_page(), []
        page.on("console", lambda message: said.append(message.text))
        page.goto(f"http://127.0.0.1:{port}{where.path}")
        page.locator("figure img").nth(1).wait_for()
        assert said == []
        page.close()


def test_a_slider_can_be_moved_in_a_narrow_cell(browser, explorer):
    page = browser.new_page(viewport={"width": 232, "height": 860})
    page.goto(explorer.address)
    slider = page.locator(".slider input[type=range]").first
    slider.wait_for()
    assert slider.bounding_box()["width"] > 150
    assert page.evaluate("document.documentElement.scrollWidth") == 232
    page.close()
