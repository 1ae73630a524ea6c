"""The discriminator and the recipe of StyleGAN 2, against formulas in float64 and steps by hand."""

import functools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from latentmap.encoders import load
from latentmap.encoders.native import read_header
from latentmap.encoders.nets.stylegan2 import StyleGAN2
from latentmap.encoders.nets.stylegan2_discriminator import Discriminator, batch_deviation
from latentmap.encoders.training import augmentation, runs
from latentmap.encoders.training.augmentation import AUGMENTATIONS, MOST, adapt, augment
from latentmap.encoders.training.loop import CHECKPOINT, LOG, Length
from latentmap.encoders.training.on_images import train_on_images
from latentmap.encoders.training.runs import working_folder
from latentmap.encoders.training.stylegan2 import (
    Balance,
    Networks,
    StyleGAN2Recipe,
    gradient_penalty,
    path_lengths,
)
from latentmap.encoders.training.train_stylegan2 import StyleGAN2Settings
from latentmap.errors import ModelError
from latentmap.images import open_images
from tests.encoders.naive_stylegan import SMOOTH, arrays, conv, dense, filtered, leaky
from tests.encoders.stages import during

# What a run goes on from is looked at here, after its end too.
Run = functools.partial(runs.Run, keep_checkpoint=True)

SETTINGS = StyleGAN2Settings(
    (1, 8, 8),
    epochs=2,
    batch_size=4,
    latent_dim=5,
    width=3,
    max_width=4,
    path_weight=2.0,
    mixing=0.9,
    seed=7,
)


@pytest.fixture
def images(tmp_path):
    path = tmp_path / "images.npy"
    pixels = np.random.default_rng(0).integers(0, 256, (22, 8, 8), dtype=np.uint8)
    np.save(path, np.sort(pixels, axis=2))
    return open_images(path)


def recipe_of(balance, *, learning_rate=0.01, settings=SETTINGS):
    config = settings.config
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = Networks(
            StyleGAN2(config),
            StyleGAN2(config),
            Discriminator(settings.image_shape, config["channels"]),
        )
    return StyleGAN2Recipe(networks, balance, learning_rate=learning_rate)


def batch(n=4, seed=1):
    return torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def small_discriminator(channels=(4, 5, 3), colors=2):
    torch.manual_seed(3)
    side = 4 * 2 ** (len(channels) - 1)
    network = Discriminator((colors, side, side), channels)
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return network


def judged(weights, images):
    """The logits of images (n, c, r, r), image by image as the formulas are written."""

    def layer(x, name, gain=2**0.5, down=False):
        weight = weights[f"{name}.weight"]
        weight = weight / math.sqrt(weight[0].size)
        if down:
            x = filtered(x, SMOOTH, before=2, after=2)
            y = conv(x, weight)[:, 1:-1:2, 1:-1:2]
        else:
            y = conv(x, weight)
        return gain * leaky(y + weights[f"{name}.bias"][:, None, None])

    rows = []
    for x in images:
        x = layer(x, "fromrgb")
        while x.shape[1] > 4:
            name = f"b{x.shape[1]}"
            skip = weights[f"{name}.skip.weight"] / math.sqrt(x.shape[0])
            half = filtered(x, SMOOTH, before=1, after=1)[:, ::2, ::2]
            y = layer(layer(x, f"{name}.conv0"), f"{name}.conv1", gain=1.0, down=True)
            x = y + math.sqrt(0.5) * conv(half, skip)
        rows.append(x)
    x, n = np.stack(rows), len(rows)
    group = min(4, n)
    variety = np.zeros(n)
    for i in range(n):
        members = x[[j for j in range(n) if j % (n // group) == i % (n // group)]]
        variety[i] = np.sqrt(members.var(axis=0) + 1e-8).mean()
    x = [np.concatenate([x[i], np.full((1, 4, 4), variety[i])]) for i in range(n)]
    rows = np.stack([layer(image, "b4.conv").ravel() for image in x])
    rows = math.sqrt(2) * leaky(dense(weights, "b4.fc", rows))
    return dense(weights, "b4.out", rows)[:, 0]


@pytest.mark.parametrize("n", [8, 4, 3])
def test_the_discriminator_equals_its_formulas(n):
    network = small_discriminator()
    images = torch.randn(n, 2, 16, 16, generator=torch.Generator().manual_seed(n))
    expected = judged(arrays(network), images.double().numpy())
    assert np.allclose(network(images).detach().numpy(), expected, atol=1e-5)


def test_the_discriminator_in_bfloat16_is_near_the_one_in_float32():
    network = small_discriminator()
    images = torch.randn(8, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    exact, short = network(images), network(images, torch.bfloat16)
    assert short.dtype == torch.float32
    assert (short - exact).abs().max() < 0.05 * exact.abs().max()


def test_variety_is_that_of_images_a_quarter_of_the_batch_apart():
    x = torch.zeros(8, 1, 1, 1)
    x[0::2] = torch.tensor([0.0, 2.0, 0.0, 2.0])[:, None, None, None]
    assert torch.allclose(batch_deviation(x), torch.tensor([1.0, 1e-4] * 4))


def test_gradients_of_the_discriminator_are_right_twice():
    network = small_discriminator(channels=(3, 2), colors=1).double()
    block = network.b8
    x = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    x.requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: block(x).square(), x)


def test_the_penalty_is_the_squared_gradient_by_differences():
    network = small_discriminator()
    # Eight images in two groups would each change the variety of three others.
    image = torch.randn(1, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    penalty = gradient_penalty(network, image)
    weights, base = arrays(network), image.double().numpy()
    gradient = 0.0
    for place in np.ndindex(base.shape):
        moved = [base.copy(), base.copy()]
        moved[0][place] += 1e-5
        moved[1][place] -= 1e-5
        gradient += ((judged(weights, moved[0]) - judged(weights, moved[1]))[0] / 2e-5) ** 2
    assert float(penalty.detach()) == pytest.approx(gradient, rel=1e-3)
    penalty.backward()
    assert network.fromrgb.weight.grad.abs().sum() > 0


def test_the_penalty_of_a_linear_judge_is_its_squared_weight():
    weight = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(0))
    penalty = gradient_penalty(lambda x: (x * weight).sum(dim=(1, 2, 3)), batch(6))
    assert float(penalty) == pytest.approx(float(weight.square().sum()), rel=1e-5)


def test_path_lengths_of_a_linear_generator_by_hand():
    torch.manual_seed(0)
    matrix = torch.randn(2, 3, 16)
    ws = torch.randn(5, 2, 3, requires_grad=True)
    torch.manual_seed(9)
    found = path_lengths(lambda w: torch.einsum("nld,ldp->np", w, matrix).view(-1, 1, 4, 4), ws)
    torch.manual_seed(9)
    noise = torch.randn(5, 1, 4, 4).view(5, 16) / 4
    expected = torch.einsum("ldp,np->nld", matrix, noise).square().sum(2).mean(1).sqrt()
    assert torch.allclose(found, expected)


def test_the_generator_can_be_differentiated_twice():
    torch.manual_seed(0)
    synthesis = StyleGAN2(SETTINGS.config).double().requires_grad_(True).synthesis
    ws = torch.randn(1, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(
        lambda ws, weight: torch.func.functional_call(
            synthesis, {"b8.conv0.weight": weight}, (ws,), {"dtype": torch.float64}
        ),
        (ws, synthesis.b8.conv0.weight),
        fast_mode=True,
    )


def test_the_losses_are_the_published_ones_by_hand():
    recipe = recipe_of(Balance(r1=0.0, mixing=0.0, augment=0.0), learning_rate=1e-12)
    generator, judge = recipe.network.generator, recipe.network.discriminator
    torch.manual_seed(5)
    w = generator.mapping(torch.randn(4, 5))
    fake = generator.synthesis(w[:, None].expand(-1, generator.num_ws, -1), noise="random")
    on_real, on_fake = judge(batch() * 2 - 1).detach(), judge(fake).detach()
    d_loss = (torch.log1p(on_fake.exp()) + torch.log1p((-on_real).exp())).mean()
    torch.manual_seed(5)
    recipe.step(batch(), 0)
    figures = recipe.figures()
    assert figures["d_loss"] == pytest.approx(float(d_loss), rel=1e-4)
    assert figures["g_loss"] == pytest.approx(float(torch.log1p((-on_fake).exp()).mean()), rel=1e-4)
    assert figures["d_real"] == pytest.approx(float(on_real.sigmoid().mean()), rel=1e-4)
    assert figures["d_fake"] == pytest.approx(float(on_fake.sigmoid().mean()), rel=1e-4)
    spreads = [(x - x[[3, 0, 1, 2]]).square().mean() for x in (fake.detach(), batch() * 2 - 1)]
    assert figures["diversity"] == pytest.approx(float(spreads[0] / spreads[1]), rel=1e-4)


def test_penalties_come_at_their_intervals_and_adam_is_corrected_for_them():
    recipe = recipe_of(Balance(r1=1.0, path=2.0, mixing=0.9, augment=0.0))
    for index in range(33):
        recipe.step(batch(), index)
    state = recipe.state
    assert [int(state[name][1]) for name in ("d_loss", "g_loss", "r1", "path_length")] == [
        33, 33, 3, 9,
    ]  # fmt: skip
    adam = {name: optimizer.param_groups[0] for name, optimizer in recipe.optimizers.items()}
    assert adam["discriminator"]["lr"] == pytest.approx(0.01 * 16 / 17)
    assert adam["discriminator"]["betas"] == (0.0, pytest.approx(0.99 ** (16 / 17)))
    assert adam["generator"]["lr"] == pytest.approx(0.01 * 4 / 5)
    plain = recipe_of(Balance(r1=0.0)).optimizers["discriminator"].param_groups[0]
    assert (plain["lr"], plain["betas"]) == (0.01, (0.0, 0.99))
    steps = {
        name: {int(moments["step"]) for moments in optimizer.state_dict()["state"].values()}
        for name, optimizer in recipe.optimizers.items()
    }
    assert max(steps["discriminator"]) == 36
    assert max(steps["generator"]) == 42


def test_the_result_is_the_moving_average_of_the_generator():
    recipe = recipe_of(Balance(r1=1.0, average=8.0, augment=0.0))
    expected = {name: p.clone() for name, p in recipe.network.average.named_parameters()}
    for index in range(60):
        recipe.step(batch(), index)
        # The half-life is 8 images, but before 160 images a twentieth of them.
        share = 1 - 0.5 ** (4 / min(8.0, 0.05 * 4 * (index + 1)))
        for name, parameter in recipe.network.generator.named_parameters():
            expected[name] += share * (parameter.detach() - expected[name])
    for name, parameter in recipe.network.average.named_parameters():
        assert torch.allclose(parameter, expected[name], atol=1e-5), name
    buffers = dict(recipe.network.generator.named_buffers())
    for name, buffer in recipe.network.average.named_buffers():
        assert torch.equal(buffer, buffers[name]), name


def test_the_mean_of_w_follows_the_codes():
    recipe = recipe_of(Balance(r1=0.0, augment=0.0), learning_rate=1e-12)
    for index in range(1500):
        recipe._follow(recipe._ws(recipe._draw_z(8)).detach(), 8, index)
    codes = recipe.network.generator.mapping(torch.randn(20000, 5)).mean(0)
    assert torch.allclose(recipe.network.average.mapping.w_avg, codes, atol=0.05)


def test_mixing_takes_a_second_code_from_some_layer_on():
    recipe = recipe_of(Balance(r1=0.0, mixing=0.5))
    torch.manual_seed(0)
    ws = recipe._ws(recipe._draw_z(2000)).detach()
    starts = (ws == ws[:, :1]).all(dim=2).sum(dim=1)
    layers = recipe.network.generator.num_ws
    shares = torch.bincount(starts, minlength=layers + 1) / 2000
    expected = torch.tensor([0.0] + [0.5 / (layers - 1)] * (layers - 1) + [0.5])
    assert torch.allclose(shares, expected, atol=0.04)
    unmixed = recipe_of(Balance(r1=0.0, mixing=0.0))
    ws = unmixed._ws(unmixed._draw_z(50))
    assert torch.equal(ws, ws[:, :1].expand_as(ws))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmentation_changes_images_and_lets_gradients_through(name):
    torch.manual_seed(1)
    images = (batch(50) * 2 - 1).repeat(1, 3, 1, 1).requires_grad_(True)
    changed = AUGMENTATIONS[name](images)
    assert changed.shape == images.shape
    assert (changed != images).flatten(1).any(dim=1).float().mean() > 0.4
    changed.sum().backward()
    assert images.grad.abs().sum() > 0
    once = augment(images, torch.tensor(0.3), [name])
    share = (once != images).flatten(1).any(dim=1).float().mean()
    assert 0.02 < share < 0.5
    assert torch.equal(augment(images, torch.tensor(0.0), [name]), images)


def test_flipping_and_translating_by_hand(monkeypatch):
    image = torch.arange(64.0).view(1, 1, 8, 8)
    monkeypatch.setattr(torch, "rand", lambda *shape, device: torch.zeros(shape))
    assert torch.equal(AUGMENTATIONS["flip"](image), image.flip(3))
    moved = iter([torch.tensor([[-1]]), torch.tensor([[1]])])
    monkeypatch.setattr(torch, "randint", lambda *_, device: next(moved))
    expected = image[0, 0][[0, 0, 1, 2, 3, 4, 5, 6]][:, [1, 2, 3, 4, 5, 6, 7, 7]]
    assert torch.equal(AUGMENTATIONS["translate"](image)[0, 0], expected)


def test_cutout_hides_a_square_of_half_the_side(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *shape, device: torch.full(shape, 0.5))
    expected = torch.ones(1, 1, 8, 8)
    expected[:, :, 2:6, 2:6] = 0
    assert torch.equal(AUGMENTATIONS["cutout"](torch.ones(1, 1, 8, 8)), expected)


def test_scaling_by_one_changes_nothing(monkeypatch):
    monkeypatch.setattr(torch, "randn", lambda *shape, device: torch.zeros(shape))
    assert torch.allclose(AUGMENTATIONS["scale"](batch()), batch(), atol=1e-6)
    assert torch.allclose(AUGMENTATIONS["color"](batch()), batch(), atol=1e-6)


def test_the_probability_grows_while_the_discriminator_is_too_sure():
    p = torch.tensor(0.1)
    assert float(adapt(p, torch.tensor(0.9), 5000)) == pytest.approx(0.11)
    assert float(adapt(p, torch.tensor(0.2), 5000)) == pytest.approx(0.09)
    assert float(adapt(p, torch.tensor(0.2), 500_000)) == 0.0
    assert float(adapt(p, torch.tensor(0.9), 5_000_000)) == pytest.approx(MOST)


def test_the_recipe_adapts_every_fourth_step(monkeypatch):
    monkeypatch.setattr(augmentation, "_IMAGES", 1000)
    recipe = recipe_of(Balance(r1=0.0, augmentations=("color",)), learning_rate=1e-12)
    monkeypatch.setattr(recipe, "_judge", lambda images: images.sum(dim=(1, 2, 3)) * 0 + 1)
    monkeypatch.setattr(recipe, "_update", lambda name, loss: None)
    found = []
    for index in range(9):
        recipe.step(batch(), index)
        found.append(recipe.figures()["augment"])
    assert found == pytest.approx([0, 0, 0, 0.016, 0.016, 0.016, 0.016, 0.032, 0.032])


def test_training_leaves_a_generator_its_log_and_pictures(tmp_path, images):
    out = tmp_path / "gan.safetensors"
    state = torch.get_rng_state()
    model = train_on_images(images, SETTINGS, Run(out))
    assert torch.equal(torch.get_rng_state(), state), "the caller's random state was changed"
    assert load(out).fingerprint == model.fingerprint
    assert (model.space.kind, model.image_shape) == ("w", (1, 8, 8))
    folder = working_folder(out)
    log = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    assert {"d_loss", "g_loss", "d_real", "d_fake", "r1", "path_length", "augment"} <= set(log[0])
    assert len(list(folder.glob("epoch-*.png"))) == 2
    training = read_header(out).training
    assert (training["images"], training["seed"], training["r1"]) == (22, 7, 10.0)
    with safe_open(folder / CHECKPOINT, framework="pt") as file:
        average = file.get_tensor("network.average.synthesis.b8.conv1.weight")
    assert torch.equal(average, model.network.synthesis.b8.conv1.weight)


class StopHereError(Exception):
    pass


@pytest.mark.parametrize(
    "settings", [SETTINGS, replace(SETTINGS, precision="bfloat16", path_weight=0.0)]
)
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(
    tmp_path, images, monkeypatch, settings
):
    whole, out = tmp_path / "whole.safetensors", tmp_path / "resumed.safetensors"
    train_on_images(images, settings, Run(whole))

    def stop(done, total):
        if done == 6 * settings.batch_size:
            raise StopHereError

    monkeypatch.setattr(Length.__init__, "__defaults__", (None, 0.0))
    with pytest.raises(StopHereError):
        train_on_images(images, settings, Run(out, stage=during("training", stop)))
    train_on_images(images, settings, Run(out, resume=True))
    files = []
    for path in (whole, out):
        with safe_open(working_folder(path) / CHECKPOINT, framework="pt") as file:
            files.append({key: file.get_tensor(key) for key in file.keys()})
    assert files[0].keys() == files[1].keys()
    assert all(torch.equal(files[0][key], files[1][key]) for key in files[0])
    assert load(whole).fingerprint == load(out).fingerprint


def test_a_training_that_diverges_stops(tmp_path, images):
    with pytest.raises(ModelError, match=r"diverged before step 5"):
        train_on_images(
            images, replace(SETTINGS, learning_rate=1e30), Run(tmp_path / "wild.safetensors")
        )


def test_a_run_of_other_settings_cannot_be_resumed(tmp_path, images):
    out = tmp_path / "gan.safetensors"
    train_on_images(images, replace(SETTINGS, steps=1), Run(out))
    with pytest.raises(ModelError, match=r"other settings: r1 was 10.0, not 3.0"):
        train_on_images(images, replace(SETTINGS, r1=3.0), Run(out, resume=True))


def test_fewer_images_than_a_batch_are_refused(tmp_path, images):
    with pytest.raises(ModelError, match="at least one batch of 32 images, not 22: lower the"):
        train_on_images(images, replace(SETTINGS, batch_size=32), Run(tmp_path / "gan.safetensors"))
    assert not (tmp_path / "gan.safetensors.training").exists()


def test_widths_double_at_every_halving_up_to_the_most():
    settings = StyleGAN2Settings((3, 64, 64), width=16, max_width=100)
    assert settings.config["channels"] == [100, 100, 64, 32, 16]
    assert StyleGAN2Settings((1, 32, 32)).config["channels"] == [128, 64, 32, 16]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_shape": (1, 28, 28)}, "of 8, 16, .* pixels, not 28x28: give --size 32"),
        ({"image_shape": (1, 4, 4)}, "not 4x4: give --size 8"),
        ({"image_shape": (3, 218, 178)}, "square images .*, not 218x178: give --size 256"),
        ({"epochs": 0}, "epochs must be above 0, not 0"),
        ({"max_width": 0}, "max width must be above 0, not 0"),
        ({"average": float("nan")}, "average must be above 0, not nan"),
        ({"steps": 0}, "steps must be above 0, not 0"),
        ({"r1": -1.0}, "r1 must not be below 0, but is -1.0"),
        ({"mixing": 1.5}, "mixing is a probability from 0 to 1, not 1.5"),
        ({"augment": -0.5}, "augment is a probability from 0 to 1, not -0.5"),
        ({"batch_size": 30}, "in groups of 4: the batch size must be a multiple of it, not 30"),
        ({"augmentations": ("blur",)}, "unknown augmentation 'blur': choose of flip, translate,"),
        ({"precision": "float16"}, "training takes float32 or bfloat16, not float16"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ModelError, match=message):
        replace(SETTINGS, **change)
