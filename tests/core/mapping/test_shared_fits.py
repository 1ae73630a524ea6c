import numpy as np
import pytest
import torch

from latentmap.codes import pair
from latentmap.errors import MapError
from latentmap.mapping import METHODS, fit
from latentmap.mapping.observed import Observed
from latentmap.mapping.options import FitOptions
from latentmap.mapping.shared_fits import SharedFits
from tests.core.mapping.drawing import codes_of, draw


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("grouped", [True, False])
def test_maps_that_share_what_was_gathered_are_those_of_each_alone(intercept, grouped, monkeypatch):
    x, y = draw(90, 6, 4, noise=1.0)
    pairs = pair(codes_of(x), codes_of(y, "b"))
    groups = np.arange(90) // 3 if grouped else None
    gathered, counted = [], Observed.moments_by_fold
    monkeypatch.setattr(
        Observed,
        "moments_by_fold",
        lambda one, *a, **b: gathered.append(one) or counted(one, *a, **b),
    )
    options = FitOptions(intercept=intercept)
    shared = SharedFits(pairs, list(METHODS), options, groups=groups, seed=3)
    for name, method in METHODS.items():
        noise = {"noise": torch.full((6,), 0.1)} if "noise" in method.needs else {}
        given = {"settings": noise, "groups": groups, "seed": 3}
        found = fit(pairs, options.of(method), shared=shared, **given)
        expected = fit(pairs, options.of(method), **given)
        assert found.settings == pytest.approx(expected.settings, rel=1e-9), name
        scale = float(expected.weight.abs().max())
        torch.testing.assert_close(found.weight, expected.weight, rtol=0, atol=1e-7 * scale)
    # Each fit alone sees the pairs for itself.
    assert len(gathered) == len(METHODS) + 1 == len({id(one) for one in gathered})


def test_what_all_fits_share_needs_no_folds_where_nothing_is_chosen_by_them():
    x, y = draw(8, 3, 2)
    pairs = pair(codes_of(x), codes_of(y, "b"))
    one = np.zeros(8, dtype=np.int64)
    shared = SharedFits(pairs, ["least-squares", "pls"], FitOptions(), groups=one)
    found = fit(pairs, method="least-squares", groups=one, shared=shared)
    expected = fit(pairs, method="least-squares", groups=one)
    torch.testing.assert_close(found.weight, expected.weight, rtol=1e-12, atol=1e-12)
    with pytest.raises(MapError, match="cross-validation needs at least 2 folds"):
        fit(pairs, method="pls", groups=one, shared=shared)
