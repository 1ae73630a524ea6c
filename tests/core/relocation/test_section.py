import math
from dataclasses import replace

import pytest
import torch

from latentmap.codes import Space
from latentmap.intervals import Estimate
from latentmap.relocation.relocating import Relocated
from latentmap.relocation.section import curve_section, relocation_grid
from latentmap.relocation.several_maps import CurvePoint, LearningCurve
from latentmap.report import Measure
from latentmap.report.parts import Curve

SPACES = [Space("z", 4, name, name * 2) for name in "ab"]
NAMES = ("l_mse", "r2", "m_mse", "efficiency")


def curve_of(**figures):
    """A curve of two sizes; ``figures`` are the values of a name at both, 0.5 elsewhere."""
    points = []
    for at, size in enumerate((16, 256)):
        values = {name: figures.get(name, (0.5, 0.5))[at] for name in NAMES}
        spread = {name: Estimate(v, v - 0.1, v + 0.1) for name, v in values.items()}
        points.append(CurvePoint(size, size, 3, spread))
    return LearningCurve(*SPACES, "ridge", points, 0.01, 0.05, 100, 100, {"without_decoder": []})


def drawn(curve):
    blocks = curve_section(curve).blocks
    return {block.title: block for block in blocks if isinstance(block, Curve)}


def test_a_learning_curve_is_drawn_for_codes_and_for_images():
    curves = drawn(curve_of(r2=(0.2, 0.9), efficiency=(0.4, 0.8)))
    assert [list(one.at) for one in curves.values()] == [[16, 256]] * 2
    efficiency = curves["Efficiency of the images"]
    assert efficiency.measures == [Measure(v, v - 0.1, v + 0.1) for v in (0.4, 0.8)]
    assert "0.400 with 16 pairs, 0.800 with 256" in efficiency.alternative


def test_an_efficiency_that_is_not_defined_everywhere_is_not_drawn():
    assert list(drawn(curve_of(efficiency=(math.nan, 0.8)))) == ["R2 of the codes"]


def test_a_relocation_has_three_rows():
    images = torch.rand(4, 3, 64, 64)
    small = torch.rand(4, 1, 32, 32)
    grid = relocation_grid(Relocated(images, images, small), "vae", "svae").picture()
    assert grid.size[1] == 3 * 128 + 2 * 4


@pytest.mark.parametrize(("floor", "said"), [(0.01, False), (0.03, True), (math.nan, False)])
def test_an_efficiency_beside_a_high_floor_does_not_stand_alone_in_a_curve(floor, said):
    curve = replace(curve_of(), floor_mse=floor)
    (table,) = curve.tables()
    assert ("efficiency says little: the floor is above half" in table.note) == said
