"""One image of each sector, those that reach furthest into empty ones, and the fill-up.

Shapes: ``n`` images, ``k`` leading variables, ``2^k`` sectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentmap.errors import SupportError
from latentmap.support.furthest import Furthest
from latentmap.support.sectors import Sectors, least_distance, reach_of, sector_numbers


@dataclass(frozen=True, eq=False)
class Chosen:
    """Positions of the chosen images, the sector of each, and why it is there."""

    positions: np.ndarray
    sector: np.ndarray
    relaxed: np.ndarray
    filled: np.ndarray


def choose_of_sectors(
    coordinates: np.ndarray, sectors: Sectors, size: int, *, strict: bool, seed: int
) -> Chosen:
    generator = np.random.default_rng(seed)
    numbers = sector_numbers(coordinates)
    own_reach = least_distance(coordinates)
    # The members of each sector in random order: the first is the one, the rest may fill up.
    shuffled = generator.permutation(len(numbers))
    shuffled = shuffled[own_reach[shuffled] > sectors.threshold]
    members = shuffled[np.argsort(numbers[shuffled], kind="stable")]
    counts = np.bincount(numbers[members], minlength=len(sectors))
    occupied = np.flatnonzero(counts)
    firsts = members[(np.cumsum(counts) - counts)[occupied]]
    positions = dict(zip(occupied.tolist(), firsts.tolist(), strict=True))
    relaxed = {} if strict else _furthest(coordinates, sectors, set(positions.values()), counts)
    one_of_each = sorted({**positions, **relaxed}.items())
    rows = [(position, number, number in relaxed, False) for number, position in one_of_each]
    # A relaxed image may be a further member of another sector, and is not taken again.
    again = np.zeros(len(numbers), dtype=bool)
    again[list(relaxed.values())] = True
    left = members[~again[members]]
    further = _crowded(left, np.bincount(numbers[left], minlength=len(sectors)), size - len(rows))
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
    return Chosen(
        columns[0].astype(np.int64),
        columns[1].astype(np.int64),
        columns[2].astype(np.bool_),
        columns[3].astype(np.bool_),
    )


def _furthest(
    coordinates: np.ndarray, sectors: Sectors, taken: set[int], counts: np.ndarray
) -> dict[int, int]:
    """For each sector without members the position of the image that reaches furthest into it."""
    empty = np.flatnonzero(counts == 0)
    if not len(empty):
        return {}
    search, directions = Furthest(coordinates), sectors.directions
    best = search.best(directions[empty])
    reach = reach_of(coordinates[best], directions[empty])
    found, gone = {}, set(taken)
    # The sectors that are reached furthest choose first, equal ones by number.
    for place in np.argsort(-reach, kind="stable").tolist():
        number = int(empty[place])
        found[number] = search.into(directions[number], gone)
        gone.add(found[number])
    return found


def _crowded(members: np.ndarray, counts: np.ndarray, room: int) -> list[tuple[int, int]]:
    """At most ``room`` further members as (sector, position): a member of each sector in turn, most
    crowded first, sectors of equal counts by number, and over again. ``members`` stand sector after
    sector, ``counts`` ``(2^k,)`` of each.
    """
    result: list[tuple[int, int]] = []
    order = np.argsort(-counts, kind="stable").tolist()
    starts = np.cumsum(counts) - counts
    for turn in range(1, int(counts.max(initial=0))):
        for number in order:
            if counts[number] <= turn or len(result) >= room:
                break
            result.append((number, int(members[starts[number] + turn])))
        if len(result) >= room:
            break
    return result
