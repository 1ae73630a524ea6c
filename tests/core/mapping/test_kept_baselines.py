from dataclasses import replace

import pytest
import torch

from latentmap.codes import Space, pair
from latentmap.errors import MapError
from latentmap.mapping import LinearMap, fit
from latentmap.mapping.kept_baselines import KeptBaseline
from latentmap.mapping.patches import Patches
from tests.core.mapping.drawing import codes_of


def numbers(*shape, dtype=torch.float64):
    return torch.arange(torch.Size(shape).numel(), dtype=dtype).reshape(shape) / 7


def a_map():
    x = torch.randn(60, 3, generator=torch.manual_seed(0))
    return fit(pair(codes_of(x), codes_of(x[:, :2] * 2, "b")))


def kept(kind="pca", k=4, **given):
    space = Space("latent", k, kind, "f" * 8)
    return KeptBaseline(kind, space, numbers(k, 2), numbers(2), **given)


def components(k=4, pixels=9):
    return {
        "mean": numbers(pixels, dtype=torch.float32),
        "components": numbers(k, pixels, dtype=torch.float32),
    }


def through_a_file(folder, *baselines):
    replace(a_map(), baselines=baselines).save(folder / "map.safetensors")
    return LinearMap.load(folder / "map.safetensors").baselines


def test_baselines_come_back_from_the_file_of_their_map(tmp_path):
    given = (kept("pixels"), kept(**components()), kept("untrained", 3))
    found = through_a_file(tmp_path, *given)
    assert [one.kind for one in found] == ["pixels", "pca", "untrained"]
    for one, other in zip(given, found, strict=True):
        assert one.space == other.space
        assert one.patches == other.patches
        for name in ("weight", "bias", "mean", "components"):
            first, second = getattr(one, name), getattr(other, name)
            assert (first is None) == (second is None)
            assert first is None or torch.equal(first, second)


def test_patches_of_a_baseline_come_back(tmp_path):
    patches = Patches(3, (2, 3, 3), (2, 3, 3))
    space = Space("latent", 18, "pixels", "f" * 8, (2, 3, 3))
    given = KeptBaseline("pixels", space, numbers(patches.p, 2), numbers(2), patches)
    (found,) = through_a_file(tmp_path, given)
    assert found.patches == patches


def test_a_file_without_baselines_has_none(tmp_path):
    """As those are that were written before there were any."""
    assert through_a_file(tmp_path) == ()
    assert b"baseline" not in (tmp_path / "map.safetensors").read_bytes()


def test_components_of_large_images_are_too_large():
    small = torch.empty(1, 1 << 24, device="meta")
    assert kept(components=small).is_small
    assert not kept(components=torch.empty(1, (1 << 24) + 1, device="meta")).is_small
    assert kept().is_small


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"bias": numbers(2, 1)}, "must be a matrix"),
        ({"weight": numbers(4, 2).float()}, "must be float64 and finite"),
        ({"mean": numbers(9).float()}, "have a mean"),
        ({**components(), "components": numbers(3, 9).float()}, "of as many rows"),
        ({**components(), "mean": numbers(9)}, "must be float32 and finite"),
        ({**components(), "mean": torch.full((9,), torch.nan)}, "must be float32 and finite"),
    ],
)
def test_baselines_that_do_not_fit_together_are_refused(tmp_path, wrong, said):
    with pytest.raises(MapError, match=said):
        through_a_file(tmp_path, replace(kept(), **wrong))
