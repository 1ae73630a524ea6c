import functools
import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from latentmap.cache import Coder, LatentCache
from latentmap.codes import Codes
from latentmap.encoders import FAMILIES, build, load
from latentmap.encoders.boxes import box_frame, box_shape
from latentmap.encoders.inverted import InvertedModel, add_inversion, unwrap
from latentmap.encoders.native import read_header, save_model
from latentmap.encoders.nets.inversion import (
    ARCHITECTURES,
    InversionNetwork,
    ResidualStage,
    default_network,
)
from latentmap.encoders.training import runs
from latentmap.encoders.training.batches import PixelBatches
from latentmap.encoders.training.inversion import (
    CodeBatches,
    InversionRecipe,
    fit_moments,
    one_cycle,
)
from latentmap.encoders.training.inversion_figures import measure_generated, measure_real
from latentmap.encoders.training.loop import CHECKPOINT, LOG, Length
from latentmap.encoders.training.runs import working_folder
from latentmap.encoders.training.train_inversion import InversionSettings, train_inversion
from latentmap.errors import ImageError, ModelError, OutputError
from latentmap.frames import Frame
from latentmap.images import View, open_images, pack_images
from latentmap.model import SeenImages, count_seen
from latentmap.model.testing import LinearModel, check_model
from latentmap.report import image_grid
from tests.encoders.stages import during

# What a run goes on from is looked at here, after its end too.
Run = functools.partial(runs.Run, keep_checkpoint=True)

VAE = {"architecture": "dense", "image_shape": [1, 8, 8], "latent_dim": 3, "widths": [8]}
STYLEGAN = {
    "image_shape": [3, 8, 8],
    "latent_dim": 6,
    "z_dim": 5,
    "c_dim": 0,
    "label": "none",
    "embed_dim": 0,
    "channels": [8, 4],
    "mapping_layers": 2,
    "mapping_multiplier": 0.01,
    "architecture": "skip",
    "conv_clamp": None,
}
CLASSES = STYLEGAN | {"c_dim": 3, "label": "embed", "embed_dim": 4}
INNER = {"family": "vae", "config": VAE, "frame": Frame().to_json(), "class": None}
SETTINGS = InversionSettings(steps=12, batch_size=8, width=4, held_out=20, seed=3)


class Linear(LinearModel):
    """The exact model as a family of its own."""

    def __init__(self, config, *, name=None, frame=None, weights=None):
        super().__init__(
            config["latent_dim"], tuple(config["image_shape"]), name=name or "linear", frame=frame
        )
        if weights is not None:
            self.network.load_state_dict(weights)


@pytest.fixture(autouse=True)
def families(monkeypatch):
    monkeypatch.setitem(FAMILIES, "linear-test", f"{__name__}:Linear")


def generator(family="stylegan2", config=STYLEGAN, *, seed=0, noise=0.0, **attributes):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build(family, dict(config), **attributes)
        weights = model.network.state_dict()
        for key in weights:
            if key.endswith("noise_strength"):
                weights[key] += noise
    return build(family, dict(config), weights=weights, **attributes)


def inverted(made=None, *, box="full", architecture="residual", name="pair"):
    made = made or generator()
    shape = box_shape(made, box)
    config = default_network(architecture, shape, made.latent_dim, width=4)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = InversionNetwork(config, shape, made.latent_dim)
    fit_moments(network, made, seed=0)
    return add_inversion(made, network, config, box=box, name=name)


def recipe_of(made, **options):
    model = inverted(made)
    return InversionRecipe(model, **{"steps": 10, "learning_rate": 1e-3, **options})


def rare_images(made, path):
    """40 images that a generator makes of codes three times as far out as those of its prior."""
    pixels = (255 * made.decode(3 * made.sample(40, seed=9))).round().to(torch.uint8)
    np.save(path, pixels.permute(0, 2, 3, 1).numpy())
    return open_images(path)


def tensors_of(path):
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}


def log_of(folder):
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "images_per_second"} for line in lines]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    "shape", [(1, 4, 4), (1, 8, 8), (1, 28, 28), (3, 33, 18), (3, 300, 260), (1, 129, 7)]
)
def test_images_of_any_shape_have_codes(architecture, shape):
    network = InversionNetwork(default_network(architecture, shape, 5, width=2), shape, 5)
    assert network(torch.rand(2, *shape)).shape == (2, 5)


def test_the_plain_network_is_the_published_one():
    gan = default_network("plain", (3, 64, 64), 64)
    assert (gan["widths"], gan["kernel"], gan["dense"]) == ([128, 256, 512], 4, None)
    stylegan = default_network("plain", (3, 256, 256), 512)
    assert stylegan["widths"] == [32, 64, 128, 256, 512, 1024]
    assert (stylegan["kernel"], stylegan["dense"], stylegan["dropout"]) == (3, 2048, 0.2)


@pytest.mark.parametrize(("size", "stages"), [(4, 0), (8, 1), (28, 3), (64, 4), (128, 5), (256, 5)])
def test_residual_stages_lead_to_four_pixels(size, stages):
    config = default_network("residual", (3, size, size), 8, width=2)
    assert config["widths"] == [2 * min(8, 2**i) for i in range(stages + 1)]
    network = InversionNetwork(config, (3, size, size), 8)
    before_dense = next(m for m in network.body if isinstance(m, torch.nn.Linear))
    assert before_dense.in_features == config["widths"][-1] * 4 * 4


def test_a_stage_halves_and_rounds_up():
    assert ResidualStage(4, 8)(torch.rand(1, 4, 7, 10)).shape == (1, 8, 4, 5)


def test_large_images_are_seen_as_their_local_means():
    network = InversionNetwork(
        default_network("residual", (1, 512, 512), 3, width=2), (1, 512, 512), 3
    )
    small = torch.rand(1, 1, 128, 128)
    large = small.repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(network.normalized(large), network.body(2 * small - 1))


def test_codes_are_mean_plus_scale_times_what_the_body_gives():
    network = InversionNetwork(default_network("residual", (1, 8, 8), 3, width=2), (1, 8, 8), 3)
    network.mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    network.scale.fill_(5.0)
    images = torch.rand(2, 1, 8, 8)
    expected = network.mean + 5 * network.body(2 * images - 1)
    torch.testing.assert_close(network(images), expected)


def test_the_moments_are_those_of_the_codes():
    made = generator()
    model = inverted(made)
    codes = made.sample(20_000, seed=9)
    assert torch.allclose(model.inversion.mean, codes.mean(0), atol=0.05 * float(codes.std()))
    assert float(model.inversion.scale) == pytest.approx(
        float(codes.var(0).mean() ** 0.5), rel=0.03
    )


def test_a_batch_is_other_codes_of_the_prior_at_every_step():
    batches = CodeBatches(LinearModel(), size=5, per_epoch=2, seed=1)
    first, second = batches.batch(0), batches.batch(1)
    assert first.shape == (5, 4) and not torch.equal(first, second)
    assert torch.equal(first, CodeBatches(LinearModel(), size=5, per_epoch=2, seed=1).batch(0))
    assert not torch.equal(first, CodeBatches(LinearModel(), size=5, per_epoch=2, seed=2).batch(0))


@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_one_step_equals_the_loss_by_hand(weight):
    made = generator("vae", VAE)
    recipe = recipe_of(made, image_weight=weight, schedule="constant")
    codes = made.sample(6, seed=4)
    twin = inverted(made)
    network = twin.inversion.requires_grad_(True)
    images = made.decode(codes)
    found = network(images)
    code_mse = ((found - codes) ** 2).mean() / network.scale**2
    image_mse = ((made._decode(found) - images) ** 2).mean()
    (code_mse + weight * image_mse).backward()
    recipe.step(codes, 0)
    figures = recipe.figures()
    assert figures["code_r2"] == pytest.approx(1 - float(code_mse.detach()), rel=1e-4)
    assert figures.get("image_mse", 0) == pytest.approx(float(image_mse.detach()) * (weight > 0))
    for ours, expected in zip(recipe.inversion.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, expected.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.7])
def test_real_images_are_learnt_from_beside_generated_ones(weight):
    made = generator("vae", VAE)
    pixels = torch.randint(0, 256, (20, 1, 8, 8), dtype=torch.uint8)
    real = PixelBatches(pixels, size=4, seed=1)
    recipe = recipe_of(made, real=real, real_weight=2.0, image_weight=weight, schedule="constant")
    codes = made.sample(6, seed=4)
    network = inverted(made).inversion.requires_grad_(True)
    images, seen = made.decode(codes), real.batch(3)
    found = network(images)
    code_mse = ((found - codes) ** 2).mean() / network.scale**2
    image_mse = ((made._decode(found) - images) ** 2).mean()
    real_mse = ((made._decode(network(seen)) - seen) ** 2).mean()
    (code_mse + weight * image_mse + 2 * real_mse).backward()
    recipe.step(codes, 3)
    figures = recipe.figures()
    assert figures["real_mse"] == pytest.approx(float(real_mse.detach()), rel=1e-5)
    assert figures["code_r2"] == pytest.approx(1 - float(code_mse.detach()), rel=1e-4)
    for ours, expected in zip(recipe.inversion.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, expected.grad, rtol=1e-3, atol=1e-6)


def test_the_generator_is_not_trained():
    made = generator()
    before = {key: value.clone() for key, value in made.network.state_dict().items()}
    recipe = recipe_of(made, image_weight=1.0)
    recipe.step(made.sample(4, seed=0), 0)
    assert all(torch.equal(before[key], made.network.state_dict()[key]) for key in before)


def test_the_learning_rate_rises_and_falls():
    rates = [one_cycle(i, 100) for i in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[55] == pytest.approx(0.5)
    assert all(low < high for high, low in pairwise(rates[10:]))
    assert one_cycle(0, 1) == 1.0
    made = generator("vae", VAE)
    recipe = recipe_of(made, steps=100, learning_rate=0.5)
    recipe.step(made.sample(4, seed=0), 55)
    assert recipe.optimizers["adam"].param_groups[0]["lr"] == pytest.approx(0.25)


def test_the_result_is_the_moving_average_of_the_weights():
    made = generator("vae", VAE)
    recipe = recipe_of(made, memory=0.5)
    expected = recipe.inversion.body[0].weight.detach().clone()
    for index in range(4):
        recipe.step(made.sample(4, seed=index), index)
        memory = min(0.5, (1 + index) / (10 + index))
        expected = memory * expected + (1 - memory) * recipe.inversion.body[0].weight.detach()
    torch.testing.assert_close(recipe.average.body[0].weight, expected)


def test_a_stylegan_shows_its_codes_with_other_noise_every_time():
    made = generator(noise=1.0)
    recipe = recipe_of(made)
    codes = made.sample(2, seed=0)
    torch.manual_seed(1)
    first, second = recipe._render(codes), recipe._render(codes)
    assert not torch.equal(first, second)
    torch.manual_seed(1)
    assert torch.equal(first, recipe._render(codes))
    assert torch.equal(made.decode(codes), made.decode(codes)), "the generator itself was changed"


def test_a_stylegan_may_show_its_codes_with_its_stored_noise():
    made = generator(noise=1.0)
    codes = made.sample(2, seed=0)
    assert torch.equal(recipe_of(made, noise="const")._render(codes), made.decode(codes))


def test_a_loss_that_is_no_number_is_noticed():
    made = generator("vae", VAE)
    recipe = recipe_of(made)
    assert not recipe.diverged()
    with torch.no_grad():
        recipe.inversion.body[0].weight.fill_(float("nan"))
    recipe.step(made.sample(2, seed=0), 0)
    assert recipe.diverged()


@pytest.mark.parametrize("space", ["w", "z"])
def test_an_inverted_model_keeps_the_contract_in_a_file_too(tmp_path, space):
    model = inverted(generator().variant(space=space))
    check_model(model)
    path = tmp_path / "pair.safetensors"
    save_model(model, path, training={})
    again = load(path)
    assert isinstance(again, InvertedModel)
    assert (again.fingerprint, again.space) == (model.fingerprint, model.space)
    assert again.space.kind == space
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(again.encode(images), model.encode(images))
    codes = model.sample(2, seed=0)
    assert torch.equal(again.decode(codes), model.decode(codes))


def test_codes_are_in_the_generators_space():
    made = generator()
    model = inverted(made)
    assert model.space.same_as(made.space) and model.fingerprint != made.fingerprint
    drawn = Codes.from_array(["a", "b"], made.sample(2, seed=0), space=made.space)
    assert torch.equal(model.decode(drawn), made.decode(drawn))
    given = Codes.from_array(["a"], model.encode(torch.rand(1, 3, 8, 8)), space=model.space)
    made.decode(given)


def test_samples_are_the_generators():
    made = generator()
    model = inverted(made)
    assert torch.equal(model.sample(3, seed=5), made.sample(3, seed=5))
    low = model.sample(3, seed=5, truncation=0.5)
    assert torch.equal(low, made.sample(3, seed=5, truncation=0.5))


def test_two_networks_of_a_generator_have_codes_of_their_own_in_a_cache(tmp_path):
    np.save(
        tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), np.uint8)
    )
    images = open_images(tmp_path / "images.npy")
    cache = LatentCache(tmp_path / "cache")
    one, other = inverted(), inverted(architecture="plain")
    for model in (one, other):
        (codes,) = Coder(cache).codes([model], images)
        stack = torch.stack([torch.from_numpy(images.read(i)) for i in range(4)])
        expected = model.encode(stack.permute(0, 3, 1, 2).float() / 255)
        torch.testing.assert_close(codes.vectors, expected, rtol=1e-4, atol=1e-5)
    assert len(cache.entries.all()) == 2


def test_a_model_of_the_whole_picture_knows_where_others_look():
    made = generator()
    made.boxes = {"f" * 64: "0,0,0.5,0.5"}
    assert inverted(made).boxes == made.boxes
    assert inverted(made, box="0,0,1,0.5").boxes == {}


def test_the_generator_of_a_model_comes_out_with_its_views_and_leaves_the_model_as_it_was():
    model = inverted()
    model.boxes = {"f" * 64: "0,0,0.5,0.5"}
    taken = unwrap(model)
    assert taken.boxes == model.boxes and model.generator.boxes == {}
    assert taken.fingerprint == model.generator.fingerprint
    assert unwrap(taken) is taken
    with pytest.raises(ModelError, match="its generator is such a model itself"):
        inverted(model)


def test_a_network_that_becomes_part_of_a_model_goes_on_being_trained():
    made = generator("vae", VAE)
    config = default_network("residual", made.image_shape, made.latent_dim, width=4)
    network = InversionNetwork(config, made.image_shape, made.latent_dim)
    model = add_inversion(made, network, config, name="pair")
    assert network.training and all(weight.requires_grad for weight in network.parameters())
    with torch.no_grad():
        network.body[0].weight.fill_(0.5)
    assert bool((model.inversion.body[0].weight == 0.5).all()), "the weights are not shared"
    assert (model.space.model, made.space.model) == ("pair", "vae")


def test_a_class_of_a_conditional_generator_stays():
    made = generator(config=CLASSES)
    with pytest.raises(ModelError, match="is conditional: choose one of its classes"):
        inverted(made)
    model = inverted(made.variant(label=2))
    assert model.config["generator"]["class"] == 2 and model.rendering["label"] == 2
    assert torch.equal(model.sample(2, seed=0), made.variant(label=2).sample(2, seed=0))


def test_a_network_for_another_generator_is_refused():
    model, other = inverted(), generator(seed=8)
    weights = model.network.state_dict()
    weights |= {f"generator.{key}": value for key, value in other.network.state_dict().items()}
    with pytest.raises(
        ModelError, match=r"is for the generator \w{12}, but is together with \w{12}"
    ):
        build("inverted", model.config, weights=weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generator": {}}, "configuration does not fit"),
        ({"generator": None}, "configuration does not fit"),
        ({"generator": INNER | {"family": "inverted"}}, "its generator is such a model itself"),
        ({"generator": INNER | {"family": ["vae"]}}, "family, .* are texts"),
        ({"generator": INNER | {"class": "1"}}, "the class is a number, not '1'"),
        ({"latent_dim": 7}, r"makes images \(3, 8, 8\) of 6 variables, not \(3, 8, 8\) of 7"),
        ({"image_shape": [3, 4, 4]}, r"of 6 variables, not \(3, 4, 4\) of 6"),
        ({"space": "v"}, "unknown space 'v'"),
        ({"network": {}}, "this is no inverted model"),
        ({"network": {"architecture": "residual", "widths": [4, 9], "dense": 512}}, "do not fit"),
    ],
)
def test_a_damaged_description_is_one_clear_line(change, message):
    model = inverted()
    with pytest.raises(ModelError, match=message) as caught:
        build("inverted", model.config | change, weights=model.network.state_dict())
    assert "\n" not in str(caught.value)


def test_weights_of_neither_network_are_refused():
    model = inverted()
    weights = {**model.network.state_dict(), "other.weight": torch.zeros(1)}
    with pytest.raises(ModelError, match=r"other\.weight"):
        build("inverted", model.config, weights=weights)


def test_a_view_is_a_box_of_the_picture_in_both_directions(tmp_path):
    made = generator(frame=Frame("0.2,0.1,0.6,0.9", "pillow-box"))
    model = inverted(made, box="0.25,0,1,0.5")
    check_model(model)
    assert model.image_shape == (3, 6, 4)
    codes = made.sample(2, seed=0)
    assert torch.equal(model.decode(codes), made.decode(codes)[:, :, 2:, :4])
    assert [float(edge) for edge in model.frame.name.split(",")] == pytest.approx(
        [0.3, 0.1, 0.6, 0.5]
    )
    assert model.frame.resize == "pillow-box"
    save_model(model, tmp_path / "view.safetensors", training={})
    assert load(tmp_path / "view.safetensors").frame == model.frame


def test_a_view_of_a_picture_shows_the_pixels_that_the_decoder_shows(tmp_path):
    model = inverted(box="0.25,0,1,0.5")
    pictures = (model.generator.decode(model.sample(3, seed=0)) * 255).round().byte()
    np.save(tmp_path / "pictures.npy", pictures.permute(0, 2, 3, 1).numpy())
    images = open_images(tmp_path / "pictures.npy")
    (batch,) = images.batches([model.view], batch_size=3)
    assert torch.equal(batch.images[0], pictures[:, :, 2:, :4])


def test_the_whole_picture_is_no_view():
    made = generator(frame=Frame("center"))
    assert box_frame(made, "full") == made.frame
    with pytest.raises(ModelError, match=r"has the frame center, .* leave it out, or train"):
        box_frame(made, "0,0,0.5,0.5")


def test_a_linear_generator_is_inverted(tmp_path):
    settings = InversionSettings(
        width=16, steps=400, batch_size=64, learning_rate=1e-2, held_out=500, memory=0.98
    )
    out = tmp_path / "pair.safetensors"
    model = train_inversion(Linear({"latent_dim": 4, "image_shape": [1, 4, 4]}), settings, Run(out))
    held_out = read_header(out).training["held_out"]
    assert held_out["code_r2"] > 0.99 and held_out["code_r2_mean"] > 0.99
    assert held_out["image_mse"] < 0.01 * held_out["image_variance"]
    codes = model.sample(100, seed=123)
    found = model.encode(model.decode(codes))
    assert float((found - codes).square().mean() / codes.var()) < 0.01


def test_training_leaves_a_model_a_log_and_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr("latentmap.encoders.training.train_inversion._EPOCH", 5)
    out = tmp_path / "pair.safetensors"
    state = torch.get_rng_state()
    made = generator()
    model = train_inversion(made, SETTINGS, Run(out, record={"command": "this"}))
    assert torch.equal(torch.get_rng_state(), state), "the caller's random state was changed"
    check_model(model)
    assert load(out).fingerprint == model.fingerprint
    assert model.space.same_as(made.space)
    folder = working_folder(out)
    assert [line["step"] for line in log_of(folder)] == [5, 10, 12]
    assert len(list(folder.glob("epoch-*.png"))) == 3
    # The last picture is that of the result.
    codes = made.sample(10, seed=3)
    images = made.decode(codes)
    rows = [("generated", images), ("generated again", model.decode(model.encode(images)))]
    with Image.open(folder / "epoch-0003.png") as shown:
        assert np.array_equal(np.asarray(shown), np.asarray(image_grid(rows).picture()))
    training = read_header(out).training
    assert (training["seed"], training["command"], training["schedule"]) == (3, "this", "one-cycle")
    assert training["held_out"]["samples"] == 20 and "real" not in training


def test_only_what_is_seen_is_learnt(tmp_path):
    made = generator()
    settings = replace(SETTINGS, view="0,0,0.5,1", space="z", architecture="plain")
    model = train_inversion(made, settings, Run(tmp_path / "pair.safetensors"))
    assert (model.image_shape, model.space.kind, model.latent_dim) == ((3, 4, 8), "z", 5)


def test_a_trained_model_gives_its_generator_for_another_network(tmp_path):
    made = generator()
    first = train_inversion(made, SETTINGS, Run(tmp_path / "first.safetensors"))
    settings = replace(SETTINGS, architecture="plain")
    second = train_inversion(first, settings, Run(tmp_path / "second.safetensors"))
    assert second.config["generator"]["family"] == "stylegan2"
    assert second.space.same_as(made.space)


IN_DOMAIN = replace(SETTINGS, steps=60, learning_rate=3e-3, real_weight=30.0)


def test_a_network_that_learns_from_real_images_makes_them_again_better(tmp_path):
    made = generator("vae", VAE)
    images = rare_images(made, tmp_path / "real.npy")
    domain, real = images.subset(np.arange(30)), images.subset(np.arange(30, 40))
    blind, seen = tmp_path / "blind.safetensors", tmp_path / "seen.safetensors"
    train_inversion(made, replace(IN_DOMAIN, real_weight=0.0), Run(blind), real=real)
    model = train_inversion(made, IN_DOMAIN, Run(seen), domain=domain, real=real)
    assert model.space.same_as(made.space)
    before, after = (read_header(path).training for path in (blind, seen))
    assert after["real"]["image_mse"] < 0.8 * before["real"]["image_mse"]
    assert (after["domain"], after["real_weight"]) == (domain.fingerprint, 30.0)
    assert "domain" not in before


def test_real_images_are_of_those_that_the_generator_has_seen(tmp_path):
    made = generator()
    images = rare_images(made, tmp_path / "real.npy")
    made.seen = SeenImages.of(images.digests[:30])
    settings = replace(IN_DOMAIN, steps=1)
    out = tmp_path / "pair.safetensors"
    with pytest.raises(ModelError, match="was not trained on 5 of these 10 images"):
        train_inversion(made, settings, Run(out), domain=images.subset(np.arange(25, 35)))
    assert not (tmp_path / "pair.safetensors.training").exists()
    domain, real = images.subset(np.arange(30)), images.subset(np.arange(20, 40))
    model = train_inversion(made, settings, Run(out), domain=domain, real=real)
    assert list(count_seen([model], domain.digests).values()) == [30]
    assert read_header(out).training["real"]["n_seen"] == 10


def test_real_images_and_their_weight_belong_together(tmp_path):
    images = rare_images(generator(), tmp_path / "real.npy")
    run = Run(tmp_path / "pair.safetensors")
    with pytest.raises(ModelError, match="a real weight above 0: give both, or neither"):
        train_inversion(generator(), SETTINGS, run, domain=images)
    with pytest.raises(ModelError, match="a real weight above 0: give both, or neither"):
        train_inversion(generator(), IN_DOMAIN, run)
    with pytest.raises(ModelError, match="at least one batch of 8 images, not 3"):
        train_inversion(generator(), IN_DOMAIN, run, domain=images.subset(np.arange(3)))


def test_a_network_is_refined_from_where_it_was(tmp_path):
    first = train_inversion(generator(), SETTINGS, Run(tmp_path / "first.safetensors"))
    settings = replace(SETTINGS, refine=True, steps=1, learning_rate=1e-12)
    out = tmp_path / "second.safetensors"
    second = train_inversion(first, settings, Run(out))
    images = torch.rand(5, 3, 8, 8)
    torch.testing.assert_close(second.encode(images), first.encode(images), rtol=1e-4, atol=1e-5)
    assert read_header(out).training["refined"] == first.fingerprint
    other = train_inversion(first, replace(settings, refine=False), Run(tmp_path / "third.st"))
    assert not torch.allclose(other.encode(images), first.encode(images), atol=1e-2)


def test_a_refining_goes_on_with_the_network_that_it_began_with(tmp_path):
    first = train_inversion(generator(), SETTINGS, Run(tmp_path / "first.safetensors"))
    other = train_inversion(
        generator(), replace(SETTINGS, seed=4), Run(tmp_path / "other.safetensors")
    )
    settings, out = replace(SETTINGS, refine=True), tmp_path / "second.safetensors"
    train_inversion(first, settings, Run(out))
    with pytest.raises(ModelError, match=r"other settings: refined was '\w+', not '\w+'"):
        train_inversion(other, settings, Run(out, resume=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 5}, "its network must stay"),
        ({"architecture": "plain"}, "its network must stay"),
        ({"view": "0,0,0.9,1"}, "its view must stay full, not 0,0,0.9,1"),
        ({"space": "z"}, "its (network|space) must stay"),
    ],
)
def test_a_refined_network_stays_what_it_is(tmp_path, change, message):
    settings = replace(SETTINGS, refine=True, **change)
    with pytest.raises(ModelError, match=message):
        train_inversion(inverted(), settings, Run(tmp_path / "pair.safetensors"))
    assert not any(tmp_path.iterdir())


def test_what_has_no_network_cannot_be_refined(tmp_path):
    with pytest.raises(ModelError, match="has no inversion network that could be refined"):
        train_inversion(
            generator(), replace(SETTINGS, refine=True), Run(tmp_path / "pair.safetensors")
        )


class StopHereError(Exception):
    pass


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"architecture": "plain", "image_weight": 0.5, "space": "z"},
        {"view": "0,0,1,0.5", "real_weight": 5.0},
    ],
)
@pytest.mark.parametrize("stop_after", [3, 7])
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(
    tmp_path, monkeypatch, change, stop_after
):
    settings, made = replace(SETTINGS, **change), generator(noise=0.5)
    monkeypatch.setattr("latentmap.encoders.training.train_inversion._EPOCH", 5)
    whole = tmp_path / "whole.safetensors"
    domain = rare_images(made, tmp_path / "real.npy") if settings.real_weight else None
    train_inversion(made, settings, Run(whole), domain=domain)

    def stop(done, total):
        if done == stop_after * settings.batch_size:
            raise StopHereError

    monkeypatch.setattr(Length.__init__, "__defaults__", (None, 0.0))
    out = tmp_path / "resumed.safetensors"
    with pytest.raises(StopHereError):
        train_inversion(made, settings, Run(out, stage=during("training", stop)), domain=domain)
    train_inversion(made, settings, Run(out, resume=True), domain=domain)
    first, second = (tensors_of(working_folder(path) / CHECKPOINT) for path in (whole, out))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert load(whole).fingerprint == load(out).fingerprint
    assert log_of(working_folder(whole)) == log_of(working_folder(out))


def test_a_run_goes_on_with_its_own_generator_and_settings_only(tmp_path):
    out = tmp_path / "pair.safetensors"
    train_inversion(generator(), SETTINGS, Run(out))
    with pytest.raises(ModelError, match=r"other settings: generator was '\w+', not '\w+'"):
        train_inversion(generator(seed=8), SETTINGS, Run(out, resume=True))
    with pytest.raises(ModelError, match="other settings: steps was 12, not 13"):
        train_inversion(generator(), replace(SETTINGS, steps=13), Run(out, resume=True))
    with pytest.raises(OutputError, match=r"exists: .* --force"):
        train_inversion(generator(), SETTINGS, Run(out))


def test_a_finished_run_lets_go_of_its_state(tmp_path):
    out = tmp_path / "pair.safetensors"
    made = train_inversion(generator(), SETTINGS, runs.Run(out))
    assert (runs.working_folder(out) / "checkpoint.safetensors").stat().st_size < 4000
    again = train_inversion(generator(), SETTINGS, runs.Run(out, resume=True))
    assert again.fingerprint == made.fingerprint


def test_a_run_of_constant_learning_rate_can_be_made_longer(tmp_path):
    settings = replace(SETTINGS, schedule="constant")
    whole, out = tmp_path / "whole.safetensors", tmp_path / "longer.safetensors"
    train_inversion(generator(), settings, Run(whole))
    train_inversion(generator(), replace(settings, steps=5), Run(out))
    train_inversion(generator(), settings, Run(out, resume=True))
    assert load(whole).fingerprint == load(out).fingerprint


def test_bfloat16_trains_too(tmp_path):
    settings = replace(SETTINGS, precision="bfloat16", image_weight=0.1)
    check_model(train_inversion(generator(), settings, Run(tmp_path / "pair.safetensors")))


def test_figures_are_those_of_the_definitions():
    model = inverted()
    found = measure_generated(model, 50, seed=6)
    codes = model.sample(50, seed=6)
    images = model.decode(codes)
    again = model.encode(images)
    errors = (again - codes).square().mean(0)
    variances = codes.var(0, correction=0)
    assert found.code_r2 == pytest.approx(1 - float(errors.sum() / variances.sum()), rel=1e-4)
    assert found.code_r2_mean == pytest.approx(float((1 - errors / variances).mean()), rel=1e-4)
    mse = float((model.decode(again) - images).square().mean())
    assert found.image_mse == pytest.approx(mse, rel=1e-4)
    assert found.image_variance == pytest.approx(
        float(images.var(0, correction=0).mean()), rel=1e-3
    )


def test_real_images_are_measured_beside_generated_ones(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    np.save(tmp_path / "real.npy", pixels)
    model = inverted()
    generated = measure_generated(model, 20, seed=6)
    found = measure_real(model, open_images(tmp_path / "real.npy"), generated=generated)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    mse = float((model.decode(model.encode(x)) - x).square().mean())
    assert (found.images, found.image_mse) == (40, pytest.approx(mse, rel=1e-4))
    assert found.ratio == pytest.approx(mse / generated.image_mse, rel=1e-4)


def test_the_figures_of_real_images_are_in_the_file(tmp_path):
    np.save(tmp_path / "real.npy", np.full((3, 8, 8, 3), 128, np.uint8))
    real = open_images(tmp_path / "real.npy")
    out = tmp_path / "pair.safetensors"
    train_inversion(generator(), SETTINGS, Run(out), real=real)
    measured = read_header(out).training["real"]
    assert (measured["images"], measured["data"]) == (3, real.fingerprint)


def test_a_real_image_that_cannot_be_read_loses_no_training(tmp_path):
    (tmp_path / "real").mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "real" / name)
    real = open_images(tmp_path / "real")
    real.examine()
    (tmp_path / "real" / "b.png").write_bytes(b"no image")
    out = tmp_path / "pair.safetensors"
    with pytest.raises(ImageError, match=r"b\.png"):
        train_inversion(generator(), SETTINGS, Run(out), real=real)
    assert load(str(out)).family == "inverted"
    training = read_header(out).training
    assert "held_out" in training and "real" not in training


def test_a_pack_that_does_not_show_the_view_is_refused_before_the_training(tmp_path):
    np.save(tmp_path / "real.npy", np.full((3, 8, 8, 3), 128, np.uint8))
    images = open_images(tmp_path / "real.npy")
    pack_images(images, View(Frame("0,0,0.5,0.5"), (4, 4), 3), tmp_path / "pack.h5")
    real = open_images(tmp_path / "pack.h5")
    with pytest.raises(ImageError, match="pack"):
        train_inversion(generator(), SETTINGS, Run(tmp_path / "pair.safetensors"), real=real)
    assert not (tmp_path / "pair.safetensors.training").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "deep"}, "unknown architecture 'deep': choose one of residual, plain"),
        ({"schedule": "none"}, "unknown schedule 'none': choose one of one-cycle, constant"),
        ({"noise": "none"}, "unknown noise 'none': choose one of random, const"),
        ({"space": "w+"}, r"unknown space 'w\+': choose one of w, z"),
        ({"precision": "float16"}, "unknown precision 'float16': choose one of float32, bfloat16"),
        ({"steps": 0}, "steps must be above 0, not 0"),
        ({"batch_size": 0}, "batch size must be above 0, not 0"),
        ({"width": 0}, "width must be above 0, not 0"),
        ({"learning_rate": float("nan")}, "learning rate must be above 0, not nan"),
        ({"real_weight": -1.0}, "real weight must not be below 0, but is -1.0"),
        ({"image_weight": -1.0}, "image weight must not be below 0, but is -1.0"),
        ({"seed": -1}, "seed must not be below 0, but is -1"),
        ({"memory": 1.0}, "memory must be from 0 to below 1, not 1.0"),
        ({"held_out": 1}, "held out must be at least 2 images, not 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ModelError, match=message):
        replace(SETTINGS, **change)


def test_a_view_outside_the_picture_is_refused():
    with pytest.raises(ImageError, match=r"frame '0,0,1\.5,1' is not inside the picture"):
        replace(SETTINGS, view="0,0,1.5,1")


def test_a_generator_without_w_is_said_so(tmp_path):
    with pytest.raises(ModelError, match="only a StyleGAN has a choice of space"):
        settings = replace(SETTINGS, space="w")
        train_inversion(generator("vae", VAE), settings, Run(tmp_path / "pair.safetensors"))
    assert not any(tmp_path.iterdir())
