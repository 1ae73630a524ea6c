"""What a map loses on images that it was not fitted on, as its file keeps it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latentmap.codes import PIXELS, Space
from latentmap.intervals import UNDEFINED, Estimate

if TYPE_CHECKING:
    from latentmap.mapping.linear_map import LinearMap
    from latentmap.mapping.stored_map import StoredMap

# By which the record of a map has it.
HELD_OUT = "held_out"
_MOST = 2**63  # Images.


@dataclass(frozen=True)
class HeldOutError:
    """The errors of codes over ``n_test`` images of ``n_units`` units that a map was not fitted on,
    with 95 % intervals: ``r2`` and ``l_mse`` as ``Scores`` has them, and ``psnr``, see ``psnr_of``.
    """

    r2: Estimate
    l_mse: Estimate
    psnr: Estimate
    n_test: int
    n_units: int

    def to_json(self) -> dict[str, Any]:
        """All figures, each with ``_low`` and ``_high``; None where one is not defined."""
        return {
            **self.r2.to_json("r2"),
            **self.l_mse.to_json("l_mse"),
            **self.psnr.to_json("psnr"),
            "n_test": self.n_test,
            "n_units": self.n_units,
        }

    @classmethod
    def from_json(cls, record: Any) -> HeldOutError:
        """What ``to_json`` gave.

        Raises:
            ValueError: it is something else.
        """
        known = record if isinstance(record, Mapping) else {}
        counts = [known.get(name) for name in ("n_test", "n_units")]
        try:
            figures = [Estimate.from_json(known, name) for name in ("r2", "l_mse", "psnr")]
        except (KeyError, TypeError, ValueError, OverflowError):
            figures = []
        if not figures or not all(type(count) is int and 0 < count < _MOST for count in counts):
            raise ValueError("held-out errors must be figures with intervals, of some images")
        return cls(*figures, *counts)  # type: ignore[arg-type]  # They were just looked at.


def held_out_error(linear_map: LinearMap | StoredMap) -> HeldOutError | None:
    """That of a map of ``latentmap fit``; None of one that was not scored where it was fitted."""
    record = linear_map.record.get(HELD_OUT)
    return None if record is None else HeldOutError.from_json(record)


def psnr_of(l_mse: Estimate, target: Space) -> Estimate:
    """The peak signal-to-noise ratio in decibels, ``-10 log10 l_mse``, of codes that are pixels in
    [0, 1]; not defined of others, or without any error.

    Example:
        >>> space = Space(PIXELS, 3, "pixels:8", "0" * 64, (3, 1, 1))
        >>> [round(number) for number in psnr_of(Estimate(1e-2, 1e-3, 1e-1), space)]
        [20, 10, 30]
    """
    if target.kind != PIXELS or l_mse.value <= 0:
        return UNDEFINED
    value, low, high = (-10 * math.log10(number) if number > 0 else math.nan for number in l_mse)
    return Estimate(value, high, low)
