import numpy as np
import pytest
import torch

from latentmap.codes import Codes, Space, pair
from latentmap.errors import MapError
from latentmap.mapping import FitOptions, fit
from latentmap.mapping.uncertainty import carry, predict


def fitted(x, y, method="ridge", **options):
    ids = [str(i) for i in range(len(x))]
    a = Codes.from_array(ids, x, space=Space("z", x.shape[1], "a", "aa"))
    b = Codes.from_array(ids, y, space=Space("z", y.shape[1], "b", "bb"))
    return fit(pair(a, b), FitOptions(method, **options))


def draw(n, weight, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, len(weight), generator=generator) + 2
    return x, x @ weight + 0.5 * torch.randn(n, weight.shape[1], generator=generator)


WEIGHT = torch.randn(4, 3, generator=torch.manual_seed(9))


def test_intervals_hold_the_share_of_new_codes_that_they_promise():
    linear_map = fitted(*draw(30, WEIGHT, 0), method="least-squares")
    x, y = draw(4000, WEIGHT, 1)
    prediction = predict(linear_map, x)
    inside = (prediction.mean - y.double()).abs() < 1.96 * prediction.variances.sqrt()
    assert 0.90 < float(inside.double().mean()) < 0.98


def test_the_covariance_is_that_of_the_text_book():
    x, y = draw(50, WEIGHT, 2)
    linear_map = fitted(x, y, method="least-squares")
    design = np.c_[np.ones(50), x.double().numpy()]
    inverse = np.linalg.inv(design.T @ design)
    residual = y.double().numpy() - design @ (inverse @ design.T @ y.double().numpy())
    covariance = residual.T @ residual / (50 - 5)
    new = np.array([[1.0, 0.3, -1.0, 2.0, 4.0]])
    prediction = predict(linear_map, torch.tensor(new[:, 1:]))
    np.testing.assert_allclose(prediction.covariance, covariance, rtol=1e-6)
    np.testing.assert_allclose(prediction.scale, 1 + new @ inverse @ new.T[:, 0], rtol=1e-6)


def test_a_map_without_intercept_has_the_covariance_of_one():
    x, y = draw(50, WEIGHT, 2)
    linear_map = fitted(x, y, method="least-squares", intercept=False)
    design = x.double().numpy()
    inverse = np.linalg.inv(design.T @ design)
    residual = y.double().numpy() - design @ (inverse @ design.T @ y.double().numpy())
    new = np.array([[0.3, -1.0, 2.0, 4.0]])
    prediction = predict(linear_map, torch.tensor(new))
    np.testing.assert_allclose(prediction.covariance, residual.T @ residual / 46, rtol=1e-6)
    np.testing.assert_allclose(prediction.scale, 1 + new @ inverse @ new[0], rtol=1e-6)
    errors = carry(linear_map, torch.tensor(new)).standard_error
    variance = np.diag(residual.T @ residual / 46) * (new @ inverse @ new[0])
    np.testing.assert_allclose(errors[0], np.sqrt(variance), rtol=1e-6)


def test_an_exact_map_has_no_errors():
    x, _ = draw(200, torch.zeros(5, 3), 2)
    x -= 2
    carried = carry(fitted(x, torch.cat([x, 2 * x], 1), method="least-squares"), torch.eye(5))
    assert bool((carried.standard_error >= 0).all())
    assert float(carried.standard_error.max()) < 1e-6


def test_errors_of_a_direction_are_the_spread_over_repeated_draws():
    direction = torch.tensor([[1.0, -1.0, 0.5, 0.0]])
    carried = [
        carry(fitted(*draw(60, WEIGHT, seed), settings={"penalty": 5.0}), direction)
        for seed in range(200)
    ]
    seen = torch.stack([one.directions for one in carried]).std(0)
    said = torch.stack([one.standard_error for one in carried]).mean(0)
    assert torch.allclose(said, seen, rtol=0.2)
    assert float(carried[0].certainty) > 3


def test_directions_of_another_size_and_too_few_pairs_are_refused():
    linear_map = fitted(*draw(50, WEIGHT, 3))
    with pytest.raises(MapError, match=r"directions must have shape \(k, 4\), not \(1, 3\)"):
        carry(linear_map, torch.zeros(1, 3))
    with pytest.raises(MapError, match="5 pairs leave nothing to judge"):
        predict(fitted(*draw(5, WEIGHT, 3)), torch.zeros(1, 4))


def test_a_map_made_of_maps_knows_no_covariance():
    linear_map = fitted(*draw(50, WEIGHT, 3))
    with pytest.raises(MapError, match="needs the moments of the pairs"):
        predict(linear_map.inverse(), torch.zeros(1, 3))
