"""Choosing a support set: one image of each sector and the fill-up, or a rival strategy.

Shapes: ``n`` images, ``k`` leading variables, ``2^k`` sectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal, get_args

import numpy as np

from latentmap.codes import Codes, Space, is_known
from latentmap.errors import SupportError
from latentmap.progress import Progress
from latentmap.support.sectors import (
    Sectors,
    are_members,
    check_variables,
    check_varied,
    members_of_each,
    reach_of,
    sector_numbers,
)
from latentmap.support.strategies import RIVALS
from latentmap.support.support_set import SupportSet
from latentmap.support.thresholds import choose_threshold

Strategy = Literal["sectors", "random", "farthest", "kmeans", "doptimal", "leverage"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)


def default_size(dim: int, k: int) -> int:
    """The images of a support set when it is not said: as many as a space of ``dim`` variables
    has, and at least one for each sector of ``k`` leading variables.
    """
    return max(dim, 1 << k)


def choose_support_set(
    codes: Codes,
    variables: Sequence[int],
    *,
    strategy: Strategy = "sectors",
    threshold: float | Literal["auto"] = "auto",
    size: int | None = None,
    strict: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> SupportSet:
    """A support set of the images of some codes, chosen by ``strategy``.

    ``variables`` are the leading ones, strongest first, as ``order_variables`` gives them; rivals
    of ``sectors`` do without, and only number the sectors by them. ``size`` is ``default_size``
    unless it is given; where it is below the number of sectors, fewer leading variables are used,
    as many as leave every sector an image. ``threshold="auto"`` is ``choose_threshold``.

    ``sectors`` takes one random member of each sector. A sector without members takes the image
    that reaches furthest into it, which is then *relaxed*; the sectors that are reached furthest
    choose first. Then the set is *filled* up: the most crowded sector gives one more random member,
    then the second most crowded, and so on, and over again; when no members are left, the images
    that reach furthest into their own sectors follow, relaxed too. With ``strict`` no image is
    relaxed, and the set may be smaller. No image is there twice, nor two with one content.

    >>> from latentmap.codes.codes import Space
    >>> vectors = np.array([[1, 2], [-1, 2], [-2, -2], [0.5, -1], [3, -3]])
    >>> codes = Codes.from_array(list("abcde"), vectors, space=Space("z", 2, "vae", "0" * 64))
    >>> support = choose_support_set(codes, [0, 1], threshold=0.9)
    >>> support.ids.tolist(), support.sector.tolist()
    (['c', 'e', 'b', 'a'], [0, 1, 2, 3])

    Raises:
        SupportError: more images are asked for than there are, the leading variables or the
            threshold cannot be used, the codes are constant, or the strategy is unknown.
    """
    require_strategy(strategy)
    if strategy == "sectors" and not variables:
        raise SupportError("sectors need leading variables: give those that order_variables finds")
    candidates = _distinct(codes)
    leading, size = _fitting(codes.space, variables, candidates, size)
    sectors, thresholds = _sectors_of(candidates, leading, threshold)
    coordinates = sectors.coordinates(candidates)
    if strategy == "sectors":
        chosen = _of_sectors(coordinates, sectors, size, strict=strict, seed=seed)
    else:
        positions = RIVALS[strategy](candidates, size, seed=seed, progress=progress)
        chosen = _of_rival(positions, coordinates)
    settings = {
        "strategy": strategy,
        "k": len(leading),
        "variables": list(leading),
        "size": size,
        "strict": strict,
        "seed": seed,
        "images": codes.data,
        "model": codes.space.model,
        "versions": {name: version(name) for name in ("latentmap", "numpy", "torch")},
        **thresholds,
        "threshold": sectors.threshold,
        "center": sectors.center.tolist(),
        "unit": sectors.unit.tolist(),
    }
    return _set_of(candidates, chosen, sectors, coordinates, settings)


def require_strategy(strategy: str) -> None:
    """Refuses a strategy that is unknown.

    Raises:
        SupportError: so it is.
    """
    if strategy not in STRATEGIES:
        raise SupportError(f"unknown strategy {strategy!r}: choose one of {', '.join(STRATEGIES)}")


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
    candidates: Codes, leading: tuple[int, ...], threshold: float | Literal["auto"]
) -> tuple[Sectors, dict[str, Any]]:
    """The sectors, and what their threshold was chosen of."""
    thresholds: dict[str, Any] = {}
    if leading and threshold == "auto":
        choice = choose_threshold(candidates, leading)
        thresholds["thresholds"] = choice.to_json()
        threshold = choice.threshold
    sectors = Sectors.of(candidates, leading, threshold=0 if threshold == "auto" else threshold)
    return sectors, thresholds


def _set_of(
    candidates: Codes,
    chosen: _Chosen,
    sectors: Sectors,
    coordinates: np.ndarray,
    settings: dict[str, Any],
) -> SupportSet:
    members = candidates.take(chosen.positions)
    # Without leading variables all images are in the one sector there is, which says nothing.
    inside = are_members(coordinates, threshold=sectors.threshold) & bool(sectors.variables)
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
        occupancy=members_of_each(coordinates, threshold=sectors.threshold),
        orthants=members_of_each(coordinates, threshold=0),
        member_ids=candidates.ids[inside],
        member_digests=candidates.digests[inside],
        member_sectors=sector_numbers(coordinates[inside]),
        n_candidates=len(candidates),
    )


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Positions of the chosen images, the sector of each, and why it is there."""

    positions: np.ndarray
    sector: np.ndarray
    relaxed: np.ndarray
    filled: np.ndarray


def _of_sectors(
    coordinates: np.ndarray, sectors: Sectors, size: int, *, strict: bool, seed: int
) -> _Chosen:
    generator = np.random.default_rng(seed)
    numbers = sector_numbers(coordinates)
    own_reach = reach_of(coordinates, sectors.directions[numbers])
    # The members of each sector in random order: the first is the one, the rest may fill up.
    shuffled = generator.permutation(len(numbers))
    shuffled = shuffled[own_reach[shuffled] > sectors.threshold]
    order = np.argsort(numbers[shuffled], kind="stable")
    counts = np.bincount(numbers[shuffled], minlength=len(sectors))
    members = np.split(shuffled[order], np.cumsum(counts)[:-1])
    positions = {number: int(own[0]) for number, own in enumerate(members) if len(own)}
    relaxed = {} if strict else _furthest(coordinates, sectors, set(positions.values()), counts)
    one_of_each = sorted({**positions, **relaxed}.items())
    rows = [(position, number, number in relaxed, False) for number, position in one_of_each]
    # A relaxed image may be a further member of another sector, and is not taken again.
    left = [own[~np.isin(own, list(relaxed.values()))] for own in members]
    further = _crowded(left, np.array([len(own) for own in left]), size - len(rows))
    rows += [(position, number, False, True) for number, position in further]
    if not strict and len(rows) < size:
        taken = np.isin(np.arange(len(numbers)), [row[0] for row in rows])
        rest = np.argsort(np.where(taken, np.inf, -own_reach), kind="stable")[: size - len(rows)]
        rows += [(int(position), int(numbers[position]), True, True) for position in rest]
    if not rows:
        raise SupportError(
            f"no image is a member of any of the {len(sectors)} sectors at threshold "
            f"{sectors.threshold:g}: lower it, or leave strict out"
        )
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return _Chosen(
        columns[0].astype(np.int64),
        columns[1].astype(np.int64),
        columns[2].astype(np.bool_),
        columns[3].astype(np.bool_),
    )


def _furthest(
    coordinates: np.ndarray, sectors: Sectors, taken: set[int], counts: np.ndarray
) -> dict[int, int]:
    """For each sector without members the position of the image that reaches furthest into it."""
    found = {}
    used = sorted(taken)
    empty = np.flatnonzero(counts == 0)
    directions = sectors.directions
    best = {
        number: float(reach_of(coordinates, directions[number]).max()) for number in empty.tolist()
    }
    for number in sorted(best, key=lambda number: (-best[number], number)):
        reach = reach_of(coordinates, directions[number])
        reach[used] = -np.inf
        found[number] = int(reach.argmax())
        used.append(found[number])
    return found


def _crowded(members: list[np.ndarray], counts: np.ndarray, room: int) -> list[tuple[int, int]]:
    """At most ``room`` further members as (sector, position): a member of each sector in turn, most
    crowded first, sectors of equal counts by number, and over again.
    """
    result: list[tuple[int, int]] = []
    order = np.argsort(-counts, kind="stable").tolist()
    for turn in range(1, int(counts.max(initial=0))):
        for number in order:
            if counts[number] <= turn or len(result) >= room:
                break
            result.append((number, int(members[number][turn])))
    return result


def _of_rival(positions: np.ndarray, coordinates: np.ndarray) -> _Chosen:
    """The images of a rival, by the sectors on whose sides they happen to lie."""
    numbers = sector_numbers(coordinates[positions])
    order = np.lexsort((positions, numbers))
    no = np.zeros(len(positions), dtype=np.bool_)
    return _Chosen(positions[order], numbers[order], no, no)


def _distinct(codes: Codes) -> Codes:
    """The codes without further images of the same content."""
    whole = np.ascontiguousarray(codes.digests).view(np.dtype((np.void, 16)))[:, 0]
    _, first = np.unique(whole, return_index=True)
    kept = ~is_known(codes.digests)
    kept[first] = True
    return codes if kept.all() else codes.take(kept)
