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


def test_carried_directions_show_how_long_and_how_sure_they_are():
    linear_map = fitted(*draw(50, WEIGHT, 2))
    carried = carry(linear_map, torch.eye(4))
    assert repr(carried).startswith("<CarriedDirections: 4 in 3 variables, certainty up to ")
    (table,) = carried.tables()
    assert [row.cells[0] for row in table.rows] == [0, 1, 2, 3]
    for row, length, certainty in zip(
        table.rows, carried.directions.norm(dim=1), carried.certainty, strict=True
    ):
        assert row.cells[1] == pytest.approx(length.item())
        assert row.cells[3] == pytest.approx(certainty.item())
        assert row.cells[1] / row.cells[2] == pytest.approx(certainty.item())
        entry = row.cells[5]
        assert entry.low < entry.value < entry.high
    row = table.rows[1]
    assert row.cells[5].value == pytest.approx(carried.directions[1, row.cells[4]].item())
    assert "tensor" not in str(carried)
    assert "certainty" in carried._repr_html_()
    assert len(carried.to_frame()) > 4


def test_a_prediction_shows_how_wide_it_is():
    prediction = predict(fitted(*draw(50, WEIGHT, 2)), draw(30, WEIGHT, 3)[0])
    assert repr(prediction) == "<Prediction of 30 codes in 3 variables>"
    (table,), (whole,) = prediction.tables(), prediction.whole_tables()
    assert (len(table.rows), len(whole.rows)) == (20, 30)
    assert "the first 20 of 30 codes" in table.note
    assert "the first" not in whole.note
    assert table.rows[3].cells[2] == pytest.approx(prediction.variances[3].mean().sqrt().item())
    assert "tensor" not in str(prediction)
    assert "deviation" in prediction._repr_html_()


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


def covered(interval, truth):
    low, high = interval
    return float(((low < truth) & (truth < high)).double().mean())


# Over 4 draws of 10 target variables with errors of their own the share of 95 % has a standard
# error of 1.3 % at most (seen over 40 draws); benchmarks/uncertainty.py has more.
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("signal", [0.1, 1.0, 30.0])
@pytest.mark.parametrize(("n", "p"), [(60, 20), (60, 100), (300, 100)])
def test_a_chosen_penalty_keeps_what_intervals_promise(n, p, signal, intercept):
    predicted, carried = [], []
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        weight = torch.randn(p, 10, generator=generator)
        spread = torch.logspace(0, -1, p)
        noise = (weight * spread[:, None]).norm(dim=0) / signal**0.5
        x = torch.randn(n + 500, p, generator=generator) * spread + intercept
        y = x @ weight + noise * torch.randn(n + 500, 10, generator=generator)
        linear_map = fitted(x[:n], y[:n], intercept=intercept)
        predicted.append(covered(predict(linear_map, x[n:]).interval(), y[n:].double()))
        if n > p:
            directions = torch.randn(20, p, generator=generator)
            truth = (directions @ weight).double()
            carried.append(covered(carry(linear_map, directions).interval(), truth))
    assert 0.92 < np.mean(predicted) < 0.98
    assert n < p or 0.91 < np.mean(carried) < 0.98


def test_a_code_where_no_pair_varies_is_less_sure():
    x, y = draw(8, torch.randn(20, 3, generator=torch.manual_seed(1)), 0)
    linear_map = fitted(x, y, settings={"penalty": 5.0})
    moments = linear_map.moments
    new = torch.randn(5, 20, generator=torch.manual_seed(2)).double()
    inverse = torch.linalg.inv(moments.xx + 5 * torch.eye(20))
    away = new - moments.mean_x
    expected = 1 + 1 / 8 + (away * (away @ inverse)).sum(1)
    prediction = predict(linear_map, new)
    assert torch.allclose(prediction.scale, expected)
    # The hat matrix of the rows, and what of the identity it leaves.
    rows = x.double() - moments.mean_x
    left = torch.eye(8).double() - 1 / 8 - rows @ inverse @ rows.T
    free = float(left.trace())
    missed = left @ (y.double() - moments.mean_y)
    assert torch.allclose(prediction.covariance, missed.T @ missed / free)
    assert prediction.freedom == pytest.approx(free**2 / float(left.square().sum()))


def test_a_penalty_takes_nothing_from_what_is_carried():
    x, y = draw(60, WEIGHT, 4)
    plain = carry(fitted(x, y, method="least-squares"), torch.eye(4))
    for method in ("ridge", "robust"):
        other = carry(fitted(x, y, method=method, settings={"penalty": 30.0}), torch.eye(4))
        assert torch.allclose(other.directions, plain.directions, rtol=0.05, atol=0.02)
        assert torch.allclose(other.standard_error, plain.standard_error, rtol=0.1)
    procrustes = fitted(x, y, method="procrustes")
    assert torch.equal(carry(procrustes, torch.eye(4)).directions, procrustes.weight)


def test_an_interval_is_students():
    x, y = draw(9, WEIGHT, 5)
    linear_map = fitted(x, y, method="least-squares")
    prediction = predict(linear_map, x)
    low, high = prediction.interval(0.9)
    # Of 9 - 4 - 1 degrees of freedom.
    assert torch.allclose((high - low) / 2, 2.131847 * prediction.variances.sqrt())
    carried = carry(linear_map, torch.eye(4))
    low, high = carried.interval(0.9)
    assert torch.allclose(high - carried.directions, 2.131847 * carried.standard_error)
    for level in (0, 1, float("nan")):
        with pytest.raises(MapError, match=f"level of an interval must be .* not {level}"):
            prediction.interval(level)


def test_directions_of_another_size_and_too_few_pairs_are_refused():
    linear_map = fitted(*draw(50, WEIGHT, 3))
    with pytest.raises(MapError, match=r"directions must have shape \(k, 4\), not \(1, 3\)"):
        carry(linear_map, torch.zeros(1, 3))
    with pytest.raises(MapError, match="5 pairs leave nothing to judge"):
        predict(fitted(*draw(5, WEIGHT, 3)), torch.zeros(1, 4))
    few = fitted(*draw(5, WEIGHT, 3), settings={"penalty": 5.0})
    assert predict(few, torch.zeros(1, 4)).freedom > 1
    with pytest.raises(MapError, match=r"5 pairs leave nothing to judge .* rank 4 by"):
        carry(few, torch.zeros(1, 4))


def test_a_map_made_of_maps_knows_no_covariance():
    linear_map = fitted(*draw(50, WEIGHT, 3))
    with pytest.raises(MapError, match="needs the moments of the pairs"):
        predict(linear_map.inverse(), torch.zeros(1, 3))
