"""The explorer in a notebook: what the cell shows, who may have it in a frame, and its end."""

import gc
import http.client
import re
import socket
import subprocess
import sys
import time
from html import unescape
from urllib.parse import urlsplit

import pytest

import latentmap
from latentmap.errors import ExplorerError
from latentmap.explorer import Explorer, Serving, Session
from tests.core.diagnostics.traces_by_hand import trace_by_hand

pytest.importorskip("uvicorn")


def policy_at(address):
    """The answer's policy on frames."""
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=10)
    connection.request("GET", where.path)
    reply = connection.getresponse()
    reply.read()
    connection.close()
    assert reply.status == 200
    (part,) = re.findall("frame-ancestors ([^;]+)", reply.headers["content-security-policy"])
    return part.split()


def require_ended(address):
    where = urlsplit(address)
    end = time.monotonic() + 10
    while True:
        try:
            socket.create_connection((where.hostname, where.port), timeout=1).close()
        except OSError:
            return
        assert time.monotonic() < end, "it never ended"
        time.sleep(0.02)


def test_the_cell_has_the_page_in_a_frame(models, images, tmp_path):
    source, target, _ = models
    trace_by_hand().save(tmp_path / "a.trace")
    state = "start=random&seed=4"
    with latentmap.explore(
        source,
        [target],
        images,
        coder=tmp_path / "cache",
        traces=[tmp_path / "a.trace"],
        state=state,
        height=500,
    ) as explorer:
        shown = explorer._repr_html_()
        assert [unescape(one) for one in re.findall('(?:src|href)="([^"]+)"', shown)] == [
            explorer.address
        ] * 2
        assert explorer.address.endswith(f"/#{state}") and 'height="500"' in shown
        # A notebook that is opened again has a frame that nobody fills.
        assert "Where the frame is empty, the explorer has ended: run the cell again." in shown
        assert repr(explorer) == f"<Explorer at {explorer.address}>"
        assert [one.name for one in explorer.explored.trainings] == ["a.trace"]
        # Pages of this machine and VS Code, and no other.
        assert policy_at(explorer.address) == [
            "http://localhost:*",
            "http://127.0.0.1:*",
            "https://localhost:*",
            "https://127.0.0.1:*",
            "vscode-webview:",
            "vscode-file:",
        ]
    assert explorer.closed and repr(explorer) == "<Explorer, closed>"
    assert "iframe" not in explorer._repr_html_()
    require_ended(explorer.address)
    explorer.close()  # Again, which does nothing.


def test_outside_of_notebooks_nobody_has_it_in_a_frame(explored):
    with Serving(Session(explored)) as serving:
        assert policy_at(serving.address) == ["'none'"]


def test_what_nobody_holds_ends(explored):
    explorer = Explorer(explored)
    address = explorer.address
    del explorer
    gc.collect()
    require_ended(address)


def test_an_image_that_is_not_there_is_refused_before_anything_is_served(explored, models, images):
    with pytest.raises(ExplorerError, match="none of the 400 images is called 'none'"):
        Explorer(explored, state="start=image&image=none")
    source, target, _ = models
    with pytest.raises(ExplorerError, match="a state starts from one of"):
        latentmap.explore(source, [target], images, state="start=nowhere")


def test_without_the_server_one_line_says_what_to_install(models, images, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    source, target, _ = models
    with pytest.raises(ExplorerError, match=r'pip install "latentmap\[explore\]"'):
        latentmap.explore(source, [target], images)


SCRIPT = """
import numpy as np, torch
from latentmap import explore
from latentmap.images import open_images
from latentmap.model.testing import LinearModel
np.save("images.npy", np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), dtype=np.uint8))
model = LinearModel(4, (1, 8, 8), seed=1, name="source")
explorer = explore(model, [], open_images("images.npy"), coder="cache")
print(explorer.address)
"""


def test_the_end_of_the_notebook_ends_it_without_a_word(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, timeout=100
    )
    assert (done.returncode, done.stderr) == (0, "")
    require_ended(done.stdout.strip())
