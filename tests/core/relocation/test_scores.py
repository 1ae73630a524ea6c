import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from latentmap.codes import Codes, pair
from latentmap.errors import PairError, SpaceError
from latentmap.frames import Frame
from latentmap.images import open_images
from latentmap.mapping import fit
from latentmap.model import Model
from latentmap.model.testing import LinearModel
from latentmap.relocation import evaluate as evaluate_maps
from latentmap.relocation.measuring import measure
from latentmap.relocation.scored_figures import FIGURES
from latentmap.relocation.scores import scores_of

OF_VECTORS = [name for name in FIGURES if name != "r2_cells"]


def evaluate(linear_map, *what, **options):
    """The scores of one map."""
    (scores,) = evaluate_maps([linear_map], *what, **options)
    return scores


def scene(folder: Path, *, n=60, noise=0.0, target_frame=None, target_shape=(1, 4, 4)):
    """Two exact models, images that both can show, and the codes that were behind them."""
    source = LinearModel(seed=1, name="a")
    target = LinearModel(
        seed=2, name="b", frame=target_frame, image_shape=target_shape, span_seed=0
    )
    codes = source.sample(n, seed=3)
    shown = source.decode(codes)
    shown = shown + noise * torch.rand(shown.shape, generator=torch.manual_seed(4))
    pixels = (shown.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    np.save(folder / "images.npy", pixels)
    images = open_images(folder / "images.npy")
    return source, target, images


def encoded(model, images):
    (pixels,) = next(iter(images.batches([model.view], batch_size=len(images)))).images
    return Codes.from_array(
        images.ids,
        model.encode_pixels(pixels),
        space=model.space,
        frame=model.frame,
        data=images.fingerprint,
        digests=images.digests,
    )


def paired(source, target, images):
    return pair(encoded(source, images), encoded(target, images))


def test_a_perfect_map_has_efficiency_one_and_meets_its_floor(tmp_path):
    source, target, images = scene(tmp_path)
    pairs = paired(source, target, images)
    scores = evaluate(fit(pairs, method="least-squares"), pairs, source, target, images)
    assert scores.floor_mse.value == pytest.approx(0, abs=1e-5)  # Pixels are whole numbers of 255.
    assert scores.r_mse.value == pytest.approx(scores.floor_mse.value, rel=1e-2)
    assert scores.m_mse.value == pytest.approx(scores.floor_mse.value, rel=1e-2)
    assert scores.efficiency.value == pytest.approx(1, abs=1e-3)
    assert scores.efficiency.low == pytest.approx(1, abs=1e-3)
    assert scores.r2.value == pytest.approx(1, abs=1e-6)
    assert scores.l_mse.value == pytest.approx(0, abs=1e-6)
    assert (scores.n_pairs, scores.n_test) == (60, 60)


def test_the_map_to_the_mean_code_explains_nothing(tmp_path):
    source, target, images = scene(tmp_path)
    pairs = paired(source, target, images)
    scores = evaluate(fit(pairs, settings={"penalty": 1e12}), pairs, source, target, images)
    # The mean of these 60 images is nearer to them than that of all is.
    assert scores.r2.value == pytest.approx(1 / 60, abs=1e-6)
    # The decoder is linear, so the mean code shows the mean image.
    assert scores.m_mse.value == pytest.approx(scores.baseline_mse.value * 59 / 60, rel=1e-3)
    assert scores.efficiency.value == pytest.approx(1 / 60, abs=1e-3)


def test_the_figures_are_those_of_their_definitions(tmp_path):
    source, target, images = scene(tmp_path, noise=0.05)
    pairs = paired(source, target, images)
    fitted = fit(pairs.take(np.arange(20)))
    (measured,) = measure([fitted], pairs, source, target, images, batch_size=7)
    scores = scores_of(fitted, measured)
    (pixels,) = next(iter(images.batches([source.view], batch_size=60))).images
    x, z, y = pixels / 255, pairs.source.vectors, pairs.target.vectors
    mapped = fitted.apply(z)
    of_all = 60 / 59
    expected = {
        "r_mse": (x - source.decode(z)).square().mean(),
        "l_mse": (y - mapped).square().mean(),
        "r2": 1 - (y - mapped).square().sum() / (y - y.mean(0)).square().sum() / of_all,
        "m_mse": (x - target.decode(mapped)).square().mean(),
        "floor_mse": (x - target.decode(y)).square().mean(),
        "baseline_mse": (x - x.mean(0)).square().mean() * of_all,
    }
    for name, value in expected.items():
        assert getattr(scores, name).value == pytest.approx(float(value), rel=1e-5)
    saved = expected["baseline_mse"] - expected["m_mse"]
    possible = expected["baseline_mse"] - expected["floor_mse"]
    assert scores.efficiency.value == pytest.approx(float(saved / possible), rel=1e-4)
    assert scores.l_mse_per_variable == pytest.approx((y - mapped).square().mean(0).numpy())
    variance = (y - y.mean(0)).square().mean(0) * of_all
    assert scores.r2_per_variable == pytest.approx(
        (1 - (y - mapped).square().mean(0) / variance).numpy(), rel=1e-5
    )
    assert scores.errors.relocation.mean() == pytest.approx(scores.m_mse.value)
    assert scores.errors.ids.tolist() == images.ids.tolist()
    assert scores.n_pairs == 20


def test_intervals_hold_the_value_and_follow_the_seed(tmp_path):
    source, target, images = scene(tmp_path, noise=0.05)
    pairs = paired(source, target, images)
    fitted = fit(pairs)
    scores = evaluate(fitted, pairs, source, target, images, seed=1)
    for name in OF_VECTORS:
        value, low, high = getattr(scores, name)
        assert low < value < high, name
    same = evaluate(fitted, pairs, source, target, images, seed=1)
    other = evaluate(fitted, pairs, source, target, images, seed=2)
    assert same.m_mse == scores.m_mse
    assert other.m_mse.value == scores.m_mse.value
    assert other.m_mse.low != scores.m_mse.low


def test_intervals_of_a_mean_are_those_of_the_normal_law(tmp_path):
    source, target, images = scene(tmp_path, n=400, noise=0.05)
    pairs = paired(source, target, images)
    scores = evaluate(fit(pairs), pairs, source, target, images, n_bootstrap=4000)
    errors = scores.errors.relocation
    half = 1.96 * errors.std() / math.sqrt(len(errors))
    assert scores.m_mse.low == pytest.approx(errors.mean() - half, abs=0.1 * half)
    assert scores.m_mse.high == pytest.approx(errors.mean() + half, abs=0.1 * half)


def test_images_without_a_pair_are_left_out(tmp_path):
    source, target, images = scene(tmp_path, noise=0.05)
    pairs = paired(source, target, images)
    fitted = fit(pairs)
    some = np.array([31, 4, 17, 8])
    scores = evaluate(fitted, pairs.take(some), source, target, images)
    alone = evaluate(
        fitted, pairs.take(np.sort(some)), source, target, images.subset(np.sort(some))
    )
    assert scores.n_test == 4
    assert scores.errors.ids.tolist() == ["4", "8", "17", "31"]
    assert scores.m_mse == alone.m_mse


def test_models_with_other_frames_and_sizes_see_the_same_images(tmp_path):
    source, target, images = scene(
        tmp_path, target_frame=Frame("0,0,1,0.5"), target_shape=(1, 4, 2)
    )
    pairs = paired(source, target, images)
    scores = evaluate(fit(pairs), pairs, source, target, images)
    assert scores.r_mse.value == pytest.approx(0, abs=1e-5)
    (left,) = next(iter(images.batches([target.view], batch_size=60))).images
    expected = (left / 255 - target.decode(pairs.target.vectors)).square().mean()
    assert scores.floor_mse.value == pytest.approx(float(expected), rel=1e-5)


def test_a_constant_variable_has_no_r2_and_is_null_in_json(tmp_path):
    source, target, images = scene(tmp_path)
    pairs = paired(source, target, images)
    y = pairs.target.vectors.clone()
    y[:, 2] = 0.3
    dead = Codes.from_array(pairs.ids, y, space=target.space, digests=pairs.digests)
    pairs = pair(pairs.source, dead)
    scores = evaluate(fit(pairs), pairs, source, target, images)
    assert np.isnan(scores.r2_per_variable).tolist() == [False, False, True, False]
    assert scores.to_json()["r2_per_variable"][2] is None
    assert scores.r2.value > 0.99


def test_images_that_are_all_alike_have_no_efficiency(tmp_path):
    source, target, _ = scene(tmp_path)
    np.save(tmp_path / "grey.npy", np.full((5, 4, 4, 1), 128, np.uint8))
    images = open_images(tmp_path / "grey.npy")
    pairs = paired(source, target, images)
    scores = evaluate(fit(pairs, settings={"penalty": 1.0}), pairs, source, target, images)
    record = scores.to_json()
    # Five times one picture is one observation, which has no variance.
    assert (record["n_test"], record["n_units"], record["baseline_mse"]) == (5, 1, None)
    assert (record["m_mse_low"], record["m_mse_high"]) == (None, None)
    assert record["r2"] is None
    assert record["efficiency"] is None
    assert record["efficiency_low"] is None
    assert "efficiency  -" in str(scores)


def test_json_has_the_agreed_keys(tmp_path):
    source, target, images = scene(tmp_path)
    pairs = paired(source, target, images)
    scores = evaluate(
        fit(pairs, record={"command": "latentmap fit"}), pairs, source, target, images
    )
    record = json.loads(json.dumps(scores.to_json(), allow_nan=False))
    figures = ["r_mse", "l_mse", "r2", "r2_cells"]
    figures += ["m_mse", "floor_mse", "baseline_mse", "efficiency"]
    figures.append("psnr")
    expected = [key for name in figures for key in (name, f"{name}_low", f"{name}_high")]
    expected += ["n_pairs", "n_test", "n_units", "l_mse_per_variable", "r2_per_variable"]
    expected += ["baselines", "best_baseline"]
    expected += ["r2_gain", "r2_gain_low", "r2_gain_high", "r2_gain_p", "best_baseline_by_images"]
    expected += [f"efficiency_over_best{end}" for end in ("", "_low", "_high")]
    beside = ("r2_ceiling", "efficiency_ceiling", "linearity", "efficiency_linearity")
    expected += ["ceiling", *(f"{name}{end}" for name in beside for end in ("", "_low", "_high"))]
    expected += ["network", "verdicts", "travel", "record"]
    assert list(record) == expected
    assert record["record"]["command"] == "latentmap fit"
    assert record["record"]["scored_data"] == images.fingerprint


def test_the_table_has_floor_and_baseline_beside_the_error(tmp_path):
    source, target, images = scene(tmp_path, noise=0.05)
    pairs = paired(source, target, images)
    lines = str(evaluate(fit(pairs), pairs, source, target, images)).splitlines()
    names = [line.split()[0] for line in lines[:-2]]
    assert names == ["R_mse", "L_mse", "R2", "M_mse", "floor", "baseline", "efficiency"]
    assert "fitted on 60 pairs, scored on 60 images" in lines[-2]


def test_progress_counts_images_in_both_passes(tmp_path):
    source, target, images = scene(tmp_path)
    pairs = paired(source, target, images)
    seen = []
    measure(
        [fit(pairs)],
        pairs,
        source,
        target,
        images,
        batch_size=40,
        progress=lambda *call: seen.append(call),
    )
    assert seen == [(20, 60), (30, 60), (50, 60), (60, 60)]


def test_a_map_of_other_models_is_refused(tmp_path):
    source, target, images = scene(tmp_path)
    pairs = paired(source, target, images)
    fitted = fit(pairs)
    with pytest.raises(SpaceError, match=r"this map goes from z of a .*--src, not b \(z of b"):
        evaluate(fitted, pairs, target, source, images)
    stranger = LinearModel(seed=9, name="c")
    with pytest.raises(SpaceError, match=r"this map goes to z of b .*--dst, not c \(z of c"):
        evaluate(fitted, pairs, source, stranger, images)
    swapped = pair(pairs.target, pairs.source)
    with pytest.raises(SpaceError, match="the source codes of these pairs must be in z of a"):
        evaluate(fitted, swapped, source, target, images)


def test_a_pair_without_its_image_is_refused(tmp_path):
    source, target, images = scene(tmp_path)
    pairs = paired(source, target, images)
    with pytest.raises(PairError, match=r"1 of 60 pairs have no image \(59 is the first\)"):
        evaluate(fit(pairs), pairs, source, target, images.subset(np.arange(59)))


def test_one_image_is_too_few(tmp_path):
    source, target, images = scene(tmp_path)
    pairs = paired(source, target, images)
    with pytest.raises(PairError, match="at least 2 images, not 1"):
        evaluate(fit(pairs), pairs.take(np.array([0])), source, target, images)


def test_a_target_that_is_no_better_than_the_mean_image_has_no_efficiency(tmp_path):
    source, target, images = scene(tmp_path)
    pairs = paired(source, target, images)
    blind = Codes.from_array(
        pairs.ids, pairs.target.vectors.flip(0), space=target.space, digests=pairs.digests
    )
    pairs = pair(pairs.source, blind)
    scores = evaluate(fit(pairs), pairs, source, target, images)
    assert scores.floor_mse.value > scores.baseline_mse.value
    assert math.isnan(scores.efficiency.value)


class Collapsed(LinearModel):
    """A model that makes next to nothing of its codes."""

    family = "collapsed-test"

    def _encode(self, images):
        return 1e-3 * super()._encode(images)

    def _decode(self, codes):
        return super()._decode(0 * codes)


def test_a_target_without_an_active_variable_has_no_efficiency_and_is_named(tmp_path):
    source, _, images = scene(tmp_path)
    target = Collapsed(seed=2, name="flat", span_seed=0)
    pairs = paired(source, target, images)
    scores = evaluate(fit(pairs), pairs, source, target, images)
    record = scores.to_json()
    # Its one image is nearly the mean, which leaves nothing to compare with.
    assert [record[f"efficiency{end}"] for end in ("", "_low", "_high")] == [None] * 3
    assert record["record"]["inactive"] == ["flat"]
    assert "flat has no active variable (none varies by more than 0.05)" in str(scores)


def test_images_of_a_group_are_resampled_together(tmp_path):
    source, target, images = scene(tmp_path, n=40, noise=0.05)
    repeated = images.subset(np.repeat(np.arange(40), 3))
    repeated.ids = np.arange(120).astype(np.str_)
    linear_map = fit(paired(source, target, images), settings={"penalty": 1.0})
    alone, copies = (
        evaluate(linear_map, paired(source, target, some), source, target, some)
        for some in (images, repeated)
    )
    assert (copies.n_test, copies.n_units) == (120, 40)
    assert "scored on 120 images of 40 groups" in str(copies)
    for name in ("r_mse", "l_mse", "r2", "m_mse", "floor_mse", "baseline_mse", "efficiency"):
        one, other = getattr(alone, name), getattr(copies, name)
        assert tuple(other) == pytest.approx(tuple(one), rel=1e-6), name
    images.groups = np.arange(40) // 2
    paired_up = evaluate(linear_map, paired(source, target, images), source, target, images)
    assert (paired_up.n_test, paired_up.n_units) == (40, 20)
    assert paired_up.r_mse != alone.r_mse
    assert paired_up.r_mse.value == alone.r_mse.value


class Seer(LinearModel):
    """An exact encoder without a decoder."""

    can_decode = False
    _decode = Model._decode


OF_TARGET = ("m_mse", "floor_mse", "baseline_mse", "efficiency")


@pytest.mark.parametrize("silent", [("source",), ("target",), ("source", "target")])
def test_an_encoder_alone_has_the_figures_that_need_no_decoder(tmp_path, monkeypatch, silent):
    """Each is what it is with the decoder; those that need it are absent."""
    source, target, images = scene(tmp_path, noise=0.05)
    pairs = paired(source, target, images)
    fitted = fit(pairs.take(np.arange(20)))
    whole = evaluate(fitted, pairs, source, target, images)
    for name in silent:
        monkeypatch.setattr({"source": source, "target": target}[name], "can_decode", False)
    (measured,) = measure([fitted], pairs, source, target, images, batch_size=7)
    scores = scores_of(fitted, measured)
    absent = (("r_mse",) if "source" in silent else ()) + (OF_TARGET if "target" in silent else ())
    found, expected = scores.to_json(), whole.to_json()
    for name in OF_VECTORS:
        for part in (name, f"{name}_low", f"{name}_high"):
            wanted = None if name in absent else pytest.approx(expected[part], rel=1e-6)
            assert found[part] == wanted
    assert found["r2_per_variable"] == pytest.approx(expected["r2_per_variable"])
    names = [{"source": "a", "target": "b"}[one] for one in silent]
    assert scores.record["without_decoder"] == names
    (table,) = scores.tables()
    titles = [column.title for column in table.columns]
    assert ("R_mse" in titles, "M_mse" in titles) == (
        "source" not in silent,
        "target" not in silent,
    )
    assert f"{' and '.join(names)} ha" in table.note
    assert ("efficiency" in repr(scores)) == ("target" not in silent)


def test_nothing_is_read_where_nothing_is_decoded(tmp_path, monkeypatch):
    source, target, images = scene(tmp_path)
    pairs = paired(source, target, images)
    seers = [Seer(seed=seed, name=name) for seed, name in ((1, "a"), (2, "b"))]
    assert [one.space.same_as(two.space) for one, two in zip(seers, (source, target), strict=True)]
    monkeypatch.setattr(type(images), "batches", None)
    scores = evaluate(fit(pairs, method="least-squares"), pairs, *seers, images)
    assert scores.r2.value == pytest.approx(1, abs=1e-6)
    assert np.isnan([scores.r_mse.value, scores.m_mse.value]).all()
