"""Counting the work that is done, for progress."""

from __future__ import annotations

from latentmap.progress import Progress


class Steps:
    """Counts the steps of a work that has ``total`` of them."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def next(self) -> None:
        """One more is done."""
        self._done += 1
        if self._progress:
            self._progress(self._done, self._total)
