import math

import numpy as np
import pytest

from latentmap.intervals import UNDEFINED, Estimate
from latentmap.relocation.beside import Beside, Ceiling
from latentmap.relocation.gains import Gain, Linearity
from latentmap.relocation.measuring import ImageErrors
from latentmap.relocation.scored_figures import FIGURES, Figures
from latentmap.relocation.scores import Scores
from latentmap.relocation.verdicts import linearity_in_words, tells_more, verdicts

SOME = Estimate(0.5, 0.4, 0.6)


def figures(**given):
    return Figures(**{**dict.fromkeys(FIGURES, SOME), **given})


def scores(**given):
    bounds = {"floor_mse": Estimate(0.1, 0.1, 0.1), "baseline_mse": Estimate(0.4, 0.4, 0.4)}
    counts = {"n_pairs": 900, "n_test": 1100, "n_units": 1100}
    rows = dict.fromkeys(("l_mse_per_variable", "r2_per_variable"), np.zeros(2))
    errors = ImageErrors(*[np.zeros(1100)] * 9)
    of_all = {**dict.fromkeys(FIGURES, SOME), **bounds, **counts, **rows, "errors": errors}
    return Scores(**{**of_all, **given})


def ceiling(low, value, high, by="perceptron"):
    beside = Beside("ceiling", "a", 8, figures(r2=Estimate(0.7, 0.65, 0.75)))
    return Ceiling(by, beside, Linearity(Estimate(value, low, high), UNDEFINED), "ridge")


def gain(value, low, high, p_value):
    return Gain("pca:8", Estimate(value, low, high), p_value, "", UNDEFINED)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ((0.95, 0.96, 0.97), "a linear map is enough here"),
        ((0.9499, 0.96, 0.97), "cannot be told from 1,100 images"),
        ((0.9, 0.93, 0.95), "cannot be told from 1,100 images"),
        ((0.9, 0.93, 0.9499), "a linear map is not enough here"),
        ((math.nan, 0.93, math.nan), "cannot be told from 1,100 images"),
    ],
)
def test_a_linear_map_is_enough_where_the_whole_interval_is_above_95_percent(part, said):
    found = linearity_in_words(ceiling(*part), 1100)
    assert said in found
    assert "of the R2 that a nonlinear map of the same codes has (perceptron, 0.700" in found


def test_a_linear_map_is_enough_where_no_other_was_better_on_pairs_that_were_kept_back():
    found = linearity_in_words(ceiling(0.5, 0.8, 0.9, "linear"), 1100)
    assert found.startswith("a linear map is enough here: no nonlinear map")


def test_without_a_map_that_predicts_anything_nothing_can_be_said():
    undefined = ceiling(math.nan, math.nan, math.nan, "linear")
    assert "neither it nor a nonlinear one" in linearity_in_words(undefined, 1100)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (gain(0.1, 0.001, 0.2, 0.05), True),
        (gain(0.1, 0.001, 0.2, 0.0501), None),
        (gain(0.1, 0, 0.2, 0.01), None),
        (gain(-0.1, -0.2, 0, 0.99), None),
        (gain(-0.1, -0.2, -0.001, 0.99), False),
        (gain(0.1, math.nan, math.nan, math.nan), None),
    ],
)
def test_a_gain_is_told_by_its_test_and_its_whole_interval(found, told):
    assert tells_more(found) is told
    (sentence,) = verdicts(scores(gain=found))
    words = {True: "tell more of", False: "tell less of", None: "cannot be told from 1,100 images"}
    assert words[told] in sentence
    assert "than pca:8 does" in sentence


def test_where_there_is_no_gain_nothing_is_said_of_it():
    assert verdicts(scores()) == []
    assert verdicts(scores(gain=gain(math.nan, math.nan, math.nan, 0.5))) == []


@pytest.mark.parametrize(("floor", "said"), [(0.2, 0), (0.2001, 1), (math.nan, 0)])
def test_an_efficiency_says_little_where_the_floor_is_above_half_the_mean_images(floor, said):
    found = verdicts(scores(floor_mse=Estimate(floor, floor, floor)))
    assert len(found) == said
    assert all("the target's own error is 50 % of the mean image's" in one for one in found)


@pytest.mark.parametrize(
    ("efficiency", "r2_high", "said"), [(0.4, 0.39, 1), (0.399, 0.39, 0), (0.4, 0.4, 0)]
)
def test_images_tell_little_where_a_baseline_does_as_well_by_them_alone(efficiency, r2_high, said):
    one = figures(efficiency=Estimate(efficiency, 0, 1), r2=Estimate(0.3, 0.2, r2_high))
    found = verdicts(scores(baselines=(Beside("pca", "pca:8", 8, one),)))
    assert len(found) == said
    assert all("pca:8 does as well by them, and knows less" in sentence for sentence in found)


def test_several_such_baselines_are_named_together():
    one = figures(efficiency=SOME, r2=Estimate(0.3, 0.2, 0.39))
    both = [Beside("pca", name, 8, one) for name in ("pca:8", "pixels:2x4")]
    (sentence,) = verdicts(scores(baselines=tuple(both)))
    assert "pca:8 and pixels:2x4 do as well by them, and know less" in sentence
