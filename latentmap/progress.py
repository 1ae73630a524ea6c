"""How long work tells its caller how far it is, ``progress(done, total)``, stage by stage, and how
that is shown: as a bar in notebooks and on terminals, elsewhere as a line every 30 seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol, TypeAlias

from latentmap.printing import printable

Progress = Callable[[int, int], None]
# What public functions take: a callback, or whether it is shown.
ProgressLike: TypeAlias = Progress | bool | None

_BAR_AFTER = 2.0  # Seconds of one stage: shorter work shows none.
_LINE_EVERY = 30.0  # Seconds, of all stages together.


class Stage(Protocol):
    """Called with what is done next and what is counted in it; gives the progress for it."""

    def __call__(
        self, label: str, unit: str = "images"
    ) -> AbstractContextManager[Progress | None]: ...


def silent(label: str, unit: str = "images") -> AbstractContextManager[Progress | None]:
    """A stage that shows nothing."""
    return nullcontext()


class ShownStages:
    """Stages that are shown on stderr, with rate and time left.

    A bar stands in notebooks and on terminals, for a stage of more than two seconds. Elsewhere, as
    in a log file, there is a line every 30 seconds, of whatever stage is on: the first 30 seconds
    after these stages were made, which ``clock`` gives, so that quick work leaves none.

    The first call of a progress sets its starting point: the rate of resumed work counts only what
    is done now.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said = clock()

    @contextmanager
    def __call__(self, label: str, unit: str = "images") -> Iterator[Progress]:
        label = printable(label)
        # Asked here, since stderr may be another one than when these were made.
        if not (_in_notebook() or sys.stderr.isatty()):
            yield self._lines(label, unit)
            return
        bar: Any = None

        def report(done: int, total: int) -> None:
            nonlocal bar
            if bar is None:
                from tqdm.auto import tqdm  # Costs a tenth of a second, which --help does not have.

                bar = tqdm(
                    desc=label,
                    unit=f" {unit}",
                    total=total,
                    initial=done,
                    delay=_BAR_AFTER,
                    dynamic_ncols=True,
                )
            bar.total = total
            bar.update(done - bar.n)

        try:
            yield report
        finally:
            if bar is not None:
                bar.close()

    def _lines(self, label: str, unit: str) -> Progress:
        """The progress of a stage that says where it is when it is time to."""
        first, begun, last = 0, 0.0, -1

        def report(done: int, total: int) -> None:
            nonlocal first, begun, last
            now = self._clock()
            if not 0 <= last <= done:  # The first call; or the next part of a stage of several.
                first, begun = done, now
            last = done
            if now - self._said < _LINE_EVERY:
                return
            self._said = now
            said = f"{label}: {done:,} of {total:,} {unit}"
            if total:
                said += f" ({done / total:.0%})"
            if done > first and now > begun:
                rate = (done - first) / (now - begun)
                said += f", {_rate(rate)} a second, {_duration((total - done) / rate)} left"
            print(said, file=sys.stderr, flush=True)

        return report


def stage_of(progress: bool, stage: Stage = silent) -> Stage:
    """The ``stage`` that is given, or stages that are shown where ``progress`` asks for them."""
    return ShownStages() if progress else stage


@contextmanager
def reporting(
    progress: ProgressLike, label: str, unit: str = "images"
) -> Iterator[Progress | None]:
    """The progress that a public function was given; one that is shown where it is True."""
    if isinstance(progress, bool):
        with stage_of(progress)(label, unit) as shown:
            yield shown
    else:
        yield progress


def _in_notebook() -> bool:
    """Whether this runs in the kernel of a notebook, whose stderr is no terminal but shows bars."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return "IPKernelApp" in getattr(shell, "config", ())


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _duration(seconds: float) -> str:
    """A time in words, by its two largest units.

    Example:
        >>> _duration(9.6), _duration(95), _duration(7300)
        ('10 s', '1 min 35 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
