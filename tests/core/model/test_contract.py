import pytest
import torch

from latentmap.codes import Codes
from latentmap.errors import ModelError, SpaceError
from latentmap.frames import Frame
from latentmap.model import Model, Posterior
from latentmap.model.testing import LinearModel, check_model


def images_of(model, n=3, seed=0):
    return model.decode(model.sample(n, seed=seed))


def test_the_exact_model_decodes_what_it_encodes():
    model = LinearModel(latent_dim=5, image_shape=(3, 4, 6))
    codes = model.sample(50, seed=1)
    torch.testing.assert_close(model.encode(model.decode(codes)), codes, atol=1e-5, rtol=0)


def test_two_exact_models_of_one_span_differ_by_a_rotation():
    a, b = LinearModel(seed=1), LinearModel(seed=2)
    images = images_of(a, 20)
    x, y = a.encode(images), b.encode(images)
    rotation = torch.linalg.lstsq(x, y).solution
    scale = torch.linalg.matrix_norm(rotation, 2)
    identity = torch.eye(4)
    torch.testing.assert_close(rotation @ rotation.T / scale**2, identity, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.rand(2, 1, 4, 5), r"takes images of shape \(n, 1, 4, 4\), not \(2, 1, 4, 5\)"),
        (torch.rand(1, 4, 4), r"takes images of shape"),
        (torch.full((2, 1, 4, 4), 200, dtype=torch.uint8), "floats in .0, 1., not torch.uint8"),
        (torch.full((2, 1, 4, 4), 1.5), r"must be in \[0, 1\], but they reach from 1.5 to 1.5"),
        (torch.full((2, 1, 4, 4), torch.nan), r"must be in \[0, 1\], but they reach from nan"),
    ],
)
def test_wrong_images_are_refused(images, message):
    with pytest.raises(ModelError, match=message):
        LinearModel().encode(images)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (torch.zeros(2, 3), r"takes codes of shape \(n, 4\), not \(2, 3\)"),
        (torch.full((2, 4), torch.inf), "decodes finite floating-point codes"),
        (torch.zeros(2, 4, dtype=torch.int64), "decodes finite floating-point codes"),
    ],
)
def test_wrong_codes_are_refused(codes, message):
    with pytest.raises(ModelError, match=message):
        LinearModel().decode(codes)


def test_codes_of_another_space_are_refused():
    mine, other = LinearModel(seed=1, name="mine"), LinearModel(seed=2, name="other")
    codes = Codes.from_array(["a"], torch.zeros(1, 4), space=other.space)
    with pytest.raises(SpaceError, match=r"codes for mine must be in z of mine .*, not in z of ot"):
        mine.decode(codes)
    assert mine.decode(Codes.from_array(["a"], torch.zeros(1, 4), space=mine.space)).shape[0] == 1


def test_the_name_does_not_change_the_fingerprint_but_weights_and_frame_do():
    one = LinearModel(name="one").fingerprint
    assert LinearModel(name="two").fingerprint == one
    assert LinearModel(seed=1).fingerprint != one
    assert LinearModel(frame=Frame("center")).fingerprint != one


def test_pixels_give_the_codes_of_their_images():
    model = LinearModel()
    pixels = torch.randint(0, 256, (5, 1, 4, 4), dtype=torch.uint8)
    torch.testing.assert_close(model.encode_pixels(pixels), model.encode(pixels.float() / 255))
    with pytest.raises(ModelError, match="takes pixels as uint8"):
        model.encode_pixels(pixels.float())
    with pytest.raises(ModelError, match="unknown precision 'double': choose one of float32"):
        model.encode_pixels(pixels, precision="double")


def test_sampling_needs_a_number():
    with pytest.raises(ModelError, match="must be at least 1, not 0"):
        LinearModel().sample(0, seed=0)


class Broken(LinearModel):
    """One promise broken at a time."""

    def __init__(self, fault):
        self.fault = fault
        super().__init__()
        if fault == "training":
            self.network.train()
        if fault == "gradients":
            self.network.requires_grad_(True)

    def _posterior(self, images):
        posterior = super()._posterior(images)
        mean, variance = posterior.mean, posterior.variance
        if self.fault == "random":
            mean = mean + torch.rand_like(mean)
        if self.fault == "batch":
            mean = mean - mean.mean(0)
        if self.fault == "shape":
            mean = mean[:, 1:]
        if self.fault == "nan":
            mean = mean * torch.nan
        if self.fault == "variance":
            variance = -variance
        return Posterior(mean, variance)

    def _decode(self, codes):
        images = super()._decode(codes)
        if self.fault == "blind":
            return images.detach()
        if self.fault == "noisy":
            return images * torch.rand(len(images), 1, 1, 1)
        if self.fault == "crowd":
            return images * images.mean()
        if self.fault == "torn":
            return images.sqrt() if codes.requires_grad else images
        if self.fault == "kink":
            return 0.5 + 0 * (images - images.detach()).sqrt()
        return images * (2 if self.fault == "range" else 1)

    def _sample(self, n, generator):
        if self.fault == "sample":
            return torch.zeros(n, self.latent_dim)
        return super()._sample(n, generator)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("training", "training mode"),
        ("gradients", "ask for gradients"),
        ("random", "gives other codes"),
        ("batch", "other images of its batch"),
        ("shape", "must give codes of shape"),
        ("nan", "gave codes that are not finite"),
        ("variance", "variances are not positive"),
        ("range", r"must be in \[0, 1\]"),
        ("sample", "ignores its seed"),
        ("noisy", "decoding the same codes twice gives other images"),
        ("crowd", "an image depends on the other codes of its batch"),
        ("torn", "an image depends on whether gradients are taken"),
        ("blind", "images have no gradients in their codes"),
        ("kink", "gradients in the codes are not finite"),
    ],
)
def test_check_model_finds_a_broken_promise(fault, message):
    with pytest.raises(ModelError, match=message):
        check_model(Broken(fault))


def test_a_model_without_posterior_says_so_and_still_passes():
    class Plain(LinearModel):
        _posterior = Model._posterior

        def _encode(self, images):
            return LinearModel._posterior(self, images).mean

    model = Plain()
    check_model(model)
    LinearModel().require_posterior()
    message = r"linear \(linear-test\) has no posterior: its encoder gives one code an image"
    for ask in (lambda: model.posterior(torch.rand(1, 1, 4, 4)), model.require_posterior):
        with pytest.raises(ModelError, match=message):
            ask()


class Maker(Broken):
    """A generator: it makes images and has no encoder."""

    can_encode = False


def test_a_generator_is_checked_by_what_it_can_do():
    check_model(Maker(None))
    with pytest.raises(ModelError, match="linear has no encoder: give it one with `latentmap tra"):
        Maker(None).encode_pixels(torch.zeros(1, 1, 4, 4, dtype=torch.uint8))
    with pytest.raises(ModelError, match="linear has no encoder: give it one with `latentmap tra"):
        Maker(None).posterior(torch.zeros(1, 1, 4, 4))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("training", "training mode"),
        ("range", r"must be in \[0, 1\]"),
        ("sample", "ignores its seed"),
        ("noisy", "decoding the same codes twice gives other images"),
        ("crowd", "an image depends on the other codes of its batch"),
        ("blind", "images have no gradients in their codes"),
    ],
)
def test_check_model_finds_a_broken_promise_of_a_generator(fault, message):
    with pytest.raises(ModelError, match=message):
        check_model(Maker(fault))


def test_a_model_that_encodes_and_says_that_it_cannot_is_found():
    class Modest(Maker):
        def require_encoder(self):
            pass

    with pytest.raises(ModelError, match="images are encoded without an encoder"):
        check_model(Modest(None))
