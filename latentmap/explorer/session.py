"""A session: who asks for what, one after the other, and only what is still wanted.

Networks run in one thread, whatever number of clients ask. A client counts its questions; one that
has been asked again in the meantime is dropped before anything is computed for it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from latentmap.errors import ExplorerError
from latentmap.explorer.actions import ACTIONS, OF_TRAININGS
from latentmap.explorer.answers import Action, Answer, Asked
from latentmap.explorer.explored import Explored
from latentmap.explorer.trainings import OnlyTrainings

_MOST_ASKED = 1024  # Clients, and what they ask for, that are remembered.


class Session:
    """The explored spaces, or trainings alone, for any number of clients, and threads."""

    def __init__(
        self, explored: Explored | OnlyTrainings, actions: Mapping[str, Action] | None = None
    ) -> None:
        self.explored = explored
        of_it = OF_TRAININGS if isinstance(explored, OnlyTrainings) else ACTIONS
        # Each takes what it is an action of.
        self._actions: Mapping[str, Callable[[Any, Asked], Answer]] = actions or of_it
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="explorer")
        self._newest: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._lock = threading.Lock()

    def knows(self, action: str) -> bool:
        """Whether there is such an action."""
        return action in self._actions

    def ask(
        self, action: str, asked: Asked, *, client: str = "", number: int = 0
    ) -> Future[Answer | None]:
        """The answer, as soon as it is there; None where the client has asked for the same action
        with a larger ``number`` before it was its turn.

        Raises:
            ExplorerError: there is no such action. What the action itself refuses, the result
                raises.
        """
        if action not in self._actions:
            raise ExplorerError(f"there is no {action[:40]!r} to ask for")
        key = (client, action)
        with self._lock:
            self._newest[key] = max(number, self._newest.get(key, number))
            self._newest.move_to_end(key)
            while len(self._newest) > _MOST_ASKED:
                self._newest.popitem(last=False)
        return self._worker.submit(self._answer, key, number, asked)

    def end(self) -> None:
        """Has the thread end, and does not wait for it; what has not begun is not done."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """Ends the thread; what has not begun is not done."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _answer(self, key: tuple[str, str], number: int, asked: Asked) -> Answer | None:
        with self._lock:
            if number < self._newest.get(key, number):
                return None
        return self._actions[key[1]](self.explored, asked)
