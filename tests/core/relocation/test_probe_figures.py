import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    r2_score,
    roc_auc_score,
)

from latentmap.intervals import N_BOOTSTRAP, unit_draws
from latentmap.relocation.probe_figures import auc_values, class_figures, number_figures


def images_of(n, c, seed=0):
    """Classes, and two sets of probabilities that know them more or less."""
    generator = np.random.default_rng(seed)
    classes = generator.choice(c, n, p=np.arange(1, c + 1) / np.arange(1, c + 1).sum())
    found = []
    for strength in (1, 3):
        powers = np.exp(generator.normal(size=(n, c)) + strength * np.eye(c)[classes])
        found.append(powers / powers.sum(1, keepdims=True))
    return classes, *found


@pytest.mark.parametrize("c", [2, 3, 5])
def test_figures_of_classes_are_those_of_scikit_learn(c):
    classes, mapped, own = images_of(200, c)
    figures = class_figures(classes, mapped, own, np.arange(200), common=c - 1)
    for part, found in (("mapped", mapped), ("ceiling", own)):
        value = {name: getattr(kept, part).value for name, kept in figures.items()}
        assert value["accuracy"] == pytest.approx(accuracy_score(classes, found.argmax(1)))
        expected = balanced_accuracy_score(classes, found.argmax(1))
        assert value["balanced_accuracy"] == pytest.approx(expected)
        scores = found[:, 1] if c == 2 else found
        assert value["auc"] == pytest.approx(roc_auc_score(classes, scores, multi_class="ovr"))
    floors = {name: kept.floor.value for name, kept in figures.items()}
    common = pytest.approx((classes == c - 1).mean())
    assert floors == {"accuracy": common, "balanced_accuracy": pytest.approx(1 / c), "auc": 0.5}


def test_the_share_that_is_kept_is_all_of_own_codes_and_none_of_chance():
    classes, mapped, own = images_of(300, 2)
    same = class_figures(classes, own, own, np.arange(300), common=1)
    chance = np.tile([0.1, 0.9], (300, 1))
    nothing = class_figures(classes, chance, own, np.arange(300), common=1)
    turned = class_figures(classes, own[:, ::-1], own, np.arange(300), common=1)
    for name in ("accuracy", "balanced_accuracy", "auc"):
        assert tuple(same[name].kept) == (1, 1, 1)
        assert tuple(nothing[name].kept) == pytest.approx((0, 0, 0))
    assert turned["auc"].kept.value == pytest.approx(-1)
    part = class_figures(classes, mapped, own, np.arange(300), common=1)["auc"]
    expected = (part.mapped.value - 0.5) / (part.ceiling.value - 0.5)
    assert part.kept.value == pytest.approx(expected)
    assert part.kept.low < expected < part.kept.high


def test_no_share_is_kept_of_what_own_codes_do_not_tell():
    classes, mapped, own = images_of(300, 2)
    nothing = np.full_like(own, 0.5)
    figures = class_figures(classes, mapped, nothing, np.arange(300), common=1)
    assert np.isnan(figures["auc"].kept.value)
    assert figures["auc"].to_json("auc")["auc_kept"] is None


def test_a_class_without_a_scored_image_does_not_count():
    classes, mapped, own = images_of(200, 3)
    few = np.flatnonzero(classes != 0)
    expected = balanced_accuracy_score(classes[few] - 1, mapped[few][:, 1:].argmax(1))
    only = mapped[few].copy()
    only[:, 0] = 0
    figures = class_figures(classes[few], only, own[few], few, common=2)
    assert figures["balanced_accuracy"].mapped.value == pytest.approx(expected)
    assert figures["balanced_accuracy"].floor.value == pytest.approx(1 / 2)
    one_each = [roc_auc_score(classes[few] == k, only[:, k]) for k in (1, 2)]
    assert figures["auc"].mapped.value == pytest.approx(np.mean(one_each))


def test_r2_is_that_of_scikit_learn_about_the_mean_of_fitted_images():
    generator = np.random.default_rng(0)
    numbers = generator.normal(5, 2, 300)
    mapped, own = numbers + generator.normal(0, 1.5, 300), numbers + generator.normal(0, 0.5, 300)
    kept = number_figures(numbers, mapped, own, np.arange(300), centre=numbers.mean())["r2"]
    assert kept.mapped.value == pytest.approx(r2_score(numbers, mapped))
    assert kept.ceiling.value == pytest.approx(r2_score(numbers, own))
    assert tuple(kept.floor) == (0, 0, 0)
    assert kept.kept.value == pytest.approx(r2_score(numbers, mapped) / r2_score(numbers, own))
    chance = np.full(300, 4.0)
    nothing = number_figures(numbers, chance, own, np.arange(300), centre=4.0)["r2"]
    assert tuple(nothing.mapped) == pytest.approx((0, 0, 0))


@pytest.mark.parametrize("ties", [False, True])
def test_areas_are_those_of_the_drawn_images_one_by_one(ties):
    generator = np.random.default_rng(3)
    scores = generator.integers(0, 8, 60) if ties else generator.normal(size=60)
    positive = scores + 5 * generator.normal(size=60) > 3
    units = generator.integers(0, 25, 60)
    values = auc_values(scores.astype(float), positive, units)
    assert values[0] == pytest.approx(roc_auc_score(positive, scores))
    u = len(np.unique(units))
    counts = np.concatenate([*unit_draws(u)])
    assert values.shape == (1 + N_BOOTSTRAP + u,)
    weights = counts[:, np.unique(units, return_inverse=True)[1]]
    expected = [roc_auc_score(positive, scores, sample_weight=weight) for weight in weights[:20]]
    np.testing.assert_allclose(values[1:21], expected, rtol=1e-10)


def test_an_area_without_one_unit_is_near_to_the_exact_one():
    generator = np.random.default_rng(4)
    scores, units = generator.normal(size=400), np.arange(400) // 2
    positive = scores + generator.normal(size=400) > 0
    values = auc_values(scores, positive, units)[1 + N_BOOTSTRAP :]
    exact = [roc_auc_score(positive[units != u], scores[units != u]) for u in range(200)]
    np.testing.assert_allclose(values, exact, atol=2e-4)
    assert np.corrcoef(values, exact)[0, 1] > 0.999


def test_an_area_needs_both_kinds():
    values = auc_values(np.arange(5.0), np.ones(5, bool), np.arange(5))
    assert np.isnan(values).all()


def test_copies_of_units_widen_no_interval():
    classes, mapped, own = images_of(150, 2)
    once = class_figures(classes, mapped, own, np.arange(150), common=1)
    twice = class_figures(
        *(np.repeat(x, 2, 0) for x in (classes, mapped, own, np.arange(150))), common=1
    )
    for name in once:
        for part in ("mapped", "floor", "ceiling", "kept"):
            np.testing.assert_allclose(getattr(once[name], part), getattr(twice[name], part))
