"""Small generators of ours, and writers of the files of other PyTorch repositories from them.

What the repositories call the tensors, how they lay them out, and what they leave out or add.
"""

import argparse
import contextlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import torch

from latentmap.encoders.nets.stylegan1 import StyleGAN1
from latentmap.encoders.nets.stylegan2 import StyleGAN2
from latentmap.encoders.nets.stylegan3 import StyleGAN3
from latentmap.encoders.nets.stylegan_codes import broadcast_w

_MAPPING = {
    "latent_dim": 10,
    "z_dim": 8,
    "c_dim": 0,
    "label": "none",
    "embed_dim": 0,
    "mapping_layers": 3,
    "mapping_dim": 9,
    "mapping_multiplier": 0.01,
}
STYLEGAN2 = {
    **_MAPPING,
    "image_shape": [3, 32, 32],
    "channels": [7, 6, 5, 4],
    "architecture": "skip",
    "conv_clamp": None,
}
# Large enough for the layers that double the size with a transposed convolution.
STYLEGAN1 = {**_MAPPING, "image_shape": [3, 128, 128], "channels": [6, 5, 4, 3, 2, 2]}

STYLEGAN3_T = {
    **_MAPPING,
    "image_shape": [3, 32, 32],
    "channels": [7, 6, 5, 4],
    "kernel": 3,
    "radial": False,
    "critical": 2,
    "first_cutoff": 2.0,
    "first_stopband": 2**2.1,
    "last_stopband_rel": 2**0.3,
    "margin": 10,
    "output_scale": 0.25,
    "conv_clamp": 256.0,
}
STYLEGAN3_R = {**STYLEGAN3_T, "kernel": 1, "radial": True}

NETWORKS = {"stylegan1": StyleGAN1, "stylegan2": StyleGAN2, "stylegan3": StyleGAN3}
FIR = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64
BLUR = torch.outer(torch.tensor([1.0, 2, 1]), torch.tensor([1.0, 2, 1])) / 16


def random_weights(family, config, *, seed=0):
    """The tensors of a generator, none of them zero or what they start as."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        shapes = NETWORKS[family](config).state_dict()
    weights = {}
    for name, like in shapes.items():
        values = torch.randn(like.shape, generator=generator)
        mapping_bias = name.startswith("mapping.fc") and name.endswith("bias")
        small = not mapping_bias and name.endswith(("bias", "noise_strength", "noise_weight"))
        weights[name] = 0.2 * values if small else values
        if family != "stylegan1" and name.endswith("affine.bias"):
            weights[name] += 1
    return weights | (_of_signals(config, weights) if family == "stylegan3" else {})


def _of_signals(config, weights):
    """What is not as random in a StyleGAN 3: filters, mean squares, and the user's own turn."""
    squares = {
        name: 0.2 + 0.2 * x**2 for name, x in weights.items() if name.endswith("magnitude_ema")
    }
    turn = torch.tensor([[0.8, -0.6, 0.3], [0.6, 0.8, -0.1], [0, 0, 1]])
    pose = torch.tensor([1.0, 0.1, 0.2, -0.1])
    return {
        **StyleGAN3.designed(config),
        **squares,
        "synthesis.input.transform": turn,
        "synthesis.input.affine.bias": pose,
    }


def images_of(family, config, weights):
    """Two images, one of the mean code and one of a z, and of a class where there are some."""
    with torch.device("meta"):
        network = NETWORKS[family](config)
    network.load_state_dict(weights, assign=True)
    z = torch.randn(1, config["z_dim"], generator=torch.Generator().manual_seed(7))
    labels = torch.eye(config["c_dim"])[-1:] if config["c_dim"] else None
    with torch.no_grad():
        w = torch.cat([weights["mapping.w_avg"][None], network.mapping(z, labels)])
        return network.synthesis(broadcast_w(w, network.num_ws))


def on_cuda():
    """Makes torch write that tensors were on a GPU, as in files from the training itself."""
    return mock.patch.object(torch.serialization, "location_tag", lambda storage: "cuda:0")


@contextlib.contextmanager
def standing_in(value, module: str) -> Iterator[None]:
    """Lets a pickle name ``value`` as if it came from ``module``, which need not be there."""
    packages = [module[:end] for end, sign in enumerate(module) if sign == "."]
    modules = {name: types.ModuleType(name) for name in packages if name not in sys.modules}
    modules[module] = types.ModuleType(module)
    setattr(modules[module], value.__name__, value)
    with mock.patch.dict(sys.modules, modules), mock.patch.object(value, "__module__", module):
        yield


def sizes_of(config):
    """The sizes from 8 pixels on, counted from 0."""
    return [(j, 8 * 2**j) for j in range(len(config["channels"]) - 1)]


def _mapping(weights, name_of):
    return {
        name_of(int(name.split(".")[1][2:]), name.rpartition(".")[2]): value
        for name, value in weights.items()
        if name.startswith("mapping.fc")
    }


def rosinality_state(config, weights):
    """The tensors as rosinality's generator has them."""
    state = _mapping(weights, lambda i, part: f"style.{i + 1}.{part}")
    state["input.input"] = weights["synthesis.b4.const"][None]
    convolutions = [("conv1", "synthesis.b4.conv1")]
    colours = [("to_rgb1", "synthesis.b4.torgb")]
    for j, r in sizes_of(config):
        convolutions += [(f"convs.{2 * j + i}", f"synthesis.b{r}.conv{i}") for i in (0, 1)]
        colours.append((f"to_rgbs.{j}", f"synthesis.b{r}.torgb"))
        state[f"convs.{2 * j}.conv.blur.kernel"] = 4 * FIR
        state[f"to_rgbs.{j}.upsample.kernel"] = 4 * FIR
    for k, (name, native) in enumerate(convolutions):
        state[f"{name}.noise.weight"] = weights[f"{native}.noise_strength"][None]
        state[f"{name}.activate.bias"] = weights[f"{native}.bias"]
        state[f"noises.noise_{k}"] = weights[f"{native}.noise_const"][None, None]
    for name, native in colours:
        state[f"{name}.bias"] = weights[f"{native}.bias"][None, :, None, None]
    for name, native in convolutions + colours:
        state[f"{name}.conv.weight"] = weights[f"{native}.weight"][None]
        state[f"{name}.conv.modulation.weight"] = weights[f"{native}.affine.weight"]
        state[f"{name}.conv.modulation.bias"] = weights[f"{native}.affine.bias"]
    return state


def rosinality_converted(config, weights):
    """What a converted file holds."""
    discriminator = {"convs.0.0.weight": torch.ones(2, 3, 1, 1), "final_conv.0.weight": FIR}
    state = rosinality_state(config, weights)
    return {"g_ema": state, "d": discriminator, "latent_avg": weights["mapping.w_avg"]}


def rosinality_training(config, weights):
    """What a file of the training holds: options as an object, and no mean code."""
    state = rosinality_state(config, weights)
    options = argparse.Namespace(size=32, channel_multiplier=2, path="data")
    older = {name: value + 1 for name, value in state.items()}
    optimizer = {"state": {0: {"step": 1, "exp_avg": torch.ones(2)}}, "param_groups": []}
    return {"g": older, "g_ema": state, "g_optim": optimizer, "args": options, "ada_aug_p": 0.0}


def around_rosinality(config, weights, *, encoder, **options):
    """What a file of pSp, e4e or ReStyle holds."""
    state = {f"decoder.{name}": value for name, value in rosinality_state(config, weights).items()}
    state |= {f"encoder.{name}": value for name, value in encoder.items()}
    num_ws = 2 * len(config["channels"])
    mean = weights["mapping.w_avg"].repeat(num_ws, 1)
    return {"state_dict": state, "opts": options, "latent_avg": mean}


def genforce_stylegan2(config, weights):
    """The tensors as genforce's StyleGAN2 has them."""
    state = _mapping(weights, lambda i, part: f"mapping.dense{i}.{part}")
    state["truncation.w_avg"] = weights["mapping.w_avg"]
    state["synthesis.early_layer.const"] = weights["synthesis.b4.const"][None]
    state["synthesis.upsample.kernel"] = 4 * FIR[None, None]
    if config["label"] == "concat":
        state["mapping.label_weight"] = weights["mapping.label.weight"]
    layers = [("layer0", "synthesis.b4.conv1")]
    colours = [("output0", "synthesis.b4.torgb")]
    for j, r in sizes_of(config):
        layers += [(f"layer{2 * j + 1 + i}", f"synthesis.b{r}.conv{i}") for i in (0, 1)]
        colours.append((f"output{j + 1}", f"synthesis.b{r}.torgb"))
    for name, native in layers:
        state[f"synthesis.{name}.noise"] = weights[f"{native}.noise_const"][None, None]
        state[f"synthesis.{name}.noise_strength"] = weights[f"{native}.noise_strength"]
    for name, native in layers + colours:
        doubling = native.endswith("conv0")
        weight = weights[f"{native}.weight"]
        state[f"synthesis.{name}.weight"] = weight.flip(2, 3) if doubling else weight
        state[f"synthesis.{name}.bias"] = weights[f"{native}.bias"]
        state[f"synthesis.{name}.style.weight"] = weights[f"{native}.affine.weight"]
        state[f"synthesis.{name}.style.bias"] = weights[f"{native}.affine.bias"] - 1
        if doubling:
            state[f"synthesis.{name}.filter.kernel"] = FIR[None, None]
    return state


def genforce_stylegan1(config, weights):
    """The tensors as genforce's StyleGAN1 has them."""
    state = _mapping(weights, lambda i, part: f"mapping.dense{i}.{part}")
    state["truncation.w_avg"] = weights["mapping.w_avg"]
    state["synthesis.lod"] = torch.tensor(0.0)
    state["synthesis.layer0.const"] = weights["synthesis.b4.const"][None]
    for j, r in [(-1, 4), *sizes_of(config)]:
        block = f"synthesis.b{r}"
        for i in (0, 1):
            name = f"synthesis.layer{2 * (j + 1) + i}"
            if (r, i) != (4, 0):
                state[f"{name}.weight"] = _stored_by_size(weights[f"{block}.conv{i}.weight"], r, i)
            state[f"{name}.bias"] = weights[f"{block}.epi{i}.bias"]
            state[f"{name}.apply_noise.weight"] = weights[f"{block}.epi{i}.noise_weight"]
            state[f"{name}.apply_noise.noise"] = weights[f"{block}.epi{i}.noise_const"][None, None]
            state[f"{name}.style.weight"] = weights[f"{block}.epi{i}.affine.weight"]
            state[f"{name}.style.bias"] = weights[f"{block}.epi{i}.affine.bias"]
        if r > 4:
            channels = weights[f"{block}.epi0.bias"].shape[0]
            state[f"synthesis.layer{2 * (j + 1)}.blur.kernel"] = BLUR.repeat(channels, 1, 1, 1)
        state |= _colours(f"synthesis.output{j + 1}", config, weights, r)
    return state


def lernapparat(config, weights):
    """The tensors as lernapparat's StyleGAN1 has them: without noise maps."""
    return _stylegan1_port(config, weights, mapping="g_mapping", first="blocks.4x4", sizes=True)


def huangzh13(config, weights):
    """The tensors as huangzh13's StyleGAN1 has them: without noise maps, with all colours."""
    state = _stylegan1_port(
        config, weights, mapping="g_mapping.map", first="init_block", sizes=False
    )
    state = {name: value for name, value in state.items() if "torgb" not in name}
    for j, r in [(-1, 4), *sizes_of(config)]:
        state |= _colours(f"g_synthesis.to_rgb.{j + 1}", config, weights, r)
    return state


def _stylegan1_port(config, weights, *, mapping, first, sizes):
    state = _mapping(weights, lambda i, part: f"{mapping}.dense{i}.{part}")
    state["truncation.avg_latent"] = weights["mapping.w_avg"]
    state[f"g_synthesis.{first}.const"] = weights["synthesis.b4.const"][None]
    for j, r in [(-1, 4), *sizes_of(config)]:
        block = f"synthesis.b{r}"
        name = (
            f"g_synthesis.blocks.{f'{r}x{r}' if sizes else j}"
            if r > 4
            else (f"g_synthesis.{first}")
        )
        convolutions = ["conv0_up", "conv1"] if r > 4 else [None, "conv"]
        for i, convolution in enumerate(convolutions):
            if convolution:
                weight = _stored_by_size(weights[f"{block}.conv{i}.weight"], r, i)
                state[f"{name}.{convolution}.weight"] = weight
            # The constant has no convolution, and its bias no name of its own.
            place = f"{name}.{convolution}" if convolution else name
            state[f"{place}.bias"] = weights[f"{block}.epi{i}.bias"]
            end = f"{name}.epi{i + 1}"
            state[f"{end}.top_epi.noise.weight"] = weights[f"{block}.epi{i}.noise_weight"]
            state[f"{end}.style_mod.lin.weight"] = weights[f"{block}.epi{i}.affine.weight"]
            state[f"{end}.style_mod.lin.bias"] = weights[f"{block}.epi{i}.affine.bias"]
        if r > 4:
            state[f"{name}.conv0_up.intermediate.kernel"] = BLUR[None, None]
    state["g_synthesis.torgb.weight"] = weights["synthesis.torgb.weight"]
    state["g_synthesis.torgb.bias"] = weights["synthesis.torgb.bias"]
    return state


def _stored_by_size(weight, resolution, layer):
    """StyleGAN1's weight as it is stored: turned where one step doubles the size and convolves."""
    return weight.flip(2, 3) if layer == 0 and resolution >= 128 else weight


def _colours(name, config, weights, resolution):
    """The colours of one size; those of the smaller ones are left from the growing."""
    if resolution == config["image_shape"][1]:
        weight, bias = weights["synthesis.torgb.weight"], weights["synthesis.torgb.bias"]
    else:
        weight = torch.ones(3, config["channels"][resolution.bit_length() - 3], 1, 1)
        bias = torch.ones(3)
    return {f"{name}.weight": weight, f"{name}.bias": bias}


def save(value, path: Path, *, legacy=False, cuda=False):
    """Writes what ``torch.save`` writes, in the form of now or in that of before 1.6."""
    with on_cuda() if cuda else contextlib.nullcontext():
        torch.save(value, path, _use_new_zipfile_serialization=not legacy)
