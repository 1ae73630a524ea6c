import numpy as np
import torch

from latentmap.codes import pair
from latentmap.mapping import FitOptions, fit
from latentmap.mapping import perceptron as under_test
from latentmap.mapping.perceptron import Stop, fit_perceptron
from tests.core.mapping.drawing import codes_of


def normal(n, p, seed=0):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(seed))


STOP = Stop(np.arange(0, 300), np.arange(300, 400))


def bent(dead=False):
    x = normal(400, 3)
    y = torch.cat([x[:, :1] * x[:, 1:2], torch.cos(2 * x[:, :1])], 1)
    if dead:
        x[:, 2] = 5
    return pair(codes_of(x), codes_of(y, "b"))


def fitted(pairs, **options):
    linear = fit(pairs.take(STOP.train), FitOptions(select="gcv"))
    return linear, fit_perceptron(pairs, linear, STOP, **options)


def error(one, pairs, index=STOP.held):
    part = pairs.take(index)
    return float((one.apply(part.source.vectors) - part.target.vectors).square().mean())


def test_it_begins_as_the_linear_map(monkeypatch):
    monkeypatch.setattr(under_test, "_EPOCHS", 1)
    monkeypatch.setattr(under_test, "_LEARNING_RATE", 0.0)
    pairs = bent()
    linear, found = fitted(pairs)
    assert torch.equal(found.apply(pairs.source.vectors), linear.apply(pairs.source.vectors))
    assert found.epochs == 0


def test_it_finds_what_is_not_linear():
    pairs, steps = bent(), []
    linear, found = fitted(pairs, progress=lambda *step: steps.append(step))
    assert error(found, pairs) < 0.5 * error(linear, pairs)
    assert steps[-1] == (40, 40)
    assert found.settings == {"hidden": 512, "layers": 2, "epochs": found.epochs}
    assert found.epochs > 0


def test_on_the_pairs_by_which_it_stops_it_is_never_worse_than_the_linear_map():
    """Nothing can be learnt of noise."""
    pairs = pair(codes_of(normal(400, 3)), codes_of(normal(400, 2, 1), "b"))
    linear, found = fitted(pairs)
    assert error(found, pairs) <= error(linear, pairs)


def test_it_stops_where_the_error_no_longer_falls(monkeypatch):
    monkeypatch.setattr(under_test, "_PATIENCE", 2)
    pairs, steps = pair(codes_of(normal(400, 3)), codes_of(normal(400, 2, 1), "b")), []
    _, found = fitted(pairs, progress=lambda *step: steps.append(step))
    assert len(steps) - 1 == found.epochs + 2


def test_it_follows_its_seed_and_leaves_that_of_others_alone():
    pairs, x = bent(), bent().source.vectors
    torch.manual_seed(7)
    before = torch.get_rng_state()
    one, same, other = (fitted(pairs, seed=seed)[1].apply(x) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_variables_that_do_not_vary_do_no_harm():
    pairs = bent(dead=True)
    linear, found = fitted(pairs)
    assert error(found, pairs) < 0.5 * error(linear, pairs)
    still = pair(codes_of(torch.full((400, 2), 3.0)), codes_of(normal(400, 2), "b"))
    _, found = fitted(still)
    assert found.apply(still.source.vectors).isfinite().all()
    constant = pair(codes_of(normal(400, 2)), codes_of(torch.full((400, 2), 3.0), "b"))
    _, found = fitted(constant)
    torch.testing.assert_close(found.apply(normal(9, 2, 5)), torch.full((9, 2), 3.0))


def test_units_of_the_codes_change_nothing():
    """Codes a thousand times as large are learnt as well."""
    pairs = bent()
    large = pair(codes_of(1000 * pairs.source.vectors), codes_of(0.001 * pairs.target.vectors, "b"))
    one, other = fitted(pairs)[1], fitted(large)[1]
    assert abs(error(other, large) * 1e6 / error(one, pairs) - 1) < 0.05
