"""The server at an address: many clients at once, and an end that leaves nothing behind."""

import contextlib
import http.client
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import numpy as np
import pytest

from latentmap.errors import ExplorerError
from latentmap.explorer import Answer, Serving, Session
from latentmap.explorer.actions import ACTIONS
from tests.core.explorer.letters import read_letter

pytest.importorskip("uvicorn")
server = pytest.importorskip("latentmap.explorer.server")


@pytest.fixture
def serving(explored):
    with Serving(Session(explored)) as serving:
        yield serving


def ask(serving, asked, client, number):
    where = urlsplit(serving.address)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=30)
    question = {"client": client, "number": number, "asked": asked}
    connection.request("POST", f"{where.path}api/move", json.dumps(question))
    reply = connection.getresponse()
    found = reply.status, reply.read()
    connection.close()
    return found


def test_answers_are_sent_at_once(explored):
    """asyncio has no packet wait for the last one to be acknowledged where it knows of TCP."""
    with Serving(Session(explored)) as serving:
        assert serving._socket.proto == socket.IPPROTO_TCP


def test_ten_clients_at_once_each_get_their_own_answers(serving, explored):
    def steps(client):
        for number in range(10):
            asked = {"state": f"moves=variables_2_{client / 10 + number / 100}"}
            status, letter = ask(serving, asked, str(client), number)
            assert status == 200
            told, pictures = read_letter(letter)
            expected = ACTIONS["move"](explored, asked)
            assert told["values"] == expected.told["values"]
            for one, other in zip(pictures, expected.pictures, strict=True):
                np.testing.assert_array_equal(one, np.broadcast_to(other, one.shape))
        return client

    with ThreadPoolExecutor(10) as clients:
        assert sorted(clients.map(steps, range(10))) == list(range(10))


def test_a_client_that_goes_away_does_no_harm(serving):
    where = urlsplit(serving.address)
    for sent in (
        b"",
        b"POST ",
        f"POST {where.path}api/move HTTP/1.1\r\nHost: localhost\r\n".encode(),
    ):
        with socket.create_connection((where.hostname, where.port)) as connection:
            connection.sendall(sent)
    assert ask(serving, {"state": ""}, "a", 1)[0] == 200


def test_clients_that_hang_keep_nobody_waiting(explored, monkeypatch):
    """As behind a closed lid: they stay connected, and neither send on nor read."""
    monkeypatch.setattr(server, "_SENT_WITHIN", 0.2)
    with Serving(Session(explored)) as serving, contextlib.ExitStack() as stack:
        where = urlsplit(serving.address)
        question = json.dumps({"client": "lid", "number": 1, "asked": {"state": ""}})
        head = f"POST {where.path}api/move HTTP/1.1\r\nHost: localhost\r\nContent-Length:"
        whole = f"{head} {len(question)}\r\n\r\n{question}"
        hanging = []
        for sent in ("", "POST ", f"{head} {len(question)}\r\n\r\n{question[:9]}", 200 * whole):
            for _ in range(5):
                one = stack.enter_context(socket.create_connection((where.hostname, where.port)))
                one.sendall(sent.encode())
                hanging.append(one)
        for number in range(20):
            status, letter = ask(
                serving, {"state": f"moves=variables_2_{number / 20}"}, "a", number
            )
            assert status == 200 and read_letter(letter)[0]["values"][2] == number / 20
        # Whoever does not end its question is told so, as soon as it wakes up.
        slept = hanging[10].makefile("rb")
        assert slept.readline().split()[1] == b"408"
    with pytest.raises(ConnectionRefusedError):  # Nor does it keep the server from ending.
        socket.create_connection((where.hostname, where.port))


def test_a_client_that_vanishes_in_the_middle_of_an_answer_does_no_harm(explored):
    """Its answer is large, so that a part of it is under way when it goes."""
    begun, pixels = threading.Event(), np.zeros((2000, 2000, 3), np.uint8)

    def large(explored, asked):
        begun.set()
        return Answer({}, [pixels])

    said = []
    with Serving(Session(explored, {**ACTIONS, "large": large}), notify=said.append) as serving:
        where = urlsplit(serving.address)
        question = json.dumps({"client": "gone", "number": 1, "asked": {}})
        head = f"POST {where.path}api/large HTTP/1.1\r\nHost: localhost\r\nContent-Length:"
        for read in (0, 1, 100_000):
            begun.clear()
            with socket.create_connection((where.hostname, where.port)) as one:
                one.sendall(f"{head} {len(question)}\r\n\r\n{question}".encode())
                assert begun.wait(10)
                if read:
                    assert one.recv(read)
            assert ask(serving, {"state": ""}, "a", read)[0] == 200
    assert said == []


def test_what_clients_asked_that_have_gone_away_is_not_done(explored):
    """But for what had begun: the next one does not wait for all the others."""
    begun, go_on, asked = threading.Event(), threading.Event(), []

    def slow(explored, question):
        asked.append(question["n"])
        begun.set()
        assert go_on.wait(20)
        return Answer({})

    session = Session(explored, {**ACTIONS, "slow": slow})
    futures, submit = [], session.ask

    def ask_noting(*question, **of_whom):
        futures.append(submit(*question, **of_whom))
        return futures[-1]

    session.ask = ask_noting
    with Serving(session) as serving:
        where = urlsplit(serving.address)
        with contextlib.ExitStack() as stack:
            for n in range(30):
                one = stack.enter_context(socket.create_connection((where.hostname, where.port)))
                question = json.dumps({"client": str(n), "number": 1, "asked": {"n": n}})
                head = f"POST {where.path}api/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length:"
                one.sendall(f"{head} {len(question)}\r\n\r\n{question}".encode())
                if n == 0:
                    assert begun.wait(10)
            wait_until(lambda: len(futures) == 30)
        wait_until(lambda: all(future.cancelled() for future in futures[1:]))
        with ThreadPoolExecutor(1) as client:
            next_one = client.submit(ask, serving, {"state": ""}, "a", 1)
            wait_until(lambda: len(futures) == 31)
            go_on.set()
            assert next_one.result(10)[0] == 200
    assert asked == [0]


def wait_until(holds):
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_it_is_reached_from_this_machine_alone_and_ends_without_a_word(explored, capfd):
    before = {*threading.enumerate()}
    with Serving(Session(explored)) as serving:
        where = urlsplit(serving.address)
        assert where.hostname == "127.0.0.1" and len(serving.token) >= 32
        assert where.path == f"/{serving.token}/"
        assert ask(serving, {"state": ""}, "a", 1)[0] == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((where.hostname, where.port))
    end = time.monotonic() + 10
    while not {*threading.enumerate()} <= before:
        assert time.monotonic() < end, threading.enumerate()
        time.sleep(0.01)
    assert capfd.readouterr() == ("", "")


def test_every_session_has_a_token_of_its_own(explored, serving):
    with Serving(Session(explored)) as other:
        assert other.token != serving.token


def test_a_port_that_is_taken_is_refused(serving, explored):
    session = Session(explored)
    with pytest.raises(ExplorerError, match=f"port {serving.port} of 127.0.0.1 cannot be had"):
        Serving(session, port=serving.port)
    session.close()


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "a" * 300, "\u00fc" * 80])
def test_a_host_that_is_not_this_machine_is_refused(explored, host):
    session = Session(explored)
    with pytest.raises(ExplorerError, match="an address of this machine"):
        Serving(session, host=host)
    session.close()
