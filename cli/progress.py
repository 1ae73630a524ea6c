"""The progress bar of the command line: on stderr, for work of more than two seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from latentmap.printing import printable
from latentmap.progress import Progress


@contextmanager
def progress_bar(label: str, unit: str = "images") -> Iterator[Progress]:
    """Yields a ``progress(done, total)`` that draws a bar with rate and time left on a terminal.

    The first call sets the starting point: the rate of resumed work counts only what is done now.
    """
    bar: Any = None

    def report(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            from tqdm import tqdm  # Costs 50 ms, which --help does not have.

            # disable=None: quiet where stderr is no terminal.
            bar = tqdm(
                desc=printable(label),
                unit=f" {unit}",
                total=total,
                initial=done,
                disable=None,
                delay=2,
                dynamic_ncols=True,
            )
        bar.total = total
        bar.update(done - bar.n)

    try:
        yield report
    finally:
        if bar is not None:
            bar.close()
