"""Ray driver: the process that speaks to Ray, and tells the one that started it what is done."""

from __future__ import annotations

import importlib
import os
import secrets
import signal
import time
import traceback
from collections import Counter, deque
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from latentmap.engines.work import ATTEMPTS, Late, Setup, can_be_sent, give_up
from latentmap.errors import EngineError

_LISTEN = 0.5  # Seconds after which it is noticed that nobody listens any more.
LOGS = "Ray's own logs, in its temporary folder, say why"
# The least that Ray takes: nothing but numbers passes through it.
_STORE = 80 << 20
_STARTS = 3  # On a busy machine Ray's own processes are late for each other.


@dataclass(frozen=True)
class Request:
    """What ``by_ray`` is asked for."""

    setup: Setup
    numbers: tuple[int, ...]
    workers: int
    address: str | None
    cpus: int
    gpus: int
    patience: float


class _ClosedError(Exception):
    """Nobody listens any more."""


class _WorkError(Exception):
    """An error that the work raised, and where."""

    def __init__(self, error: Exception, trace: str) -> None:
        self.error, self.trace = error, trace


def drive(messages: Connection, request: Request) -> None:
    """Has the numbers of a request done, and sends pairs of a kind and a value: ``imported`` and
    ``connected``, ``done`` with each number, ``notice`` with a line, and at the end ``end``, or
    ``failed`` with an error and where it was raised.
    """
    # Ctrl-C reaches all processes of a terminal; the one that started this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _be_silent()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if request.address is None:
        # Whoever reaches the ports of a cluster runs what he likes there. Without this Ray would
        # make a token, too, and leave it in the home of the user.
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    talk = _Talk(messages)
    try:
        ray = importlib.import_module("ray")
        talk.say("imported")
        _connect(ray, request.address)
        try:
            talk.say("connected")
            _Team(ray, request, talk).run()
        finally:
            # A cluster of our own ends, another one is left.
            ray.shutdown()
        talk.say("end")
    except _ClosedError:
        return
    except _WorkError as failure:
        talk.fail(failure.error, failure.trace)
    except Exception as error:
        talk.fail(error, "" if isinstance(error, EngineError) else traceback.format_exc())


class _Talk:
    """What is said to the process that started this one."""

    def __init__(self, messages: Connection) -> None:
        self._messages = messages

    def say(self, kind: str, value: Any = None) -> None:
        try:
            self._messages.send((kind, value))
        except OSError:
            raise _ClosedError from None

    def listen(self) -> None:
        """Looks whether somebody listens: nothing is ever sent here, so that what comes is the end.

        Raises:
            _ClosedError: nobody does.
        """
        if self._messages.poll():
            raise _ClosedError

    def fail(self, error: Exception, trace: str) -> None:
        if not can_be_sent(error):
            error = EngineError(f"Ray raised {type(error).__name__}: {_line(error)}")
        try:
            self.say("failed", (error, trace))
        except _ClosedError:
            return


def _be_silent() -> None:
    """Has all that libraries print go nowhere; Ray keeps logs of its own."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def no_answer(address: str | None, reason: str) -> EngineError:
    """The error of a cluster that cannot be reached or started."""
    if address is None:
        return EngineError(
            f"Ray did not start on this machine ({reason}): run the same command again when the "
            f"machine is less busy; {LOGS}"
        )
    where = "that runs on this machine" if address == "auto" else f"at {address}"
    return EngineError(
        f"no Ray cluster {where} answered ({reason}): start one with `ray start --head`, give the "
        "HOST:PORT that it prints as --address on a machine of the cluster, with "
        "RAY_AUTH_MODE=token where it asks for a token, or leave --address out"
    )


def _connect(ray: Any, address: str | None) -> None:
    own = {"include_dashboard": False, "object_store_memory": _STORE} if address is None else {}
    for _ in range(_STARTS if address is None else 1):
        try:
            # Not None: that would be any cluster which happens to run here.
            ray.init(address=address or "local", log_to_driver=False, **own)
            return
        except Exception as error:
            failure = error
            ray.shutdown()
    raise no_answer(address, _line(failure)) from failure


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class Worker:
    """An actor: it does one number after the other."""

    def __init__(self, setup: Setup, place: int) -> None:
        self._work = Late(setup, place)

    def ready(self) -> None:
        """Gives nothing, as soon as the actor runs."""

    def do(self, number: int) -> None:
        self._work(number)


class _Team:
    """The actors, and who does what."""

    def __init__(self, ray: Any, request: Request, talk: _Talk) -> None:
        self._ray, self._request, self._talk = ray, request, talk
        self._waiting = deque(request.numbers)
        self._attempts = Counter[int]()
        self._idle: list[Any] = []
        # What was asked of actors: a number, or with None to say that they run.
        self._asked: dict[Any, tuple[Any, int | None]] = {}
        self._started = 0

    def run(self) -> None:
        """Does all numbers.

        Raises:
            EngineError: no actor starts, or actors end again and again over one number.
            Exception: what an actor raised.
        """
        if self._request.address is None and not self._has_room():
            raise self._no_worker("this machine is too small")
        kind = self._ray.remote(Worker).options(
            num_cpus=self._request.cpus,
            num_gpus=self._request.gpus,
            # Ray starts an actor again, wherever there is room, for as long as we ask it to. What
            # the actor did is not Ray's to repeat: another one may be free.
            max_restarts=-1,
            max_task_retries=0,
        )
        actors = [
            kind.remote(self._request.setup, place)
            for place in range(min(self._request.workers, len(self._request.numbers)))
        ]
        try:
            for actor in actors:
                self._ask_to_start(actor)
            self._work_on(len(actors))
        finally:
            for actor in actors:
                self._ray.kill(actor)

    def _work_on(self, workers: int) -> None:
        left = len(self._waiting)
        begun = last = time.monotonic()
        patience, told = self._request.patience, False
        while left:
            while self._waiting and self._idle:
                actor, number = self._idle.pop(), self._waiting.popleft()
                self._asked[actor.do.remote(number)] = actor, number
            if not self._asked:
                raise self._no_worker("all that started have ended")
            self._talk.listen()
            for answer in self._ray.wait(list(self._asked), timeout=_LISTEN)[0]:
                done = self._hear(answer)
                if done is not None:
                    left -= 1
                    self._talk.say("done", done)
            now = time.monotonic()
            if self._idle or any(number is not None for _, number in self._asked.values()):
                last = now
            elif now - last > patience:
                raise self._no_worker(f"none has started within {patience:.0f} s")
            if not told and now - begun > patience:
                told = True
                if self._started < workers:
                    self._talk.say(
                        "notice",
                        f"{self._started} of {workers} workers have started: Ray has no room for "
                        "the others, which join when it has",
                    )

    def _hear(self, answer: Any) -> int | None:
        """Takes in an answer of an actor, and gives the number that it did."""
        actor, number = self._asked.pop(answer)
        failures = self._ray.exceptions
        try:
            self._ray.get(answer)
        except failures.RayTaskError as error:
            if number is None:
                raise self._no_worker(_line(error.cause)) from error
            raise _WorkError(error.cause, str(error)) from None
        except failures.RayError as error:
            if number is None:
                # It will not come back; the others go on.
                if not self._asked and not self._idle:
                    raise self._no_worker(_line(error)) from error
                return None
            self._attempts[number] += 1
            if self._attempts[number] >= ATTEMPTS:
                raise give_up(number) from None
            self._waiting.appendleft(number)
            self._ask_to_start(actor)
            return None
        if number is None:
            self._started += 1
        self._idle.append(actor)
        return number

    def _ask_to_start(self, actor: Any) -> None:
        # Asked again for as long as the actor is being started.
        self._asked[actor.ready.options(max_task_retries=-1).remote()] = actor, None

    def _has_room(self) -> bool:
        need = {"CPU": self._request.cpus, "GPU": self._request.gpus}
        return any(
            all(node["Resources"].get(name, 0) >= count for name, count in need.items())
            for node in self._ray.nodes()
            if node["Alive"]
        )

    def _no_worker(self, reason: str) -> EngineError:
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        cpus, gpus = max(
            ((int(one.get("CPU", 0)), int(one.get("GPU", 0))) for one in nodes), default=(0, 0)
        )
        return EngineError(
            f"Ray has no worker for this ({reason}): each takes {self._request.cpus} processors "
            f"and {self._request.gpus} GPUs, and the largest of {len(nodes)} machines has {cpus} "
            f"and {gpus}; ask for less (--cpus-per-worker, --device cpu), wait until others are "
            "done, and have the same latentmap installed on all machines"
        )
