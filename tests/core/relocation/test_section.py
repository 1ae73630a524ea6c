import math
from dataclasses import replace

import pytest
import torch

from latentmap.codes import Space
from latentmap.intervals import Estimate
from latentmap.relocation.enough import Enough
from latentmap.relocation.learning import CurvePoint, LearningCurve
from latentmap.relocation.relocating import Relocated
from latentmap.relocation.section import curve_section, relocation_grid
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
        over = {name: (v - 0.2, v + 0.2) for name, v in values.items()}
        points.append(CurvePoint(size, size, 3, spread, over))
    enough = {name: Enough(Estimate(64, 48, 81), 16, 256) for name in ("r2", "efficiency")}
    record = {"without_decoder": []}
    return LearningCurve(*SPACES, "ridge", points, 0.01, 0.05, enough, [], 100, 100, 50, record)


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
    assert any("(it says little" in sentence for sentence in curve.verdicts) == said
    assert any("(it says little" in title for title in drawn(curve)) == said


def test_intervals_over_images_and_over_draws_stand_apart():
    (table,) = curve_of(r2=(0.2, 0.9)).tables()
    titles = [column.title for column in table.columns]
    cells = dict(zip(titles, table.rows[0].cells, strict=True))
    assert cells["R2 over images"] == Measure(0.2, 0.1, 0.30000000000000004)
    assert cells["R2 over draws"] == "[0.000, 0.400]"
    assert cells["L_mse"] == 0.5


def test_how_many_pairs_are_enough_stands_below_table_and_figure_and_in_json():
    curve = curve_of()
    said = "64 [48, 81] pairs give 99 % of the R2 that 256 give"
    assert said in curve.tables()[0].note
    assert said == drawn(curve)["R2 of the codes"].note
    assert said == curve.to_json()["verdicts"][0]
    assert curve.to_json()["enough_pairs_r2_high"] == 81


def test_one_size_has_nothing_to_be_enough_for():
    curve = curve_of()
    assert replace(curve, points=curve.points[-1:]).verdicts == []
