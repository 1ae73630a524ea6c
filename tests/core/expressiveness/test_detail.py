from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from latentmap.expressiveness.detail import detail_of, mean_detail
from latentmap.expressiveness.result import Expressiveness
from latentmap.expressiveness.tables import calibration
from latentmap.intervals import Estimate


def test_a_slope_has_no_detail_and_a_chessboard_has_all():
    slope = torch.linspace(0, 1, 8).expand(2, 3, 8, 8)
    board = (torch.arange(8)[:, None] + torch.arange(8)).remainder(2).float().expand(2, 3, 8, 8)
    assert detail_of(slope).tolist() == pytest.approx([0, 0], abs=1e-12)
    assert detail_of(board).tolist() == [1, 1]
    assert detail_of(0.5 * board).tolist() == [0.25, 0.25]


def test_a_blurred_picture_has_less_detail():
    images = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(images, 3, stride=1, padding=1)
    assert (detail_of(blurred) < detail_of(images) / 4).all()


def scored(name, detail, mse=0.01, *, of_images=0.03):
    one = SimpleNamespace(detail=detail, mean_mse=Estimate(mse, mse, mse))
    return SimpleNamespace(name=name, reproductions={"search": one}, detail=of_images)


def result(*details, calibrated=0.01):
    sets = [scored(f"set {number}", one) for number, one in enumerate(details)]
    own = scored("own", 0.02)
    return Expressiveness("gan", "gan", "z", "f", own, sets, calibrated, {})


def test_a_search_whose_pictures_are_smears_is_doubted_on_these_alone():
    found = result(0.01, 0.019)
    assert found.detail(found.sets[0]) == pytest.approx(0.5)
    assert [found.doubts(one) for one in found.sets] == [True, False]
    assert "but UNRELIABLE on set 0 (50 % of the detail), where" in calibration(found)


def test_a_search_that_does_not_find_its_own_images_is_doubted_on_all():
    found = result(0.01, 0.019, calibrated=0.5)
    assert all(found.doubts(one) for one in found.sets)
    assert calibration(found).endswith("UNRELIABLE on others, take more steps or starts")


def test_pictures_as_sharp_as_the_own_ones_are_believed():
    assert calibration(result(0.02, 0.03)).endswith("own images: reliable")


def test_pictures_as_sharp_as_plain_images_are_no_smears():
    plain = scored("ones", 0.01, of_images=0.011)
    flat = scored("flat", 0.0, of_images=0.0)
    found = replace(result(), sets=[plain, flat])
    assert found.detail(plain) == pytest.approx(1 / 1.1)
    assert found.detail(flat) is None
    assert not any(map(found.doubts, found.sets))


def test_the_detail_of_several_parts_is_the_mean_over_all_images():
    images = torch.rand(5, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    assert mean_detail(images.split(2)) == pytest.approx(float(detail_of(images).mean()))


def test_without_a_search_there_is_no_detail():
    found = result(None)
    assert found.detail(found.sets[0]) is None
    assert not found.doubts(found.sets[0])
