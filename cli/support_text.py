"""Support sets in words: what `support build` and `support show` print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from latentmap.cli.output import table
from latentmap.printing import printable

if TYPE_CHECKING:
    from pathlib import Path

    from latentmap.support import SupportSet
    from latentmap.support.occupancy import Occupancy
    from latentmap.support.spread import Spread

_ROWS = 16  # Sectors in the table: the most crowded; --json has all.
_LISTED = 8


def built_text(support: SupportSet, spread: Spread | None, path: Path) -> str:
    """What was built at ``path``, with the thresholds that were tried where one was chosen."""
    settings = support.settings
    lines = []
    if "thresholds" in settings:
        rows = [
            (
                f"{one['threshold']:g}",
                f"{one['occupied']} of {len(support.occupancy)}",
                one["members"],
                f"{one['spread']:.2f}",
                f"{one['balance']:.2f}" + (" *" * (one["threshold"] == support.threshold)),
            )
            for one in settings["thresholds"]
            if one["occupied"]
        ]
        lines += [
            table(("threshold", "sectors occupied", "members", "spread", "balance"), rows),
            f"threshold {support.threshold:g}: the largest balance, which is the share of occupied "
            "sectors times the spread between them (random images: 1)",
        ]
    lines.append(
        f"{path}: {len(support)} images of {support.n_candidates}, by {settings['strategy']}, in "
        f"{support.space}"
    )
    if settings["variables"]:
        lines.append(f"leading variables      {', '.join(map(str, settings['variables']))}")
        occupied = int((support.occupancy > 0).sum())
        lines.append(
            f"sectors occupied       {occupied} of {len(support.occupancy)} at threshold "
            f"{support.threshold:g} ({int(support.occupancy.sum())} members)"
        )
    if settings["strategy"] == "sectors":
        lines.append(f"relaxed                {int(support.relaxed.sum())}")
        lines.append(f"filled up              {int(support.filled.sum())}")
    if spread is not None:
        lines += _spread_lines(spread)
    return "\n".join(lines)


def shown_text(
    support: SupportSet,
    shown: SupportSet,
    sector: int | None,
    occupancies: list[Occupancy],
    spread: Spread | None,
) -> str:
    """A support set, or one of its sectors: a table, how sectors are filled, and distances."""
    settings = support.settings
    lines = []
    if sector is None:
        if settings["variables"]:
            order = (-support.occupancy).argsort(kind="stable")[:_ROWS]
            rows = [
                (
                    int(number),
                    _signs(int(number), len(settings["variables"])),
                    int(support.occupancy[number]),
                    int((support.sector == number).sum()),
                )
                for number in order
            ]
            lines.append(table(("sector", "signs", "members", "in the set"), rows))
    else:
        listed = [
            (str(one["id"]), "-" if one["reach"] is None else f"{one['reach']:.3f}", _mark(one))
            for one in shown.to_json()["members"]
        ]
        lines.append(table((f"image of sector {sector}", "reach", ""), listed))
        lines += _other_members(support, sector)
    lines.append(
        f"{len(support)} images of {support.n_candidates}, by {settings['strategy']}, seed "
        f"{settings['seed']}, in {support.space}"
    )
    if settings["variables"]:
        lines.append(f"leading variables      {', '.join(map(str, settings['variables']))}")
        lines += [_occupancy_line(one) for one in occupancies[: 1 + (support.threshold > 0)]]
    if settings["strategy"] == "sectors":
        lines.append(f"relaxed                {int(support.relaxed.sum())}")
        lines.append(f"filled up              {int(support.filled.sum())}")
    if spread is not None:
        lines += _spread_lines(spread)
    return "\n".join(lines)


def _other_members(support: SupportSet, sector: int) -> list[str]:
    """The members of a sector that were not chosen, in a line."""
    others = [one for one in support.members_of(sector).tolist() if one not in support.ids]
    if not others:
        return []
    more = ", ... (all: --json)" if len(others) > _LISTED else ""
    listed = printable(", ".join(others[:_LISTED]))
    return [f"{len(others)} other members: {listed}{more}"]


def _signs(number: int, k: int) -> str:
    """The signs of the leading variables, the first at the left."""
    return "".join("+" if number >> bit & 1 else "-" for bit in range(k))


def _mark(member: dict[str, Any]) -> str:
    words = [word for word in ("relaxed", "filled") if member[word]]
    return ", ".join(words)


def _occupancy_line(occupancy: Occupancy) -> str:
    occupied = int((occupancy.counts > 0).sum())
    line = (
        f"threshold {occupancy.threshold:<12g} {occupied} of {len(occupancy.counts)} sectors "
        f"occupied, {int(occupancy.counts.min())} to {int(occupancy.counts.max())} images each, "
        f"{occupancy.expected:.3g} expected"
    )
    test = occupancy.test
    if test is None:
        return f"{line} (too few for a test)"
    return f"{line}; chi-square {test.statistic:.0f}, freedom {test.freedom}, {test.p_text}"


def _spread_lines(spread: Spread) -> list[str]:
    """The distances between images as lines of text."""
    rows = [
        ("distance of members", spread.support),
        ("  one of each sector", spread.one_of_each),
        ("  occupied sectors", spread.occupied),
        ("distance at random", spread.random),
        ("ratio", spread.ratio),
    ]
    return [
        f"{name:<22} {one.value:.4f} [{one.low:.4f}, {one.high:.4f}]"
        for name, one in rows
        if one is not None
    ]
