"""StyleGAN models: their spaces, samples, truncation, mixing, noise and classes."""

import pytest
import torch

from latentmap.codes import Codes
from latentmap.encoders import FAMILIES, SPACES, build, load, spaces_of
from latentmap.encoders.inverted import add_inversion
from latentmap.encoders.native import save_model
from latentmap.encoders.nets.inversion import InversionNetwork, default_network
from latentmap.encoders.sampling import adjust, draw_codes
from latentmap.encoders.stylegan import SPACE_KINDS, StyleGANModel
from latentmap.errors import ModelError, SpaceError
from latentmap.model import decode_all, sample_codes
from latentmap.model.testing import LinearModel, check_model

CONFIG = {
    "image_shape": [3, 16, 16],
    "latent_dim": 12,
    "z_dim": 10,
    "c_dim": 0,
    "label": "none",
    "embed_dim": 0,
    "channels": [8, 8, 4],
    "mapping_layers": 2,
    "mapping_multiplier": 0.01,
    "architecture": "skip",
    "conv_clamp": None,
}
# With as many layers as the others have.
SIGNALS = CONFIG | {
    "channels": [8, 8, 8, 4],
    "kernel": 3,
    "radial": False,
    "critical": 2,
    "first_cutoff": 2.0,
    "first_stopband": 2**2.1,
    "last_stopband_rel": 2**0.3,
    "margin": 10,
    "output_scale": 0.25,
}
CLASSES = CONFIG | {"c_dim": 3, "label": "embed", "embed_dim": 5}
CONFIGS = {"stylegan1": CONFIG, "stylegan2": CONFIG, "stylegan3": SIGNALS}
WITH_NOISE = ("stylegan1", "stylegan2")


def made(family: str = "stylegan2", config: dict[str, object] | None = None) -> StyleGANModel:
    """A model with fresh weights; its mean w and its noise are not those of a new network."""
    torch.manual_seed(0)
    config = config or CONFIGS[family]
    weights = build(family, config).network.state_dict()
    for name, tensor in weights.items():
        if name.endswith(("noise_strength", "noise_weight")):
            tensor.fill_(0.3)
    weights["mapping.w_avg"].normal_()
    model = build(family, config, name="gan", weights=weights)
    assert isinstance(model, StyleGANModel)
    return model


@pytest.fixture(params=CONFIGS)
def model(request):
    return made(request.param)


@pytest.fixture(params=WITH_NOISE)
def noisy_model(request):
    return made(request.param)


def test_a_sample_is_the_same_image_in_every_space(model):
    in_z, in_layers = model.variant(space="z"), model.variant(space="w+")
    images = model.decode(model.sample(3, seed=1))
    assert images.shape == (3, 3, 16, 16)
    assert float(images.std()) > 0.01
    for other in (in_z, in_layers):
        torch.testing.assert_close(other.decode(other.sample(3, seed=1)), images)
    assert (in_z.latent_dim, model.latent_dim, in_layers.latent_dim) == (10, 12, 6 * 12)


def test_a_code_is_refused_in_another_space(model):
    codes = sample_codes(model.sample(2, seed=0), model, seed=0)
    assert model.decode(codes).shape == (2, 3, 16, 16)
    for kind in ("z", "w+"):
        with pytest.raises(SpaceError, match=f"in {kind.replace('+', '.')} of gan .*, not in w of"):
            model.variant(space=kind).decode(codes)
        with pytest.raises(SpaceError, match="choose the space w of this model"):
            decode_all(model.variant(space=kind), codes)


def test_a_code_of_another_generator_is_refused(model):
    torch.manual_seed(1)
    other = build(model.family, model.config)
    codes = sample_codes(other.sample(2, seed=0), other, seed=0)
    with pytest.raises(SpaceError, match="use the model that made it"):
        model.decode(codes)


def test_truncation_draws_codes_towards_the_mean(model):
    mean = model.network.mapping.w_avg
    full, half = model.sample(4, seed=2), model.sample(4, seed=2, truncation=0.5)
    torch.testing.assert_close(half - mean, 0.5 * (full - mean))
    torch.testing.assert_close(model.sample(4, seed=2, truncation=0.0), mean.expand(4, -1))
    in_layers = model.variant(space="w+").sample(4, seed=2, truncation=0.5)
    torch.testing.assert_close(in_layers, half.repeat(1, model.num_ws))


def test_truncation_has_no_meaning_in_z(model):
    with pytest.raises(ModelError, match="truncation moves codes in w"):
        model.variant(space="z").sample(2, seed=0, truncation=0.5)


def test_truncation_of_other_models_scales_the_standard_normal():
    vae = build(
        "vae", {"architecture": "dense", "image_shape": [1, 4, 4], "latent_dim": 3, "widths": [8]}
    )
    torch.testing.assert_close(vae.sample(5, seed=0, truncation=0.5), 0.5 * vae.sample(5, seed=0))


def test_a_cutoff_leaves_later_layers_as_they_are(model):
    plain = model.styles(2, seed=3).unflatten(1, (6, -1))
    cut = model.styles(2, seed=3, truncation=0.5, truncation_cutoff=2).unflatten(1, (6, -1))
    mean = model.network.mapping.w_avg
    torch.testing.assert_close(cut[:, 2:], plain[:, 2:])
    torch.testing.assert_close(cut[:, :2] - mean, 0.5 * (plain[:, :2] - mean))
    torch.testing.assert_close(plain[:, 0], model.sample(2, seed=3))


def test_mixing_takes_later_layers_from_a_second_sample(model):
    plain = model.styles(2, seed=3).unflatten(1, (6, -1))
    mixed = model.styles(2, seed=3, mix_from=4).unflatten(1, (6, -1))
    torch.testing.assert_close(mixed[:, :4], plain[:, :4])
    assert not torch.allclose(mixed[:, 4], plain[:, 4])
    torch.testing.assert_close(mixed[:, 5], mixed[:, 4])
    torch.testing.assert_close(model.styles(2, seed=3, mix_from=6).unflatten(1, (6, -1)), plain)


@pytest.mark.parametrize("setting", [{"mix_from": 7}, {"truncation_cutoff": 9}])
def test_a_layer_that_is_not_there_is_refused(model, setting):
    with pytest.raises(ModelError, match=r"gan has 6 layers: .* must be from 0 to 6, not"):
        model.styles(1, seed=0, **setting)


def test_noise_is_stored_left_out_or_drawn(noisy_model):
    model = noisy_model
    codes = model.sample(2, seed=0)
    stored, none = model.decode(codes), model.variant(noise="none").decode(codes)
    drawn = [model.variant(noise="random", noise_seed=seed).decode(codes) for seed in (0, 0, 1)]
    assert torch.equal(stored, model.decode(codes))
    assert torch.equal(drawn[0], drawn[1])
    for one, other in ((stored, none), (stored, drawn[0]), (none, drawn[0]), (drawn[0], drawn[2])):
        assert not torch.allclose(one, other, atol=1e-3)


def test_stylegan3_has_no_noise():
    model = made("stylegan3")
    codes = model.sample(2, seed=0)
    assert torch.equal(model.variant(noise="none").decode(codes), model.decode(codes))
    with pytest.raises(ModelError, match="gan has no noise that could be drawn: leave it out"):
        model.variant(noise="random")


def test_every_batch_of_random_noise_differs(noisy_model):
    noisy = noisy_model.variant(noise="random")
    codes = noisy.sample(1, seed=0)
    assert not torch.equal(noisy.decode(codes), noisy.decode(codes))


def test_bfloat16_is_near_and_asked_for(model):
    codes = model.sample(2, seed=0)
    exact, rough = model.decode(codes), model.variant(precision="bfloat16").decode(codes)
    assert rough.dtype == torch.float32
    assert 0 < float((exact - rough).abs().mean()) < 0.02


def test_a_variant_leaves_the_model_as_it_was(model):
    before = model.decode(model.sample(1, seed=0))
    other = model.variant(space="z", noise="none", precision="bfloat16")
    assert other.network is model.network
    assert other.fingerprint == model.fingerprint
    assert (model.space.kind, model.noise, model.precision) == ("w", "const", "float32")
    assert torch.equal(model.decode(model.sample(1, seed=0)), before)


@pytest.mark.parametrize(
    "setting", [{"space": "s"}, {"noise": "loud"}, {"precision": "float8"}], ids=str
)
def test_a_setting_that_is_not_known_is_refused(model, setting):
    (name,) = setting
    with pytest.raises(ModelError, match=f"unknown {name} .*: choose one of "):
        model.variant(**setting)


def test_a_conditional_generator_asks_for_a_class():
    model = made(config=CLASSES)
    with pytest.raises(ModelError, match=r"conditional: choose one of its classes, 0 to 2"):
        model.sample(1, seed=0)
    with pytest.raises(ModelError, match=r"3 classes, there is no class 3: give 0 to 2"):
        model.variant(label=3)
    first, second = (model.variant(label=label).sample(2, seed=0) for label in (0, 1))
    assert not torch.allclose(first, second)
    # A code in w says all: it needs no class.
    assert torch.equal(model.decode(first), model.variant(label=1).decode(first))
    in_z = model.variant(space="z", label=1)
    torch.testing.assert_close(in_z.decode(in_z.sample(2, seed=0)), model.decode(second))


def test_z_of_two_classes_are_two_spaces_and_w_is_one():
    model = made(config=CLASSES)
    z = [model.variant(space="z", label=label).space for label in (0, 1, 1)]
    assert not z[0].same_as(z[1])
    assert z[1].same_as(z[2])
    assert model.variant(label=0).space.same_as(model.variant(label=1).space)


def test_a_generator_without_classes_takes_none():
    with pytest.raises(ModelError, match="gan has 0 classes, there is no class 0: it takes none"):
        made().variant(label=0)


@pytest.mark.parametrize("space", SPACE_KINDS)
def test_it_keeps_the_contract_in_every_space(model, space):
    check_model(model.variant(space=space))
    check_model(model.variant(space=space, noise="none"))


def test_noise_that_is_drawn_anew_breaks_the_contract(noisy_model):
    with pytest.raises(ModelError, match="decoding the same codes twice gives other images"):
        check_model(noisy_model.variant(noise="random"))


def test_it_has_no_encoder(model):
    with pytest.raises(ModelError, match="gan has no encoder: give it one with `latentm"):
        model.encode(torch.rand(1, 3, 16, 16))


def test_a_saved_model_comes_back(model, tmp_path):
    path = tmp_path / "gan.safetensors"
    save_model(model, path, training={})
    again = load(path)
    codes = model.sample(2, seed=0)
    assert again.fingerprint == model.fingerprint
    assert torch.equal(again.decode(codes), model.decode(codes))
    # Codes know their space through a file as well.
    assert torch.equal(again.decode(sample_codes(codes, model, seed=0)), model.decode(codes))


@pytest.mark.parametrize(
    "change",
    [{"channels": [8, 8]}, {"architecture": "deep"}, {"mapping_layers": 3}, {"latent_dim": 13}],
    ids=str,
)
def test_weights_that_do_not_fit_the_configuration_are_refused(change):
    model = made()
    with pytest.raises(ModelError, match="this is no stylegan2 model"):
        build("stylegan2", CONFIG | change, weights=model.network.state_dict())


def test_images_do_not_depend_on_the_batch(model):
    codes = sample_codes(model.sample(5, seed=0), model, seed=0)
    seen: list[tuple[int, int]] = []
    images = decode_all(model, codes, batch_size=2, progress=lambda *state: seen.append(state))
    torch.testing.assert_close(images, model.decode(codes), atol=1e-5, rtol=0)
    assert seen == [(0, 5), (2, 5), (4, 5)]


def test_drawing_keeps_the_space_of_the_codes(model):
    assert draw_codes(model, 2, seed=0).space == model.space
    mixed = draw_codes(model, 2, seed=0, mix_from=2)
    assert mixed.space == model.variant(space="w+").space
    torch.testing.assert_close(mixed.vectors, model.styles(2, seed=0, mix_from=2))


def test_other_models_have_none_of_these_settings():
    model = LinearModel()
    assert adjust(model) is model
    with pytest.raises(ModelError, match="only a StyleGAN has a choice of space and noise"):
        adjust(model, space="w", noise="none")
    with pytest.raises(ModelError, match="only a StyleGAN has a choice of layers"):
        draw_codes(model, 1, seed=0, mix_from=1)


def test_a_stylegan_with_an_inversion_network_has_the_same_settings(model):
    config = default_network("residual", model.image_shape, model.latent_dim, width=4)
    network = InversionNetwork(config, model.image_shape, model.latent_dim)
    both = add_inversion(model, network, config, name="gan")
    codes = both.sample(2, seed=0)
    drawn = {"noise": "random", "noise_seed": 3}
    for settings in ({"noise": "none"}, *([drawn] if model.has_noise else [])):
        shown = adjust(both, **settings).decode(codes)
        torch.testing.assert_close(shown, model.variant(**settings).decode(codes))
    mixed = draw_codes(both, 2, seed=0, mix_from=2, truncation=0.5, truncation_cutoff=1)
    assert mixed.space == model.variant(space="w+").space
    expected = model.styles(2, seed=0, mix_from=2, truncation=0.5, truncation_cutoff=1)
    torch.testing.assert_close(mixed.vectors, expected)
    in_z = adjust(both, space="z")
    assert in_z.space == model.variant(space="z").space and not in_z.can_encode
    of_class = made(config=CLASSES).variant(space="z", label=1)
    config = default_network("residual", of_class.image_shape, of_class.latent_dim, width=4)
    network = InversionNetwork(config, of_class.image_shape, of_class.latent_dim)
    in_class = add_inversion(of_class, network, config, name="gan")
    other_class = adjust(in_class, label=2)
    assert in_class.can_encode and not other_class.can_encode
    assert not adjust(other_class, noise="none").can_encode
    assert adjust(other_class, label=1).can_encode
    assert adjust(both, noise="none").can_encode and adjust(both, space="w+").can_encode


def test_the_table_of_spaces_is_that_of_the_models():
    of_generators = {family: spaces for family, spaces in SPACES.items() if "z" in spaces}
    assert of_generators == dict.fromkeys(CONFIGS, SPACE_KINDS)
    assert set(CONFIGS) < set(FAMILIES)
    assert spaces_of("stylegan2", {}) == SPACE_KINDS and spaces_of("vae", {}) == ("z",)
    assert spaces_of("inverted", {"space": "w+"}) == ("w+",)
    chains = {"encoder": [], "decoder": []}
    assert spaces_of("layers", chains) == ("latent",)
    assert spaces_of("layers", {"decoder": []}) == ("z",)


def test_codes_with_ids_of_their_seed():
    model = made()
    codes = draw_codes(model, 2, seed=7)
    assert isinstance(codes, Codes)
    assert codes.ids.tolist() == ["seed7-000000", "seed7-000001"]
