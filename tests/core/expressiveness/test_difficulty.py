"""How hard a set is beside random real images."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from latentmap.expressiveness import BenchOptions, bench
from latentmap.expressiveness.benchmark import random_of
from latentmap.expressiveness.difficulty import Difficulty, Held, compare_difficulty, in_words
from latentmap.expressiveness.difficulty_tables import against_table, sentence
from latentmap.expressiveness.image_sets import ImageSet
from latentmap.expressiveness.ratios import (
    is_told,
    ratio_estimate,
    ratio_in_words,
    ratio_measure,
    ratio_of_shares,
    share_of,
)
from latentmap.expressiveness.scoring import least_errors
from latentmap.expressiveness.spreads import mean_image, squares_from
from latentmap.expressiveness.tables import errors_table
from latentmap.images import ImageSource
from latentmap.images.arrays import ArrayImages
from latentmap.images.spooled import spool_images
from latentmap.intervals import Estimate
from latentmap.inversion import SearchSettings
from latentmap.model import Mixture, Model
from latentmap.model.testing import LinearModel


class Normal(LinearModel):
    """The same with the standard normal prior."""

    _sample = Model._sample


def source_of(images):
    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return ImageSource(ArrayImages(pixels, "images"), np.arange(len(pixels)))


def a_set(codes, name, *, model=None, sector=False):
    model = model or LinearModel(4, (1, 8, 8))
    images = source_of(model.decode(codes))
    sectors = np.zeros(len(codes), dtype=int) if sector else None
    return ImageSet(name, images, images.ids, sectors)


def held(errors, *, units=None, **wholes):
    errors = np.asarray(errors, dtype=float)
    units = np.arange(len(errors)) if units is None else units
    given = {name: np.asarray(one, dtype=float) for name, one in wholes.items()}
    return Held({"limit": errors}, given, units)


def draw(n, seed, scale=1.0):
    return scale * np.random.default_rng(seed).lognormal(0, 0.3, n)


def test_a_ratio_of_shares_is_that_of_means():
    above, whole, below, other = (draw(30, seed) for seed in range(4))
    found = ratio_of_shares((above, whole), (below, other), seed=0)
    expected = above.mean() / whole.mean() / (below.mean() / other.mean())
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high
    ones = np.ones(30)
    assert ratio_of_shares((above, ones), (below, ones), seed=5) == ratio_estimate(
        above, below, seed=5
    )
    assert share_of(above, whole).value == pytest.approx(above.mean() / whole.mean())


def test_a_ratio_follows_scale_alone():
    above, below = draw(40, 0), draw(50, 1)
    plain = ratio_estimate(above, below)
    assert ratio_estimate(3 * above, 2 * below) == pytest.approx([1.5 * one for one in plain])
    # What errors follow image by image takes their scatter away.
    assert share_of(2 * above, above) == pytest.approx((2, 2, 2))
    assert ratio_of_shares((2 * above, above), (below, below)) == pytest.approx((2, 2, 2))


def test_images_of_one_unit_widen_the_interval_of_a_ratio():
    one_each = draw(20, 0)
    copied, units = np.repeat(one_each, 4), np.repeat(np.arange(20), 4)
    below = draw(60, 1)
    single = ratio_estimate(one_each, below)
    assert ratio_estimate(copied, below, units) == pytest.approx(single)
    as_images = ratio_estimate(copied, below)
    assert as_images.high - as_images.low < 0.75 * (single.high - single.low)


def test_a_ratio_to_nothing_is_not_defined():
    assert np.isnan(ratio_estimate(draw(9, 0), np.zeros(9)).value)


def test_squares_from_the_own_mean_have_the_variance_as_their_mean(tmp_path):
    images = torch.rand(70, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    source = source_of(images)
    spooled = spool_images(
        source, Model.view.fget(LinearModel(4, (1, 6, 6))), tmp_path, batch_size=9
    )
    pixels = spooled[:].double().numpy()
    mean = mean_image(spooled)
    np.testing.assert_allclose(mean, pixels.mean(0).transpose(1, 2, 0))
    squares = squares_from(spooled, mean, among=True)
    assert squares.mean() == pytest.approx(pixels.var(0, ddof=1).mean())
    other = squares_from(spooled, np.zeros((6, 6, 1)), among=False)
    np.testing.assert_allclose(other, np.square(pixels).mean((1, 2, 3)), rtol=1e-6)


@pytest.mark.parametrize(
    ("plain", "over", "verdict"),
    [
        ((0.8, 0.7, 0.9), (2, 1.5, 2.5), "easier"),
        ((1.1, 0.9, 1.3), (2, 1.5, 2.5), "not told apart"),
        ((1.3, 1.2, 1.4), (0.9, 0.8, 1.0), "explained"),
        ((2.0, 1.8, 2.2), (1.1, 0.9, 1.3), "explained"),
        ((2.0, 1.8, 2.2), (1.4, 1.2, 1.6), "harder"),
        ((1.4, 1.2, 1.6), (2.0, 1.8, 2.2), "harder"),
        ((2.0, 1.8, 2.2), (1.5, 1.2, 1.8), "blind"),
        ((1.3, 0.9, 1.8), (1.4, 0.8, 1.9), "not told apart"),
        ((2.0, 1.1, 3.5), (1.9, 0.9, 3.3), "explained"),
        ((2.0, 1.1, 3.5), (1.4, 1.1, 1.9), "harder"),
        ((np.nan, np.nan, np.nan), (2, 1.5, 2.5), "not told apart"),
    ],
)
def test_a_verdict_follows_from_the_ratios(plain, over, verdict):
    one = Difficulty("faces", {"plain": Estimate(*plain), "variance": Estimate(*over)})
    assert one.verdict == verdict
    assert one.to_json()["verdict"] == verdict
    said = in_words("gan", "set", one, kind="network", reference="None")
    assert said.startswith("gan finds set ") and "(by its network)" in said
    assert said.endswith("blind to it") == (verdict in ("blind", "harder"))
    excluded = min(plain[2], over[2]) < 1.5
    assert ("not blind to it" in said) == (verdict != "blind" and excluded)
    assert ("not told to be blind to it" in said) == (verdict != "blind" and not excluded)


def test_what_explains_a_set_is_named():
    ratios = {
        "plain": Estimate(1.3, 1.2, 1.4),
        "variance": Estimate(1.2, 1.1, 1.3),
        "reference": Estimate(1.01, 0.9, 1.1),
    }
    one = Difficulty("random faces", ratios)
    assert one.explained_by == ["reference"]
    assert in_words("gan", "set", one, kind="limit", reference="vae") == (
        "gan finds set 1.30 [1.20, 1.40] times as hard as random faces (by search inside its "
        "range): not blind to it, since it is not told to be more than how hard vae finds them "
        "(1.01 [0.90, 1.10]) says"
    )


def test_a_set_is_compared_by_all_that_both_have():
    random = held(draw(200, 0), variance=np.ones(200), reference=draw(200, 1))
    one = held(draw(200, 2, 2.0), variance=np.full(200, 2.0))
    found = compare_difficulty(one, random, beside="random")["limit"]
    assert list(found.ratios) == ["plain", "variance"]
    assert found.ratios["plain"].value == pytest.approx(2, rel=0.1)
    assert found.ratios["variance"].value == pytest.approx(1, rel=0.1)
    assert found.verdict == "explained"
    turned = compare_difficulty(random, one, beside="one")["limit"].ratios["plain"]
    assert turned.value == pytest.approx(1 / found.ratios["plain"].value)


def test_the_order_of_images_does_not_matter_but_for_the_resampling():
    random, one = draw(100, 0), draw(100, 1, 1.5)
    given = compare_difficulty(held(one), held(random), beside="random")["limit"]
    turned = compare_difficulty(held(one[::-1]), held(random[::-1]), beside="random")["limit"]
    assert turned.ratios["plain"] == pytest.approx(given.ratios["plain"], rel=0.05)


def test_the_first_set_of_a_data_set_is_the_random_one():
    codes = torch.zeros(3, 4)
    faces, others = (a_set(codes, name) for name in ("faces", "others"))
    support = a_set(codes, "support", sector=True)
    assert random_of([support, faces, others]) is faces
    assert random_of([faces]) is None
    assert random_of([support, support]) is None


def generator_of_less(n=40):
    """A generator that samples near the mean alone, random images that it can make, and others."""
    model = Normal(4, (1, 8, 8), name="near")
    model.prior = Mixture.normal(torch.zeros(4), 0.01 * torch.eye(4))
    noise = 0.01 * torch.rand(2 * n, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    near = model.sample(n, seed=3)
    far = torch.zeros(n, 4)
    far[torch.arange(n), torch.arange(n) % 4] = 0.9
    images = (model.decode(torch.cat([near, far])) + noise).clamp(0, 1)
    random, odd = (source_of(part) for part in (images[:n], images[n:]))
    return (
        model,
        ImageSet("random", random, random.ids),
        ImageSet("odd", odd, odd.ids, np.zeros(n, dtype=int)),
    )


def test_a_generator_is_blind_to_what_lies_beyond_its_range_and_not_anywhere(tmp_path):
    model, random, odd = generator_of_less()
    options = BenchOptions(20, ["search"], SearchSettings(steps=150, starts=2))
    (result,) = bench([model], [odd, random], tmp_path, options=options)
    scores, beside = result.sets
    assert (scores.against["limit"].beside, beside.against) == ("random", {})
    assert scores.against["limit"].ratios["plain"].low > 1.5
    assert list(scores.against) == ["limit", "anywhere"]
    one = scores.reproductions["search"]
    assert (one.distance <= one.distance_limit).all()
    assert one.anywhere.n_gone_on == 40
    assert (one.anywhere.distance > one.distance_limit).all()
    # In all of the space the odd images are no harder than the random ones: their noise is left.
    assert scores.limit_anywhere.high < 0.2 * scores.limit.value
    assert scores.against["anywhere"].ratios["plain"].value < 1.5
    found = json.loads(json.dumps(result.to_json()))["targets"][0]
    assert found["against"]["limit"]["target"] == "random"
    assert found["against"]["limit"]["ratio_low"] > 1.5
    assert found["shares"]["limit"]["variance"] == pytest.approx(
        scores.mse.mean() / scores.held.wholes["variance"].mean()
    )
    first = found["images"][0]
    assert first["search_distance"] <= found["methods"]["search"]["distance_limit"]
    assert first["search_anywhere_distance"] > found["methods"]["search"]["distance_limit"]
    assert found["methods"]["search"]["n_beyond_border"] == 40
    printed = str(result)
    for words in ("Beside random real images", "Where the codes lie", "limit anywhere"):
        assert words in printed
    assert "near finds odd" in printed


def test_codes_of_a_network_beyond_the_range_do_not_count_inside(tmp_path):
    model, random, odd = generator_of_less()
    options = BenchOptions(20, None, SearchSettings(steps=60, starts=1))
    (result,) = bench([model], [odd, random], tmp_path, options=options)
    scores = result.sets[0]
    network, search = (scores.reproductions[name] for name in ("network", "search"))
    # The network of an exact model is exact, out of the range as well.
    assert (network.distance > network.distance_limit).all()
    assert (network.mse < search.mse).all()
    inside, anywhere = least_errors(scores.reproductions)
    assert np.array_equal(inside, search.mse)
    assert (anywhere <= network.mse).all()
    alone = {"network": network}
    assert least_errors(alone)[1] is None
    assert np.array_equal(least_errors(alone)[0], network.mse)


def test_a_reference_model_that_finds_a_set_as_hard_explains_it(tmp_path):
    whole = LinearModel(4, (1, 8, 8), name="whole")
    noise = torch.rand(80, 1, 8, 8, generator=torch.Generator().manual_seed(4)) - 0.5
    noise[:40] *= 0.4  # What no linear model of four pictures makes.
    noise[40:] *= 0.8
    images = source_of((0.5 + noise).clamp(0, 1))
    parts = [images.subset(np.arange(40)), images.subset(np.arange(40, 80))]
    random, hard = (ImageSet(name, one, one.ids) for name, one in zip("ab", parts, strict=True))
    other = LinearModel(4, (1, 8, 8), span_seed=3, name="other")
    options = BenchOptions(20, ["network"])
    (result,) = bench([whole], [random, hard], tmp_path, options=options, encoder=other)
    one = result.sets[1].against["network"]
    assert one.ratios["plain"].value == pytest.approx(4, rel=0.1)
    assert one.ratios["reference"].value == pytest.approx(1, abs=0.05)
    assert "reference" in one.explained_by
    assert "how hard other finds them" in sentence(result, result.sets[1])
    titles = [column.title for column in against_table([result]).columns]
    assert "over reference" in titles
    assert result.record["random"] == "a"


def test_a_model_is_no_reference_for_itself(tmp_path):
    noise = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(4))
    images = source_of(noise)
    parts = [images.subset(np.arange(30)), images.subset(np.arange(30, 60))]
    sets = [ImageSet(name, one, one.ids) for name, one in zip("ab", parts, strict=True)]
    both = [LinearModel(4, (1, 8, 8), span_seed=seed, name=f"m{seed}") for seed in (0, 3)]
    options = BenchOptions(20, ["network"])
    same, other = bench(both, sets, tmp_path, options=options, encoder=both[0])
    assert list(same.sets[1].against["network"].ratios) == ["plain", "mean_image", "variance"]
    assert "reference" in other.sets[1].against["network"].ratios
    assert any(one.excess != 1 for one in same.sets[0].sectors)


def test_a_ratio_to_next_to_nothing_is_not_printed(tmp_path):
    model = LinearModel(4, (1, 8, 8))
    faces = a_set(torch.rand(12, 4, generator=torch.Generator().manual_seed(0)), "faces")
    (result,) = bench([model], [faces], tmp_path, options=BenchOptions(20, ["network"]))
    assert not result.tells_ratio("network")
    table = errors_table([result])
    assert "x own" not in [column.title for column in table.columns]
    few, untold = table.note.splitlines()
    assert few.endswith("which of so few cover 89 to 94 %")
    assert "own error is below 1 % of the own images' variance" in untold
    assert result.to_json()["targets"][0]["methods"]["network"]["ratio"] > 0
    # No random images beside them: nothing follows.
    assert result.sets[0].against == {}


def test_an_unreliable_search_makes_an_unreliable_sentence(tmp_path):
    model, random, odd = generator_of_less(8)
    options = BenchOptions(20, ["search"], SearchSettings(steps=1, starts=1))
    (result,) = bench([model], [odd, random], tmp_path, options=options)
    doubted = replace(result, calibration=0.5)
    assert sentence(doubted, doubted.sets[0]).endswith("(unreliable, as the search is)")
    trusted = replace(result, calibration=0.01)
    assert "unreliable" not in sentence(trusted, trusted.sets[0])


def test_random_images_that_the_set_has_too_do_not_count(tmp_path):
    """By their contents, whatever they are called."""
    model = LinearModel(6, (1, 8, 8), name="m")
    codes = model.sample(60, seed=3)
    member_codes, other_codes = codes[:20], codes[20:]
    support = a_set(member_codes, "support", model=model, sector=True)
    apart = a_set(other_codes, "faces", model=model)
    mixed = a_set(torch.cat([other_codes, member_codes]), "faces", model=model)
    options = BenchOptions(20, ["network"], SearchSettings(steps=1, starts=1))
    plain = []
    for number, random in enumerate((apart, mixed)):
        (result,) = bench([model], [support, random], tmp_path / str(number), options=options)
        plain.append(result.sets[0].against["network"].ratios["plain"])
    assert plain[1] == plain[0]
    (none,) = bench(
        [model],
        [support, a_set(member_codes, "faces", model=model)],
        tmp_path / "none",
        options=options,
    )
    assert none.sets[0].against == {}


@pytest.mark.parametrize(
    ("ratio", "told"),
    [
        (Estimate(2.0, 1.0, 3.0), "2.00 [1.00, 3.00]"),
        (Estimate(60.0, 18.8, 187.0), "18.80 to 187.00"),
        (Estimate(2.0, 0.0, 2.5), "0.00 to 2.50"),
    ],
)
def test_a_ratio_with_a_wide_interval_is_no_finding(ratio, told):
    assert ratio_in_words(ratio) == told
    assert (ratio_measure(ratio) == "not told") == (not is_told(ratio)) == (" to " in told)
