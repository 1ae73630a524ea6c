"""What follows from the scores of a map, in words, by rules that are the same everywhere."""

from __future__ import annotations

import math

from latentmap.relocation.beside import Ceiling
from latentmap.relocation.gains import Gain
from latentmap.relocation.scores import Scores
from latentmap.relocation.travel import travel_in_words
from latentmap.report import with_interval
from latentmap.report.words import in_percent, share_in_words

ENOUGH = 0.95  # Of the R2 of a nonlinear map: from there on a linear one is enough.
CHANCE = 0.05
# They look for the best of all linear maps; what others do not reach, another linear map may.
_BEST_LINEAR = ("least-squares", "ridge")


def verdicts(scores: Scores) -> list[str]:
    """Whether a linear map is enough, whether the source tells more than baselines do, what is to
    be minded of the figures, and whether the codes are like those of the fit; a sentence each.
    """
    said = [
        "" if scores.ceiling is None else linearity_in_words(scores.ceiling, scores.n_test),
        gain_in_words(scores),
        high_floor_in_words(scores),
        pixels_in_words(scores),
        "" if scores.travel is None else travel_in_words(scores.travel),
    ]
    return [sentence for sentence in said if sentence]


def linearity_in_words(ceiling: Ceiling, n_test: int) -> str:
    """Whether a linear map is enough: where the whole interval of its share of the R2 of a
    nonlinear one is on one side of 95 %. That it is not is said of the method alone where others
    give better linear maps, as of a rotation.
    """
    one = "a linear map" if ceiling.method in _BEST_LINEAR else ceiling.method
    part, reached, enough = ceiling.linearity.r2, ceiling.beside.figures.r2, is_enough(ceiling)
    if not _reaches(ceiling):
        return (
            "whether a linear map is enough cannot be told: neither it nor a nonlinear one has an "
            f"R2 that is above 0 ({with_interval(reached, 3)})"
        )
    if ceiling.by == "linear":
        of = "no nonlinear map that was tried is better on pairs that were kept back"
        if part.high < ENOUGH:
            of += f"; but {ceiling.method} has {share_in_words(part, 0)} of the R2 of ridge"
        return f"a linear map is enough here: {of}"
    share = f"{share_in_words(part, 0)} of the" if part.value > 0 else "none of the"
    of = (
        f"it has {share} R2 that a nonlinear map of the same codes has "
        f"({ceiling.by}, {with_interval(reached, 3)})"
    )
    if enough is None:
        return f"whether {one} is enough cannot be told from {n_test:,} images: {of}"
    return f"a linear map is enough here: {of}" if enough else f"{one} is not enough here: {of}"


def is_enough(ceiling: Ceiling) -> bool | None:
    """Whether a linear map is enough: where the whole interval of its linearity is on one side of
    95 %, or no nonlinear one is better; None where that cannot be told, or neither has an R2 above
    0.
    """
    part = ceiling.linearity.r2
    if not _reaches(ceiling):
        return None
    if ceiling.by == "linear" or part.low >= ENOUGH:
        return True
    return False if part.high < ENOUGH else None


def _reaches(ceiling: Ceiling) -> bool:
    """Whether there is something to reach."""
    return math.isfinite(ceiling.linearity.r2.value) and ceiling.beside.figures.r2.low > 0


def gain_in_words(scores: Scores) -> str:
    """Whether the source's codes tell more of the target's than any baseline."""
    gain = scores.gain
    if gain is None or not math.isfinite(gain.r2.value):
        return ""
    by = f"R2 {with_interval(gain.r2, 3)} beyond it (p {gain.p_value:.2g})"
    told = tells_more(gain)
    if told is None:
        return (
            f"whether the source's codes tell more of the target's than {gain.best} does cannot be "
            f"told from {scores.n_test:,} images: {by}"
        )
    more = "more" if told else "less"
    return f"the source's codes tell {more} of the target's than {gain.best} does: {by}"


def tells_more(gain: Gain) -> bool | None:
    """Whether a gain is one: where the test and the interval say so. It is none where the whole
    interval is below 0; None where it cannot be told.
    """
    if gain.p_value <= CHANCE and gain.r2.low > 0:
        return True
    return False if gain.r2.high < 0 else None


def high_floor_in_words(scores: Scores) -> str:
    """That an efficiency says little beside a high floor."""
    if not scores.has_high_floor:
        return ""
    share = scores.floor_mse.value / scores.baseline_mse.value
    return (
        f"efficiency says little here: the target's own error is {in_percent(share)} of the mean "
        "image's, and any map comes near that; go by R2, and by what is gained over the best "
        "baseline"
    )


def pixels_in_words(scores: Scores) -> str:
    """That images rank a map and a baseline the other way round than codes do."""
    names = [
        one.model
        for one in scores.baselines
        if one.figures.efficiency.value >= scores.efficiency.low
        and one.figures.r2.high < scores.r2.low
    ]
    if not names:
        return ""
    do, know = ("does", "knows") if len(names) == 1 else ("do", "know")
    return (
        f"errors of images tell little here: {' and '.join(names)} {do} as well by them, and "
        f"{know} less of the target's codes; go by R2"
    )
