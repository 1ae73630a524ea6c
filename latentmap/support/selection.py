"""Choosing a support set: one image of each sector and the fill-up, or a rival strategy.

Shapes: ``n`` images, ``k`` leading variables, ``2^k`` sectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from latentmap.codes import Codes, Space, units_of
from latentmap.codes.channel_means import channel_means
from latentmap.errors import SupportError
from latentmap.progress import ProgressLike, reporting
from latentmap.support.centers import Center
from latentmap.support.sector_choice import Chosen, choose_of_sectors
from latentmap.support.sectors import (
    Sectors,
    are_members,
    check_variables,
    check_varied,
    members_at,
    reach_of,
    sector_numbers,
)
from latentmap.support.strategies import RIVALS
from latentmap.support.support_set import SupportSet
from latentmap.support.thresholds import choose_among
from latentmap.versions import versions_of

Strategy = Literal["sectors", "random", "farthest", "kmeans", "doptimal", "leverage"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


def default_size(dim: int, k: int) -> int:
    """The images of a support set when it is not said: as many as a space of ``dim`` variables
    has, and at least one for each sector of ``k`` leading variables.
    """
    return max(dim, 1 << k)


@dataclass(frozen=True)
class ChoiceOptions:
    """How images are chosen.

    ``threshold="auto"`` is ``choose_threshold``. ``size`` is ``default_size`` unless it is given;
    where it is below the number of sectors, fewer leading variables are used, as many as leave
    every sector an image. Sectors lie about the ``center``, see ``centers_of``. With ``strict`` no
    image is relaxed, and a set of ``sectors`` may be smaller.

    Raises:
        SupportError: the strategy is unknown.
    """

    strategy: Strategy = "sectors"
    threshold: float | Literal["auto"] = "auto"
    size: int | None = None
    strict: bool = False
    center: Center = "mean"

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise SupportError(
                f"unknown strategy {self.strategy!r}: choose one of {', '.join(STRATEGIES)}"
            )


def choose_support_set(
    codes: Codes,
    variables: Sequence[int],
    options: ChoiceOptions | None = None,
    *,
    seed: int = 0,
    progress: ProgressLike = None,
) -> SupportSet:
    """A support set of the images of some codes.

    ``variables`` are the leading ones, strongest first, as ``order_variables`` gives them; rivals
    of ``sectors`` do without, and only number the sectors by them.

    Codes with channels at positions are chosen by the means of their channels over positions, by
    every strategy; leading variables are then numbers of channels.

    ``sectors`` takes one random member of each sector. A sector without members takes the image
    that reaches furthest into it, which is then *relaxed*; the sectors that are reached furthest
    choose first. Then the set is *filled* up: the most crowded sector gives one more random member,
    then the second most crowded, and so on, and over again; when no members are left, the images
    that reach furthest into their own sectors follow, relaxed too. No image is there twice, nor two
    with one content.

    >>> from latentmap.codes.codes import Space
    >>> vectors = np.array([[1, 2], [-1, 2], [-2, -2], [0.5, -1], [3, -3]])
    >>> codes = Codes.from_array(list("abcde"), vectors, space=Space("z", 2, "vae", "0" * 64))
    >>> support = choose_support_set(codes, [0, 1], ChoiceOptions(threshold=0.9))
    >>> support.ids.tolist(), support.sector.tolist()
    (['c', 'e', 'b', 'a'], [0, 1, 2, 3])

    Raises:
        SupportError: more images are asked for than there are, the leading variables or the
            threshold or the center cannot be used, or the codes are constant.
    """
    options = options or ChoiceOptions()
    strategy = options.strategy
    if strategy == "sectors" and not variables:
        raise SupportError("sectors need leading variables: give those that order_variables finds")
    whole = _distinct(codes)
    candidates = channel_means(whole)
    leading, size = _fitting(candidates.space, variables, candidates, options.size)
    sectors, coordinates, thresholds = _sectors_of(candidates, leading, options)
    if strategy == "sectors":
        chosen = choose_of_sectors(coordinates, sectors, size, strict=options.strict, seed=seed)
    else:
        with reporting(progress, "choosing", "steps") as told:
            positions = RIVALS[strategy](candidates, size, seed=seed, progress=told)
        chosen = _of_rival(positions, coordinates)
    settings = {
        "strategy": strategy,
        "k": len(leading),
        "variables": list(leading),
        "size": size,
        "strict": options.strict,
        "seed": seed,
        "images": codes.data,
        "model": codes.space.model,
        "versions": versions_of("latentmap", "numpy", "torch"),
        **thresholds,
        "threshold": sectors.threshold,
        "centered_on": options.center,
        "center": sectors.center.tolist(),
        "unit": sectors.unit.tolist(),
    }
    return _set_of(whole, chosen, sectors, coordinates, settings)


def _fitting(
    space: Space, variables: Sequence[int], candidates: Codes, size: int | None
) -> tuple[tuple[int, ...], int]:
    """The leading variables that a set of ``size`` images can have, and its size."""
    leading = tuple(int(variable) for variable in variables)
    check_variables(leading, space.dim)
    if len(candidates) > 1:
        check_varied(candidates)
    if size is None:
        size = min(default_size(space.dim, len(leading)), len(candidates))
    if not 1 <= size <= len(candidates):
        raise SupportError(
            f"a support set of {size} images cannot be chosen among {len(candidates)} different "
            "ones: give more images, or another size"
        )
    return leading[: size.bit_length() - 1], size


def _sectors_of(
    candidates: Codes, leading: tuple[int, ...], options: ChoiceOptions
) -> tuple[Sectors, np.ndarray, dict[str, Any]]:
    """The sectors, the coordinates of the codes in them, and what their threshold was chosen of."""
    known = 0 if options.threshold == "auto" else options.threshold
    sectors = Sectors.of(candidates, leading, threshold=known, center=options.center)
    coordinates = sectors.coordinates(candidates)
    if not leading or options.threshold != "auto":
        return sectors, coordinates, {}
    choice = choose_among(coordinates, sectors, strict=options.strict)
    sectors = replace(sectors, threshold=choice.threshold)
    return sectors, coordinates, {"thresholds": choice.to_json()}


def _set_of(
    candidates: Codes,
    chosen: Chosen,
    sectors: Sectors,
    coordinates: np.ndarray,
    settings: dict[str, Any],
) -> SupportSet:
    members = candidates.take(chosen.positions)
    # Without leading variables all images are in the one sector there is, which says nothing.
    inside = are_members(coordinates, threshold=sectors.threshold) & bool(sectors.variables)
    occupancy, orthants = members_at(coordinates, [sectors.threshold, 0])
    return SupportSet(
        ids=members.ids,
        digests=members.digests,
        codes=members.vectors.numpy(),
        sector=chosen.sector,
        reach=reach_of(coordinates[chosen.positions], sectors.directions[chosen.sector]),
        relaxed=chosen.relaxed,
        filled=chosen.filled,
        space=candidates.space,
        frame=candidates.frame,
        settings=settings,
        occupancy=occupancy,
        orthants=orthants,
        member_ids=candidates.ids[inside],
        member_digests=candidates.digests[inside],
        member_sectors=sector_numbers(coordinates[inside]),
        n_candidates=len(candidates),
        n_units=len(candidates),
    )


def _of_rival(positions: np.ndarray, coordinates: np.ndarray) -> Chosen:
    """The images of a rival, by the sectors on whose sides they happen to lie."""
    numbers = sector_numbers(coordinates[positions])
    order = np.lexsort((positions, numbers))
    no = np.zeros(len(positions), dtype=np.bool_)
    return Chosen(positions[order], numbers[order], no, no)


def _distinct(codes: Codes) -> Codes:
    """The codes without further images of the same content."""
    _, first = np.unique(units_of(codes.digests), return_index=True)
    return codes if len(first) == len(codes) else codes.take(np.sort(first))
