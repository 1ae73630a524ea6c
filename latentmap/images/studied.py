"""Studied: the contents of the images of one container, each read once, whoever asks for it.

Shapes: ``n`` images are asked for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from latentmap.images.batching import contents_of
from latentmap.images.containers import Container
from latentmap.images.contents import Contents, ContentStore, KnownContents, Marks
from latentmap.images.kept import KeptViews, Needed
from latentmap.images.prefetch import default_threads, in_order
from latentmap.images.scratch import Scratch
from latentmap.images.views import View
from latentmap.progress import Progress

_LOOKS = 4096  # Files whose state is asked for in one task.
_SAVED = 60.0  # Seconds of reading that are lost at most when the process is killed.
_KEPT = 2  # Records for each image there is: of files before they were changed, too.


class Studied:
    """What has been read of the images of a container.

    Once a ``store`` was given, what it knows by the looks of the files is taken from there, and
    what is read is kept there.
    """

    def __init__(self, container: Container) -> None:
        n = len(container.ids)
        self._container = container
        self._digests = np.zeros((n, 16), np.uint8)
        self._shapes = np.zeros((n, 3), np.int64)
        self._read = np.zeros(n, np.bool_)
        self._store: ContentStore | None = None
        self.kept = KeptViews(container)

    def contents(
        self,
        index: np.ndarray,
        progress: Progress | None = None,
        store: ContentStore | None = None,
        ahead: tuple[Sequence[View], Needed] | None = None,
    ) -> Contents:
        """The contents of the images at ``index`` ``(n,)``; what is not known is read, and where
        its content will be asked for as some views, decoded ``ahead`` from the same bytes.
        """
        self._store = store or self._store
        unknown = index[~self._read[index]]
        if len(unknown):
            describe = None if ahead is None else partial(self._describe, *ahead, [])
            self._learn(unknown, len(index) - len(unknown), progress, describe)
        return Contents(self._digests[index], self._shapes[index])

    def recheck(
        self, index: np.ndarray, store: ContentStore, progress: Progress | None
    ) -> tuple[int, np.ndarray]:
        """Reads the images at ``index`` whose contents a store knows: how many they are, and the
        positions in the container of those that have another content, which is known from then on.
        """
        self._store = store
        marks = self._look(index)
        if marks is None:
            return 0, index[:0]
        kept = self._load()
        found, known = kept.find(marks)
        places = index[found]
        if not len(places):
            return 0, places
        now = contents_of(self._container, places, progress)
        same = (now.digests == known.digests).all(1) & (now.shapes == known.shapes).all(1)
        if not same.all():
            # The newest of one mark counts.
            other = Marks(marks.values[found[~same]], np.ones((~same).sum(), np.bool_))
            changed = Contents(now.digests[~same], now.shapes[~same])
            self._save(kept.adding(other, changed, most=_KEPT * len(self._read)))
        return len(places), places[~same]

    def _describe(
        self, views: Sequence[View], needed: Needed, idle: list[Scratch], index: np.ndarray
    ) -> Contents:
        """Contents, and views that are kept; ``idle`` is scratch memory that no task has now."""
        scratch = idle.pop() if idle else Scratch()
        try:
            return self.kept.describe(index, views, needed, scratch)
        finally:
            idle.append(scratch)

    def _learn(
        self,
        index: np.ndarray,
        there: int,
        progress: Progress | None,
        describe: Callable[[np.ndarray], Contents] | None,
    ) -> None:
        marks = self._look(index) if self._store is not None else None
        if marks is None:
            shown = _shifted(progress, there)
            self._keep(index, contents_of(self._container, index, shown, describe))
            return
        known = self._load()
        places, contents = known.find(marks)
        self._keep(index[places], contents)
        rest = np.flatnonzero(~self._read[index])
        there += len(places)
        step = max(len(rest), 1)
        began, start = time.monotonic(), 0
        while start < len(rest):
            # The first block tells how many are read in a while.
            stop = min(start + (step if start else min(step, _LOOKS)), len(rest))
            block = rest[start:stop]
            shown = _shifted(progress, there + start, len(rest) - stop)
            contents = contents_of(self._container, index[block], shown, describe)
            self._keep(index[block], contents)
            looks = Marks(marks.values[block], marks.settled[block])
            known = known.adding(looks, contents, most=_KEPT * len(self._read))
            self._save(known)
            taken = max(time.monotonic() - began, 1e-3)
            step = max(_LOOKS, int(stop * _SAVED / taken))
            start = stop

    def _look(self, index: np.ndarray) -> Marks | None:
        """The marks of images, asked for in threads: a network disk takes its time for each."""
        tasks = [
            partial(self._container.marks, index[start : start + _LOOKS])
            for start in range(0, len(index), _LOOKS)
        ]
        threads = min(default_threads(), len(tasks))
        parts = []
        for part in in_order(tasks, threads=threads, ahead=4 * threads):
            if part is None:
                return None
            parts.append(part)
        return Marks(
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.settled for part in parts]),
        )

    def _keep(self, index: np.ndarray, contents: Contents) -> None:
        self._digests[index], self._shapes[index] = contents.digests, contents.shapes
        self._read[index] = True

    @property
    def _place(self) -> str:
        return os.path.realpath(self._container.title)

    def _load(self) -> KnownContents:
        assert self._store is not None
        return self._store.load(self._place, _KEPT * len(self._read))

    def _save(self, known: KnownContents) -> None:
        assert self._store is not None
        self._store.save(self._place, known)


def _shifted(progress: Progress | None, there: int, more: int = 0) -> Progress | None:
    """Progress of a part of some images, of which so many are there and others come later."""
    if progress is None:
        return None
    return lambda done, total: progress(there + done, there + total + more)
