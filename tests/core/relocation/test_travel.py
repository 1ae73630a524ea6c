import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from latentmap.codes import pair
from latentmap.images import open_images
from latentmap.mapping import fit, typicality
from latentmap.model.testing import LinearModel
from latentmap.relocation import evaluate
from latentmap.relocation.travel import share_estimate, travel_in_words, travels_of
from tests.core.mapping.drawing import codes_of


def normal(n, p, seed=0):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(seed))


def a_map(x):
    return fit(pair(codes_of(x), codes_of(x[:, :1] + 1, "b")), settings={"penalty": 1.0})


@pytest.fixture
def images(tmp_path):
    """Images with the ids of ``codes_of``; their pixels are not looked at."""

    def of(n):
        source = LinearModel(seed=1, name="a")
        pixels = (source.decode(source.sample(n, seed=3)) * 255).to(torch.uint8)
        np.save(tmp_path / f"{n}.npy", pixels.permute(0, 2, 3, 1).numpy())
        return open_images(tmp_path / f"{n}.npy")

    return of


def travel_of(linear_map, x, images):
    shown = images(len(x))
    codes = replace(codes_of(x), ids=shown.ids)
    (travel,) = travels_of([linear_map], codes, shown)
    return travel


def test_codes_of_the_kind_of_the_fit_are_inside(images):
    travel = travel_of(a_map(normal(1000, 4)), normal(500, 4, 1), images)
    assert travel.outside.low <= 0.01 <= travel.outside.high
    said = travel_in_words(travel)
    assert "of these source codes are farther out than 99 % of codes like those of the fit" in said
    assert "R2 may be below 0" not in said


def test_codes_of_another_kind_are_outside_and_the_caution_is_said(images):
    x = 2 * normal(500, 4, 1)
    linear_map = a_map(normal(1000, 4))
    travel = travel_of(linear_map, x, images)
    found = typicality(linear_map, x)
    assert travel.outside.value == pytest.approx(found.outside.mean())
    assert travel.outside.low > 0.1
    assert "R2 may be below 0" in travel_in_words(travel)
    record = travel.to_json()
    assert record["outside"] == travel.outside.value
    assert record["outside_low"] < record["outside"] < record["outside_high"]
    assert record["distances"]["0.5"] == pytest.approx(np.median(found.distances))
    assert record["nearer"]["0.95"] == pytest.approx(np.quantile(found.nearer, 0.95))
    assert (record["rule"], record["reason"]) == ("fitted codes", None)


def test_what_did_not_vary_in_the_fit_is_told(images):
    x = normal(300, 3)
    x[:, 1] = 2.0
    new = normal(100, 3, 1)
    assert "did not vary in the fit" in travel_in_words(travel_of(a_map(x), new, images))
    new[:, 1] = 2.0
    assert "did not vary in the fit" not in travel_in_words(travel_of(a_map(x), new, images))


def test_a_map_of_other_maps_says_why_nothing_is_known(images):
    travel = travel_of(a_map(normal(50, 1)).inverse(), normal(20, 1), images)
    record = travel.to_json()
    assert {record[name] for name in ("outside", "limit", "distances", "nearer", "off")} == {None}
    assert "a map made of other maps (inverse)" in record["reason"]
    assert travel_in_words(travel).endswith(record["reason"])


def test_few_pairs_have_distances_and_no_share(images):
    record = travel_of(a_map(normal(20, 30)), normal(20, 30, 1), images).to_json()
    assert (record["outside"], record["limit"]) == (None, None)
    assert record["distances"]["0.5"] > 0
    assert "too few" in record["reason"]


def test_maps_of_the_same_pairs_are_looked_at_once(images):
    one = a_map(normal(100, 2))
    shown = images(30)
    codes = replace(codes_of(normal(30, 2, 1)), ids=shown.ids)
    other = replace(one, method="other", moments=replace(one.moments, sampled=True))
    travels = travels_of([one, other, a_map(normal(50, 2, 5))], codes, shown)
    assert travels[0] is travels[1]
    assert travels[2] is not travels[0]


def test_scores_hold_it(tmp_path, images):
    source, target = LinearModel(seed=1, name="a"), LinearModel(seed=2, name="b", span_seed=0)
    shown = images(60)
    pixels = next(iter(shown.batches([source.view], batch_size=60))).images[0]
    x, y = (
        replace(codes_of(model.encode_pixels(pixels)), ids=shown.ids, space=model.space)
        for model in (source, target)
    )
    (scores,) = evaluate([fit(pair(x, y))], pair(x, y), source, target, shown)
    record = scores.to_json()["travel"]
    assert record["outside"] == scores.travel.outside.value < 0.1
    assert "99 % of codes like those of the fit" in scores.tables()[0].note


@pytest.mark.parametrize(("k", "n"), [(0, 100), (3, 100), (50, 100), (1000, 1000)])
def test_the_interval_of_single_images_is_that_of_wilson(k, n):
    among = np.arange(n) < k
    found = share_estimate(among.astype(float), np.arange(n))
    wilson = binomtest(k, n).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high), abs=1e-12)


def test_copies_of_every_image_give_no_narrower_interval():
    among = (np.arange(40) < 10).astype(float)
    alone = share_estimate(among, np.arange(40))
    copied = share_estimate(np.repeat(among, 5), np.repeat(np.arange(40), 5))
    assert copied.value == alone.value
    assert copied.high - copied.low > alone.high - alone.low
    assert copied.high - copied.low < 1.1 * (alone.high - alone.low)


def test_one_unit_has_no_interval(images):
    found = share_estimate(np.array([0.0, 1.0]), np.zeros(2))
    assert found.value == 0.5
    assert math.isnan(found.low)


def test_the_interval_holds_the_share_of_persons_in_95_of_100_draws():
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(600):
        chances = generator.beta(0.4, 3.6, size=50)  # A tenth, and images of a person alike.
        among = (generator.random((50, 4)) < chances[:, None]).astype(float).ravel()
        found = share_estimate(among, np.repeat(np.arange(50), 4))
        held += found.low <= 0.1 <= found.high
    assert held / 600 == pytest.approx(0.95, abs=0.035)  # Four standard errors.
