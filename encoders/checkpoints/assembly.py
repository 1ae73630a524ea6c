"""A native model from the tensors of a file: every shape is checked before a number is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from latentmap.encoders.checkpoints.architecture import (
    stylegan1_config,
    stylegan2_config,
    stylegan3_config,
)
from latentmap.encoders.checkpoints.conversion import Converted, Network, read_floats
from latentmap.encoders.checkpoints.descriptions import shown
from latentmap.encoders.checkpoints.kernels import check_designed
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.encoders.nets.stylegan1 import StyleGAN1
from latentmap.encoders.nets.stylegan2 import StyleGAN2
from latentmap.encoders.nets.stylegan3 import StyleGAN3
from latentmap.errors import CheckpointError

# The multiplier of the mapping's learning rate in every published network.
MULTIPLIER = 0.01

_SAMPLES = 10_000
_BATCH = 2**20  # Numbers in a layer at a time.
_STRENGTHS = ("noise_strength", "noise_weight")


def stylegan2(
    tensors: Mapping[str, TensorView],
    *,
    multiplier: float = MULTIPLIER,
    conv_clamp: float | None = None,
    final_tanh: bool = False,
    notes: Sequence[str] = (),
) -> Converted:
    """The StyleGAN2 generator that the tensors, under native names, make up.

    Raises:
        CheckpointError: tensors are missing, too many, of other shapes, or not finite.
    """
    config = stylegan2_config(tensors, multiplier=multiplier, conv_clamp=conv_clamp)
    config |= _tanh(final_tanh)
    return _assemble("stylegan2", StyleGAN2, config, tensors, notes)


def stylegan1(
    tensors: Mapping[str, TensorView],
    *,
    multiplier: float = MULTIPLIER,
    epsilon: float | None = None,
    final_tanh: bool = False,
    notes: Sequence[str] = (),
) -> Converted:
    """The StyleGAN1 generator that the tensors, under native names, make up.

    ``epsilon`` is that of the instance normalisation; None is NVIDIA's, 1e-8.

    Raises:
        CheckpointError: tensors are missing, too many, of other shapes, or not finite.
    """
    config = stylegan1_config(tensors, multiplier=multiplier) | _tanh(final_tanh)
    if epsilon is not None:
        config["instance_norm_epsilon"] = epsilon
    return _assemble("stylegan1", StyleGAN1, config, tensors, notes)


def stylegan3(
    tensors: Mapping[str, TensorView],
    *,
    multiplier: float = MULTIPLIER,
    conv_clamp: float | None,
    arguments: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> Converted:
    """The StyleGAN3 generator that the tensors, under native names, make up; ``arguments`` are
    those of its synthesis.

    Raises:
        CheckpointError: tensors are missing, too many, of other shapes, or not finite; or the
            filters are not those of the sizes.
    """
    config = stylegan3_config(
        tensors, multiplier=multiplier, conv_clamp=conv_clamp, arguments=arguments
    )
    converted = _assemble("stylegan3", StyleGAN3, config, tensors, notes)
    check_designed(converted.weights, config)
    for name, value in converted.weights.items():
        if name.endswith(".magnitude_ema") and value <= 0:
            raise CheckpointError(
                f"the generator's {name}, a mean of squares, is {float(value):g}: the file is "
                "damaged"
            )
    return converted


def no_generator(networks: Iterable[Network]) -> CheckpointError:
    """What to raise for a file whose networks make no images."""
    found = ", ".join(f"{shown(network.name)} ({network.kind})" for network in networks)
    return CheckpointError(
        f"the file holds no StyleGAN generator, only {found}: give a checkpoint with the generator"
    )


def refuse_others(names: Iterable[str]) -> None:
    """Passes where ``names``, the tensors that found no place, are none.

    Raises:
        CheckpointError: there are some.
    """
    others = sorted(names)
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        raise CheckpointError(
            f"the generator has tensors that no published one of its size has "
            f"({', '.join(map(shown, others[:3]))}{more}): the file is incomplete or of a variant "
            "that is not supported"
        )


def refuse_growing(lod: TensorView | None) -> None:
    """Passes where ``lod``, the number of times that the images are still halved, is 0 or absent.

    Raises:
        CheckpointError: the network was saved before it had grown to its full size.
    """
    if lod is not None and lod.load().ne(0).any():
        raise CheckpointError(
            f"the generator was saved while it was still growing (lod {float(lod.load().max())}): "
            "only finished ones, with lod 0, are supported"
        )


def _tanh(final: bool) -> dict[str, bool]:
    # Left out where there is none: a model's fingerprint is made of its configuration, and that of
    # one which was imported before this could be told stays.
    return {"final_tanh": True} if final else {}


def _assemble(
    family: str,
    build: Callable[[Mapping[str, Any]], nn.Module],
    config: dict[str, Any],
    tensors: Mapping[str, TensorView],
    notes: Sequence[str],
) -> Converted:
    # Without memory: a file may claim any width.
    try:
        with torch.device("meta"):
            network = build(config)
    except RuntimeError:  # So wide that the number of weights overflows.
        raise CheckpointError("the generator is wider than any: the file is damaged") from None
    expected = network.state_dict()
    refuse_others(tensors.keys() - expected.keys())
    notes = list(notes)
    made = _made(expected, tensors, notes)
    for name, tensor in expected.items():
        if name in tensors and tensors[name].shape != tuple(tensor.shape):
            raise CheckpointError(
                f"the generator's {name} (as it is named here) has the shape "
                f"{tensors[name].shape}, but the other tensors ask for {tuple(tensor.shape)}: the "
                "file is damaged or of a variant that is not supported"
            )
    weights = {
        name: made[name]() if name in made else _read(name, tensors[name]) for name in expected
    }
    if "mapping.w_avg" in made:
        network.load_state_dict(weights, assign=True)
        weights["mapping.w_avg"] = _mean_code(network, config)
    return Converted(family, config, weights, tuple(notes))


def _made(
    expected: Mapping[str, Tensor], tensors: Mapping[str, TensorView], notes: list[str]
) -> dict[str, Callable[[], Tensor]]:
    """What the file lacks and can be made; what is assumed thereby is added to the notes."""
    generator = torch.Generator().manual_seed(0)
    made: dict[str, Callable[[], Tensor]] = {}
    drawn = 0
    for name, tensor in expected.items():
        if name in tensors:
            continue
        shape = tuple(tensor.shape)
        layer, _, part = name.rpartition(".")
        noisy = any(f"{layer}.{strength}" in tensors for strength in _STRENGTHS)
        if part == "noise_const" and noisy:
            made[name] = partial(torch.randn, shape, generator=generator)
            drawn += 1
        elif name == "mapping.w_avg" or (
            part in (*_STRENGTHS, "noise_const") and f"{layer}.noise_const" not in tensors
        ):
            # A layer without noise adds nothing; the mean code is put in at the end.
            made[name] = partial(torch.zeros, shape)
        else:
            raise CheckpointError(
                f"the generator has no {name} (as it is named here): the file is incomplete or of "
                "a variant that is not supported"
            )
    if drawn:
        notes.append(
            f"{drawn} noise maps are not in the file: they were drawn from a normal distribution "
            "with seed 0; --noise random draws others for every image"
        )
    if "mapping.w_avg" in made:
        notes.append(f"the mean w is not in the file: it is that of {_SAMPLES} random z, seed 0")
    return made


def _read(name: str, view: TensorView) -> Tensor:
    return read_floats(view, f"the generator's {name} (as it is named here)")


def _mean_code(network: nn.Module, config: Mapping[str, Any]) -> Tensor:
    """The mean w of random z, and of random classes where there are some; summed in float64."""
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(config["latent_dim"], dtype=torch.float64)
    widest = max(config["z_dim"], config["c_dim"], config["mapping_dim"], config["latent_dim"])
    left = _SAMPLES
    while left:
        n = min(left, max(1, _BATCH // widest))
        left -= n
        z = torch.randn(n, config["z_dim"], generator=generator)
        labels = None
        if config["c_dim"]:
            classes = torch.randint(config["c_dim"], (n, 1), generator=generator)
            labels = torch.zeros(n, config["c_dim"]).scatter_(1, classes, 1)
        with torch.no_grad():
            w: Tensor = network.mapping(z, labels)  # type: ignore[operator]
        total += w.double().sum(0)
    return (total / _SAMPLES).float()
