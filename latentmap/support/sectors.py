"""Sectors: the corners of a latent space along its leading variables, and their numbers.

Asperti & Tonelli, "Comparing the latent space of generative models" (arXiv 2207.06812). Shapes:
``n`` images, ``d`` latent variables, ``k`` leading ones, ``2^k`` sectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentmap.codes import Codes
from latentmap.errors import SupportError
from latentmap.support.centers import Center, centers_of, scales_of

# 2^16 sectors outnumber any support set that a person would look at.
MOST_VARIABLES = 16
_ROUNDING = 16 * float(np.finfo(np.float32).eps)


@dataclass(frozen=True, eq=False)
class Sectors:
    """The ``2^k`` sectors of ``k`` leading variables: one for every choice of their signs.

    A code has the coordinates ``t_i = (z_i - center_i) / unit_i``. The sector whose number has bit
    ``i`` set lies where the ``i``-th leading variable (the first is bit 0) is above its center, and
    the sector with the bit clear below it. The *reach* of a code into a sector is ``min_i dir_i
    t_i``, ``dir_i`` being 1 or -1 as the bit says; the code is a member when that is above
    ``threshold``. So every code is in one sector or in none, and neighbouring sectors are two
    thresholds apart.
    """

    variables: tuple[int, ...]
    center: np.ndarray
    unit: np.ndarray
    threshold: float

    @classmethod
    def of(
        cls,
        codes: Codes,
        variables: Sequence[int],
        *,
        threshold: float,
        center: Center = "mean",
    ) -> Sectors:
        """The sectors of some codes, about their mean or, in a space of kind ``z``, about ``zero``,
        in the units of ``scales_of``.

        Raises:
            SupportError: ``variables`` are too many, not of this space, twice there, or constant;
                or ``threshold`` is no number of at least 0; or as ``centers_of`` raises it.
        """
        chosen = tuple(int(variable) for variable in variables)
        check_variables(chosen, codes.space.dim)
        if not 0 <= threshold < np.inf:
            raise SupportError(f"the threshold of sectors must be at least 0, not {threshold}")
        values = leading_values(codes, chosen)
        # What a constant encoder varies by is the rounding of its float32 codes.
        rounding = _ROUNDING * np.abs(values).max(axis=0)
        constant = np.flatnonzero(np.ptp(values, axis=0) <= rounding)
        if len(constant):
            raise SupportError(
                f"variable {chosen[constant[0]]} of {codes.space} has one value for all "
                f"{len(codes)} images, so it has no sectors: leave it out, or check the encoder"
            )
        return cls(
            chosen,
            centers_of(codes.space, values.mean(axis=0), center=center),
            scales_of(codes.space, values.var(axis=0)),
            float(threshold),
        )

    def __len__(self) -> int:
        return 1 << len(self.variables)

    @property
    def directions(self) -> np.ndarray:
        """1 or -1 for each sector and leading variable, ``(2^k, k)``."""
        numbers = np.arange(len(self))[:, None]
        return 2 * ((numbers >> np.arange(len(self.variables))) & 1) - 1

    def coordinates(self, codes: Codes) -> np.ndarray:
        """``t``: the leading variables about their centers in their units, float64 ``(n, k)``."""
        return np.asarray((leading_values(codes, self.variables) - self.center) / self.unit)


def check_variables(variables: Sequence[int], dim: int) -> None:
    """Refuses leading variables that cannot be those of a space of ``dim`` variables.

    Raises:
        SupportError: they are too many, twice there or not in the space.
    """
    check_count(len(variables), dim)
    wrong = [variable for variable in variables if not 0 <= variable < dim]
    if wrong:
        raise SupportError(
            f"the variables of a {dim}-d space are 0 to {dim - 1}: there is no variable {wrong[0]}"
        )
    if len(set(variables)) < len(variables):
        twice = next(v for number, v in enumerate(variables) if v in variables[:number])
        raise SupportError(f"variable {twice} is given twice: give every leading variable once")


def check_count(k: int, dim: int, n: int | None = None) -> None:
    """Refuses a number of leading variables, before any work: for a space of ``dim`` variables and,
    where it is known, ``n`` images.

    Raises:
        SupportError: there are fewer variables, or fewer images than sectors.
    """
    if k > dim:
        raise SupportError(
            f"there are {dim} latent variables, fewer than {k} leading ones: take at most {dim}"
        )
    if k > MOST_VARIABLES:
        raise SupportError(
            f"{k} leading variables have 2^{k} sectors: take at most {MOST_VARIABLES} variables"
        )
    if n is not None and 2**k > n:
        raise SupportError(
            f"{k} leading variables have {2**k} sectors, more than the {n} images: give at least "
            f"{2**k} images, or at most {n.bit_length() - 1} variables"
        )


def check_varied(codes: Codes) -> None:
    """Refuses codes that say nothing of their images.

    Raises:
        SupportError: all are one, up to the rounding of float32.
    """
    first = codes.read(0, 1)
    for block in codes.blocks():
        if bool(((block - first).abs() > _ROUNDING * first.abs()).any()):
            return
    raise SupportError(f"{codes.space} has one code for all {len(codes)} images: check the encoder")


def leading_values(codes: Codes, variables: Sequence[int]) -> np.ndarray:
    """Some variables of all codes, float64 ``(n, k)``; the others are not kept in memory."""
    columns = list(variables)
    parts = [block.numpy()[:, columns] for block in codes.blocks()]
    return np.concatenate(parts).astype(np.float64)


def sector_numbers(coordinates: np.ndarray) -> np.ndarray:
    """The numbers ``(n,)`` of the sectors on whose sides coordinates ``(n, k)`` lie."""
    # A product of floating-point numbers is several times as fast as one of integers, and exact.
    bits = 2.0 ** np.arange(coordinates.shape[1])
    return np.asarray((coordinates > 0).astype(np.float64) @ bits).astype(np.int64)


def reach_of(coordinates: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """``min_i dir_i t_i`` of coordinates ``(n, k)``, ``(n,)``; directions are ``(n, k)`` or
    ``(k,)``.
    """
    return np.asarray((directions * coordinates).min(axis=1, initial=np.inf))


def least_distance(coordinates: np.ndarray) -> np.ndarray:
    """``min_i abs(t_i)`` of coordinates ``(n, k)``, ``(n,)``: their reach into the sectors on whose
    sides they lie; infinite without variables.
    """
    least = np.full(len(coordinates), np.inf)
    # A column at a time, which is several times as fast as along short rows.
    for column in coordinates.T:
        np.minimum(least, np.abs(column), out=least)
    return least


def are_members(coordinates: np.ndarray, *, threshold: float) -> np.ndarray:
    """Which of ``n`` coordinates ``(n, k)`` are members of the sectors that they lie in."""
    return np.asarray(least_distance(coordinates) > threshold)


def members_at(coordinates: np.ndarray, thresholds: Sequence[float]) -> list[np.ndarray]:
    """How many of ``n`` coordinates ``(n, k)`` are members of each sector, ``(2^k,)``, at several
    thresholds.
    """
    numbers, sectors = sector_numbers(coordinates), 2 ** coordinates.shape[1]
    inner = least_distance(coordinates)
    return [np.bincount(numbers[inner > one], minlength=sectors) for one in thresholds]


def signs_of(number: int, k: int) -> str:
    """The signs of the ``k`` leading variables in a sector, the first at the left.

    Example:
        >>> signs_of(6, 3)
        '-++'
    """
    return "".join("+" if number >> bit & 1 else "-" for bit in range(k))
