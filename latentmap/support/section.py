"""A support set as a section of a report."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from latentmap.report import Column, Measure, Picture, Row, Section, Table, section_id
from latentmap.report.embedding import embed_figure
from latentmap.report.parts import Bars, Block
from latentmap.support.figures import sector_grid
from latentmap.support.occupancy import Occupancy
from latentmap.support.spread import Spread
from latentmap.support.support_set import SupportSet

_MEMBERS = ("ids", "digests", "sector", "filled", "occupancy")


def support_section(
    support: SupportSet,
    occupancies: list[Occupancy],
    spread: Spread | None,
    *,
    name: str,
    pixels: np.ndarray | None,
) -> Section:
    """A support set: how far apart its images are, how full its sectors, and the images by sector,
    where their ``pixels`` are known.
    """
    settings = support.settings
    text = [
        f"{len(support)} images of {support.n_candidates:,}, far apart in {support.space}, by the "
        f"strategy {settings['strategy']}."
    ]
    blocks: list[Block] = []
    if spread is not None:
        blocks.append(_distances(spread))
    if settings["variables"]:
        leading = ", ".join(map(str, settings["variables"]))
        text.append(
            f"A sector is one combination of signs of the leading variables ({leading}), beyond a "
            f"threshold of {support.threshold:g}."
        )
        blocks += [*map(_bars, occupancies), _occupancies(occupancies), _sectors(support)]
    if pixels is not None:
        shown = embed_figure(
            sector_grid(support, pixels),
            f"The {len(support)} images of the support set, with the numbers of their sectors",
        )
        blocks.append(Picture("Images by sector", shown))
    record = {**settings, "space": str(support.space), "fingerprint": support.space.fingerprint}
    # The members and what they stand for; how far apart they are can be measured again.
    identity = {
        "space": asdict(support.space),
        "frame": support.frame.to_json(),
        **{name: settings[name] for name in ("strategy", "variables", "threshold")},
        **{name: getattr(support, name).tolist() for name in _MEMBERS},
    }
    return Section(
        section_id(f"support {name}", identity), f"Support set {name}", text, blocks, record
    )


def _distances(spread: Spread) -> Table:
    columns = [Column("between"), Column("mean squared distance"), Column("against random images")]
    rows = [Row(["images of the set", Measure.of(spread.support), Measure.of(spread.ratio)])]
    for title, one in (
        ("one of each sector", spread.one_of_each),
        ("occupied sectors", spread.occupied),
        (f"{spread.n_random:,} random images", spread.random),
    ):
        if one is not None:
            rows.append(Row([title, Measure.of(one), None]))
    return Table("Distances between images", columns, rows, "Pixels are in [0, 1].")


def _bars(one: Occupancy) -> Bars:
    occupied = int((one.counts > 0).sum())
    reference = "independent and normal" if one.fitted else "distributed as the prior"
    return Bars(
        f"Images by sector at threshold {one.threshold:g}",
        "sector",
        one.counts.tolist(),
        one.expected,
        f"The images of {len(one.counts)} sectors: {occupied} have one or more, "
        f"{int(one.counts.max())} at most, {one.expected:.3g} each are expected",
        f"Dashed: {one.expected:.3g}, as many as would be if the leading variables were "
        f"{reference}.",
    )


def _occupancies(occupancies: list[Occupancy]) -> Table:
    columns = [
        Column("threshold"),
        Column("occupied", "sectors that have an image"),
        Column("sectors"),
        Column("fewest"),
        Column("most"),
        Column("expected", "images of a sector if variables were independent and normal"),
        Column("chi-square / freedom", "about 1 where that holds"),
        Column("p"),
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
    return Table("How full the sectors are", columns, rows)


def _sectors(support: SupportSet) -> Table:
    k = len(support.settings["variables"])
    columns = [
        Column("sector"),
        Column("signs", "of the leading variables, the first at the left"),
        Column("members", "images of the data in it"),
        Column("in the set"),
    ]
    rows = [
        Row(
            [
                number,
                "".join("+" if number >> bit & 1 else "-" for bit in range(k)),
                int(members),
                int((support.sector == number).sum()),
            ]
        )
        for number, members in enumerate(support.occupancy)
    ]
    return Table("Sectors", columns, rows)
