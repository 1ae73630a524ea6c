"""The tables of support sets: what is in one, how full its sectors are, and how maps of several
strategies compare.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from latentmap.codes.channels import word_of
from latentmap.relocation.scored_figures import HIGH_FLOOR
from latentmap.report import Cell, Column, Measure, Row, Table
from latentmap.report.words import images_in_words, shown_number
from latentmap.support.occupancy import RESAMPLINGS, Occupancy, occupancies_of
from latentmap.support.sectors import signs_of
from latentmap.support.spread import Spread
from latentmap.support.support_set import SupportSet
from latentmap.support.verdicts import SupportComparison

_SECTORS = 16  # The most crowded, that a terminal shows.
_LISTED = 8  # Other members of a sector.


def set_tables(
    support: SupportSet, spread: Spread | None, *, sector: int | None = None
) -> list[Table]:
    """What is known of a support set, or of one of its sectors, as it fits into a terminal."""
    tables = [support_table(support)]
    if sector is not None:
        tables.insert(0, members_table(support, sector))
    elif support.settings["variables"]:
        tables.insert(0, sectors_table(support, most=_SECTORS))
    if support.relaxed.any():
        tables.append(relaxed_table(support, most=_SECTORS))
    if support.settings["variables"]:
        tables.append(occupancies_table(occupancies_of(support)))
    if spread is not None:
        tables.append(distances_table(spread))
    return tables


def built_tables(support: SupportSet, spread: Spread | None) -> list[Table]:
    """How a set was built, with the thresholds that were tried where one was chosen."""
    tables = [replace(support_table(support), note="")]
    if "thresholds" in support.settings:
        tables.insert(0, _thresholds_table(support))
    if support.relaxed.any():
        tables.append(relaxed_table(support, most=_SECTORS))
    if spread is not None:
        tables.append(distances_table(spread))
    return tables


def support_table(support: SupportSet) -> Table:
    """How the images of a support set were chosen."""
    settings = support.settings
    cells: dict[str, Cell] = {"seed": settings.get("seed")}
    if settings["variables"]:
        occupied = int((support.occupancy > 0).sum())
        cells |= {
            f"leading {word_of(support.space.shape)}s": ", ".join(map(str, settings["variables"])),
            "sectors occupied": f"{occupied} of {len(support.occupancy)} at threshold "
            f"{support.threshold:g} ({int(support.occupancy.sum()):,} members)",
        }
    if settings["strategy"] == "sectors":
        cells |= {"relaxed": _relaxed(support), "filled up": int(support.filled.sum())}
    return Table.of_one("Support set", cells, support.summary)


def _relaxed(support: SupportSet) -> str:
    """How many images are relaxed, how far, and on which side."""
    relaxed = support.relaxed
    if not relaxed.any():
        return "0"
    wrong = int((support.wrong_signs[relaxed] > 0).sum())
    return (
        f"{int(relaxed.sum())}, short of the threshold by {support.short[relaxed].max():.2f} at "
        f"most; {wrong} on the wrong side of the center"
    )


def relaxed_table(support: SupportSet, *, most: int) -> Table:
    """The relaxed images that are furthest from their sectors, ``most`` of them."""
    k = len(support.settings["variables"])
    columns = [
        Column("relaxed image"),
        Column("sector"),
        Column("signs", "of the sector"),
        Column("short", "of the threshold, along the worst leading variable", "low", 3),
        Column("wrong signs", "leading variables on the other side of the center than the sector"),
    ]
    order = np.lexsort((np.arange(len(support)), -support.short, ~support.relaxed))
    short, wrong = support.short, support.wrong_signs
    count = int(support.relaxed.sum())
    rows = [
        Row(
            [
                str(support.ids[i]),
                int(support.sector[i]),
                signs_of(int(support.sector[i]), k),
                float(short[i]),
                int(wrong[i]),
            ]
        )
        for i in order[: min(count, most)].tolist()
    ]
    note = f"the furthest {most} of {count} (all: --json)" if count > most else ""
    return Table("Relaxed images", columns, rows, note)


def sectors_table(support: SupportSet, *, most: int | None = None) -> Table:
    """The sectors by number, or the ``most`` crowded ones."""
    k = len(support.settings["variables"])
    columns = [
        Column("sector"),
        Column("signs", "of the leading variables, the first at the left"),
        Column("members", "images of the data in it"),
        Column("in the set"),
    ]
    numbers: np.ndarray = np.arange(len(support.occupancy))
    if most is not None:
        numbers = (-support.occupancy).argsort(kind="stable")[:most]
    rows = [
        Row(
            [
                number,
                signs_of(number, k),
                int(support.occupancy[number]),
                int((support.sector == number).sum()),
            ]
        )
        for number in numbers.tolist()
    ]
    return Table("Sectors", columns, rows)


def members_table(support: SupportSet, sector: int) -> Table:
    """The images that were chosen of a sector, and which others are members of it."""
    columns = [
        Column(f"image of sector {sector}"),
        Column("reach", "into the sector", "high", 3),
        Column("short", "of the threshold", "low", 3),
        Column("wrong signs", "leading variables on the other side of the center than the sector"),
        Column("", "relaxed: no member; filled: of the fill-up"),
    ]
    chosen = support.take(support.sector == sector)
    rows = [
        Row(
            [
                *(one[name] for name in ("id", "reach", "short", "wrong_signs")),
                ", ".join(w for w in ("relaxed", "filled") if one[w]),
            ]
        )
        for one in chosen.to_json()["members"]
    ]
    others = [one for one in support.members_of(sector).tolist() if one not in support.ids]
    note = ""
    if others:
        more = ", ... (all: --json)" if len(others) > _LISTED else ""
        note = f"{len(others)} other members: {', '.join(others[:_LISTED])}{more}"
    return Table(f"Sector {sector}", columns, rows, note)


def occupancies_table(occupancies: Sequence[Occupancy]) -> Table:
    """How full the sectors are, beside what the reference expects."""
    columns = [
        Column("threshold"),
        Column("occupied", "sectors that have an image"),
        Column("sectors"),
        Column("fewest"),
        Column("most"),
        Column("expected", "images of a sector, of independent normal variables", decimals=1),
        Column("chi-square / null", "about 1 where that holds", decimals=1),
        Column("test", f"of the images against that, by {RESAMPLINGS} resamplings"),
    ]
    rows = [
        Row(
            [
                f"{one.threshold:g}",
                int((one.counts > 0).sum()),
                len(one.counts),
                int(one.counts.min()),
                int(one.counts.max()),
                float(one.expected),
                None if one.test is None else float(one.test.excess),
                "too few for a test" if one.test is None else one.test.p_text,
            ]
        )
        for one in occupancies
    ]
    first = occupancies[0]
    notes = [f"expected of the reference: {first.reference.name}", first.tested]
    return Table("How full the sectors are", columns, rows, "; ".join(filter(None, notes)))


def distances_table(spread: Spread) -> Table:
    """How far apart the images are, beside random ones."""
    columns = [
        Column("between"),
        Column("mean squared distance", decimals=4),
        Column("against random images", decimals=4),
    ]
    rows = [Row(["images of the set", Measure.of(spread.support), Measure.of(spread.ratio)])]
    for title, one in (
        ("one of each sector", spread.one_of_each),
        ("occupied sectors", spread.occupied),
        (f"{spread.n_random:,} random images", spread.random),
    ):
        if one is not None:
            rows.append(Row([title, Measure.of(one), None]))
    return Table(
        "Distances between images", columns, rows, f"Pixels are in [0, 1].{spread.left_out}"
    )


def strategies_table(compared: SupportComparison) -> Table:
    """Maps by the sets of every strategy and size, against those of random images."""
    columns = [
        Column("images"),
        Column("strategy", "*: the highest R2 at a size"),
        Column("R2", "", "high", 3),
        Column("efficiency", "", "high", 3),
        Column("R2 - random", "", "high", 3),
        Column("eff. - random", "", "high", 3),
        Column("sectors"),
    ]
    rows = []
    for point in compared.points:
        rival = point.strategy != "random"
        best = " *" if compared.best(point.size) is point else ""
        gains = (point.r2_gain, point.efficiency_gain)
        rows.append(
            Row(
                [
                    point.size,
                    point.strategy + best,
                    Measure.of(point.r2),
                    Measure.of(point.efficiency),
                    *(Measure.of(gain) if rival else None for gain in gains),
                    _built(point.built),
                ]
            )
        )
    rivals = sum(point.strategy != "random" for point in compared.points)
    alone = [
        shown_number(one, 3) if math.isfinite(one) else "-"
        for one in (compared.all_r2, compared.all_efficiency)
    ]
    notes = [
        f"{compared.record['method']}, scored on "
        f"{images_in_words(compared.n_test, compared.n_units)} (efficiency: "
        f"{compared.n_images:,}); in brackets 95 % intervals over {compared.points[0].draws} "
        "draws, * the highest R2 at a size",
        f"all {compared.n_candidates:,} images: R2 {alone[0]}, efficiency {alone[1]}",
        *[f"efficiency says little: {HIGH_FLOOR}"] * compared.has_high_floor,
        *compared.verdicts(),
    ]
    if rivals > 1:
        notes.append(
            f"({rivals} comparisons with random images, each at 95 %: about one in twenty would "
            "differ by chance alone)"
        )
    return Table("Support sets against random images", columns, rows, "\n".join(notes))


def _built(built: Mapping[str, float]) -> str:
    if not built:
        return ""
    return f"2^{built['k']:.0f} at {built['threshold']:g}, {built['relaxed']:.0f} relaxed"


def _thresholds_table(support: SupportSet) -> Table:
    """The thresholds that were tried; a star at that which was chosen."""
    columns = [
        Column("threshold"),
        Column("sectors occupied"),
        Column("members"),
        Column("spread", "between the sectors; random images: 1", "high", 2),
        Column("balance", "share of sectors with an image times their spread", "high", 2),
    ]
    rows = [
        Row(
            [
                f"{one['threshold']:g}",
                f"{one['occupied']} of {len(support.occupancy)}",
                one["members"],
                float(one["spread"]),
                Measure(one["balance"], note="*" * (one["threshold"] == support.threshold)),
            ]
        )
        for one in support.settings["thresholds"]
        if one["occupied"]
    ]
    note = (
        f"threshold {support.threshold:g}: the lowest whose balance is at least 90 % of the "
        "largest; that is the share of sectors which an image stands for, times the spread between "
        "these (random images: 1)"
    )
    return Table("Thresholds", columns, rows, note)
