"""The view "Sectors": the images by signs of leading variables, what models make of a member, and
to which sectors they are blind.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from latentmap.errors import ExplorerError, SupportError
from latentmap.explorer.answers import Answer, Asked, text_in, whole_in
from latentmap.explorer.blind import BlindSectors, Verdicts
from latentmap.explorer.blind_groups import blind_groups_by_image, is_of_support
from latentmap.explorer.explored import Explored
from latentmap.explorer.making import see
from latentmap.explorer.sectors import Count, LeadingSectors, Signs
from latentmap.explorer.showing import pixels_of
from latentmap.explorer.typical import TypicalErrors
from latentmap.expressiveness.reported import ReportedBlind
from latentmap.support.sectors import sector_numbers, signs_of

_MOST = 32  # Members at a time, and images of the support set.
_SECONDS = 0.08  # For which errors are measured, until what else is asked for has its turn.


@dataclass(frozen=True, eq=False)
class SectorLook:
    """What the view keeps of explored spaces: each is made when it is first asked for."""

    explored: Explored

    @cached_property
    def leading(self) -> LeadingSectors:
        """The leading variables.

        Raises:
            ExplorerError: there are no sectors.
        """
        try:
            codes = self.explored.codes.codes
            return LeadingSectors.of(codes, self.explored.ordering, self.explored.support)
        except SupportError as error:
            raise ExplorerError(str(error)) from error

    @cached_property
    def blind_groups(self) -> dict[str, list[ReportedBlind]]:
        """The groups of images that a report calls models blind to, by the id of an image."""
        return blind_groups_by_image(self.explored)

    @cached_property
    def typical(self) -> TypicalErrors:
        """The errors of a sample."""
        return TypicalErrors(self.explored)

    @cached_property
    def blind(self) -> BlindSectors:
        """The verdicts on sectors."""
        return BlindSectors(self.leading, self.typical)


def list_sector(explored: Explored, asked: Asked) -> Answer:
    """The images of some signs, from a position on, how many these are and would be with other
    signs, and the images of the support set that stand there.
    """
    leading = explored.look.leading
    signs = _signs_in(leading, asked)
    start = whole_in(asked, "start", most=len(explored.codes))
    count = whole_in(asked, "count", least=1, most=_MOST)
    found = leading.find(signs)
    ids = explored.codes.codes.ids
    marked = set() if leading.rows is None else {*leading.rows.tolist()}
    rows = found.rows[start : start + count].tolist()
    return Answer(
        {
            "n": len(ids),
            "most": len(leading),
            "threshold": signs.threshold,
            "reference": leading.reference.name,
            "found": _told(found.count),
            "variables": [
                {"number": number, "below": _told(below), "above": _told(above)}
                for number, (below, above) in zip(
                    leading.sectors.variables, found.sides, strict=False
                )
            ],
            "members": [
                {
                    "id": name,
                    "marked": row in marked,
                    "blind": [
                        {"model": one.model, "group": one.group}
                        for one in explored.look.blind_groups.get(name, ())
                    ],
                }
                for row, name in zip(rows, ids[rows].tolist(), strict=True)
            ],
            "support": _of_support(explored, leading, signs),
        }
    )


def show_member(explored: Explored, asked: Asked) -> Answer:
    """An image of the data as the source sees it, and what each model makes of it, with its error
    and the share of the errors that were measured which are smaller.
    """
    name = text_in(asked, "id")
    typical = explored.look.typical
    views = [explored.views[0], *(maker.model.view for maker in typical.makers)]
    names, (seen, *shown) = see(explored, views, [name])
    if not names:
        raise ExplorerError(f"the image {name[:200]!r} cannot be read: choose another")
    told: list[dict[str, Any]] = []
    pictures = [pixels_of(seen[0])]
    for number, (maker, images) in enumerate(zip(typical.makers, shown, strict=True)):
        made = maker.make(names, images)
        one: dict[str, Any] = {"model": maker.model.name, "role": maker.role}
        if made.places:
            mse = float(made.mse[0])
            one |= {"mse": mse, "worse": typical.share_below(number, mse)}
            told.append(one)
            pictures.append(pixels_of(made.images[0]))
    return Answer({"id": name, "made": told}, pictures)


def measure_typical(explored: Explored, asked: Asked) -> Answer:
    """How large errors typically are, after some more images of the sample; when all are measured,
    the verdicts on the sectors of the variables that have a sign.
    """
    look = explored.look
    signs = _signs_in(look.leading, asked)
    typical = look.typical
    typical.go_on(_SECONDS)
    told: list[dict[str, Any]] = [
        {"model": maker.model.name, "role": maker.role, "spread": _spread(typical, number)}
        for number, maker in enumerate(typical.makers)
    ]
    asks = look.blind.can_be_told(signs)
    verdicts = look.blind.verdicts(signs) if asks and typical.complete else None
    for one, of in zip(told, verdicts or (), strict=False):
        one |= _verdicts_told(of, signs)
    return Answer(
        {
            "done": typical.done,
            "n": len(typical.rows),
            "seen": typical.n_seen,
            "complete": typical.complete and (verdicts is not None or not asks),
            "judged": verdicts is not None,
            "models": told,
            "reported": [
                {
                    "model": one.model,
                    "set": one.set,
                    "group": one.group,
                    "signs": one.signs,
                    "here": is_of_support(explored, one),
                }
                for one in explored.reported
            ],
        }
    )


def _signs_in(leading: LeadingSectors, asked: Asked) -> Signs:
    threshold = asked.get("threshold")
    if threshold is not None and type(threshold) not in (int, float):
        raise ExplorerError("threshold must be a number, or none")
    return leading.signs(text_in(asked, "signs"), threshold)


def _told(count: Count) -> dict[str, float]:
    return {"n": count.n, "expected": count.expected}


def _of_support(explored: Explored, leading: LeadingSectors, signs: Signs) -> dict[str, Any] | None:
    """How many images of the support set stand for sectors of these signs, how many of them are
    here, and the first of these; None without a support set that has sectors.
    """
    support, rows = leading.support, leading.rows
    if support is None or rows is None or not support.settings["variables"]:
        return None
    there = leading.of_support(signs)
    here = there[rows[there] >= 0]
    ids = explored.codes.codes.ids
    return {
        "n": len(there),
        "here": len(here),
        "images": [
            {
                "id": str(ids[rows[place]]),
                "relaxed": bool(support.relaxed[place]),
                "short": float(support.short[place]),
            }
            for place in here[:_MOST].tolist()
        ],
    }


def _spread(typical: TypicalErrors, number: int) -> dict[str, float] | None:
    found = typical.spread(number)
    return None if found is None else vars(found)


def _verdicts_told(verdicts: Verdicts, signs: Signs) -> dict[str, Any]:
    """The blind sectors of a model, and what is known of the one that is looked at."""
    here = verdicts.of(int(sector_numbers(signs.directions[None])[0]))
    return {
        "reference": verdicts.reference,
        "sectors": len(verdicts.sectors),
        "few": sum(one.verdict == "too few" for one in verdicts.sectors),
        "blind": [
            {"signs": _at_places(signs, one.number), "excess": one.excess}
            for one in verdicts.sectors
            if one.blind
        ],
        "here": None
        if here is None
        else {
            "verdict": here.verdict,
            "n": len(here.positions),
            "excess": here.excess,
            "p": here.p_value,
        },
    }


def _at_places(signs: Signs, number: int) -> str:
    """The signs of a sector of the variables that have one, at their places among the others."""
    letters = list(signs.text)
    for place, sign in zip(signs.places, signs_of(number, len(signs.places)), strict=True):
        letters[place] = sign
    return "".join(letters)
