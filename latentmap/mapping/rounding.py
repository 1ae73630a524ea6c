"""What of the moments of codes is rounding, told in one place for tensors and for arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    Numbers = TypeVar("Numbers", Tensor, np.ndarray)

_EPS = float(np.finfo(np.float32).eps)


def rounding_of(squares: Numbers, n: float, mean: Numbers) -> Numbers:
    """What rounding to float32 can add to the centred ``squares`` ``(p,)`` of variables, ``(p,)``.

    A float32 number x is known to ``eps32 |x|``: ``eps32^2 sum(x^2)`` of each variable's own
    numbers, whatever the others are. It does not depend on the number of pairs, unlike the usual
    cut-offs.
    """
    return (squares + n * mean**2) * _EPS**2
