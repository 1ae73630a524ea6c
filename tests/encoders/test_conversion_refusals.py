"""Foreign generators that are incomplete, damaged or of another make are refused in one line."""

import numpy as np
import pytest
import torch

from latentmap.encoders.checkpoints.foreign import open_foreign
from latentmap.encoders.checkpoints.formats import recognise
from latentmap.errors import CheckpointError
from tests.encoders import foreign_writers, nvlabs_writer, tensorflow_writer
from tests.encoders.foreign_writers import (
    FIR,
    STYLEGAN1,
    STYLEGAN2,
    STYLEGAN3_T,
    random_weights,
    save,
)


def converted(path):
    return recognise(open_foreign(path)).convert()


def without(name):
    return lambda state: state.pop(name)


def replaced(name, value):
    return lambda state: state.update({name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("synthesis.b4.conv1.weight"), "has no synthesis.b4.conv1.weight"),
        (without("synthesis.b8.conv0.bias"), "has no synthesis.b8.conv0.bias"),
        (without("synthesis.b16.conv1.noise_strength"), "has no synthesis.b16.conv1.noise_stren"),
        (without("synthesis.b32.torgb.weight"), "has no synthesis.b32.torgb.weight"),
        (without("mapping.fc0.weight"), "has no mapping.fc0.weight"),
        (without("mapping.fc1.weight"), r"no published one of its size has \(mapping\.fc1\.bias, "),
        (
            replaced("synthesis.b64.attention", torch.ones(2)),
            r"size has \(synthesis\.b64\.attention\): the",
        ),
        (replaced("synthesis.b8.conv0.bias", torch.ones(9)), r"has the shape \(9,\), but the othe"),
        (replaced("synthesis.b4.const", torch.ones(7, 4)), r"the shape \(7, 4\), not one of 3 axe"),
        (replaced("synthesis.b4.const", torch.ones(0, 4, 4)), r"the shape \(0, 4, 4\), not one of"),
        (
            replaced("synthesis.b32.torgb.weight", torch.ones(4, 4, 1, 1)),
            r"images of 4 channels: grey \(1\) and RGB \(3\) are supported",
        ),
        (replaced("mapping.embed.weight", torch.ones(8, 2)), "takes 8 numbers, all of them from"),
        (replaced("mapping.embed.weight", torch.ones(1, 40_000)), "more than 32768 numbers or 64"),
        (
            lambda state: state.update(
                {f"mapping.fc{i}.weight": torch.ones(1) for i in range(1, 70)}
            ),
            "more than 32768 numbers or 64 layers: this is no network that was trained",
        ),
        (replaced("mapping.w_avg", torch.ones(10).long()), "is of type int64, not of a floating"),
        (replaced("mapping.w_avg", torch.full((10,), torch.nan)), "numbers that are not finite"),
        (
            replaced("synthesis.b8.resample_filter", torch.ones(4, 4) / 16),
            r"the filter synthesis.b8.resample_filter is not \[1, 3, 3, 1\] in both directions wit",
        ),
        (replaced("synthesis.b8.resample_filter", FIR[:3]), "the filter synthesis.b8.resample_fi"),
        (replaced("synthesis.b8.resample_filter", 4 * FIR), "with sum 1: networks with other fil"),
    ],
)
def test_a_generator_that_does_not_fit_together_is_one_clear_line(tmp_path, change, message):
    state = dict(random_weights("stylegan2", STYLEGAN2))
    change(state)
    save({"G_ema": state}, tmp_path / "network")
    with pytest.raises(CheckpointError, match=message):
        converted(tmp_path / "network")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("synthesis.L2_52_5.weight"), r"has the layers \[0, 1, 3, 4\], not those from 0"),
        (without("synthesis.L2_52_5.affine.bias"), "has no synthesis.L2_52_5.affine.bias"),
        (without("synthesis.L1_52_6.up_filter"), "has no synthesis.L1_52_6.up_filter"),
        (
            replaced("synthesis.L0_36_7.weight", torch.ones(7, 7, 5, 5)),
            "has convolutions of 5 pixels: 3",
        ),
        (
            replaced("synthesis.L1_52_6.up_filter", torch.ones(24) / 24),
            "the filter synthesis.L1_52_6.up_filter is not the one that its layer asks for",
        ),
        (
            replaced("synthesis.L3_32_4.magnitude_ema", torch.tensor(0.0)),
            "L3_32_4.magnitude_ema, a mean of squares, is 0: the file is damaged",
        ),
        (
            lambda state: state.update(
                {
                    name.replace("L4_32_3", "L4_48_3"): state.pop(name)
                    for name in list(state)
                    if "L4_32_3" in name
                }
            ),
            r"cannot be those of StyleGAN3 \(the size is a power of two from 8 to 2048, not 48\)",
        ),
    ],
)
def test_a_stylegan3_generator_that_does_not_fit_together_is_one_clear_line(
    tmp_path, change, message
):
    state = dict(random_weights("stylegan3", STYLEGAN3_T))
    change(state)
    save({"G_ema": state}, tmp_path / "network")
    with pytest.raises(CheckpointError, match=message):
        converted(tmp_path / "network")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filter_size": 8}, "with filter_size=8: only 6 is supported"),
        ({"lrelu_upsampling": 4}, "with lrelu_upsampling=4: only 2 is supported"),
        ({"num_critical": "x"}, "num_critical is 'x', not a positive number"),
        ({"num_critical": 4}, r"cannot be those of StyleGAN3 \(4 layers, 4 of them critical"),
        ({"first_cutoff": 1.0}, "is not the one that its layer asks for: networks whose signals"),
    ],
)
def test_a_stylegan3_generator_that_is_sampled_otherwise_is_refused(tmp_path, arguments, message):
    weights = random_weights("stylegan3", STYLEGAN3_T)
    network = nvlabs_writer.signal_generator(STYLEGAN3_T, weights, **arguments)
    nvlabs_writer.write(tmp_path / "network", {"G_ema": network})
    with pytest.raises(CheckpointError, match=message):
        converted(tmp_path / "network")


def test_a_network_that_claims_a_size_that_nobody_trains_is_refused_before_maps_are_made(tmp_path):
    state = random_weights("stylegan2", STYLEGAN2)
    one = torch.ones(1, 1, 3, 3)
    claimed = {f"synthesis.b{4 * 2**i}.conv1.weight": one for i in range(1, 30)}
    save({"G_ema": {**state, **claimed}}, tmp_path / "network")
    with pytest.raises(CheckpointError, match="images of more than 2048 pixels"):
        converted(tmp_path / "network")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resample_kernel": [1, 2, 1]}, r"with resample_kernel=\[1, 2, 1\]: only \[1, 3, 3, 1\]"),
        ({"resample_kernel": None}, "with resample_kernel=None: only"),
        ({"resample_kernel": "x"}, r"with resample_kernel='x': only \[1, 3, 3, 1\]"),
        ({"nonlinearity": "relu"}, "with nonlinearity='relu': only 'lrelu' is supported"),
        ({"normalize_latents": False}, "with normalize_latents=False: only True is supported"),
        ({"mapping_lrmul": "x"}, "mapping_lrmul is 'x', not a positive number"),
        ({"conv_clamp": -1.0}, r"conv_clamp is -1\.0, not a positive number"),
    ],
)
def test_a_tensorflow_network_of_another_make_is_refused(tmp_path, arguments, message):
    variables = tensorflow_writer.stylegan2_variables(
        STYLEGAN2, random_weights("stylegan2", STYLEGAN2)
    )
    network = tensorflow_writer.generator("Gs", STYLEGAN2, variables, **arguments)
    tensorflow_writer.write(tmp_path / "network", (network, network, network))
    with pytest.raises(CheckpointError, match=message):
        converted(tmp_path / "network")


def test_a_network_that_was_still_growing_is_refused(tmp_path):
    weights = random_weights("stylegan1", STYLEGAN1)
    variables = tensorflow_writer.stylegan1_variables(STYLEGAN1, weights)
    # The whole network hands its own on to the synthesis before every run.
    network = tensorflow_writer.generator("Gs", STYLEGAN1, variables, lod=1.5)
    tensorflow_writer.write(tmp_path / "whole", (network, network, network))
    variables["synthesis/lod"] = np.float32(1.5)
    network = tensorflow_writer.generator("Gs", STYLEGAN1, variables)
    tensorflow_writer.write(tmp_path / "tensorflow", (network, network, network))
    state = foreign_writers.genforce_stylegan1(STYLEGAN1, weights)
    save({"generator_smooth": {**state, "synthesis.lod": torch.tensor(1.5)}}, tmp_path / "genforce")
    for name in ("whole", "tensorflow", "genforce"):
        with pytest.raises(CheckpointError, match=r"was still growing \(lod 1\.5\)"):
            converted(tmp_path / name)


def test_a_port_without_the_filters_that_ours_has_built_in_is_refused(tmp_path):
    weights = random_weights("stylegan1", STYLEGAN1)
    state = foreign_writers.huangzh13(STYLEGAN1, weights)
    save({n: v for n, v in state.items() if not n.endswith(".kernel")}, tmp_path / "network")
    with pytest.raises(CheckpointError, match="blur_filter=None, which is not supported"):
        converted(tmp_path / "network")


def test_a_tensor_with_other_axes_than_its_name_promises_is_refused(tmp_path):
    state = foreign_writers.rosinality_state(STYLEGAN2, random_weights("stylegan2", STYLEGAN2))
    for name, value, promised in [
        ("input.input", torch.ones(2, 7, 4, 4), "one element long on its first axis"),
        ("conv1.noise.weight", torch.ones(2), "one number"),
        ("noises.noise_0", torch.ones(4), "a map of one channel"),
        ("to_rgb1.bias", torch.ones(3, 3), "a vector"),
    ]:
        save({"g_ema": {**state, name: value}}, tmp_path / "network")
        with pytest.raises(CheckpointError, match=f"the tensor {name} should be {promised}, but"):
            converted(tmp_path / "network")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layer: layer.update(activation="relu"), "has the activation 'relu': only network"),
        (lambda layer: layer.update(conv_clamp=3.0), "layers clamp their activations differently"),
        (
            lambda layer: layer["_modules"].update(more=layer),
            "within themselves: the file is damaged",
        ),
    ],
)
def test_a_persistence_object_of_another_make_is_refused(tmp_path, change, message):
    network = nvlabs_writer.generator(STYLEGAN2, random_weights("stylegan2", STYLEGAN2))
    synthesis = network.state["_modules"]["synthesis"].state
    change(synthesis["_modules"]["b8"].state["_modules"]["conv0"].state)
    nvlabs_writer.write(tmp_path / "network", {"G_ema": network})
    with pytest.raises(CheckpointError, match=message):
        converted(tmp_path / "network")
