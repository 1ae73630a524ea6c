"""Processes: an engine of several processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.sharedctypes import Synchronized
from typing import Any

from latentmap.engines.work import ATTEMPTS, Done, Late, Setup, Work, give_up

_WATCH = 1.0  # Seconds after which a worker notices that its driver has died.
_work: Work | None = None


def by_processes(setup: Setup, numbers: Sequence[int], *, workers: int) -> Done:
    """Does all ``numbers``, and gives each when it is done, in the order in which they end.

    A worker that is killed is replaced, and what it did is done again, three times at most: the
    third time by a worker alone, since of several nobody knows over what one ended. When the driver
    dies, or the iterator is closed, the workers end with it.

    Raises:
        EngineError: workers end again and again over one number.
        Exception: what a worker raised.
    """
    left, attempts = list(numbers), Counter[int]()
    while left:
        suspects = [number for number in left if attempts[number] >= ATTEMPTS - 1]
        pool = _Pool(setup, 1 if suspects else workers, ahead=0 if suspects else 1)
        try:
            for number in pool.run(suspects or tuple(left)):
                left.remove(number)
                yield number
        except BrokenProcessPool:
            if suspects:
                raise give_up(*pool.begun) from None
            attempts.update(pool.begun)
        finally:
            pool.end()


class _Pool:
    """Processes that live until one of them is killed; beside what they do, ``ahead`` numbers wait
    for the next that is free.
    """

    def __init__(self, setup: Setup, workers: int, *, ahead: int) -> None:
        # Not forked: neither torch's threads nor CUDA survive that.
        context = multiprocessing.get_context("spawn")
        places: Synchronized[int] = context.Value("i", 0)
        self._pool = ProcessPoolExecutor(
            workers, context, initializer=_begin, initargs=(setup, places, os.getpid())
        )
        self._most = workers + ahead
        self._running: dict[Future[None], int] = {}

    @property
    def begun(self) -> list[int]:
        """The numbers that are worked on."""
        return list(self._running.values())

    def run(self, numbers: Sequence[int]) -> Iterator[int]:
        """Does all numbers.

        Raises:
            BrokenProcessPool: a worker was killed.
        """
        waiting = iter(numbers)
        while True:
            while len(self._running) < self._most:
                number = next(waiting, None)
                if number is None:
                    break
                self._running[self._pool.submit(_do, number)] = number
            if not self._running:
                return
            done, _ = wait(self._running, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda one: self._running[one]):
                future.result()
                yield self._running.pop(future)

    def end(self) -> None:
        """Ends the processes, whatever they do."""
        processes: dict[int, Any] = dict(self._pool._processes or {})
        if self._running:
            for process in processes.values():
                process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)


def _begin(setup: Setup, places: Synchronized[int], driver: int) -> None:
    global _work  # The pool has no other way to give its tasks what their process has.
    # Ctrl-C reaches all processes of a terminal; the driver ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(driver,), daemon=True).start()
    with places.get_lock():
        place, places.value = places.value, places.value + 1
    _work = Late(setup, place)


def _do(number: int) -> None:
    assert _work is not None
    _work(number)


def _end_with(driver: int) -> None:
    """Ends this process when its driver has died, which tells nobody."""
    while os.getppid() == driver:
        time.sleep(_WATCH)
    os._exit(1)
