import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from latentmap.relocation.probe_fits import PENALTIES, fit_probe, probabilities


def rows_of(n, d=4, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(3, [1, 10, 0.1, 2][:d], (n, d)), generator


def drawn(kind, n=400):
    """Codes and values of some kind: so many classes, or numbers for 0."""
    rows, generator = rows_of(n)
    logits = (rows - rows.mean(0)) / rows.std(0) @ generator.normal(size=(4, max(kind, 1)))
    if not kind:
        return rows, logits[:, 0] + generator.normal(size=n), np.arange(n) % 5
    noise = generator.gumbel(size=logits.shape)
    return rows, (logits + noise).argmax(1).astype(float), np.arange(n) % 5


def sklearn_model(kind, n):
    """The same by scikit-learn alone: the search for the penalty, too."""
    if kind:
        values = [1 / (penalty * 0.8 * n) for penalty in PENALTIES]
        one, name, scoring = LogisticRegression(max_iter=5000, tol=1e-8), "C", "neg_log_loss"
    else:
        values = [penalty * 0.8 * n for penalty in PENALTIES]
        one, name, scoring = Ridge(), "alpha", "neg_mean_squared_error"
    return one, name, values, scoring


@pytest.mark.parametrize("kind", [0, 2, 3])
def test_a_probe_is_that_of_scikit_learn(kind):
    rows, values, folds = drawn(kind)
    mine = fit_probe(rows, values, classes=kind, folds=folds)
    one, name, grid, scoring = sklearn_model(kind, len(rows))
    scaled = StandardScaler().fit_transform(rows)
    search = GridSearchCV(one, {name: grid}, scoring=scoring, cv=PredefinedSplit(folds))
    search.fit(scaled, values)
    assert mine.penalty == PENALTIES[grid.index(search.best_params_[name])]
    strength = mine.penalty * len(rows)
    one.set_params(**{name: 1 / strength if kind else strength})
    whole = make_pipeline(StandardScaler(), one).fit(rows, values)
    if kind:
        expected = whole.predict_proba(rows)
        np.testing.assert_allclose(probabilities(mine.read(rows)), expected, atol=2e-3)
    else:
        np.testing.assert_allclose(mine.read(rows)[:, 0], whole.predict(rows), rtol=1e-9, atol=1e-9)


def test_two_classes_have_the_least_penalised_loss():
    rows, values, folds = drawn(2)
    probe = fit_probe(rows, values, classes=2, folds=folds)
    scaled, signs = (rows - rows.mean(0)) / rows.std(0), 2 * values - 1

    def loss(parameters):
        margins = signs * (scaled @ parameters[:-1] + parameters[-1])
        penalty = probe.penalty / 2 * np.square(parameters[:-1]).sum()
        return np.logaddexp(0, -margins).mean() + penalty

    best = minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-9})
    assert loss(np.append(probe.weight, probe.bias)) == pytest.approx(best.fun, abs=1e-6)


@pytest.mark.parametrize("kind", [0, 2, 3])
def test_a_probe_does_not_depend_on_shift_and_scale_of_variables(kind):
    rows, values, folds = drawn(kind)
    moved = rows * np.array([-2, 0.01, 5, 1]) + np.array([7, 0, -3, 1])
    one, other = (fit_probe(x, values, classes=kind, folds=folds) for x in (rows, moved))
    np.testing.assert_allclose(one.read(rows), other.read(moved), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", [0, 2, 3])
def test_the_order_of_images_does_not_count(kind):
    rows, values, folds = drawn(kind)
    order = np.random.default_rng(1).permutation(len(rows))
    one = fit_probe(rows, values, classes=kind, folds=folds)
    other = fit_probe(rows[order], values[order], classes=kind, folds=folds[order])
    assert one.penalty == other.penalty
    np.testing.assert_allclose(one.read(rows), other.read(rows), rtol=1e-3, atol=1e-3)


def test_a_constant_variable_counts_for_nothing():
    rows, values, folds = drawn(2)
    wider = np.concatenate([rows, np.full((len(rows), 1), 1e6, np.float32)], axis=1)
    one = fit_probe(rows, values, classes=2, folds=folds)
    other = fit_probe(wider, values, classes=2, folds=folds)
    np.testing.assert_allclose(one.read(rows), other.read(wider), rtol=1e-5, atol=1e-5)


def test_what_codes_say_nothing_of_gets_hardly_any_weight():
    rows, generator = rows_of(300)
    values = generator.integers(0, 2, 300).astype(float)
    probe = fit_probe(rows, values, classes=2, folds=np.arange(300) % 5)
    assert np.abs(probe.weight).max() < 0.1


def test_probabilities_of_classes_add_up_and_survive_large_logits():
    logits = np.array([[1000.0, 0, -1000], [0, 0, 0]])
    np.testing.assert_allclose(probabilities(logits), [[1, 0, 0], [1 / 3] * 3])
    np.testing.assert_allclose(probabilities(np.array([[-1000.0], [1000]])), [[1, 0], [0, 1]])
