"""The images that are points of planes: all of them, or of very many an even choice.

Shapes: ``m`` points, codes ``(m, d)``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from latentmap.codes import Codes
from latentmap.errors import ExplorerError
from latentmap.explorer.named_codes import CodesById

MOST = 200_000
_NUMBERS = 1 << 21  # Of codes that are read for one answer.


class Points:
    """Images by their numbers as points: ``rows`` ``(m,)`` of their codes in the source, which have
    gaps of one length where there are more than ``most``, and ``ids``. ``own`` are the codes of
    targets, where these have some.
    """

    def __init__(
        self, codes: CodesById, own: Sequence[CodesById | None] = (), *, most: int = MOST
    ) -> None:
        self.total = len(codes)
        self.rows = evenly(self.total, most)
        self.ids = codes.codes.ids[self.rows]
        self._source = codes
        self._spaces = [codes, *own]
        self._found: dict[int, np.ndarray] = {0: self.rows}

    def __len__(self) -> int:
        return len(self.rows)

    def require(self, number: int) -> str:
        """The id of the point of this number.

        Raises:
            ExplorerError: there is none.
        """
        if not 0 <= number < len(self):
            raise ExplorerError(f"points are 0 to {len(self) - 1}: there is no {number}")
        return str(self.ids[number])

    def number_of(self, name: str) -> int | None:
        """The number of the point of the image that is called so; None where it is none."""
        row = self._source.row_of(name)
        if row is None:
            return None
        place = int(np.searchsorted(self.rows, row))
        return place if place < len(self) and self.rows[place] == row else None

    def part(self, start: int, numbers: int) -> slice:
        """The points from one on that are answered at a time, where each needs so many numbers."""
        return slice(start, min(len(self), start + max(1, _NUMBERS // max(numbers, 1))))

    def rows_in(self, space: int) -> np.ndarray:
        """The rows ``(m,)`` of the points' codes in the source (0) or in a target (1, 2, ...), -1
        where it has none.
        """
        if space not in self._found:
            codes = self._spaces[space]
            none = np.full(len(self), -1)
            self._found[space] = none if codes is None else codes.rows_of(self.ids)
        return self._found[space]

    def codes_in(self, space: int, points: np.ndarray | slice) -> Codes:
        """The codes of some points, which must have some there."""
        codes = self._spaces[space]
        assert codes is not None, "no point has a row there"
        rows = self.rows_in(space)[points]
        # All are read as they lie, in a part of the time.
        everything = np.array_equal(rows, np.arange(len(codes)))
        return codes.codes if everything else codes.codes.take(rows)

    def read(self, part: slice) -> Tensor:
        """The codes ``(m, d)`` of some points in the source, float32."""
        if len(self) == self.total:
            return self._source.codes.read(part.start, part.stop)
        return self._source.codes.take(self.rows[part]).vectors


def evenly(n: int, most: int) -> np.ndarray:
    """Numbers below ``n``, so many at most, that lie evenly.

    Example:
        >>> evenly(3, 5).tolist(), evenly(10, 4).tolist()
        ([0, 1, 2], [0, 2, 5, 7])
    """
    return np.arange(n) if n <= most else np.arange(most) * n // most
