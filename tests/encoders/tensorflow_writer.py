"""Writes the pickles of NVIDIA's TensorFlow repositories: tuples of networks with variables."""

import pickle
from pathlib import Path

import numpy as np

from tests.encoders.foreign_writers import sizes_of, standing_in

SOURCE = "raise SystemExit('this text must not run')\n"


class Network:
    """Stands for the repositories' class of networks."""

    def __init__(self, name, variables, *, function="G_main", components=None, **arguments):
        self.state = {
            "version": 4,
            "name": name,
            "static_kwargs": arguments,
            "components": components or {},
            "build_module_src": SOURCE,
            "build_func_name": function,
            "variables": list(variables.items()),
        }

    def __getstate__(self):
        return self.state


def generator(name, config, variables, *, lod=0.0, **arguments):
    """A generator with its two components, of which each has its own variables.

    The whole has some as well: the mean code, and in StyleGAN and StyleGAN 2 the ``lod`` that it
    hands to a synthesis that grows; StyleGAN2-ADA has none (``lod=None``).
    """
    if lod is not None:
        variables = {"lod": np.float32(lod), **variables}
    parts = {"mapping": {}, "synthesis": {}, "": {}}
    for variable, value in variables.items():
        part, _, rest = variable.partition("/")
        parts[part if rest else ""][rest or part] = value
    components = {
        part: Network(part, parts[part], function=f"G_{part}", **arguments)
        for part in ("mapping", "synthesis")
    }
    resolution = config["image_shape"][1]
    return Network(name, parts[""], components=components, resolution=resolution, **arguments)


def discriminator():
    """A discriminator: without components, and with a ``lod`` of its own."""
    variables = {"lod": np.float32(0), "8x8/FromRGB/weight": np.ones((1, 1, 3, 2), np.float32)}
    return Network("D", variables, function="D_stylegan2")


def write(path: Path, networks, *, protocol=3):
    """Pickles a tuple of networks."""
    with standing_in(Network, "dnnlib.tflib.network"):
        path.write_bytes(pickle.dumps(networks, protocol=protocol))


def stylegan2_variables(config, weights):
    """The variables of a StyleGAN2 generator."""
    variables = _mapping_variables(config, weights)
    layers = [("4x4/Conv", "b4.conv1")]
    for _, r in sizes_of(config):
        layers += [(f"{r}x{r}/Conv0_up", f"b{r}.conv0"), (f"{r}x{r}/Conv1", f"b{r}.conv1")]
        if config["architecture"] == "resnet":
            skip = weights[f"synthesis.b{r}.skip.weight"]
            variables[f"synthesis/{r}x{r}/Skip/weight"] = _stored(skip)
    for k, (name, native) in enumerate(layers):
        noise = weights[f"synthesis.{native}.noise_const"]
        variables[f"synthesis/noise{k}"] = noise[None, None].numpy()
        strength = weights[f"synthesis.{native}.noise_strength"]
        variables[f"synthesis/{name}/noise_strength"] = np.float32(strength.item())
    last = config["image_shape"][1]
    colours = [
        (f"{r}x{r}/ToRGB", f"b{r}.torgb")
        for r in [4, *(size for _, size in sizes_of(config))]
        if f"synthesis.b{r}.torgb.weight" in weights
    ]
    if config["architecture"] == "orig":
        colours = [("ToRGB_lod0", f"b{last}.torgb")]
        variables["synthesis/lod"] = np.float32(0)
        variables["synthesis/ToRGB_lod1/weight"] = np.ones((1, 1, 5, 3), np.float32)
    for name, native in layers + colours:
        weight = _stored(weights[f"synthesis.{native}.weight"])
        turned = np.ascontiguousarray(weight[::-1, ::-1])
        variables[f"synthesis/{name}/weight"] = turned if name.endswith("_up") else weight
        variables[f"synthesis/{name}/bias"] = weights[f"synthesis.{native}.bias"].numpy()
        style = weights[f"synthesis.{native}.affine.weight"]
        variables[f"synthesis/{name}/mod_weight"] = style.t().contiguous().numpy()
        bias = weights[f"synthesis.{native}.affine.bias"]
        variables[f"synthesis/{name}/mod_bias"] = bias.numpy() - 1
    return variables


def stylegan1_variables(config, weights, *, fused_from=128):
    """The variables of a StyleGAN1 generator."""
    variables = _mapping_variables(config, weights)
    variables["synthesis/lod"] = np.float32(0)
    last = config["image_shape"][1]
    for j, r in [(-1, 4), *sizes_of(config)]:
        block = f"synthesis.b{r}"
        for i, name in enumerate(["Const", "Conv"] if r == 4 else ["Conv0_up", "Conv1"]):
            place = f"synthesis/{r}x{r}/{name}"
            if name != "Const":
                weight = _stored(weights[f"{block}.conv{i}.weight"])
                turned = np.ascontiguousarray(weight[::-1, ::-1])
                is_turned = name == "Conv0_up" and r >= fused_from
                variables[f"{place}/weight"] = turned if is_turned else weight
            end = f"{block}.epi{i}"
            variables[f"{place}/bias"] = weights[f"{end}.bias"].numpy()
            variables[f"{place}/Noise/weight"] = weights[f"{end}.noise_weight"].numpy()
            style = weights[f"{end}.affine.weight"]
            variables[f"{place}/StyleMod/weight"] = style.t().contiguous().numpy()
            variables[f"{place}/StyleMod/bias"] = weights[f"{end}.affine.bias"].numpy()
            noise = weights[f"{end}.noise_const"]
            variables[f"synthesis/noise{2 * (j + 1) + i}"] = noise[None, None].numpy()
        halvings = (last // r).bit_length() - 1
        colour = weights["synthesis.torgb.weight"]
        stored = _stored(colour) if r == last else np.ones((1, 1, 1, 3), np.float32)
        variables[f"synthesis/ToRGB_lod{halvings}/weight"] = stored
        variables[f"synthesis/ToRGB_lod{halvings}/bias"] = weights["synthesis.torgb.bias"].numpy()
    return variables


def _mapping_variables(config, weights):
    variables = {
        "dlatent_avg": weights["mapping.w_avg"].numpy(),
        "synthesis/4x4/Const/const": weights["synthesis.b4.const"][None].numpy(),
    }
    for i in range(config["mapping_layers"]):
        matrix = weights[f"mapping.fc{i}.weight"]
        variables[f"mapping/Dense{i}/weight"] = matrix.t().contiguous().numpy()
        variables[f"mapping/Dense{i}/bias"] = weights[f"mapping.fc{i}.bias"].numpy()
    if config["label"] == "concat":
        variables["mapping/LabelConcat/weight"] = weights["mapping.label.weight"].numpy()
    if config["label"] == "embed":
        embedding = weights["mapping.embed.weight"]
        variables["mapping/LabelEmbed/weight"] = embedding.t().contiguous().numpy()
        variables["mapping/LabelEmbed/bias"] = weights["mapping.embed.bias"].numpy()
    return variables


def _stored(weight):
    """A convolution's weight (out, in, height, width) as (height, width, in, out)."""
    return weight.permute(2, 3, 1, 0).contiguous().numpy()
