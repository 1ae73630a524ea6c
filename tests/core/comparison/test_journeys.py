import numpy as np
import pytest
import torch

from latentmap.codes import Codes, Space
from latentmap.comparison.journeys import code_errors, code_figures
from latentmap.comparison.spaces import maps_between
from latentmap.mapping.gathering import moments_of_spaces


def codes(name, vectors):
    ids = [str(i) for i in range(len(vectors))]
    return Codes.from_array(ids, vectors, space=Space("z", vectors.shape[1], name, name * 8))


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.manual_seed(seed))


def scene(n=300, *, noise=0.5):
    """Three spaces of noisy copies of the same three numbers."""
    hidden = normal(n, 3, seed=0)
    return [
        codes(name, hidden @ normal(3, d, seed=d) + noise * normal(n, d, seed=10 + d))
        for name, d in (("a", 3), ("b", 4), ("c", 5))
    ]


def maps_of(spaces):
    return maps_between(moments_of_spaces(spaces), spaces, references=["a", "b", "c"])


def test_exact_spaces_lose_nothing_on_any_way():
    spaces = scene(noise=0)
    figures = code_figures(code_errors(spaces, maps_of(spaces)), seed=0)
    for values in (figures.r2, figures.composed_r2):
        assert all(one.value == pytest.approx(1, abs=1e-4) for one in values.values())
    for values in (figures.cycle, figures.lost_r2):
        assert all(one.value == pytest.approx(0, abs=1e-4) for one in values.values())


def test_figures_are_those_of_composed_maps():
    spaces = scene()
    maps = maps_of(spaces)
    figures = code_figures(code_errors(spaces, maps), seed=0)
    x, y, z = (part.vectors.double() for part in spaces)

    def r2(target, mapped):
        # The variance about the mean of all images, not of these alone.
        return 1 - float((target - mapped).square().mean() / target.var(0).mean())

    direct, by = maps[0, 2], maps[0, 1].compose(maps[1, 2])
    assert figures.r2[0, 2].value == pytest.approx(r2(z, direct.apply(x)), abs=1e-6)
    assert figures.l_mse[0, 1].value == pytest.approx(
        float((y - maps[0, 1].apply(x)).square().mean()), rel=1e-6
    )
    assert figures.composed_r2[0, 1, 2].value == pytest.approx(r2(z, by.apply(x)), abs=1e-6)
    lost = figures.r2[0, 2].value - figures.composed_r2[0, 1, 2].value
    assert figures.lost_r2[0, 1, 2].value == pytest.approx(lost, abs=1e-12)
    # On the pairs of the fit, the cycle error is that of the moments, but for their own mean.
    cycle = maps[0, 1].cycle_error(maps[1, 0]) * (1 - 1 / len(x))
    assert figures.cycle[0, 1].value == pytest.approx(cycle, rel=1e-5)
    assert len(figures.composed_r2) == 6


def test_a_way_by_another_space_loses_what_that_does_not_hold():
    hidden = normal(500, 2, seed=0)
    spaces = [codes("a", hidden), codes("b", hidden[:, :1]), codes("c", hidden.flip(1))]
    figures = code_figures(code_errors(spaces, maps_of(spaces)), seed=0)
    assert figures.r2[0, 2].value == pytest.approx(1, abs=1e-4)
    # Half of what a and c hold, up to the variances of the sample.
    share = float(hidden[:, 1].var() / hidden.var(0).sum())
    assert figures.lost_r2[0, 1, 2].value == pytest.approx(share, abs=0.01)
    assert figures.cycle[0, 1].value == pytest.approx(share, abs=0.01)
    assert figures.cycle[1, 0].value == pytest.approx(0, abs=1e-4)


def test_intervals_hold_their_values_and_follow_the_seed():
    spaces = scene()
    errors = code_errors(spaces, maps_of(spaces))
    one, same, other = (code_figures(errors, seed=seed) for seed in (0, 0, 1))
    for name in ("l_mse", "r2", "cycle", "composed_r2", "lost_r2"):
        for key, estimate in getattr(one, name).items():
            assert estimate.low <= estimate.value <= estimate.high
            assert estimate == getattr(same, name)[key]
            assert estimate != getattr(other, name)[key]


def test_a_target_that_does_not_vary_has_no_r2():
    spaces = [codes("a", normal(50, 2, seed=0)), codes("b", torch.full((50, 2), 3.7))]
    spaces.append(codes("c", normal(50, 2, seed=1)))
    figures = code_figures(code_errors(spaces, maps_of(spaces)), seed=0)
    assert np.isnan(figures.r2[0, 1]).all()
    assert np.isnan(figures.cycle[1, 0]).all()
    assert np.isfinite(figures.r2[1, 0]).all()


def test_blocks_change_nothing(monkeypatch):
    spaces = scene(100)
    maps = maps_of(spaces)
    whole = code_errors(spaces, maps)
    monkeypatch.setattr("latentmap.comparison.journeys._BLOCK", 33)
    seen = []
    parts = code_errors(spaces, maps, progress=lambda done, total: seen.append((done, total)))
    for name in ("spread", "missed", "cycled", "composed"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), rel=1e-6)
    assert seen == [(33, 100), (66, 100), (99, 100), (100, 100)]
