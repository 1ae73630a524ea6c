"""Tiny autoencoders of the TAESD family: what a file's tensors say of them, and exact images."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from latentmap.encoders import build, load
from latentmap.encoders.checkpoints.importing import import_checkpoint, inspect_checkpoint
from latentmap.encoders.checkpoints.unsaid import Unsaid
from latentmap.encoders.native import save_model
from latentmap.errors import CheckpointError, ModelError
from latentmap.frames import Frame
from latentmap.model.testing import check_model
from tests.encoders import naive_tiny_autoencoder as naive

PUBLISHED = Path(__file__).parents[2] / "../shared/data/models"
SIZE = Unsaid(size=(64, 96))
IMAGES = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(5))
BLOCK = [f"conv.{layer}.{part}" for layer in (0, 2, 4) for part in ("weight", "bias")]


def saved(path, state):
    torch.save(state, path)
    return path


def pair(folder, channels, *, pooled=False, unsaid=SIZE):
    """The model of an encoder and a decoder of random weights, and these."""
    encoder = naive.encoder_state(channels, pooled=pooled)
    decoder = naive.decoder_state(channels, pooled=pooled)
    model, _ = import_checkpoint(
        saved(folder / "encoder.pth", encoder),
        decoder=saved(folder / "decoder.pth", decoder),
        unsaid=unsaid,
    )
    return model, encoder, decoder


@pytest.mark.parametrize(("channels", "pooled"), [(4, False), (16, False), (32, True)])
def test_an_encoder_and_its_decoder_become_one_exact_model(tmp_path, channels, pooled):
    model, encoder, decoder = pair(tmp_path, channels, pooled=pooled)
    assert model.family == "tiny-autoencoder"
    assert model.image_shape == (3, 64, 96)
    assert model.latent_shape == (channels, 8, 12)
    codes = naive.encode(encoder, IMAGES)
    torch.testing.assert_close(model.encode(IMAGES), codes.flatten(1), atol=1e-5, rtol=0)
    images = naive.decode(decoder, codes)
    # Some forty convolutions of float32 apart.
    torch.testing.assert_close(model.decode(codes), images, atol=5e-5, rtol=0)


def test_the_contract_is_kept(tmp_path):
    model, _, _ = pair(tmp_path, 3, pooled=True, unsaid=Unsaid(size=(16, 24)))
    check_model(model)
    assert model.can_encode and model.can_decode and not model.is_generator


def test_sanas_encoder_halves_five_times_and_is_an_encoder_alone(tmp_path):
    state = naive.encoder_state(32, sana=True)
    path = saved(tmp_path / "sana.pth", state)
    model, record = import_checkpoint(path, unsaid=SIZE)
    assert model.latent_shape == (32, 2, 3)
    expected = naive.encode_sana(state, IMAGES).flatten(1)
    torch.testing.assert_close(model.encode(IMAGES), expected, atol=1e-5, rtol=0)
    assert not model.can_decode
    check_model(model)
    (note,) = record["imported"]["notes"]
    assert "multiples of 32: --size chooses them" in note


def test_a_decoder_of_several_widths_is_one_alone(tmp_path):
    state = naive.decoder_state(32, widths=(16, 12, 8, 8, 8, 8))
    model, _ = import_checkpoint(saved(tmp_path / "decoder.pth", state), unsaid=SIZE)
    codes = torch.randn(2, 32, 2, 3, generator=torch.Generator().manual_seed(0))
    expected = naive.decode(state, codes, doublings=5)
    torch.testing.assert_close(model.decode(codes), expected, atol=1e-5, rtol=0)
    assert not model.can_encode
    check_model(model)


@pytest.mark.parametrize("prefix", ["{}.", "{}.layers.", "taesd_{}.", "module.{}."])
def test_both_halves_in_one_file_are_told_by_their_names(tmp_path, prefix):
    encoder, decoder = naive.encoder_state(4), naive.decoder_state(4)
    # In diffusers' files the first step of a decoder has no place.
    shift = int("layers" in prefix)
    moved = {
        f"{int(number) - shift}.{part}": tensor
        for number, _, part, tensor in ((*name.partition("."), t) for name, t in decoder.items())
    }
    halves = {"encoder": encoder, "decoder": moved}
    state = {
        prefix.format(half) + name: tensor
        for half, tensors in halves.items()
        for name, tensor in tensors.items()
    }
    save_file(state, tmp_path / "both.safetensors")
    model, _ = import_checkpoint(tmp_path / "both.safetensors", unsaid=SIZE)
    codes = model.encode(IMAGES)
    expected = naive.encode(encoder, IMAGES)
    torch.testing.assert_close(codes, expected.flatten(1), atol=1e-5, rtol=0)
    images = naive.decode(decoder, expected)
    torch.testing.assert_close(model.decode(codes), images, atol=5e-5, rtol=0)


def test_a_saved_model_is_the_same_and_another_size_is_another_space(tmp_path):
    model, encoder, _ = pair(tmp_path, 4)
    save_model(model, tmp_path / "tiny.safetensors", training={})
    again = load(tmp_path / "tiny.safetensors")
    assert again.fingerprint == model.fingerprint
    larger = again.resized(72, 40)
    assert (larger.image_shape, larger.latent_shape) == ((3, 72, 40), (4, 9, 5))
    assert larger.fingerprint != model.fingerprint
    assert not larger.space.same_as(model.space)
    assert larger.resized(64, 96).fingerprint == model.fingerprint
    images = torch.rand(1, 3, 72, 40, generator=torch.Generator().manual_seed(1))
    expected = naive.encode(encoder, images).flatten(1)
    torch.testing.assert_close(larger.encode(images), expected, atol=1e-5, rtol=0)
    own, other = (m.network.state_dict()["encoder.0.weight"] for m in (again, larger))
    assert own.data_ptr() == other.data_ptr()
    with pytest.raises(ModelError, match="multiples of 8, not 60x96"):
        model.resized(60, 96)


def test_another_size_is_seen_through_the_same_frame_and_in_the_same_space(tmp_path):
    model, _, _ = pair(tmp_path, 4)
    moved = model.seen_through(Frame("center")).resized(72, 40)
    assert moved.frame.name == "center"
    assert moved.space.same_as(model.resized(72, 40).space)


def test_large_batches_go_through_in_parts_that_bound_the_memory(tmp_path):
    model, _, _ = pair(tmp_path, 4, unsaid=Unsaid(size=(256, 256)))
    sizes = []
    for half in (model.network.encoder, model.network.decoder):
        half[0].register_forward_hook(lambda _, inputs, __: sizes.append(inputs[0].shape[-2:]))
    images = torch.rand(9, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    codes = model.encode(images)
    model.decode(codes)
    assert len(sizes) == 6
    single = torch.cat([model.encode(image[None]) for image in images])
    torch.testing.assert_close(codes, single, atol=1e-5, rtol=1e-5)


def refusal(path, **options):
    with pytest.raises(CheckpointError) as refused:
        import_checkpoint(path, **options)
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_halves_that_do_not_belong_together_are_refused_in_a_line(tmp_path):
    encoder = saved(tmp_path / "encoder.pth", naive.encoder_state(4))
    decoder = saved(tmp_path / "decoder.pth", naive.decoder_state(4))
    sixteen = saved(tmp_path / "sixteen.pth", naive.decoder_state(16))
    message = refusal(encoder, decoder=sixteen)
    assert "encoder.pth: the decoder does not fit the encoder, which gives 4 channels at 1/8" in (
        message
    )
    assert "where it takes 16 at 1/8: give two files of one autoencoder" in message
    sana = saved(tmp_path / "sana.pth", naive.encoder_state(4, sana=True))
    assert "gives 4 channels at 1/32 of the size, where it takes 4 at 1/8" in refusal(
        sana, decoder=decoder
    )
    message = refusal(decoder, decoder=encoder)
    assert "decoder.pth: it holds a decoder and no encoder: exchange the two files" in message
    assert "give the encoder's file first" in refusal(decoder, decoder=decoder)
    assert "encoder.pth holds no decoder: give --decoder the file with it" in refusal(
        encoder, decoder=encoder
    )
    both = {f"encoder.{name}": tensor for name, tensor in naive.encoder_state(4).items()}
    both |= {f"decoder.{name}": tensor for name, tensor in naive.decoder_state(4).items()}
    assert "holds a decoder as well: leave --decoder out" in refusal(
        saved(tmp_path / "both.pth", both), decoder=decoder
    )
    other = saved(tmp_path / "other.pth", {"a.weight": torch.ones(2, 2)})
    assert refusal(encoder, decoder=other).startswith(f"{other} is of no known format")
    assert refusal(other, decoder=decoder).startswith(f"{other} is of no known format")
    assert "images of 60x96 do not divide" in refusal(encoder, unsaid=Unsaid(size=(60, 96)))
    assert "such as --size 64x96" in refusal(encoder, unsaid=Unsaid(size=(60, 96)))
    assert "--final-tanh has no effect on a tiny autoencoder" in refusal(
        encoder, unsaid=Unsaid(final_tanh=True)
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("3.conv.0.bias"), "has a step 3 that no published one has"),
        (lambda state: state.pop("4.conv.2.weight"), "has a step 4 that no published one has"),
        (lambda state: state.pop("14.bias"), "does not begin and end with a convolution that has"),
        (lambda state: state.update({"7.other": torch.ones(1)}), "has a step 7 that no published"),
        (lambda state: state.update({"2.weight": torch.ones(8, 8)}), r"weight of shape \(8, 8\)"),
        (
            lambda state: state.update({"2.weight": torch.ones(8, 8, 5, 5)}),
            r"encoder.2.weight .* has the shape \(8, 8, 5, 5\), but the others ask for",
        ),
        (
            lambda state: state.update({"0.bias": torch.full((8,), torch.nan)}),
            "encoder.0.bias .* holds numbers that are not finite",
        ),
        (
            lambda state: state.update({"0.bias": torch.ones(8).int()}),
            "encoder.0.bias .* is of type int32, not of a floating-point type",
        ),
        (
            lambda state: state.update(
                {f"{n + 20}.{part}": state[f"1.{part}"] for n in range(200) for part in BLOCK}
            ),
            "more than 200 steps",
        ),
    ],
)
def test_a_damaged_half_is_refused_and_described(tmp_path, change, message):
    state = naive.encoder_state(4)
    change(state)
    path = saved(tmp_path / "encoder.pth", state)
    with pytest.raises(CheckpointError, match=message):
        import_checkpoint(path)
    found = inspect_checkpoint(path)
    assert found.recognised.networks[0].kind == "tiny autoencoder (encoder)"
    assert not found.prospect()["possible"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": [["conv", 4], ["swirl", 4]]}, "a step 'swirl' is none of clamp, conv"),
        ({"encoder": [["conv", 5]]}, "gives 5 channels, not 4"),
        ({"decoder": [["clamp", 3], ["conv", 3]]}, "clamp keeps the number of channels"),
        (
            {"latent_shape": [4, 4, 4], "latent_dim": 64},
            r"shape \[4, 4, 4\] are not",
        ),
        ({"encoder": None}, "neither an encoder nor a decoder"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(changes, message):
    config = {
        "image_shape": [3, 8, 8],
        "latent_dim": 256,
        "latent_shape": [4, 8, 8],
        "encoder": [["conv", 4]],
        **changes,
    }
    with pytest.raises(ModelError, match=message):
        build("tiny-autoencoder", config)


def published(name):
    path = PUBLISHED / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return path


def weights_of(path):
    state = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.float() for name, tensor in state.items()}


def test_taef2_is_exact():
    encoder, decoder = published("taef2_encoder.pth"), published("taef2_decoder.pth")
    model, _ = import_checkpoint(encoder, decoder=decoder, unsaid=SIZE)
    codes = naive.encode(weights_of(encoder), IMAGES)
    torch.testing.assert_close(model.encode(IMAGES), codes.flatten(1), atol=1e-5, rtol=0)
    images = naive.decode(weights_of(decoder), codes)
    torch.testing.assert_close(model.decode(codes), images, atol=5e-5, rtol=0)


def test_the_encoder_of_sana_is_exact():
    path = published("taesana_encoder.pth")
    model, _ = import_checkpoint(path, unsaid=SIZE)
    expected = naive.encode_sana(weights_of(path), IMAGES).flatten(1)
    torch.testing.assert_close(model.encode(IMAGES), expected, atol=1e-5, rtol=0)
