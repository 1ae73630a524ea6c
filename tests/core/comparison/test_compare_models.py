import json

import numpy as np
import pytest
import torch

from latentmap.cache import Coder, LatentCache, encode
from latentmap.codes import Codes
from latentmap.codes import pair as paired
from latentmap.comparison import CompareOptions, compare_models
from latentmap.comparison.kinds import are_twins, kind_of_relocation
from latentmap.comparison.making import images_for_all, maker_among
from latentmap.comparison.methods import compare_methods_of_pair
from latentmap.comparison.pictures import image_figures, walk
from latentmap.errors import ImageError, MapError, ModelError, PairError
from latentmap.frames import Frame
from latentmap.images import open_images
from latentmap.images.splits import split_by_hash
from latentmap.mapping import Method, affine, fit, shared_factors
from latentmap.model.seen import SeenImages
from latentmap.model.testing import LinearModel
from latentmap.progress import silent
from latentmap.relocation import TrainingPairs, score_models


class Generator(LinearModel):
    family = "generator-test"
    is_generator = True


class Silent(LinearModel):
    family = "silent-test"
    is_generator = True
    can_encode = False


def three(**changes):
    return [
        LinearModel(seed=seed, name=name, **changes)
        for seed, name in ((1, "a"), (2, "b"), (3, "c"))
    ]


def pictures(folder, *, n=300, noise=0.0, channels=1, size=4):
    """Images that all models with these channels can show, and noise that none can."""
    model = LinearModel(image_shape=(channels, size, size))
    shown = model.decode(model.sample(n, seed=3))
    shown = shown + noise * torch.rand(shown.shape, generator=torch.manual_seed(4))
    pixels = (shown.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    np.save(folder / "images.npy", pixels)
    return open_images(folder / "images.npy")


def compared(folder, models, images, *, stage=silent, references=None, **options):
    coder = Coder(LatentCache(folder / "cache"), stage=stage)
    chosen = CompareOptions(**{"permutations": 19, **options})
    return compare_models(models, images, coder, options=chosen, references=references)


def test_models_that_show_the_same_differ_by_a_rotation(tmp_path):
    images = pictures(tmp_path)
    result = compared(tmp_path, three(), images)
    assert list(result.pairs) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    for pair in result.pairs.values():
        assert pair.kind == 1
        assert pair.figures.r2.value == pytest.approx(1, abs=1e-5)
        assert pair.figures.efficiency.value == pytest.approx(1, abs=1e-3)
        assert pair.cycle.value == pytest.approx(0, abs=1e-5)
    for way in result.compositions:
        assert way.lost_r2.value == pytest.approx(0, abs=1e-5)
    for matrix in result.similarities.matrices.values():
        assert matrix.value[0, 1] == pytest.approx(matrix.index.same, abs=2e-3)
    assert [one.shared for one in result.similarities.variates] == [4, 4, 4]
    assert result.layout.distances == pytest.approx(np.zeros((3, 3)), abs=5e-3)
    assert (result.n_fit, result.n_test) == tuple(
        (images.splits == s).sum() for s in ("train", "test")
    )


def test_scores_are_those_of_evaluate(tmp_path):
    images = pictures(tmp_path, noise=0.02)
    models = [*three(), LinearModel(latent_dim=3, seed=4, span_seed=5, name="d")]
    result = compared(tmp_path, models, images)
    for place in ((0, 1), (0, 3)):
        pair = result.pairs[place]
        (scores,) = score_models(
            [pair.linear_map],
            models[place[0]],
            models[place[1]],
            images.split("test"),
            tmp_path / "cache",
        )
        for name in ("r_mse", "l_mse", "r2", "m_mse", "floor_mse", "baseline_mse", "efficiency"):
            mine, theirs = getattr(pair.figures, name), getattr(scores, name)
            assert tuple(mine) == pytest.approx(tuple(theirs), rel=1e-5, nan_ok=True), name
    assert result.pairs[0, 1].figures.efficiency.value > 0.5
    assert (result.pairs[0, 1].kind, result.pairs[0, 3].kind) == (1, 2)


def test_images_and_indexes_can_be_of_fewer(tmp_path):
    images = pictures(tmp_path)
    result = compared(tmp_path, three(), images, scored=20, compared=22)
    assert (result.n_scored, result.similarities.n) == (20, 22)
    assert result.n_test > 22


def test_the_baseline_of_some_images_is_on_average_that_of_all(tmp_path):
    images = pictures(tmp_path, noise=0.3).subset(range(30))
    models = three()[:2]
    codes = [encode(model, images) for model in models]
    maps = {(i, j): fit(paired(codes[i], codes[j])) for i, j in ((0, 1), (1, 0))}

    def baseline(rows):
        some = [part.take(rows) for part in codes]
        figures = image_figures(models, some, maps, images.subset(rows), seed=0)
        return figures.baseline[0].value

    pixels = np.stack([images.read(i) for i in range(30)]) / 255
    variance = pixels.var(0, ddof=1).mean()
    assert baseline(np.arange(30)) == pytest.approx(variance, rel=1e-6)
    generator = np.random.default_rng(0)
    some = np.concatenate([generator.permutation(30).reshape(6, 5) for _ in range(10)])
    mean = np.mean([baseline(np.sort(rows)) for rows in some])
    assert mean == pytest.approx(variance, rel=0.02)


def test_examples_and_walks_are_there_for_every_pair(tmp_path):
    models = [*three()[:2], LinearModel(image_shape=(3, 6, 6), name="colour")]
    result = compared(tmp_path, models, pictures(tmp_path))
    assert [part.shape for part in result.examples.originals] == [(10, 1, 4, 4)] * 2 + [
        (10, 3, 6, 6)
    ]
    assert result.examples.relocated[0, 2].shape == (10, 3, 6, 6)
    # What exact models show of these images is what they are.
    assert torch.allclose(
        result.examples.reconstructions[1], result.examples.originals[1], atol=0.01
    )
    assert torch.allclose(result.examples.relocated[0, 1], result.examples.originals[1], atol=0.01)
    walk = result.pairs[0, 2]
    assert walk.source_walk.shape == (3, 5, 1, 4, 4)
    assert walk.target_walk.shape == (3, 5, 3, 6, 6)


def test_spaces_that_share_nothing_have_no_walk(tmp_path):
    models = three()[:2]
    pair = compared(tmp_path, models, pictures(tmp_path)).pairs[0, 1]
    none = shared_factors(pair.linear_map.moments, torch.zeros(4, 4, dtype=torch.float64))
    walks = walk(tuple(models), pair.linear_map, none, count=3)
    assert [one.shape for one in walks] == [(0, 5, 1, 4, 4)] * 2


def test_a_walk_goes_through_the_mean_image(tmp_path):
    images = pictures(tmp_path)
    pair = compared(tmp_path, three(), images).pairs[0, 1]
    (batch,) = images.split("train").batches([LinearModel().view], batch_size=300)
    mean = batch.floats(0).mean(0)
    for images_of_walk in (pair.source_walk, pair.target_walk):
        assert torch.allclose(images_of_walk[:, 2], mean.expand(3, 1, 4, 4), atol=1e-3)
    # Models that show the same change in the same way along what they share.
    assert torch.allclose(pair.source_walk, pair.target_walk, atol=1e-3)


def test_grey_and_colour_models_see_the_images_as_they_are_trained_to(tmp_path):
    models = [LinearModel(name="grey"), LinearModel(image_shape=(3, 4, 4), name="colour")]
    result = compared(tmp_path, models, pictures(tmp_path, channels=3))
    grey, colour = result.examples.originals
    weights = torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]
    assert torch.allclose(grey, (colour * weights).sum(1, keepdim=True), atol=0.01)


def test_methods_are_judged_by_their_codes(tmp_path):
    models = [LinearModel(name="a"), Generator(seed=2, name="b")]
    own = Method("mean-only", lambda moments: affine(moments, 0 * moments.xy, rank=0))
    methods = ["ridge", "procrustes", "errors-in-variables", own]
    images = pictures(tmp_path, noise=0.3)
    result = compared(tmp_path, models, images, methods=methods)
    pair = result.pairs[0, 1]
    assert [one.method for one in pair.methods] == [*methods[:3], "mean-only"]
    assert pair.methods[0].r2.value == pytest.approx(pair.figures.r2.value, abs=1e-3)
    assert pair.methods[3].r2.value == pytest.approx(0, abs=0.1)
    with pytest.raises(MapError, match="unknown method 'magic': choose one of least-squares"):
        compared(tmp_path, models, images, methods=["magic"])


def test_a_method_that_has_no_map_says_why(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise MapError("these codes cannot be")

    monkeypatch.setattr("latentmap.comparison.methods.fit_training", refuse)
    result = compared(tmp_path, three()[:2], pictures(tmp_path), methods=["pls"])
    assert result.pairs[0, 1].failed == {"pls": "these codes cannot be"}
    assert result.methods == ["pls"]
    assert result.failures == {("pls", "these codes cannot be"): 2}


def test_a_method_has_no_r2_for_codes_that_do_not_vary():
    ids = np.array([f"{i:02}" for i in range(30)])
    source = LinearModel()
    spaces = [source.space, LinearModel(seed=2).space]
    vectors = [np.random.default_rng(0).normal(size=(30, 4)), np.full((30, 4), 0.1)]
    x, y = (
        Codes.from_array(ids, v.astype(np.float32), space=s, frame=Frame("full"), data="")
        for v, s in zip(vectors, spaces, strict=True)
    )
    training = TrainingPairs(paired(x, y), source, source, None, None, {})
    (found,), failed = compare_methods_of_pair(
        training, test=(x, y), methods=["least-squares"], seed=0
    )
    assert not failed
    assert np.isnan(tuple(found.r2)).all()


def test_json_holds_all_of_it(tmp_path):
    result = compared(tmp_path, three(), pictures(tmp_path), references=["a.st", "b.st", "c.st"])
    read = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert [model["reference"] for model in read["models"]] == ["a.st", "b.st", "c.st"]
    assert len(read["pairs"]) == len(read["compositions"]) == 6
    assert set(read["similarities"]) == set(result.similarities.matrices)
    assert set(read["nearer"]) == set(result.similarities.matrices) - {"pwcca"}
    assert {"calibrated", "threshold", "p_holm", "spectra_mean", "spectra_p"} <= set(
        read["similarities"]["cka"]
    )
    assert (read["permutations"], read["alpha"]) == (19, 0.05)
    assert read["pairs"][0]["r2_low"] <= read["pairs"][0]["r2"] <= read["pairs"][0]["r2_high"]
    assert len(read["examples"]) == 10
    assert read["record"]["versions"].keys() == {"latentmap", "numpy", "scipy", "torch"}


def test_models_of_one_name_are_told_apart(tmp_path):
    models = [LinearModel(seed=1, name="vae"), LinearModel(seed=2, name="vae")]
    labels = [one.label for one in compared(tmp_path, models, pictures(tmp_path)).models]
    assert labels == [f"vae {model.fingerprint[:6]}" for model in models]


def test_one_seed_gives_the_same(tmp_path):
    images = pictures(tmp_path, noise=0.3)
    one, same = (compared(tmp_path, three(), images).to_json() for _ in range(2))
    assert json.dumps(one) == json.dumps(same)


def test_what_cannot_be_compared_is_refused_before_any_work(tmp_path):
    images = pictures(tmp_path)
    model = LinearModel(name="a")
    with pytest.raises(ModelError, match="needs at least 2 models, not 1: give another"):
        compared(tmp_path, [model], images)
    twin = LinearModel(name="twin")
    with pytest.raises(
        ModelError, match=r"a and twin are one model .*, given twice: leave one out"
    ):
        compared(tmp_path, [model, twin], images)
    with pytest.raises(ModelError, match="s has no encoder: give it one with"):
        compared(tmp_path, [model, Silent(name="s")], images)
    with pytest.raises(PairError, match="at least 20 images can be scored, not 19: give more"):
        compared(tmp_path, three(), images, scored=19)
    with pytest.raises(PairError, match="at least 20 images can be compared, not 3: give more"):
        compared(tmp_path, three(), images, compared=3)
    with pytest.raises(MapError, match=r"level 0\.01 needs at least 99 permutations, not 19: give"):
        compared(tmp_path, [model, LinearModel(seed=2)], images, alpha=0.01)
    with pytest.raises(MapError, match="maps cannot be fitted on the split test"):
        compared(tmp_path, three(), images, split="test")
    assert not list((tmp_path / "cache").glob("entries/*"))


def test_too_few_test_images_are_refused(tmp_path):
    with pytest.raises(
        PairError, match=r"at least 20 images to judge by, .* are in the split test"
    ):
        compared(tmp_path, three(), pictures(tmp_path, n=60))


def grouped(folder, *, units=1):
    """200 images to fit on, of one group, and 100 to test, of so many groups."""
    images = pictures(folder)
    names = np.array([f"group {i}" for i in range(400)])
    splits = split_by_hash(names)
    judged = names[splits == "test"][np.arange(100) % units]
    images.groups = np.concatenate([np.repeat(names[splits == "train"][:1], 200), judged])
    return images


@pytest.mark.parametrize("units", [1, 19])
def test_test_images_of_few_groups_are_refused_before_any_work(tmp_path, units):
    said = f"not {units} .100 images are in the split test; 100 are left, copies and images of one"
    with pytest.raises(PairError, match=said):
        compared(tmp_path, three(), grouped(tmp_path, units=units))
    assert not list((tmp_path / "cache").glob("entries/*"))


def test_no_image_is_judged_that_was_fitted_on_under_another_name(tmp_path):
    images = pictures(tmp_path, n=600)
    pixels = np.load(tmp_path / "images.npy")
    test = np.flatnonzero(images.splits == "test")
    train = np.flatnonzero(images.splits == "train")
    copied = test[:10]
    pixels[copied] = pixels[train[:10]]
    np.save(tmp_path / "copies.npy", pixels)
    found = compared(tmp_path, three(), open_images(tmp_path / "copies.npy"))
    assert (found.n_test, found.n_units) == (len(test) - 10, len(test) - 10)
    assert found.record["left_out"] == {"fitted": 10}
    assert found.record["n_left_out"] == 10
    # Nothing else changed: the others are judged as if the copies were not there.
    kept = np.setdiff1d(np.arange(600), copied)
    without = compared(tmp_path, three(), open_images(tmp_path / "copies.npy").subset(kept))
    assert found.pairs[0, 1].figures == without.pairs[0, 1].figures


def test_kinds_of_relocation():
    one, other = LinearModel(seed=1), LinearModel(seed=2)
    assert kind_of_relocation(one, other) == 1
    assert kind_of_relocation(one, LinearModel(latent_dim=3)) == 2
    assert kind_of_relocation(one, Generator()) == 3
    assert kind_of_relocation(Generator(), Silent()) == 2
    # Which weights an inversion network is for is no part of what it is.
    one.config["generator_fingerprint"], other.config["generator_fingerprint"] = "1", "2"
    assert kind_of_relocation(one, other) == 1


def test_twins_are_two_trainings_of_one_recipe():
    one, other = LinearModel(seed=1), LinearModel(seed=2)
    assert are_twins(one, other)
    assert not are_twins(one, LinearModel(seed=1))  # The same weights.
    assert not are_twins(one, LinearModel(latent_dim=3))
    assert not are_twins(one, Generator())
    digests = np.random.default_rng(0).integers(0, 256, (50, 16), dtype=np.uint8)
    one.seen = SeenImages.of(digests)
    assert are_twins(one, other)  # The other does not say.
    other.seen = SeenImages.of(digests[::-1])
    assert are_twins(one, other)
    for seen in (digests[:49], digests[:0]):  # Other images, and none: not trained at all.
        other.seen = SeenImages.of(seen)
        assert not are_twins(one, other)
        assert not are_twins(other, one)


def test_the_maker_is_what_has_no_encoder_else_the_first_generator():
    plain, generator, silent = LinearModel(), Generator(), Silent()
    assert maker_among([plain, generator]) == 1
    assert maker_among([plain, generator, silent]) == 2
    assert maker_among([plain, plain]) == 0
    with pytest.raises(ModelError, match="x and y have no encoder, but only one model can make"):
        maker_among([Silent(name="x"), plain, Silent(name="y")])


def made(folder, models, maker, n=250):
    return images_for_all(models, maker, n, seed=0, folder=folder / "generated")


def test_models_are_compared_on_images_that_one_of_them_makes(tmp_path):
    models = [
        LinearModel(seed=1, name="a"),
        Silent(seed=2, name="s"),
        LinearModel(seed=3, name="c"),
    ]
    images, seen = made(tmp_path, models, 1)
    assert [model.name for model in seen] == ["a", "s", "c"]
    result = compared(tmp_path, seen, images)
    assert all(pair.figures.r2.value > 0.999 for pair in result.pairs.values())
    # Its codes are known, so its own images are what it was asked for, up to their 255 steps.
    assert result.models[1].reconstruction_mse.value < 1e-5


def test_boxes_that_the_maker_knows_are_what_others_see(tmp_path):
    plain, generator, third = (
        LinearModel(name="a"),
        Generator(seed=2, name="g"),
        LinearModel(seed=3),
    )
    generator.boxes[plain.fingerprint] = "0,0,0.5,0.5"
    _, seen = made(tmp_path, [plain, generator, third], 1)
    assert [model.frame.name for model in seen] == ["0,0,0.5,0.5", "full", "full"]
    framed = LinearModel(seed=4, name="framed", frame=Frame("celeba"))
    with pytest.raises(ImageError, match="but not that of framed: find it with `latentmap frames"):
        made(tmp_path, [plain, generator, framed], 1)
