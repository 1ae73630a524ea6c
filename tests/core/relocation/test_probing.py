import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from latentmap.codes import Codes, Pairs, Space
from latentmap.errors import MapError, SpaceError
from latentmap.images.attribute_values import Attribute
from latentmap.mapping import FitOptions, fit
from latentmap.relocation.probe_fits import FOLDS
from latentmap.relocation.probing import assign_folds, probe_map

SOURCE = Space("z", 3, "a", "aa")
TARGET = Space("z", 3, "b", "bb")


def digests_of(n, start):
    numbers = np.arange(start, start + n, dtype=np.int64) + 1
    return numbers.astype(">i8").view(np.uint8).reshape(n, 8).repeat(2, axis=1)


def pairs_of(n, start, *, noise=0.0, seed=0):
    """Pairs whose target codes are the rotated source codes, and some noise."""
    generator = np.random.default_rng([seed, start])
    x = generator.normal(size=(n, 3))
    turn = np.linalg.qr(np.random.default_rng(9).normal(size=(3, 3)))[0]
    y = x @ turn + noise * generator.normal(size=(n, 3))
    ids = [str(number) for number in range(start, start + n)]
    codes = [
        Codes.from_array(ids, rows, space=space, data="d", digests=digests_of(n, start))
        for rows, space in ((x, SOURCE), (y, TARGET))
    ]
    return Pairs(*codes)


def attributes_of(*parts):
    """Of the first target variable: its sign, its third, itself; and one of chance."""
    ids = np.concatenate([part.ids for part in parts])
    first = np.concatenate([part.target.vectors.numpy()[:, 0] for part in parts]).astype(float)
    words = np.array(["low", "middle", "high"])[np.digitize(first, [-0.4, 0.4])]
    chance = np.random.default_rng(1).choice(["heads", "tails"], len(ids))
    return [
        Attribute.of_classes("sign", ids, np.where(first > 0, "plus", "minus")),
        Attribute.of_classes("third", ids, words),
        Attribute("first", ids, first),
        Attribute.of_classes("chance", ids, chance),
    ]


def probed(train, test, attributes, linear_map=None, **given):
    linear_map = linear_map or fit(train, FitOptions("least-squares"))
    units = {"fitted_units": np.arange(len(train)), "units": np.arange(len(test)), **given}
    return probe_map(linear_map, train.target, test, attributes, **units)


def test_an_exact_map_keeps_all_that_can_be_told():
    train, test = pairs_of(400, 0), pairs_of(200, 1000)
    found = probed(train, test, attributes_of(train, test))
    sign, third, first, chance = found.probes
    assert [one.classes for one in found.probes] == [
        ("minus", "plus"),
        ("high", "low", "middle"),
        (),
        ("heads", "tails"),
    ]
    assert sign.figures["accuracy"].mapped.value > 0.95
    assert first.figures["r2"].mapped.value == pytest.approx(1, abs=1e-3)
    for one in (sign, third, first):
        for kept in one.figures.values():
            assert kept.kept.value == pytest.approx(1, abs=0.02)
    area = chance.figures["auc"]
    assert area.mapped.low < 0.5 < area.mapped.high and np.isnan(area.kept.value)


def test_a_map_that_loses_the_variable_keeps_nothing_of_it():
    train, test = pairs_of(400, 0), pairs_of(200, 1000)
    whole = fit(train, FitOptions("least-squares"))
    weight, bias = whole.weight.clone(), whole.bias.clone()
    weight[:, 0], bias[0] = 0, train.target.mean[0]
    lossy = replace(whole, weight=weight, bias=bias)
    found = probed(train, test, attributes_of(train, test), lossy)
    sign, _, first, _ = found.probes
    assert sign.figures["auc"].ceiling.value > 0.99
    assert sign.figures["auc"].mapped.low < 0.5 < sign.figures["auc"].mapped.high
    assert abs(first.figures["r2"].kept.value) < 0.02


def test_a_probe_reads_as_scikit_learn_does():
    train, test = pairs_of(400, 0, noise=0.5), pairs_of(200, 1000, noise=0.5)
    attributes = attributes_of(train, test)
    linear_map = fit(train, FitOptions("least-squares"))
    (sign,) = probed(train, test, attributes[:1], linear_map).probes
    rows = train.target.vectors.numpy().astype(np.float64)
    scale = rows.std(0)
    model = LogisticRegression(C=1 / (sign.penalty * 400), tol=1e-8)
    model.fit(rows / scale, attributes[0].of(train.ids))
    truth = attributes[0].of(test.ids)
    for codes, part in ((linear_map.apply(test.source), "mapped"), (test.target, "ceiling")):
        scores = model.decision_function(codes.vectors.numpy() / scale)
        value = getattr(sign.figures["auc"], part).value
        assert value == pytest.approx(roc_auc_score(truth, scores), abs=2e-3)
    assert sign.figures["auc"].kept.value < 1


def test_the_order_of_images_does_not_count():
    train, test = pairs_of(300, 0, noise=0.5), pairs_of(100, 1000, noise=0.5)
    attributes, linear_map = attributes_of(train, test)[:1], fit(train, FitOptions("least-squares"))
    one = probed(train, test, attributes, linear_map).probes[0]
    other = probed(train, test.take(np.arange(100)[::-1]), attributes, linear_map).probes[0]
    for name, kept in one.figures.items():
        assert kept.mapped.value == pytest.approx(other.figures[name].mapped.value)
        assert kept.kept.value == pytest.approx(other.figures[name].kept.value)


def test_images_of_which_it_is_not_known_are_left_out_and_counted():
    train, test = pairs_of(300, 0), pairs_of(100, 1000)
    (sign, *_) = attributes_of(train, test)
    values = sign.values.copy()
    values[[*range(20), *range(300, 307)]] = np.nan
    gaps = replace(sign, values=values)
    linear_map = fit(train, FitOptions("least-squares"))
    (one,) = probed(train, test, [gaps], linear_map).probes
    assert (one.n_fitted, one.n_fitted_unknown, one.n_test, one.n_test_unknown) == (280, 20, 93, 7)
    fewer = train.take(np.arange(20, 300)), test.take(np.arange(7, 100))
    (same,) = probed(*fewer, [sign], linear_map).probes
    assert same.figures == one.figures


def test_units_are_counted_and_are_in_one_fold_each():
    values = np.random.default_rng(0).integers(0, 2, 90).astype(float)
    units = np.arange(90) // 3
    folds = assign_folds(values, units, seed=0)
    assert all(len(set(folds[units == unit])) == 1 for unit in range(30))
    assert sorted(set(folds)) == list(range(FOLDS))
    single = assign_folds(values, np.arange(90), seed=0)
    counts = np.array([np.bincount(single[values == k], minlength=FOLDS) for k in (0, 1)])
    assert np.ptp(counts, axis=1).max() <= 1
    assert not np.array_equal(single, assign_folds(values, np.arange(90), seed=1))
    train, test = pairs_of(300, 0), pairs_of(100, 1000)
    groups = {"fitted_units": np.arange(300) // 2, "units": np.arange(100) // 4}
    (one,) = probed(train, test, attributes_of(train, test)[:1], **groups).probes
    assert (one.n_fitted_units, one.n_units) == (150, 25)


def test_a_class_of_few_judged_units_is_said_to_have_intervals_that_are_too_narrow():
    train, test = pairs_of(300, 0), pairs_of(140, 1000)
    sign, third, first, _ = attributes_of(train, test)
    found = probed(train, test, [sign, third, first])
    counts = np.bincount(third.of(test.ids).astype(int))
    assert [one.n_rarest_units for one in found.probes] == [
        min(np.bincount(sign.of(test.ids).astype(int))),
        min(counts),
        140,
    ]
    assert min(counts) < 50 <= min(np.bincount(sign.of(test.ids).astype(int)))
    assert "too narrow for third, with a class of fewer than 50 judged" in str(found)
    # Numbers have no class.
    test = pairs_of(40, 1000)
    assert "too narrow" not in str(probed(train, test, attributes_of(train, test)[2:3]))


def test_what_cannot_be_probed_is_said_beside_the_others():
    train, test = pairs_of(300, 0), pairs_of(100, 1000)
    sign = attributes_of(train, test)[0]
    ids = sign.ids
    rare = Attribute.of_classes("rare", ids, np.where(np.arange(400) % 50, "no", "yes"))
    same = Attribute.of_classes("same", ids, np.full(400, "yes"))
    many = Attribute.of_classes("many", ids, np.arange(400).astype(str))
    only = Attribute("only", ids[:300], np.arange(300.0))
    flat = Attribute("flat", ids, np.where(np.arange(400) < 300, 2.5, np.arange(400)))
    few = Attribute("few", ids[291:], np.arange(109.0))
    found = probed(train, test, [sign, rare, same, many, only, flat, few])
    assert [one.name for one in found.probes] == ["sign"]
    assert found.failed == {
        "rare": "a probe takes 10 images or groups to fit on that are yes, not 6",
        "same": "it is yes in all images",
        "many": "it has 400 classes, and a probe at most 100",
        "only": "it is not known of any image to judge",
        "flat": "it is 2.5 in all images to fit on",
        "few": "a probe takes 10 images or groups to fit on, not 9",
    }
    assert "no probe of rare: a probe takes 10 images or groups" in str(found)
    with pytest.raises(MapError, match="no probe can be fitted of these attributes: same: it is"):
        probed(train, test, [same])
    with pytest.raises(MapError, match="probes need at least one attribute"):
        probed(train, test, [])


def test_only_other_images_may_be_judged_and_only_codes_of_the_map():
    train, test = pairs_of(300, 0), pairs_of(100, 250)
    with pytest.raises(MapError, match="some of these are the same: fit them on others"):
        probed(train, test, attributes_of(train)[:1])
    test = pairs_of(100, 1000)
    turned = Pairs(test.target, test.source)
    linear_map = fit(train, FitOptions("least-squares"))
    with pytest.raises(SpaceError, match="the source codes of these pairs must be in z of a"):
        probed(train, turned, attributes_of(train, test), linear_map)
    with pytest.raises(SpaceError, match="codes that probes are fitted on must be in z of b"):
        probed(Pairs(train.target, train.source), test, attributes_of(train, test), linear_map)


def test_figures_are_shown_and_written():
    train, test = pairs_of(300, 0, noise=0.5), pairs_of(120, 1000, noise=0.5)
    found = probed(train, test, attributes_of(train, test)[:3])
    (table,) = found.tables()
    assert [row.cells[:2] for row in table.rows] == [
        ["sign", "accuracy"],
        ["sign", "balanced accuracy"],
        ["sign", "AUC"],
        ["third", "accuracy"],
        ["third", "balanced accuracy"],
        ["third", "AUC"],
        ["first", "R2"],
    ]
    record = json.loads(json.dumps(found.to_json()))
    sign = record["attributes"][0]
    assert sign["classes"] == ["minus", "plus"] and sign["n_test"] == 120
    kept = found.probes[0].figures["auc"]
    assert [sign["auc"], sign["auc_low"], sign["auc_high"]] == list(kept.mapped)
    assert sign["auc_floor"] == 0.5 and sign["auc_ceiling"] == kept.ceiling.value
    assert sign["auc_kept_low"] == kept.kept.low
    assert record["attributes"][2]["r2"] == found.probes[2].figures["r2"].mapped.value
    assert repr(found) == "<Probes: sign, third, first>"


def test_the_fit_takes_random_images_where_there_are_too_many(monkeypatch):
    from latentmap.relocation import probing

    monkeypatch.setattr(probing, "_MOST", 100)
    train, test = pairs_of(300, 0), pairs_of(100, 1000)
    (one,) = probed(train, test, attributes_of(train, test)[:1]).probes
    assert one.n_fitted == 100
    other = probed(train, test, attributes_of(train, test)[:1], seed=1).probes[0]
    assert torch.tensor(other.figures["auc"].mapped).isfinite().all()
