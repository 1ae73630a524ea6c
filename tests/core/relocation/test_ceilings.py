"""Ceilings of maps, and efficiencies beside a high floor."""

import math
from dataclasses import fields

import numpy as np
import pytest

from latentmap.intervals import UNDEFINED, Estimate
from latentmap.relocation.beside import Beside, Ceiling
from latentmap.relocation.gains import Drawn, Linearity, gain_in_codes
from latentmap.relocation.scored_figures import Figures
from latentmap.relocation.verdicts import linearity_in_words


def figures(r2, efficiency):
    others = {one.name: UNDEFINED for one in fields(Figures)}
    parts = {"r2": r2, "efficiency": efficiency}
    return Figures(**{**others, **{k: Estimate(v, v - 0.1, v + 0.1) for k, v in parts.items()}})


def ceiling(r2, efficiency, by="perceptron", part=(0.5, 0.4, 0.6), method="ridge"):
    beside = Beside("ceiling", "a", 4, figures(r2, efficiency))
    return Ceiling(by, beside, Linearity(Estimate(*part), Estimate(*part)), method)


def test_where_the_ceiling_falls_below_the_linear_map_that_one_is_the_ceiling():
    one = ceiling(0.6, 0.7)
    for linear, expected in (
        (figures(0.5, 0.8), (0.6, 0.8)),
        (figures(0.65, 0.5), (0.65, 0.7)),
        (figures(math.nan, math.nan), (0.6, 0.7)),
    ):
        record = one.to_json(linear)
        assert (record["r2_ceiling"], record["efficiency_ceiling"]) == expected
        assert record["r2_ceiling_low"] == pytest.approx(expected[0] - 0.1)
    assert ceiling(math.nan, 0.7).to_json(figures(0.5, 0.5))["r2_ceiling"] is None


def test_a_map_that_has_less_than_ridge_is_not_said_to_be_enough():
    one = ceiling(0.6, 0.7, "linear", (0.5, 0.4, 0.6), "procrustes")
    said = linearity_in_words(one, 100)
    assert said.endswith("; but procrustes has 50 % [40, 60] of the R2 of ridge")
    assert "ridge" not in linearity_in_words(ceiling(0.6, 0.7, "linear", (0.96, 0.9, 1.0)), 100)
    said = linearity_in_words(ceiling(0.6, 0.7, part=(-23.0, -39.0, -14.0)), 100)
    assert said.startswith("a linear map is not enough here: it has none of the R2")


@pytest.mark.parametrize(
    ("part", "method", "said"),
    [
        ((0.9, 0.85, 0.94), "ridge", "a linear map is not enough here: it has 90 % [85, 94] of"),
        ((0.9, 0.85, 0.94), "least-squares", "a linear map is not enough"),
        ((0.9, 0.85, 0.94), "procrustes", "procrustes is not enough here: it has 90 % [85, 94]"),
        ((0.9, 0.85, 0.96), "procrustes", "whether procrustes is enough cannot be told"),
        ((0.97, 0.96, 0.98), "procrustes", "a linear map is enough here"),
    ],
)
def test_what_a_rotation_lacks_is_not_said_of_all_linear_maps(part, method, said):
    found = linearity_in_words(ceiling(0.6, 0.7, part=part, method=method), 100)
    assert found.startswith(said)


def test_a_gain_that_is_not_defined_has_no_p_value():
    """As towards a target whose codes do not vary."""
    errors, nothing = np.full(20, 1e-9), np.zeros(20)
    _, gain, p_value = gain_in_codes(errors, nothing, {"pixels": errors}, Drawn(None))
    assert math.isnan(gain.value)
    assert math.isnan(p_value)
