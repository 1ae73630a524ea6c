"""Images that a model makes: rendered once, kept with their codes, seen as any others."""

from pathlib import Path

import numpy as np
import pytest
import torch

from latentmap.cache import LatentCache
from latentmap.codes import Codes
from latentmap.errors import ImageError, ModelError, OutputError, SpaceError
from latentmap.frames import CELEBA_BOX, Frame
from latentmap.images import View, open_images
from latentmap.model import Model, generated_images, images_between, maker_of
from latentmap.model.framing import estimate_box
from latentmap.model.generated import _holding, pack_decoded
from latentmap.model.testing import LinearModel
from latentmap.relocation import fit_models, relocate, sample_pairs, score_models


def test_the_images_are_those_of_their_codes(tmp_path):
    model = LinearModel()
    images = generated_images(model, 300, seed=3, folder=tmp_path)
    codes = images.codes_in(model.space)
    torch.testing.assert_close(codes.vectors, model.sample(300, seed=3))
    expected = (model.decode(codes) * 255).round().to(torch.uint8)
    (batch,) = images.batches([model.view], batch_size=300)
    assert torch.equal(batch.images[0], expected)
    assert codes.ids.tolist() == images.ids.tolist()
    assert np.array_equal(codes.digests, images.digests)


def test_images_are_kept_apart_by_the_truncation_of_their_codes(tmp_path):
    model = LinearModel()
    full = generated_images(model, 30, seed=3, folder=tmp_path)
    half = generated_images(model, 30, seed=3, truncation=0.5, folder=tmp_path)
    expected = 0.5 * model.sample(30, seed=3)
    torch.testing.assert_close(half.codes_in(model.space).vectors, expected)
    assert half.fingerprint != full.fingerprint
    assert len(list(tmp_path.glob("*.h5"))) == 2
    assert str(half.path) == "30 samples of linear (seed 3, truncation 0.5)"
    same = generated_images(model, 30, seed=3, truncation=1, folder=tmp_path)
    assert same.fingerprint == full.fingerprint
    other = LinearModel(seed=1)
    pairs = sample_pairs(other, model, 30, LatentCache(tmp_path / "cache"), seed=3, truncation=0.5)
    torch.testing.assert_close(pairs.target.vectors, expected)


@pytest.mark.parametrize("truncation", [-0.5, float("nan"), float("inf")])
def test_a_truncation_that_is_none_is_refused_before_anything_is_made(truncation, tmp_path):
    folder = tmp_path / "generated"
    with pytest.raises(ModelError, match="truncation must be a number of at least 0, not "):
        generated_images(LinearModel(), 30, truncation=truncation, folder=folder)
    assert not folder.exists()


def test_a_part_of_the_images_has_its_own_codes(tmp_path):
    model = LinearModel()
    images = generated_images(model, 50, seed=0, folder=tmp_path)
    test = images.split("test")
    assert 0 < len(test) < 50
    torch.testing.assert_close(
        test.codes_in(model.space).vectors,
        model.sample(50, seed=0)[np.isin(images.ids, test.ids)],
    )


def test_codes_are_known_in_the_space_that_made_them_only(tmp_path):
    images = generated_images(LinearModel(), 20, seed=0, folder=tmp_path)
    assert images.codes_in(LinearModel(seed=1).space) is None
    assert open_images("digits", limit=3).codes_in(LinearModel().space) is None


class Counting(LinearModel):
    """Counts the images that it makes; stops at some."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.made = 0
        self.stop_at = stop_at

    def _decode(self, codes):
        if self.stop_at is not None and self.made >= self.stop_at:
            raise KeyboardInterrupt
        self.made += len(codes)
        return super()._decode(codes)


def test_images_are_rendered_once_and_an_interruption_costs_a_part(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        generated_images(Counting(stop_at=600), 1000, seed=0, folder=tmp_path)
    model = Counting()
    images = generated_images(model, 1000, seed=0, folder=tmp_path)
    assert model.made == 1000 - 512
    again = generated_images(model, 1000, seed=0, folder=tmp_path)
    assert model.made == 1000 - 512
    assert again.fingerprint == images.fingerprint
    assert [path.suffix for path in tmp_path.iterdir() if path.is_dir()] == []
    other = generated_images(model, 1000, seed=1, folder=tmp_path)
    assert other.fingerprint != images.fingerprint


def test_what_killed_writers_of_a_pack_left_is_removed_by_the_next(tmp_path):
    model = LinearModel()

    def pack(seed, maker=model):
        codes = Codes.from_array(np.arange(600), maker.sample(600, seed=seed), space=model.space)
        pack_decoded(maker, codes, tmp_path / "a.h5")

    with pytest.raises(KeyboardInterrupt):
        pack(1, Counting(stop_at=300))
    (left,) = tmp_path.glob("a.*.parts")
    with _holding(left):
        pack(2)
        assert list(left.iterdir())
    (left / "notes.txt").write_text("precious")
    pack(2)
    assert [path.name for path in left.iterdir()] == ["notes.txt"]
    (left / "notes.txt").unlink()
    pack(2)
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_images_of_codes_keep_ids_that_are_no_utf8(tmp_path):
    model = LinearModel()
    codes = Codes.from_array(["a.png", "\udcff.png"], model.sample(2, seed=0), space=model.space)
    pack_decoded(model, codes, tmp_path / "a.h5")
    assert open_images(tmp_path / "a.h5").ids.tolist() == codes.ids.tolist()


def test_progress_is_told(tmp_path):
    seen: list[tuple[int, int]] = []
    generated_images(
        LinearModel(), 300, seed=0, folder=tmp_path, progress=lambda *s: seen.append(s)
    )
    assert seen == [(0, 300), (256, 300)]


def test_one_image_is_refused(tmp_path):
    with pytest.raises(ImageError, match="at least 2 images must be generated, not 1"):
        generated_images(LinearModel(), 1, seed=0, folder=tmp_path)


class Generator(LinearModel):
    """A linear model without an encoder, which must not be used."""

    can_encode = False

    def _encode(self, images):
        raise AssertionError("images of a generator have their codes")


@pytest.mark.parametrize("forward", [True, False])
def test_a_map_needs_no_encoder_on_the_side_that_makes_the_images(tmp_path, forward):
    made, other = Generator(), LinearModel(seed=1)
    images = generated_images(made, 400, seed=0, folder=tmp_path / "generated")
    source, target = (other, made) if forward else (made, other)
    cache = LatentCache(tmp_path)
    linear_map = fit_models(source, target, images, cache)
    (scores,) = score_models([linear_map], source, target, images.split("test"), cache)
    # Both models show the same images: the map between them is exact but for eight bits.
    assert scores.r2.value > 0.999
    assert scores.m_mse.value < 1e-5
    shown = images.split("test").subset([0, 2])
    if forward:
        moved = relocate(linear_map, source, target, shown, cache)
    else:
        moved = relocate(linear_map, source, target, shown, cache)
        torch.testing.assert_close(moved.reconstructions, moved.originals, atol=0.003, rtol=0)
    torch.testing.assert_close(moved.relocated, moved.originals, atol=0.01, rtol=0)


@pytest.mark.parametrize("sample_from", ["source", "target"])
def test_pairs_come_from_the_stream_of_either_model(tmp_path, sample_from):
    source, target = LinearModel(name="a"), LinearModel(seed=1, name="b")
    cache = LatentCache(tmp_path)
    pairs = sample_pairs(source, target, 30, cache, sample_from=sample_from, seed=5)
    maker, made = (source, pairs.source) if sample_from == "source" else (target, pairs.target)
    torch.testing.assert_close(made.vectors, maker.sample(30, seed=5))
    torch.testing.assert_close(
        target.decode(pairs.target), source.decode(pairs.source), atol=0.02, rtol=0
    )
    with pytest.raises(ImageError, match="is not inside the picture"):
        sample_pairs(source, target, 30, cache, box="0,0,2,1")


class Decoder(LinearModel):
    can_encode = False
    is_generator = True


class Inverted(LinearModel):
    is_generator = True


@pytest.mark.parametrize(
    ("source", "target", "maker"),
    [
        (LinearModel, LinearModel, "target"),
        (Decoder, LinearModel, "source"),
        (LinearModel, Decoder, "target"),
        (Decoder, Inverted, "source"),
        (Inverted, LinearModel, "source"),
        (Inverted, Inverted, "target"),
    ],
)
def test_what_has_no_encoder_makes_the_images_and_after_that_a_generator(source, target, maker):
    assert maker_of(source(), target()) == maker


def test_another_frame_is_a_box_of_the_images(tmp_path):
    model = LinearModel(image_shape=(1, 8, 8))
    images = generated_images(model, 10, seed=0, folder=tmp_path)
    corner = LinearModel(image_shape=(1, 4, 4)).seen_through(Frame("0,0,0.5,0.5"))
    (batch,) = images.batches([model.view, corner.view], batch_size=10)
    assert torch.equal(batch.images[1], batch.images[0][:, :, :4, :4])


def test_a_frame_of_the_whole_picture_is_translated(tmp_path):
    # The images show the upper half of the picture; the other model sees its upper quarter.
    model = LinearModel(image_shape=(1, 8, 8), frame=Frame("0,0,0.5,1"))
    images = generated_images(model, 10, seed=0, folder=tmp_path)
    other = LinearModel(image_shape=(1, 4, 8), frame=Frame("0,0,0.25,1"))
    (batch,) = images.batches([model.view, other.view], batch_size=10)
    assert torch.equal(batch.images[1], batch.images[0][:, :, :4])
    outside = LinearModel(image_shape=(1, 4, 8), frame=Frame("0.5,0,1,1"))
    with pytest.raises(ImageError, match="does not contain"):
        next(images.batches([outside.view], batch_size=10))


def test_a_model_seen_through_another_frame_keeps_its_space():
    model = LinearModel()
    other = model.seen_through(Frame("0,0,0.5,0.5"))
    assert other.view.frame.name == "0,0,0.5,0.5"
    assert model.view.frame.name == "full"
    assert other.space == model.space
    with pytest.raises(SpaceError):
        LinearModel(seed=1).space.require(other.space, "codes")


class Subject(Model):
    """Rebuilds pictures of one kind: what its directions, found in some examples, span."""

    family = "subject-test"

    def __init__(self, examples: torch.Tensor, d: int = 40) -> None:
        flat = examples.flatten(1)
        self.mean = flat.mean(0)
        directions = torch.linalg.svd(flat - self.mean, full_matrices=False).Vh[:d]
        network = torch.nn.Module()
        network.register_parameter("directions", torch.nn.Parameter(directions))
        super().__init__(network, name="subject", config={}, latent_dim=d, image_shape=(1, 16, 16))

    def _encode(self, images):
        return (images.flatten(1) - self.mean) @ self.network.directions.T

    def _decode(self, codes):
        images = codes @ self.network.directions + self.mean
        return images.clamp(0, 1).reshape(-1, 1, 16, 16)


def scene(n: int, seed: int) -> np.ndarray:
    """Pictures of 32 pixels with forty blobs of random strength at fixed places, on noise."""
    y, x = np.mgrid[:32, :32]
    places = np.random.default_rng(99).uniform(8, 24, (40, 2))
    shapes = np.array([np.exp(-((y - a) ** 2 + (x - b) ** 2) / 8) for a, b in places])
    rng = np.random.default_rng(seed)
    pictures = np.einsum("nk,khw->nhw", rng.uniform(0, 0.2, (n, len(shapes))), shapes)
    texture = rng.uniform(0, 0.3, (n, 32, 32))
    texture[:, 8:24, 8:24] *= 0.1  # The subject stands before a plain wall.
    return (255 * np.clip(pictures + texture, 0, 1)).astype(np.uint8)[..., None]


def test_the_frame_of_a_subject_is_found():
    examples = torch.from_numpy(scene(300, 0)[:, 8:24, 8:24]).permute(0, 3, 1, 2) / 255
    found = estimate_box(scene(96, 1), Subject(examples))
    np.testing.assert_allclose(np.array(found.box) * 32, (8, 8, 24, 24), atol=0.3)
    assert found.relation < found.relation_whole
    assert found.frame_name.count(",") == 3


def test_the_frame_of_faces_is_found_in_whole_pictures():
    data = Path(__file__).resolve().parents[3] / "shared" / "data"
    if not (data / "celeba_originals.zip").exists():
        pytest.skip("needs the CelebA files, which are not part of the project")
    small = View(Frame("celeba"), (16, 16), 1)
    whole = open_images(data / "celeba_originals.zip", limit=1064)
    (batch,) = whole.subset(range(64, 1064)).batches([small], batch_size=1000)
    subject = Subject(batch.floats(0), d=40)
    pictures = np.stack([whole.read(i) for i in range(64)])
    found = estimate_box(pictures, subject)
    np.testing.assert_allclose(found.box, CELEBA_BOX, atol=0.03)


def test_few_pictures_find_no_frame():
    with pytest.raises(ImageError, match="at least 64 pictures are needed to find a frame, not 10"):
        estimate_box(scene(10, 0), LinearModel(image_shape=(1, 16, 16)))


def test_two_models_with_one_space_have_images_of_their_own(tmp_path):
    first = LinearModel(image_shape=(1, 8, 4))
    second = LinearModel(image_shape=(1, 8, 4), seed=1)
    second.space = first.space
    one, other = (
        generated_images(model, 10, seed=0, folder=tmp_path).fingerprint
        for model in (first, second)
    )
    assert one != other


def test_a_map_remembers_which_box_its_models_saw(tmp_path):
    maker = LinearModel(image_shape=(1, 8, 8), name="maker")
    other = LinearModel(3, image_shape=(1, 4, 4), name="other")
    cache = LatentCache(tmp_path)
    images, made, seeing = images_between(
        maker, other, 300, seed=0, folder=tmp_path / "generated", box="0,0,0.5,0.5"
    )
    linear_map = fit_models(seeing, made, images, cache)
    test = images.split("test")
    (scores,) = score_models([linear_map], seeing, made, test, cache)
    (again,) = score_models([linear_map], other, maker, test, cache)
    assert again.r_mse == scores.r_mse
    assert again.m_mse == scores.m_mse
    moved = relocate(linear_map, other, maker, test.subset([0]), cache)
    expected = (maker.decode(test.codes_in(maker.space).vectors[:1]) * 255).round() / 255
    assert torch.equal(moved.originals, expected[:, :, :4, :4])


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"the folder .* cannot be made"):
        generated_images(LinearModel(), 10, seed=0, folder=tmp_path / "file" / "generated")


def test_another_number_of_images_is_refused(tmp_path):
    model = LinearModel()
    generated_images(model, 10, seed=0, folder=tmp_path)
    (path,) = tmp_path.glob("*.h5")
    codes = Codes.from_array(["a"], model.sample(1, seed=0), space=model.space)
    pack_decoded(model, codes, path)
    with pytest.raises(OutputError, match="must hold 10 images, not 1: remove it"):
        generated_images(model, 10, seed=0, folder=tmp_path)


def test_a_folder_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "generated").symlink_to(tmp_path)
    with pytest.raises(OutputError, match="is a link, which is not followed"):
        generated_images(LinearModel(), 10, seed=0, folder=tmp_path / "generated")


class Noisy(LinearModel):
    @property
    def rendering(self):
        return {"noise": "random"}


def test_images_that_cannot_be_made_again_are_refused(tmp_path):
    with pytest.raises(ImageError, match="draws noise anew"):
        generated_images(Noisy(), 10, seed=0, folder=tmp_path)
