"""Whoever asks again is not kept waiting for what is no longer wanted."""

import threading

import pytest

from latentmap.errors import ExplorerError
from latentmap.explorer import Answer, Session


class Slow:
    """An action that waits until it may go on, and notes what it was asked, and by which thread."""

    def __init__(self):
        self.asked, self.threads = [], set()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, explored, asked):
        self.asked.append(asked["n"])
        self.threads.add(threading.get_ident())
        self.begun.set()
        assert self.go_on.wait(10)
        return Answer({"n": asked["n"]})


@pytest.fixture
def slow():
    return Slow()


@pytest.fixture
def session(explored, slow):
    session = Session(explored, {"slow": slow, "other": slow})
    yield session
    slow.go_on.set()
    session.close()


def test_the_last_question_of_a_client_wins(session, slow):
    first = session.ask("slow", {"n": 1}, client="a", number=1)
    assert slow.begun.wait(10)
    others = [session.ask("slow", {"n": n}, client="a", number=n) for n in (2, 3, 4)]
    slow.go_on.set()
    assert [one.result(10) for one in others[:2]] == [None, None]
    assert others[2].result(10).told == {"n": 4}
    assert first.result(10).told == {"n": 1}  # It had begun.
    assert slow.asked == [1, 4]


def test_a_question_that_comes_late_does_not_win(session, slow):
    slow.go_on.set()
    assert session.ask("slow", {"n": 5}, client="a", number=5).result(10).told == {"n": 5}
    assert session.ask("slow", {"n": 4}, client="a", number=4).result(10) is None


def test_clients_and_actions_do_not_push_each_other_aside(session, slow):
    held = session.ask("slow", {"n": 0}, client="x", number=1)
    assert slow.begun.wait(10)
    asked = [session.ask("slow", {"n": n}, client=str(n), number=1) for n in range(1, 11)]
    asked.append(session.ask("other", {"n": 11}, client="1", number=2))
    slow.go_on.set()
    assert [one.result(10).told["n"] for one in (held, *asked)] == list(range(12))
    assert len(slow.threads) == 1


def test_many_clients_are_not_remembered_for_ever(session, slow):
    slow.go_on.set()
    for n in range(1100):
        session.ask("slow", {"n": n}, client=str(n), number=1).result(10)
    assert len(session._newest) == 1024


def test_a_fault_is_that_of_its_own_question_alone(explored, slow):
    def faulty(explored, asked):
        raise ExplorerError("not this")

    session = Session(explored, {"faulty": faulty, "slow": slow})
    slow.go_on.set()
    with pytest.raises(ExplorerError, match="not this"):
        session.ask("faulty", {}).result(10)
    assert session.ask("slow", {"n": 1}).result(10).told == {"n": 1}
    with pytest.raises(ExplorerError, match="no 'else' to ask for"):
        session.ask("else", {})
    session.close()
