"""What a map loses on groups of images, and what is said of it."""

import numpy as np
import pytest

from latentmap.images.attribute_groups import ImageGroups
from latentmap.images.group_ratios import GroupRatio, group_ratios
from latentmap.intervals import UNDEFINED, Estimate
from latentmap.relocation.group_tables import sentences
from latentmap.relocation.groups import Cut, GroupLoss, GroupScores, scores_by_group
from latentmap.relocation.measuring import ImageErrors
from latentmap.relocation.scored_figures import FIGURES, Figures
from latentmap.relocation.scores import Scores, estimates_of

HAT = ("Hat", "not Hat")
N = 120


def scores(*, map_times=1.0, floor=0.01, n_hats=30, decodes=True):
    """Of a map that loses ``map_times`` as much on hats, which are twice as hard for the target."""
    generator = np.random.default_rng(0)
    hard = np.where(np.arange(N) < n_hats, 2.0, 1.0) * generator.lognormal(0, 0.3, N)
    times = np.where(np.arange(N) < n_hats, map_times, 1.0)
    spread = generator.lognormal(0, 0.05, (2, N))
    nothing = np.full(N, np.nan)
    errors = ImageErrors(
        np.array([f"{i}.png" for i in range(N)]),
        np.arange(N),
        nothing,
        0.3 * times * spread[0],
        spread[1],
        nothing,
        0.02 * hard * times * spread[0] if decodes else nothing,
        floor * hard * spread[1] if decodes else nothing,
        0.1 * hard if decodes else nothing,
    )
    counts = {"n_pairs": 9, "n_test": N, "n_units": N}
    rows = dict.fromkeys(("l_mse_per_variable", "r2_per_variable"), np.zeros(2))
    return Scores(**estimates_of(errors), **counts, **rows, errors=errors)


def hats(n_hats=30):
    return ImageGroups("Hat", HAT, (np.arange(N) >= n_hats).astype(np.int64))


def said(found):
    return [one for cut in found.cuts for one in sentences(cut, found.held)]


@pytest.mark.parametrize(
    ("times", "verdict", "words"),
    [
        (1.0, "no more", "Hat: the map loses no more than the target does itself: 1.0"),
        (1.5, "more", "Hat: the map loses more than the target does itself: 1.5"),
        (0.7, "less", "Hat: the map loses less than the target does itself: 0.7"),
    ],
)
def test_what_is_hard_for_the_target_is_not_laid_to_the_map(times, verdict, words):
    found = scores_by_group(scores(map_times=times), [hats()])
    hat, other = found.cuts[0].groups
    assert found.held == "floor" and found.asked == 1
    assert hat.plain.value == pytest.approx(2 * times, rel=0.15)
    assert hat.loss.found.ratio.value == pytest.approx(times, rel=0.05)
    assert hat.loss.verdict == verdict and other.loss is None
    (sentence,) = said(found)
    assert sentence.startswith(words) and sentence.endswith("] times")


def test_the_figures_of_a_group_are_those_of_its_images():
    one = scores()
    found = scores_by_group(one, [hats()])
    for group, rows in zip(found.cuts[0].groups, (slice(0, 30), slice(30, N)), strict=True):
        assert group.figures.m_mse.value == pytest.approx(one.errors.relocation[rows].mean())
        expected = one.errors.code[rows].mean() / one.errors.code_variance[rows].mean()
        assert group.figures.r2.value == pytest.approx(1 - expected)
    assert [group.n for group in found.cuts[0].groups] == [30, 90]


@pytest.mark.parametrize(
    ("made", "held", "words"),
    [
        (scores(floor=1e-7, map_times=0.5), "nothing", "relocated images are no farther off than"),
        (scores(map_times=1.5, decodes=False), "variance", "misses a larger share of the codes"),
        (scores(decodes=False), "variance", "misses no larger share of the codes"),
    ],
)
def test_without_a_floor_other_errors_are_told(made, held, words):
    found = scores_by_group(made, [hats()])
    assert found.held == held
    assert words in said(found)[0]
    assert found.to_json()["held_against"] == held


def test_of_more_than_two_groups_each_is_held_against_the_rest():
    three = ImageGroups("hair", ("red", "brown", "blond"), np.arange(N) // 40)
    unknown = np.where(np.arange(N) % 4 == 0, -1, hats().number)
    found = scores_by_group(scores(), [three, ImageGroups("Hat", HAT, unknown)])
    assert found.asked == 4 and len(said(found)) == 4
    assert [cut.n_unknown for cut in found.cuts] == [0, 30]
    table = found.tables()[1]
    assert "p corrected for 4 groups (Holm)" in table.note
    assert "30 images left out, of which Hat is not known" in table.note


def test_of_few_images_nothing_is_said():
    found = scores_by_group(scores(n_hats=9), [hats(9)])
    assert found.cuts[0].groups[0].loss.verdict == "too few"
    assert said(found) == [
        "Hat: it has fewer than 10 images or groups, of which nothing can be said"
    ]
    found = scores_by_group(scores(n_hats=111), [hats(111)])
    assert said(found) == [
        "Hat: the rest has fewer than 10 images or groups, of which nothing can be said"
    ]


@pytest.mark.parametrize(
    ("ratio", "corrected", "verdict"),
    [
        ((1.1, 1.01, 1.2), 0.05, "more"),
        ((1.1, 1.01, 1.2), 0.051, "not told"),
        ((1.1, 1.0, 1.249), 0.2, "no more"),
        ((1.1, 0.9, 1.25), 0.2, "not told"),
        ((0.9, 0.8, 0.95), 0.06, "no more"),
        ((0.9, 0.8, 0.95), 0.04, "less"),
    ],
)
def test_the_verdict_follows_by_rule(ratio, corrected, verdict):
    value, low, high = ratio
    (found, *_) = group_ratios(hats(), np.ones(N))
    parts = {name: getattr(found, name) for name in ("by", "name", "positions", "n_units")}
    estimates = {"error": UNDEFINED, "share": None, "plain": UNDEFINED}
    one = GroupRatio(
        **parts, **estimates, ratio=Estimate(value, low, high), p_value=0.01, corrected=corrected
    )
    assert GroupLoss(one).verdict == verdict


def test_what_is_not_told_is_said_so():
    (found, *_) = group_ratios(hats(), np.random.default_rng(3).lognormal(0, 1, N))
    figures = Figures(**dict.fromkeys(FIGURES, UNDEFINED))
    cut = Cut("Hat", (GroupScores("Hat", 30, 30, figures, UNDEFINED, GroupLoss(found)),), 0)
    words = "Hat: whether the map loses more than the target does itself cannot be told: "
    assert sentences(cut, "floor")[0].startswith(words)
