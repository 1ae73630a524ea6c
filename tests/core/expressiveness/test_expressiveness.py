import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from latentmap.codes import Codes, pair
from latentmap.errors import ImageError, ModelError, SpaceError
from latentmap.expressiveness import BenchOptions, bench
from latentmap.expressiveness.figures import reproduction_figure, reproduction_rows
from latentmap.expressiveness.image_sets import ImageSet, SetName, titles_of
from latentmap.expressiveness.ratios import ratio_estimate
from latentmap.expressiveness.result import Expressiveness
from latentmap.expressiveness.tables import errors_table, sectors_table
from latentmap.frames import Frame
from latentmap.images import ImageSource
from latentmap.images.arrays import ArrayImages
from latentmap.intervals import Estimate
from latentmap.inversion import SearchSettings
from latentmap.mapping import fit
from latentmap.model.testing import LinearModel
from latentmap.ssim import ssim

QUICK = SearchSettings(steps=60, starts=1)


class Narrow(LinearModel):
    """A generator that makes nothing of the last two of its variables."""

    family = "narrow-test"

    def _decode(self, codes):
        return super()._decode(torch.cat([codes[:, :-2], 0 * codes[:, -2:]], dim=1))


class NarrowGenerator(Narrow):
    family = "narrow-generator-test"
    can_encode = False


def source_of(images):
    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return ImageSource(ArrayImages(pixels, "images"), np.arange(len(pixels)))


def scene(*, n=90, odd=15):
    """An encoder, a generator that lacks two of its variables, and a target set: images that the
    generator can make, and then some that need the missing ones.
    """
    encoder = LinearModel(6, (1, 8, 8), name="encoder")
    codes = encoder.sample(n, seed=1)
    codes[:, :-2] *= 0.4
    codes[:, -2:] = 0
    codes[n - odd :, -2:] = 0.9
    images = source_of(encoder.decode(codes))
    return encoder, Narrow(6, (1, 8, 8), name="narrow"), ImageSet("set", images, images.ids)


def run(tmp_path, models, targets, *, own=20, methods=None, search=QUICK, **given):
    options = BenchOptions(own, methods, search)
    return bench(models, targets, tmp_path, options=options, **given)


def test_a_model_reproduces_its_own_images_and_what_lies_in_its_span(tmp_path):
    model, _, target = scene()
    (result,) = run(tmp_path, [model], [target], methods=["network"])
    for scores in (result.own, *result.sets):
        (one,) = scores.reproductions.values()
        assert one.mean_mse.value < 1e-5  # Pixels are whole numbers of 255.
        assert one.mean_ssim.value > 0.99


def test_the_figures_are_those_of_their_definitions(tmp_path):
    _, model, target = scene()
    (result,) = run(tmp_path, [model], [target], methods=["network"])
    (scores,) = result.sets
    one = scores.reproductions["network"]
    images = scores.images[:]
    made = model.decode(model.encode(images))
    mse = (images - made).square().flatten(1).mean(1).numpy()
    assert one.mse == pytest.approx(mse, rel=1e-4, abs=1e-9)
    assert one.ssim == pytest.approx(ssim(made, images).numpy(), abs=1e-5)
    assert one.mean_mse.value == pytest.approx(mse.mean(), rel=1e-4)
    assert one.mean_mse.low < one.mean_mse.value < one.mean_mse.high
    own = result.own.reproductions["network"]
    assert one.ratio.value == pytest.approx(mse.mean() / own.mse.mean(), rel=1e-4)
    assert own.ratio is None
    assert one.to_json()["mse_signed"] == pytest.approx(4 * one.mean_mse.value)
    assert scores.ids[scores.worst_first[0]] == target.ids[mse.argmax()]
    assert (scores.limit, scores.encoder_gap, scores.map_gap) == (None, None, None)


def test_images_outside_the_range_of_a_generator_are_its_blind_group(tmp_path):
    encoder, model, target = scene(n=240, odd=60)
    (result,) = run(tmp_path, [model], [target], methods=["network"], encoder=encoder)
    (scores,) = result.sets
    blind = [one for one in scores.sectors if one.blind]
    found = np.concatenate([one.positions for one in blind])
    assert set(found) <= set(range(180, 240))
    assert len(found) >= 30  # The others are in groups of less than ten.
    assert all(one.own_share == 0 for one in blind)
    assert scores.sectors[: len(blind)] == blind


def test_a_generator_of_everything_is_blind_nowhere(tmp_path):
    encoder, _, target = scene()
    whole = LinearModel(6, (1, 8, 8), seed=4, name="whole")
    (result,) = run(tmp_path, [whole], [target], methods=["network"], encoder=encoder)
    assert not any(one.blind for one in result.sets[0].sectors)


def test_a_generator_that_lacks_something_covers_less(tmp_path):
    encoder, narrow, _ = scene()
    images = source_of(encoder.decode(encoder.sample(90, seed=8)))
    target = ImageSet("set", images, images.ids)
    whole = LinearModel(6, (1, 8, 8), seed=4, name="whole")
    first, second = run(tmp_path, [narrow, whole], [target], methods=["network"], encoder=encoder)
    assert first.sets[0].coverage.recall.value < second.sets[0].coverage.recall.value
    assert first.sets[0].coverage.record["encoder"] == "encoder"


def test_copies_are_one_and_how_many_groups_there_are_is_said(tmp_path):
    _, model, target = scene(n=20, odd=4)
    images = target.images.subset(np.repeat(np.arange(len(target.images)), 3))
    images.ids = np.arange(len(images)).astype(np.str_)
    thrice = ImageSet("thrice", images, images.ids)
    once, copies = (
        run(tmp_path, [model], [one], methods=["network"])[0] for one in (target, thrice)
    )
    n = len(target.images)
    assert f"thrice: {3 * n} images of {n} groups" in str(copies)
    assert "groups" not in str(once)
    one, other = (result.sets[0].reproductions["network"] for result in (once, copies))
    assert tuple(other.mean_mse) == pytest.approx(tuple(one.mean_mse), rel=1e-6)


def test_a_search_that_finds_the_own_images_is_reliable_and_gives_the_limit(tmp_path):
    _, _, target = scene(n=20, odd=4)
    model = NarrowGenerator(6, (1, 8, 8), name="narrow")
    (result,) = run(tmp_path, [model], [target], search=SearchSettings(starts=2))
    assert list(result.own.reproductions) == ["search"]
    assert result.calibration < 0.05
    assert result.reliable
    (scores,) = result.sets
    assert scores.limit == scores.reproductions["search"].mean_mse
    assert set(scores.worst_first[:4]) == {16, 17, 18, 19}
    # The best that there is: the projection on what the generator can make.
    exact = Narrow(6, (1, 8, 8)).encode(scores.images[:])
    floor = (model.decode(exact) - scores.images[:]).square().flatten(1).mean(1).numpy()
    assert scores.mse == pytest.approx(floor, abs=5e-4)


def test_a_search_that_does_not_find_the_own_images_is_unreliable(tmp_path):
    _, model, target = scene(n=10, odd=2)
    (result,) = run(
        tmp_path,
        [model],
        [target],
        methods=["search"],
        search=SearchSettings(steps=20, starts=1, prior=100),  # All codes go to the mean.
    )
    assert result.calibration > 0.05
    assert result.reliable is False
    assert result.to_json()["reliable"] is False


def test_without_a_search_there_is_no_calibration(tmp_path):
    _, model, target = scene(n=10, odd=2)
    (result,) = run(tmp_path, [model], [target], methods=["network"])
    assert (result.calibration, result.reliable) == (None, None)


def test_the_error_is_split_into_limit_encoder_gap_and_map_gap(tmp_path):
    source, model, target = scene(n=30, odd=6)
    images = source.decode(source.sample(60, seed=5))
    names = [str(i) for i in range(60)]
    pairs = pair(
        Codes.from_array(names, source.encode(images), space=source.space),
        Codes.from_array(names, model.encode(images), space=model.space),
    )
    shrinking = fit(pairs, settings={"penalty": 60})
    (result,) = run(
        tmp_path, [model], [target], methods=["network", "search"], mapped=(shrinking, source)
    )
    (scores,) = result.sets
    by = scores.reproductions
    assert scores.mse == pytest.approx(np.minimum(by["network"].mse, by["search"].mse))
    total = scores.limit.value + scores.encoder_gap.value + scores.map_gap.value
    assert total == pytest.approx(by["mapped"].mean_mse.value)
    # The network of an exact model is exact; a map with a large penalty is not.
    assert scores.encoder_gap.value == pytest.approx(0, abs=1e-6)
    assert scores.map_gap.low > 0
    assert by["mapped"].ratio is None
    assert result.record["map"] == {**shrinking.provenance, "digest": shrinking.digest}
    assert "mapped" not in result.own.reproductions


def test_mapped_codes_are_judged_by_images_that_the_map_has_not_seen(tmp_path):
    source, model, target = scene(n=30, odd=6)
    seen = target.images.subset(np.arange(12))
    names = seen.ids
    images = seen.batches([source.view], batch_size=12)
    (batch,) = images
    codes = [
        Codes.from_array(names, one.encode(batch.floats(0)), space=one.space, digests=seen.digests)
        for one in (source, model)
    ]
    linear_map = fit(pair(*codes), settings={"penalty": 1.0})
    given = {"methods": ["network"], "mapped": (linear_map, source)}
    (result,) = run(tmp_path, [model], [target], **given)
    mapped = result.sets[0].reproductions["mapped"]
    assert mapped.judged.tolist() == list(range(12, 30))
    assert mapped.mean_mse.value == pytest.approx(mapped.mse[12:].mean())
    assert mapped.to_json()["left_out"] == {"fitted": 12}
    network = result.sets[0].reproductions["network"]
    assert len(network.judged) == 30
    gap = (mapped.mse - network.mse)[12:].mean()
    assert result.sets[0].map_gap.value == pytest.approx(gap)
    # A map that has seen all has no figure here.
    (result,) = run(tmp_path, [model], [ImageSet("few", seen, seen.ids)], **given)
    mapped = result.sets[0].reproductions["mapped"]
    assert np.isnan(mapped.mean_mse).all()
    assert mapped.to_json()["n"] == 0


def test_errors_of_a_support_set_are_by_its_sectors(tmp_path):
    _, model, target = scene(n=30, odd=10)
    numbered = ImageSet("set", target.images, target.ids, np.arange(30) // 10, (3, 1))
    (result,) = run(tmp_path, [model], [numbered], methods=["network"])
    (scores,) = result.sets
    assert [one.number for one in scores.sectors if one.blind] == [2]
    assert scores.variables == (3, 1)
    assert scores.sectors[0].own_share is None
    assert set(scores.to_json()["sectors"][0]["ids"]) == set(target.ids[20:])


@pytest.mark.parametrize("n", [2, 3, 5, 8, 16, 23, 24, 40])
def test_no_image_is_worst_and_typical_or_best(tmp_path, n):
    _, model, target = scene(n=n, odd=n // 3)
    (result,) = run(tmp_path, [model], [target], methods=["network"])
    (scores,) = result.sets
    shown = reproduction_rows(scores, model, id="rows", title="T")
    kinds = {row.label: row.captions for row in shown.rows[::2]}
    named = [name for captions in kinds.values() for name in captions]
    assert len(named) == len(set(named)) == min(n, 24)
    assert list(kinds) == [kind for kind in ("worst", "typical", "best") if kind in kinds]
    assert len(kinds) == min(n, 3)
    assert kinds["worst"][0] == scores.ids[scores.worst_first[0]]
    assert kinds["best"][0] == scores.ids[scores.worst_first[-1]]
    assert (f"There are {n} in all" in shown.note) == (n < 24)
    assert len(reproduction_figure(scores, model).rows) == len(shown.rows)


def test_a_ratio_that_no_row_tells_has_no_column(tmp_path, monkeypatch):
    _, model, target = scene(n=30, odd=10)
    (result,) = run(tmp_path, [model], [target], methods=["network"])
    (scores,) = result.sets
    # Own images are reproduced exactly here: no ratio to their error says anything.
    assert not result.tells_ratio("network")
    table = errors_table([result])
    assert "x own" not in [column.title for column in table.columns]
    assert "x own is left out where the own error is below 1 %" in table.note
    monkeypatch.setattr(Expressiveness, "tells_ratio", lambda *_: True)
    for ratio, told in ((Estimate(9.0, 1.0, 30.0), False), (Estimate(2.0, 1.5, 2.5), True)):
        table = errors_table([replace(result, sets=[_with_ratio(scores, ratio)])])
        assert ("x own" in [column.title for column in table.columns]) == told
        assert ("x own left out, of which no row is told: the ends" in table.note) == (not told)


def _with_ratio(scores, ratio):
    found = {name: replace(one, ratio=ratio) for name, one in scores.reproductions.items()}
    return replace(scores, reproductions=found)


def test_sectors_of_few_images_stand_in_the_table_as_not_told(tmp_path):
    _, model, target = scene(n=33, odd=13)
    number = np.arange(33) // 10
    numbered = ImageSet("set", target.images, target.ids, number, (3, 1))
    (result,) = run(tmp_path, [model], [numbered], methods=["network"])
    table = sectors_table([result])
    place = [column.title for column in table.columns].index("blind")
    said = {row.cells[2]: row.cells[place] for row in table.rows}
    assert said == {2: "blind", 1: "", 0: "", 3: "too few"}
    assert [row.cells[2] for row in table.rows][-1] == 3  # Though the worst is among its images.
    assert "1 of 4 sectors are blind" in table.note
    assert "of 1 nothing is told: they have less than 10 images, or the rest has" in table.note
    few = ImageSet("few", target.images, target.ids, np.arange(33) // 5, (3, 1, 0))
    (result,) = run(tmp_path, [model], [few], methods=["network"])
    note = sectors_table([result]).note
    assert "narrow, few: of 7 sectors nothing is told: all have less than 10 images" in note
    assert "blind" not in note


def test_a_seed_gives_the_same_result_with_what_made_it(tmp_path):
    encoder, model, target = scene(n=20, odd=4)

    def once():
        (result,) = run(
            tmp_path, [model], [target], encoder=encoder, seed=3, record={"command": "x"}
        )
        found = json.loads(json.dumps(result.to_json()))
        for scores in (found["own"], *found["targets"]):
            for one in scores["methods"].values():
                del one["seconds"]
        return found

    first = once()
    assert once() == first
    assert first["record"]["command"] == "x"
    assert first["record"]["seed"] == 3
    assert first["record"]["search"]["steps"] == 60
    assert first["record"]["targets"] == {"set": target.images.fingerprint}
    assert len(first["targets"][0]["images"]) == 20


def test_models_of_one_name_are_told_apart(tmp_path):
    target = scene(n=10, odd=2)[2]
    models = [LinearModel(6, (1, 8, 8), seed=seed, name="one") for seed in (1, 2)]
    other = LinearModel(6, (1, 8, 8), seed=3, name="other")
    of_w = LinearModel(6, (1, 8, 8), seed=4, name="other")
    of_w.space = replace(of_w.space, kind="w")
    results = run(tmp_path, [*models, other, of_w], [target], methods=["network"])
    digits = [model.fingerprint[:6] for model in models]
    expected = [f"one {digits[0]}", f"one {digits[1]}", "other z", "other w"]
    assert [result.name for result in results] == expected


def test_methods_that_a_model_cannot_do_are_left_out_and_named(tmp_path):
    target = scene(n=10, odd=2)[2]
    bare = NarrowGenerator(6, (1, 8, 8), name="bare")
    whole = LinearModel(6, (1, 8, 8), seed=4, name="whole")
    results = run(tmp_path, [bare, whole], [target], methods=["network", "search", "hybrid"])
    assert [list(one.own.reproductions) for one in results] == [
        ["search"],
        ["network", "search", "hybrid"],
    ]
    for result in results:
        assert result.record["left_out"] == {"bare": ["network", "hybrid"]}
    (by_default,) = run(tmp_path, [bare], [target])
    assert by_default.record["left_out"] == {}


def test_a_target_is_called_by_its_file_unless_two_have_one_name():
    texts = ["own:8", "a/x.zip:10", "b/x.zip:10", "c/y.zip:10", "c/x.zip"]
    names = [SetName.parse(text) for text in texts]
    assert titles_of(names) == ["own:8", "a/x.zip:10", "b/x.zip:10", "y.zip:10", "x.zip"]


@pytest.mark.parametrize(
    ("text", "path", "n"),
    [
        ("a/faces.zip:256", "a/faces.zip", 256),
        ("own:8", None, 8),
        ("few.h5:/images", "few.h5:/images", None),
        ("digits:--5", "digits:--5", None),
        ("digits:5-", "digits:5-", None),
        ("digits:", "digits:", None),
    ],
)
def test_a_number_stands_after_the_last_colon(text, path, n):
    assert SetName.parse(text) == SetName(text, path, n)


def test_a_ratio_of_errors_that_are_all_equal_has_no_width():
    assert ratio_estimate(np.full(9, 0.6), np.full(5, 0.2), seed=0) == pytest.approx((3, 3, 3))
    assert np.isnan(ratio_estimate(np.full(9, 0.6), np.zeros(5), seed=0).value)


def test_what_is_wrong_is_said_before_any_work(tmp_path):
    encoder, model, target = scene(n=10, odd=2)
    generator = NarrowGenerator(6, (1, 8, 8), name="bare")
    with pytest.raises(ModelError, match="narrow and narrow are one model: give each once"):
        run(tmp_path, [model, model], [target])
    with pytest.raises(ModelError, match=r"bare .* has no encoder for the method network"):
        run(tmp_path, [model, generator], [target], methods=["network"])
    with pytest.raises(ImageError, match="the image set set is given twice"):
        run(tmp_path, [model], [target, target])
    with pytest.raises(ModelError, match=r"bare .* has no encoder to group images with"):
        run(tmp_path, [model], [target], encoder=generator)
    with pytest.raises(ImageError, match="at least 2 own images, not 1"):
        run(tmp_path, [model], [target], own=1)
    with pytest.raises(ImageError, match=r"at least 6 own images .* not 5"):
        run(tmp_path, [model], [target], own=5, encoder=encoder)
    assert not list(tmp_path.iterdir())


def test_a_map_of_other_spaces_is_refused(tmp_path):
    encoder, model, target = scene(n=10, odd=2)
    stranger = LinearModel(6, (1, 8, 8), seed=9, name="stranger")
    ids = [str(i) for i in range(20)]
    codes = [
        Codes.from_array(ids, one.sample(20, seed=0), space=one.space) for one in (encoder, model)
    ]
    linear_map = fit(pair(*codes))
    with pytest.raises(SpaceError, match="give that model with --src, not stranger"):
        run(tmp_path, [model], [target], mapped=(linear_map, stranger))
    with pytest.raises(SpaceError, match="the space of none of stranger"):
        run(tmp_path, [stranger], [target], mapped=(linear_map, encoder))


def test_images_that_are_cut_to_another_frame_are_refused(tmp_path):
    _, model, target = scene(n=10, odd=2)
    cut = ImageSet("set", target.images, target.ids, shown=Frame("0,0,0.5,0.5"))
    with pytest.raises(ImageError, match=r"cut to the frame .* but narrow sees full: give"):
        run(tmp_path, [model], [cut])
