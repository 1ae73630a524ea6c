"""Files of codes as models: paired by id, fitted, scored and applied without an image."""

import numpy as np
import pytest

from latentmap.cache import Coder
from latentmap.codes import Codes, Space, export_codes, open_code_file
from latentmap.codes.code_file import by_position
from latentmap.encoders import load
from latentmap.encoders.code_files import StoredCodes, load_code_file
from latentmap.errors import ImageError, ModelError, PairError, SpaceError
from latentmap.images.id_images import images_of_codes
from latentmap.mapping import FitOptions
from latentmap.relocation import fit_models, fit_training, score_models, training_pairs

N, P, Q = 900, 6, 4
CHANCE = np.random.default_rng(0)
X = CHANCE.standard_normal((N, P)).astype(np.float32)
W = CHANCE.standard_normal((P, Q)).astype(np.float32)
Y = (X @ W + 0.5 * CHANCE.standard_normal((N, Q)) + 3).astype(np.float32)
IDS = np.array([f"{number:04}.png" for number in range(N)])


@pytest.fixture
def files(tmp_path):
    """Two files of the same images, the second in another order and with one more."""
    order = np.random.default_rng(1).permutation(N)
    np.savez(tmp_path / "a.npz", codes=X, ids=IDS)
    more = np.append(IDS[order], "other.png"), np.append(Y[order], Y[:1], 0)
    np.savez(tmp_path / "b.npz", codes=more[1], ids=more[0])
    return tmp_path


def models_in(folder):
    return [load_code_file(str(folder / name), {}) for name in ("a.npz", "b.npz")]


def images_for(models):
    return images_of_codes([model.stored for model in models])


def test_codes_are_paired_by_id_split_and_fitted_without_images(files):
    source, target = models_in(files)
    images, dropped = images_for([source, target])
    assert (len(images), dropped) == (N, 1)
    coder = Coder.of(files / "cache")
    training = training_pairs(source, target, images, coder)
    assert set(training.pairs.ids) == set(images.split("train").ids)
    number = int(training.pairs.ids[5].removesuffix(".png"))
    assert np.array_equal(training.pairs.source.vectors[5], X[number])
    assert np.array_equal(training.pairs.target.vectors[5], Y[number])
    linear_map = fit_training(training, options=FitOptions(select="kfold"))
    (scores,) = score_models([linear_map], source, target, images.split("test"), coder)
    test = np.isin(IDS, images.split("test").ids)
    mapped = linear_map.apply(Codes.from_array(IDS[test], X[test], space=source.space))
    missed = (mapped.vectors.numpy() - Y[test]) ** 2
    n = int(test.sum())
    spread = ((Y[test] - Y[test].mean(0)) ** 2).mean(0) * n / (n - 1)
    assert scores.n_test == n
    assert scores.l_mse.value == pytest.approx(missed.mean(), rel=1e-5)
    assert scores.r2.value == pytest.approx(1 - missed.mean() / spread.mean(), rel=1e-5)
    assert scores.r2_per_variable == pytest.approx(1 - missed.mean(0) / spread, rel=1e-5)
    assert scores.r2.low < scores.r2.value < scores.r2.high
    record = scores.to_json()
    for name in ("r_mse", "m_mse", "floor_mse", "baseline_mse", "efficiency"):
        assert record[name] is None and record[f"{name}_low"] is None


def test_rows_that_were_fitted_on_are_known_by_their_ids(files):
    source, target = models_in(files)
    images, _ = images_for([source, target])
    coder = Coder.of(files / "cache")
    linear_map = fit_models(source, target, images, coder)
    (scores,) = score_models([linear_map], source, target, images, coder)
    assert scores.record["left_out"] == {"fitted": len(images.split("train"))}
    assert scores.n_test == N - len(images.split("train"))


def test_the_order_of_rows_changes_nothing(files):
    source, target = models_in(files)
    coder = Coder.of(files / "cache")
    one = fit_models(source, target, images_for([source, target])[0], coder)
    np.savez(files / "b.npz", codes=Y, ids=IDS)
    other = fit_models(source, models_in(files)[1], images_for(models_in(files))[0], coder)
    assert np.allclose(one.weight, other.weight, atol=1e-6)


def test_rows_without_ids_are_paired_by_position_only_where_it_is_said(files):
    np.save(files / "a.npy", X)
    np.save(files / "b.npy", Y)
    plain = [open_code_file(files / name) for name in ("a.npy", "b.npy")]
    with pytest.raises(PairError, match="does not say which image each row is of"):
        images_of_codes(plain)
    named = by_position(plain)
    images, _ = images_of_codes(named)
    models = [StoredCodes(file, name=file.title) for file in named]
    assert images.ids[10] == "10"
    coder = Coder.of(files / "cache")
    linear_map = fit_models(*models, images, coder)
    # A position in other files is another image.
    np.save(files / "c.npy", X[::-1])
    others = by_position([open_code_file(files / name) for name in ("c.npy", "b.npy")])
    digests = images_of_codes(others)[0].digests
    assert not np.isin(
        digests[:, 0:8].view("u8"), linear_map.train_digests[:, 0:8].view("u8")
    ).any()


def test_positions_and_ids_do_not_go_together(files):
    np.save(files / "a.npy", X[:-1])
    plain, named = open_code_file(files / "a.npy"), open_code_file(files / "a.npz")
    with pytest.raises(PairError, match=r"says by its ids .*: leave --by-position out"):
        by_position([plain, named])
    np.save(files / "b.npy", X)
    with pytest.raises(PairError, match=r"as many rows, but .*a.npy has 899 and .*b.npy 900"):
        by_position([plain, open_code_file(files / "b.npy")])
    with pytest.raises(PairError, match="899 rows, and there are 900 images"):
        by_position([plain], IDS)


def test_files_of_other_images_have_no_pair(files):
    np.savez(files / "b.npz", codes=Y, ids=np.char.add(IDS, "x"))
    with pytest.raises(PairError, match=r"0000.png, .*0000.pngx, .* none in common"):
        images_for(models_in(files))


def test_the_space_is_that_of_the_codes_or_the_one_that_the_file_names(files):
    source, target = models_in(files)
    assert not source.space.same_as(target.space)
    assert source.space.fingerprint == source.stored.fingerprint
    own = Space("z", P, "vae", "ab" * 32, (3, 2))
    codes = Codes.from_array(IDS, X, space=own)
    export_codes(codes, files / "c.npz", provenance={}, force=False)
    export = load_code_file(str(files / "c.npz"), {})
    assert export.space == own and export.latent_shape == (3, 2)
    assert source.in_space(Space("z", P, "b", "bb")).space.model == "b"
    with pytest.raises(SpaceError, match="must be in z of b"):
        export.in_space(Space("z", P, "b", "bb", (3, 2)))
    with pytest.raises(SpaceError, match="must be in z of b"):
        source.in_space(Space("z", Q, "b", "bb"))


def test_a_file_of_codes_has_no_size(files):
    with pytest.raises(ModelError, match="which sees no images: leave the size out"):
        load(f"{files / 'a.npz'}?size=8x8")


def test_a_file_of_codes_encodes_and_decodes_nothing(files):
    source, _ = models_in(files)
    with pytest.raises(ModelError, match="a is a file of codes, which can encode no image"):
        source.require_encoder()
    with pytest.raises(ModelError, match="a is a file of codes, which can decode none"):
        source.decode(source.stored.rows.read(0, 2))
    images, _ = images_for([source])
    with pytest.raises(ImageError, match="holds codes, and no images to look at: give these with"):
        images.read(0)
