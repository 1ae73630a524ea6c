"""Work done ahead in threads and handed over in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch
from threadpoolctl import (  # type: ignore[import-untyped, unused-ignore]
    ThreadpoolController,
)

Result = TypeVar("Result")


def own_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_threads() -> int:
    """How many threads keep the cores of this process busy: one more than cores, at most 16.

    A thread waits now and then for the interpreter; beyond 16 it is all they would do.
    """
    return min(own_cores() + 1, 16)


def in_order(
    tasks: Iterable[Callable[[], Result]], *, threads: int, ahead: int
) -> Iterator[Result]:
    """The results of ``tasks`` in their order, computed by so many ``threads``.

    At most ``ahead`` tasks are taken before their results are. The first error ends it; so does
    closing the iterator: no thread is left behind.
    """
    pool = ThreadPoolExecutor(threads, "latentmap-images", initializer=_use_one_core)
    pending: deque[Future[Result]] = deque()
    try:
        for task in tasks:
            pending.append(pool.submit(task))
            if len(pending) >= ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()  # Looking for them takes milliseconds.


def _use_one_core() -> None:
    # Each thread would else start a team of its own in torch. The limit is that of this thread
    # alone, and holds only once torch has set up the thread: hence the question before.
    torch.get_num_threads()
    _libraries().limit(limits=1, user_api="openmp")
