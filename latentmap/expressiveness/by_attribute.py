"""Whether a generator is blind to what is known of images: hats, old men, dark backgrounds.

It is blind to a group that it reproduces at least 1.5 times as badly as the rest, which is no
chance. Some groups are hard for any model, so where there is a reference model, errors are held
against its errors on the same images. Shapes: ``n`` images.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from latentmap.errors import ImageError
from latentmap.expressiveness.blindness import verdict
from latentmap.expressiveness.image_sets import ImageSet
from latentmap.expressiveness.ratios import ratio_in_words
from latentmap.expressiveness.result import Expressiveness, SetScores
from latentmap.images.asked_groups import AskedGroups
from latentmap.images.group_ratios import FEWEST, GroupRatio, correct
from latentmap.progress import Progress


def cut_sets(
    image_sets: Sequence[ImageSet], asked: AskedGroups, *, progress: Progress | None = None
) -> list[ImageSet]:
    """The sets with the groups that are asked for; the images of a support set's own file have no
    names that a table could know, and get none.

    Raises:
        ImageError: an attribute is known of no image, has too many values, or tells none apart.
    """
    named = [one for one in image_sets if one.shown is None]
    if not named:
        raise ImageError(
            "groups are of the images of a data set: give one, or that of the support set"
        )
    found = dict(
        zip(named, asked.cut(*(one.images for one in named), progress=progress), strict=True)
    )
    for number, crossing in enumerate(asked.crossings):
        names = [of[number].names for of in found.values()]
        if all(len(one) < 2 for one in names):
            every = next((one[0] for one in names if one), ",".join(crossing))
            raise ImageError(
                f"all images that {','.join(crossing)} is known of are of one group ({every}): "
                "there is no rest to hold it against"
            )
    return [replace(one, by=tuple(found.get(one, ()))) for one in image_sets]


def correct_all(results: Sequence[Expressiveness]) -> list[Expressiveness]:
    """The results with p-values that are corrected for the groups of all of them."""
    every = [scores for result in results for scores in result.sets]
    corrected = iter(correct([family for scores in every for family in scores.groups]))
    return [
        replace(
            result,
            sets=[
                replace(scores, groups=[next(corrected) for _ in scores.groups])
                for scores in result.sets
            ],
        )
        for result in results
    ]


def in_words(result: Expressiveness, scores: SetScores, one: GroupRatio) -> str:
    """The sentence that follows for a group."""
    found = verdict(one)
    if found == "too few":
        return (
            f"{one.name}: {one.n_units} of {scores.name} are too few, or the rest is, to tell "
            f"(at least {FEWEST} of both)"
        )
    group = f"the group {one.name}" if " " in one.name else one.name
    said = {
        "blind": f"{result.name} is blind to {group}",
        "not blind": f"{result.name} is not blind to {group}",
        "not told": f"whether {result.name} is blind to {group} is not told",
    }[found]
    if not math.isfinite(one.ratio.value):
        return f"{said}: there is no error to hold that of the group against"
    times = ratio_in_words(one.ratio)
    hard = (
        f"{times} times as hard as the rest, which may be so for any model"
        if one.share is None
        else f"{times} times what {result.record['encoder_name']} finds hard"
    )
    kind = "" if scores.held.decisive != "network" else " (by its network)"
    doubt = " (unreliable, as the search is)" if not kind and result.doubts(scores) else ""
    return f"{said}: {hard}, p {one.corrected:.2g}{kind}{doubt}"


def told(family: Sequence[GroupRatio]) -> Iterable[GroupRatio]:
    """The groups that sentences are of: of two, what is told of the second is told of the first,
    unless the generator is blind to the second.
    """
    for place, one in enumerate(family):
        if not (place == 1 and len(family) == 2) or verdict(one) == "blind":
            yield one
