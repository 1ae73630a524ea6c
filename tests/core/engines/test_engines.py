"""What every engine promises: all numbers are done, whatever happens to the workers."""

import importlib.util
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from latentmap.engines import by_processes, by_ray, require_ray
from latentmap.engines.ray_driver import Request, _Talk, _Team
from latentmap.errors import EngineError, ImageError
from tests.core.engines.works import Marks, UnreadableError, alive, wait_for

ROOT = Path(__file__).resolve().parents[3]
WITH_RAY = importlib.util.find_spec("ray") is not None


@pytest.fixture(scope="module")
def cluster():
    """The address of a Ray cluster of this machine, which only the tests can speak to."""
    if not WITH_RAY:
        pytest.skip("needs Ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.chdir(ROOT)  # Ray's workers import from where their driver was started.
        command = [sys.executable, str(Path(__file__).with_name("ray_cluster.py"))]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, text=True, **pipes) as process:
            address = process.stdout.readline().strip()
            assert address
            yield address
            process.stdin.close()


@pytest.fixture(params=["by_processes", "by_ray"])
def options(request):
    """The name of an engine, and what it takes."""
    if request.param == "by_processes":
        return request.param, {}
    return request.param, {"address": request.getfixturevalue("cluster")}


@pytest.fixture
def engine(options):
    name, more = options
    return partial({"by_processes": by_processes, "by_ray": by_ray}[name], workers=2, **more)


def test_every_number_is_done_once_by_workers_that_end(engine, tmp_path):
    work = Marks(tmp_path)
    assert sorted(engine(work, range(20))) == [*range(20)] == work.done()
    assert 1 <= len(work.pids()) <= 2
    assert os.getpid() not in work.pids()
    assert wait_for(lambda: not alive(work.pids()), 10)


def test_a_worker_that_is_killed_is_replaced(engine, tmp_path):
    work = Marks(tmp_path, kills=3)
    assert sorted(engine(work, range(8))) == [*range(8)] == work.done()
    assert len(work.pids()) >= 2


def test_a_number_that_always_kills_is_given_up(engine, tmp_path):
    work = Marks(tmp_path, kills=3, always=True)
    with pytest.raises(EngineError, match=r"shard 3 was not done: 3 workers ended over it"):
        list(engine(work, range(8)))
    assert wait_for(lambda: not alive(work.pids()), 10)


def test_a_number_that_is_always_beside_the_one_that_kills_is_not_taken_for_it(tmp_path):
    # Slow enough to be worked on whenever number 3 kills its worker.
    work = Marks(tmp_path, kills=3, always=True, seconds=2.0)
    with pytest.raises(EngineError, match=r"shard 3 was not done: 3 workers ended over it"):
        list(by_processes(work, [2, 3, 4], workers=2))
    assert 2 in work.done() and 3 not in work.done()


def test_an_error_of_the_work_comes_out_as_it_is(engine, tmp_path):
    work = Marks(tmp_path, fails=7)
    with pytest.raises(ImageError, match=r"^7.png cannot be read: mend it$") as caught:
        list(engine(work, range(8)))
    assert "_work" in str(caught.value.__cause__)  # Where it was raised.
    assert wait_for(lambda: not alive(work.pids()), 10)


def test_an_error_of_the_setup_comes_out_as_it_is(engine, tmp_path):
    with pytest.raises(ImageError, match=r"^7.png cannot be read: mend it$"):
        list(engine(Marks(tmp_path, setup_fails=True), range(8)))


def test_an_error_that_cannot_be_sent_is_said_in_a_line(engine, tmp_path):
    work = Marks(tmp_path, fails=7, error=UnreadableError)
    with pytest.raises(EngineError, match=r"^a worker raised UnreadableError: .*mend it"):
        list(engine(work, range(8)))


def test_an_iterator_that_is_closed_ends_the_workers(engine, tmp_path):
    work = Marks(tmp_path, seconds=0.2)
    numbers = engine(work, range(1000))
    next(numbers)
    assert alive(work.pids())
    numbers.close()
    assert wait_for(lambda: not alive(work.pids()), 10)
    assert len(work.done()) < 500


def test_workers_end_with_a_driver_that_is_killed(options, tmp_path):
    name, more = options
    command = [sys.executable, "-m", "tests.core.engines.driver", name, str(tmp_path)]
    with subprocess.Popen([*command, json.dumps(more)], cwd=ROOT) as driver:
        work = Marks(tmp_path)
        assert wait_for(lambda: work.done(), 60)
        driver.send_signal(signal.SIGKILL)
    assert wait_for(lambda: not alive(work.pids()), 15)


@pytest.mark.skipif(not WITH_RAY, reason="needs Ray")
class TestRay:
    def test_workers_without_room_are_not_waited_for(self, cluster, tmp_path):
        work = Marks(tmp_path)
        assert len([*by_ray(work, range(8), workers=3, address=cluster)]) == 8
        assert len(work.pids()) <= 2

    def test_a_worker_too_large_for_any_machine_is_refused(self, cluster, tmp_path):
        more = {"workers": 2, "address": cluster, "cpus_per_worker": 64, "patience": 1.0}
        with pytest.raises(EngineError, match="each takes 64 processors and 0 GPUs") as caught:
            list(by_ray(Marks(tmp_path), range(8), **more))
        assert "none has started within 1 s" in str(caught.value)

    def test_an_address_that_does_not_answer_is_said_in_a_line(self, tmp_path, monkeypatch):
        monkeypatch.setattr("latentmap.engines.ray_actors._ANSWER", 2.0)
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            begun = time.monotonic()
            with pytest.raises(EngineError, match=rf"at {address} answered \(within 2 s\)"):
                list(by_ray(Marks(tmp_path), [0], workers=1, address=address))
            assert time.monotonic() - begun < 40  # It takes Ray itself two minutes.


class Actors:
    """Ray, as far as a driver uses it, with room for one actor; what it does is done at once."""

    exceptions = SimpleNamespace(RayTaskError=KeyError, RayError=OSError)

    def __init__(self):
        self.made, self.killed, self.answered = [], [], []

    def remote(self, kind):
        return SimpleNamespace(options=lambda **more: SimpleNamespace(remote=self.start))

    def start(self, setup, place):
        ready = SimpleNamespace(options=lambda **more: SimpleNamespace(remote=lambda: (place, -1)))
        do = SimpleNamespace(remote=lambda number: (place, number))
        self.made.append(SimpleNamespace(ready=ready, do=do))
        return self.made[-1]

    def wait(self, asked, timeout):
        time.sleep(0.01)
        return [one for one in asked if one[0] == 0], []

    def get(self, answer):
        self.answered.append(answer[1])

    def kill(self, actor):
        self.killed.append(actor)


def test_it_is_said_once_that_there_is_no_room_for_all_workers():
    said, ray = [], Actors()
    messages = SimpleNamespace(poll=lambda: False, send=said.append)
    request = Request(Marks(Path()), tuple(range(9)), 3, "auto", 1, 0, patience=0.03)
    _Team(ray, request, _Talk(messages)).run()
    assert ray.answered == [-1, *range(9)]
    assert [value for kind, value in said if kind == "done"] == [*range(9)]
    notices = [value for kind, value in said if kind == "notice"]
    assert len(notices) == 1 and notices[0].startswith("1 of 3 workers have started: Ray has no")
    assert ray.killed == ray.made and len(ray.made) == 3


def test_without_ray_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r'not installed: pip install "latentmap\[ray\]"$'):
        require_ray()
