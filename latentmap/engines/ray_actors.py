"""Ray actors: an engine of workers that Ray starts, on this machine or on many."""

from __future__ import annotations

import importlib.util
import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from latentmap.engines.ray_driver import LOGS, Request, drive, no_answer
from latentmap.engines.work import Done, Setup
from latentmap.errors import EngineError

_ANSWER = 20.0  # Seconds for a cluster that runs to answer.
_START = 240.0  # For one of our own to start; Ray gives up earlier.
_END = 20.0  # For it to end.


def require_ray() -> None:
    """Looks whether Ray can be had, without importing it.

    Raises:
        EngineError: it is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise EngineError(
            '--engine ray needs Ray, which is not installed: pip install "latentmap[ray]"'
        )


def by_ray(
    setup: Setup,
    numbers: Sequence[int],
    *,
    workers: int,
    address: str | None = None,
    cpus_per_worker: int = 1,
    gpus_per_worker: int = 0,
    patience: float = 120.0,
    notify: Callable[[str], None] | None = None,
) -> Done:
    """Does all ``numbers`` by actors of Ray, and gives each when it is done, in the order in which
    they end.

    ``address`` is ``HOST:PORT`` of a cluster that this machine is part of, or ``auto`` for the one
    that runs here; without one, a cluster is started for this call, and ends with it. A worker that
    is killed is started again, wherever there is room, and what it did is done again, by whoever is
    free, three times at most. Workers for which the cluster has no room are not waited for, unless
    there is no other: then ``patience`` is how many seconds. When the driver dies, or the iterator
    is closed, the workers end with it.

    Raises:
        EngineError: Ray is not installed or does not answer, it starts no worker, or workers end
            again and again over one number.
        Exception: what a worker raised.
    """
    require_ray()
    request = Request(
        setup, tuple(numbers), workers, address, cpus_per_worker, gpus_per_worker, patience
    )
    # Ray prints to stdout what it likes, takes minutes over an address where nothing is, and ends
    # its process when it is confused: it has one of its own.
    context = multiprocessing.get_context("spawn")
    messages, others = context.Pipe()
    process = context.Process(target=drive, args=(others, request), daemon=True)
    process.start()
    others.close()
    try:
        yield from _heard(messages, process, address, notify)
    finally:
        messages.close()
        process.join(_END)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()


def _heard(
    messages: Connection,
    process: Any,
    address: str | None,
    notify: Callable[[str], None] | None,
) -> Done:
    """The numbers that the other process says are done."""
    seconds: float | None = None  # Importing Ray takes as long as it takes.
    while True:
        if not messages.poll(seconds):
            if address is not None:  # It waits on for an answer, and has started nothing.
                process.kill()
            raise no_answer(address, f"within {seconds:.0f} s")
        try:
            kind, value = messages.recv()
        except (EOFError, ConnectionResetError):
            process.join(_END)
            raise EngineError(
                f"the process that speaks to Ray ended (exit code {process.exitcode}): run the "
                f"same command to go on; {LOGS}"
            ) from None
        if kind == "done":
            yield value
        elif kind == "imported":
            seconds = _START if address is None else _ANSWER
        elif kind == "connected":
            seconds = None
        elif kind == "notice":
            if notify:
                notify(value)
        elif kind == "failed":
            error, trace = value
            raise error from (_Elsewhere(trace) if trace else None)
        else:
            return


class _Elsewhere(Exception):
    """Where in a worker an error was raised, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"
