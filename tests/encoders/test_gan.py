"""The GAN family: its networks, its recipe, and its training from images to a model file."""

import copy
import functools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from latentmap.encoders import build, load
from latentmap.encoders.gan import GANModel
from latentmap.encoders.native import read_header, save_model
from latentmap.encoders.nets.dcgan import Discriminator, Generator
from latentmap.encoders.training import runs
from latentmap.encoders.training.gan import COLLAPSED, GANRecipe
from latentmap.encoders.training.loop import CHECKPOINT, LOG, Length
from latentmap.encoders.training.on_images import train_on_images
from latentmap.encoders.training.runs import working_folder
from latentmap.encoders.training.train_gan import GANSettings
from latentmap.encoders.training.train_vae import VAESettings
from latentmap.errors import ModelError
from latentmap.frames import Frame
from latentmap.images import open_images
from latentmap.model.testing import check_model
from tests.encoders.stages import during

# What a run goes on from is looked at here, after its end too.
Run = functools.partial(runs.Run, keep_checkpoint=True)

CONFIG = {"image_shape": [1, 8, 8], "latent_dim": 3, "base": 6, "widths": [4, 4], "norm": "batch"}
SETTINGS = GANSettings(
    CONFIG, epochs=3, batch_size=16, learning_rate=1e-3, discriminator_widths=(4, 4), seed=7
)


@pytest.fixture
def images(tmp_path):
    path = tmp_path / "images.npy"
    pixels = np.random.default_rng(0).integers(0, 256, (70, 8, 8), dtype=np.uint8)
    np.save(path, np.sort(pixels, axis=2))
    return open_images(path)


def networks(config=CONFIG, *, dropout=0.0):
    """A generator and a discriminator in training mode, whose weights are always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = GANModel(config).network.requires_grad_(True).train()
        shape = tuple(config["image_shape"])
        discriminator = Discriminator(shape, widths=(4, 4), dropout=dropout, norm=config["norm"])
    return generator, discriminator


def batch_of(n, *, seed=1):
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def tensors_of(path):
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}


def log_of(folder):
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "images_per_second"} for line in lines]


@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 20, 28), (1, 7, 9)])
def test_any_image_size_is_generated_and_told_apart(shape, norm):
    config = {"image_shape": list(shape), "latent_dim": 3, "base": 5, "widths": [4, 3, 2]}
    model = build("gan", config | {"norm": norm})
    images = model.decode(model.sample(2, seed=0))
    assert images.shape == (2, *shape)
    discriminator = Discriminator(shape, widths=(2, 3, 4), dropout=0.2, norm=norm)
    assert discriminator(images).shape == (2,)


def test_the_published_networks_have_their_layers():
    generator = Generator((3, 64, 64), 64, base=16, widths=(128, 256, 512), norm="none")
    shapes = [tuple(p.shape) for p in generator.parameters() if p.ndim > 1]
    assert generator.grid == (8, 8)
    assert shapes == [
        (8 * 8 * 16, 64),
        (16, 128, 4, 4),
        (128, 256, 4, 4),
        (256, 512, 4, 4),
        (3, 512, 5, 5),
    ]
    discriminator = Discriminator((3, 64, 64), widths=(128, 256, 512), dropout=0.2, norm="none")
    shapes = [tuple(p.shape) for p in discriminator.parameters() if p.ndim > 1]
    assert shapes == [(128, 3, 4, 4), (256, 128, 4, 4), (512, 256, 4, 4), (1, 8 * 8 * 512)]


def test_a_size_that_the_strides_do_not_divide_is_the_centre_of_the_next_larger_one():
    config = {"latent_dim": 3, "base": 5, "widths": [4, 3, 2], "norm": "batch"}
    large = build("gan", config | {"image_shape": [1, 32, 32]})
    small = build("gan", config | {"image_shape": [1, 28, 28]}, weights=large.network.state_dict())
    codes = large.sample(2, seed=0)
    assert torch.equal(small.decode(codes), large.decode(codes)[:, :, 2:30, 2:30])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        told = Discriminator((1, 32, 32), widths=(2, 3, 4), dropout=0.0, norm="none")
        padding = Discriminator((1, 28, 28), widths=(2, 3, 4), dropout=0.0, norm="none")
    padding.load_state_dict(told.state_dict())
    images = small.decode(codes)
    framed = torch.nn.functional.pad(images, (2, 2, 2, 2))
    torch.testing.assert_close(padding(images), told(framed))


def test_an_image_depends_on_its_code_alone():
    model = build("gan", CONFIG)
    codes = model.sample(3, seed=0)
    images = model.decode(codes)
    assert torch.equal(images, model.decode(codes))
    single = torch.cat([model.decode(code[None]) for code in codes])
    torch.testing.assert_close(images, single)
    assert not model.network.training
    assert (model.space.kind, model.latent_dim) == ("z", 3)


def test_a_generator_keeps_the_contract():
    torch.manual_seed(0)
    check_model(build("gan", CONFIG))


def test_a_generator_has_no_codes_of_images():
    with pytest.raises(ModelError, match="gan has no encoder: give it one with `latentm"):
        build("gan", CONFIG).encode(batch_of(2))


def test_a_native_file_gives_the_same_model_again(tmp_path):
    path = tmp_path / "saved.safetensors"
    model = build("gan", CONFIG, name="saved", frame=Frame("celeba", "pillow-lanczos"))
    save_model(model, path, training={})
    loaded = load(path)
    assert (loaded.fingerprint, loaded.frame) == (model.fingerprint, model.frame)
    codes = model.sample(3, seed=1)
    assert torch.equal(loaded.decode(codes), model.decode(codes))


@pytest.mark.parametrize(
    "change", [{"norm": "layer"}, {"widths": []}, {"base": "many"}, {"image_shape": [8, 8]}]
)
def test_a_configuration_that_does_not_fit_is_refused(change):
    with pytest.raises(ModelError, match="this is no gan model: its configuration or weights do"):
        build("gan", CONFIG | change)


def test_one_step_equals_both_losses_and_both_updates_by_hand():
    rate, n = 1e-2, 6
    generator, discriminator = networks(CONFIG | {"norm": "none"})
    x = batch_of(n)

    def log_sigmoid(logits):
        return -torch.log1p(torch.exp(-logits))

    def first_step_of_adam(network, loss):
        parameters = list(network.parameters())
        for parameter, gradient in zip(
            parameters, torch.autograd.grad(loss, parameters), strict=True
        ):
            parameter.data -= rate * gradient / (gradient.abs() + 1e-8)

    g, d = copy.deepcopy(generator).double(), copy.deepcopy(discriminator).double()
    torch.manual_seed(5)
    z = torch.randn(n, 3)
    u = 0.3 * torch.rand(2, n)
    fakes = g(z.double())
    real, fake = d(x.double()), d(fakes)
    real_loss = -((1 - u[0]) * log_sigmoid(real) + u[0] * log_sigmoid(-real)).mean()
    fake_loss = -(u[1] * log_sigmoid(fake) + (1 - u[1]) * log_sigmoid(-fake)).mean()
    d_loss = real_loss + fake_loss
    first_step_of_adam(d, d_loss)
    g_loss = -log_sigmoid(d(g(z.double()))).mean()
    first_step_of_adam(g, g_loss)

    recipe = GANRecipe(generator, discriminator, latent_dim=3, learning_rate=rate, label_noise=0.3)
    torch.manual_seed(5)
    recipe.step(x, 0)
    figures = recipe.figures()
    assert figures["d_loss"] == pytest.approx(d_loss.item(), rel=1e-5)
    assert figures["g_loss"] == pytest.approx(g_loss.item(), rel=1e-5)
    assert figures["d_real"] == pytest.approx(real.sigmoid().mean().item(), rel=1e-5)
    assert figures["d_fake"] == pytest.approx(fake.sigmoid().mean().item(), rel=1e-5)
    for network, expected in ((generator, g), (discriminator, d)):
        for parameter, other in zip(network.parameters(), expected.parameters(), strict=True):
            torch.testing.assert_close(parameter, other.float(), atol=2e-5, rtol=1e-4)
    assert all(parameter.requires_grad for parameter in discriminator.parameters())


def test_diversity_is_the_mean_squared_difference_of_two_images_over_that_of_the_data():
    generator, discriminator = networks(CONFIG | {"norm": "none"})
    with torch.no_grad():
        generator.expand.weight.mul_(20)
    x = batch_of(5)
    torch.manual_seed(5)
    fakes = generator(torch.randn(5, 3)).detach()

    def mean_difference(images):
        pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
        return sum(float(((images[i] - images[j]) ** 2).mean()) for i, j in pairs) / len(pairs)

    recipe = GANRecipe(generator, discriminator, latent_dim=3)
    torch.manual_seed(5)
    recipe.step(x, 0)
    expected = mean_difference(fakes) / mean_difference(x)
    assert recipe.figures()["diversity"] == pytest.approx(expected, rel=1e-4)


def test_a_collapsed_generator_is_noticed():
    generator, discriminator = networks(CONFIG | {"norm": "none"})
    with torch.no_grad():
        generator.expand.weight.zero_()
    recipe = GANRecipe(generator, discriminator, latent_dim=3, learning_rate=1e-9)
    recipe.step(batch_of(5), 0)
    assert recipe.figures()["diversity"] < 1e-6 < COLLAPSED


def test_images_that_are_all_alike_still_give_finite_figures():
    recipe = GANRecipe(*networks(), latent_dim=3)
    recipe.step(torch.zeros(4, 1, 8, 8), 0)
    assert all(np.isfinite(value) for value in recipe.figures().values())


def test_the_average_covers_the_last_tenth_of_the_steps_until_it_has_its_length():
    recipe = GANRecipe(*networks(), latent_dim=3, learning_rate=1e-2, average_decay=0.15)
    expected = None
    for index, decay in enumerate((0.0, 1 / 11, 0.15, 0.15)):
        recipe.step(batch_of(4, seed=index), index)
        latest = {k: v.double() for k, v in recipe.generator.state_dict().items()}
        expected = {
            key: value if expected is None else decay * expected[key] + (1 - decay) * value
            for key, value in latest.items()
        }
    average = recipe.average.state_dict()
    for key, value in expected.items():
        if average[key].is_floating_point():
            torch.testing.assert_close(average[key].double(), value, atol=1e-6, rtol=1e-5)
    assert int(average["layers.0.num_batches_tracked"]) == 4


def test_without_an_average_the_result_is_the_last_generator():
    recipe = GANRecipe(*networks(), latent_dim=3, average_decay=0.0)
    for index in range(3):
        recipe.step(batch_of(4, seed=index), index)
    latest, average = recipe.generator.state_dict(), recipe.average.state_dict()
    assert all(torch.equal(latest[key], average[key]) for key in latest)


def test_training_moves_the_generated_images_to_the_data(tmp_path):
    # A bright half on either side: two kinds of images, and no other.
    pixels = np.random.default_rng(0).integers(0, 30, (256, 8, 8), dtype=np.uint8)
    pixels[::2, :, :4] += 220
    pixels[1::2, :, 4:] += 220
    np.save(tmp_path / "halves.npy", pixels)
    settings = replace(
        SETTINGS,
        config=CONFIG | {"base": 16, "widths": [16, 8]},
        discriminator_widths=(8, 16),
        steps=200,
        batch_size=32,
        learning_rate=2e-3,
        average_decay=0.9,
    )
    model = train_on_images(
        open_images(tmp_path / "halves.npy"), settings, Run(tmp_path / "gan.safetensors")
    )
    samples = model.decode(model.sample(200, seed=0))
    left, right = samples[..., :4].mean((1, 2, 3)), samples[..., 4:].mean((1, 2, 3))
    apart = ((left - right).abs() > 0.6).float().mean()
    assert float(apart) > 0.7
    assert 0.2 < float((left > right).float().mean()) < 0.8


def test_training_leaves_a_model_log_and_pictures(tmp_path, images):
    out = tmp_path / "gan.safetensors"
    state = torch.get_rng_state()
    model = train_on_images(images, SETTINGS, Run(out, record={"command": "train"}))
    assert torch.equal(torch.get_rng_state(), state), "the caller's random state was changed"
    loaded = load(out)
    assert loaded.fingerprint == model.fingerprint
    log = log_of(working_folder(out))
    assert [line["epoch"] for line in log] == [1, 2, 3]
    figures = {"step", "d_loss", "g_loss", "d_real", "d_fake", "diversity"}
    assert figures | {"epoch"} == set(log[0])
    assert len(list(working_folder(out).glob("epoch-*.png"))) == 3
    training = read_header(out).training
    assert (training["images"], training["seed"], training["data"]) == (70, 7, images.fingerprint)
    assert set(training["figures"]) == figures
    assert training["discriminator_widths"] == [4, 4]
    assert training["command"] == "train"


def test_the_file_holds_the_averaged_generator_alone(tmp_path, images):
    out = tmp_path / "gan.safetensors"
    train_on_images(images, SETTINGS, Run(out))
    checkpoint = tensors_of(working_folder(out) / CHECKPOINT)
    # Beside the memory of the images that it was trained on.
    kept = {k: part for k, part in tensors_of(out).items() if not k.startswith("seen_images.")}
    assert {f"network.average.{key}" for key in kept} == {
        key for key in checkpoint if key.startswith("network.average.")
    }
    assert all(torch.equal(kept[key], checkpoint[f"network.average.{key}"]) for key in kept)
    assert not torch.equal(kept["expand.weight"], checkpoint["network.generator.expand.weight"])


def test_the_same_seed_trains_the_same_model_and_another_seed_another(tmp_path, images):
    def fingerprint(name, seed):
        settings = replace(SETTINGS, epochs=1, seed=seed)
        return train_on_images(images, settings, Run(tmp_path / f"{name}.safetensors")).fingerprint

    assert fingerprint("a", 1) == fingerprint("b", 1) != fingerprint("c", 2)


class StopHereError(Exception):
    pass


@pytest.mark.parametrize(
    ("change", "stop_after"),
    [({}, 1), ({}, 5), ({"config": CONFIG | {"norm": "none"}}, 9), ({"precision": "bfloat16"}, 4)],
)
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(
    tmp_path, images, monkeypatch, change, stop_after
):
    settings = replace(SETTINGS, **change)
    whole, out = tmp_path / "whole.safetensors", tmp_path / "resumed.safetensors"
    train_on_images(images, settings, Run(whole))

    def stop(done, total):
        if done == stop_after * settings.batch_size:
            raise StopHereError

    monkeypatch.setattr(Length.__init__, "__defaults__", (None, 0.0))
    with pytest.raises(StopHereError):
        train_on_images(images, settings, Run(out, stage=during("training", stop)))
    train_on_images(images, settings, Run(out, resume=True))
    first, second = (tensors_of(working_folder(path) / CHECKPOINT) for path in (whole, out))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert load(whole).fingerprint == load(out).fingerprint
    assert log_of(working_folder(whole)) == log_of(working_folder(out))


def test_a_training_that_diverges_stops(tmp_path, images):
    with pytest.raises(ModelError, match=r"diverged before step 4 .* lower learning rate"):
        train_on_images(
            images, replace(SETTINGS, learning_rate=1e30), Run(tmp_path / "wild.safetensors")
        )


def test_a_run_of_another_recipe_or_other_settings_is_not_resumed(tmp_path, images):
    out = tmp_path / "gan.safetensors"
    train_on_images(images, replace(SETTINGS, epochs=1), Run(out))
    with pytest.raises(ModelError, match=r"other settings: label_noise was 0\.05, not 0\.1$"):
        train_on_images(images, replace(SETTINGS, label_noise=0.1), Run(out, resume=True))
    vae = {"architecture": "dense", "image_shape": [1, 8, 8], "latent_dim": 3, "widths": [4]}
    other = tmp_path / "vae.safetensors"
    train_on_images(images, VAESettings("vae", vae, epochs=1, batch_size=16), Run(other))
    with pytest.raises(ModelError, match=r"other settings: .*family was 'vae', not 'gan'"):
        train_on_images(images, SETTINGS, Run(other, resume=True))


def test_fewer_images_than_a_batch_are_refused(tmp_path, images):
    with pytest.raises(ModelError, match="at least one batch of 100 images, not 70: lower the"):
        train_on_images(
            images, replace(SETTINGS, batch_size=100), Run(tmp_path / "gan.safetensors")
        )
    assert not (tmp_path / "gan.safetensors.training").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs must be above 0, not 0"),
        ({"steps": 0}, "steps must be above 0, not 0"),
        ({"learning_rate": float("nan")}, "learning rate must be above 0, not nan"),
        ({"momentum": 1.0}, r"momentum must be at least 0 and below 1, not 1\.0"),
        ({"dropout": -0.1}, r"dropout must be at least 0 and below 1, not -0\.1"),
        ({"label_noise": 1.5}, r"label noise must be at least 0 and below 1, not 1\.5"),
        ({"average_decay": 1.0}, r"average decay must be at least 0 and below 1, not 1\.0"),
        ({"batch_size": 1}, "a GAN takes at least 2 images a step, which it compares, not 1"),
        ({"seed": -1}, "seed must not be below 0, but is -1"),
        ({"precision": "float16"}, "training takes float32 or bfloat16, not float16"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ModelError, match=message):
        replace(SETTINGS, **change)


def test_a_discriminator_without_layers_is_refused(tmp_path, images):
    with pytest.raises(ModelError, match="this is no GAN discriminator"):
        train_on_images(
            images, replace(SETTINGS, discriminator_widths=()), Run(tmp_path / "gan.safetensors")
        )
