"""Files of the StyleGAN1 ports by lernapparat and huangzh13: the bare tensors of a generator.

Their layers are named as in TensorFlow, their weights laid out as in PyTorch. Noise maps are not in
the files.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import partial

from latentmap.encoders.checkpoints.assembly import refuse_others, stylegan1
from latentmap.encoders.checkpoints.conversion import STYLEGAN1, Converted, Network, Recognised
from latentmap.encoders.checkpoints.foreign import ForeignFile
from latentmap.encoders.checkpoints.kernels import STYLEGAN1_TAPS, without_kernels
from latentmap.encoders.checkpoints.modules import class_name, network_tensors
from latentmap.encoders.checkpoints.places import FUSED_FROM, Parts, renamed
from latentmap.encoders.checkpoints.unsaid import Unsaid
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.encoders.checkpoints.views import (
    Change,
    average,
    translate,
    turned,
    unchanged,
    without_batch,
)
from latentmap.errors import CheckpointError

FORMAT = "lernapparat's or huangzh13's StyleGAN1"

_NOTHING = Unsaid()
# Whether the port trained the network -> the epsilon of the instance normalisation, and why.
_EPSILONS = {
    True: (1e-5, "huangzh13's training has it, which keeps a mean w as the file does"),
    False: (1e-8, "NVIDIA's networks have it, of which the weights seem to be"),
}

_EPILOGUES: Parts = {
    f"epi{layer + 1}.{foreign}": (f"epi{layer}.{native}", unchanged)
    for layer in (0, 1)
    for foreign, native in (
        ("top_epi.noise.weight", "noise_weight"),
        ("style_mod.lin.weight", "affine.weight"),
        ("style_mod.lin.bias", "affine.bias"),
    )
}
_FIRST_BLOCK: Parts = {
    "const": ("const", without_batch),
    "bias": ("epi0.bias", unchanged),
    "conv.weight": ("conv1.weight", unchanged),
    "conv.bias": ("epi1.bias", unchanged),
    **_EPILOGUES,
}
_BLOCK: Parts = {
    "conv0_up.weight": ("conv0.weight", unchanged),
    "conv0_up.bias": ("epi0.bias", unchanged),
    "conv1.weight": ("conv1.weight", unchanged),
    "conv1.bias": ("epi1.bias", unchanged),
    **_EPILOGUES,
}
_FUSED_BLOCK: Parts = {**_BLOCK, "conv0_up.weight": ("conv0.weight", turned)}

_DENSE = re.compile(r"g_mapping\.(?:map\.)?dense(\d{1,2})\.(weight|bias)")
_START = re.compile(r"g_synthesis\.(?:init_block|blocks\.4x4)\.(.+)")
# Blocks have their size for a name, or are counted from 8 pixels on.
_LATER = re.compile(r"g_synthesis\.blocks\.(\d{1,5})(x\1)?\.(.+)")
_COLOURS = re.compile(r"g_synthesis\.(?:torgb|to_rgb\.(\d{1,2}))\.(weight|bias)")


def recognise_stylegan1_port(file: ForeignFile) -> Recognised | None:
    """The generator of a file of lernapparat's or huangzh13's port; None for another file."""
    tensors = network_tensors(file.value, file.walk)
    if not any(_START.fullmatch(name) for name in tensors):
        return None
    generator = Network("network", STYLEGAN1, tensors, class_name(file.value))
    convert = partial(_convert, generator)
    return Recognised(FORMAT, (generator,), convert, convert_knowing=convert)


def _convert(generator: Network, unsaid: Unsaid = _NOTHING) -> Converted:
    unsaid.refuse_beside(("instance_norm_epsilon",), "a StyleGAN1 generator of these ports")
    found = [colours for name in generator.tensors if (colours := _COLOURS.fullmatch(name))]
    last = max((int(colours[1]) for colours in found if colours[1]), default=0)
    tensors, others = translate(generator.tensors, partial(_native_name, last=last))
    _refuse_without_filters(generator.tensors)
    others = without_kernels(others, ".kernel", STYLEGAN1_TAPS, gain=1.0)
    # Only a growing network turns smaller images into colours.
    unused = {name for name in others if _COLOURS.fullmatch(name)}
    refuse_others(others.keys() - unused)
    notes = []
    if unused:
        notes.append(
            "the file does not say up to which size the network was trained: the full one was taken"
        )
    trained = _was_trained(generator.tensors, tensors.get("mapping.w_avg"))
    if not _is_kept(tensors.get("mapping.w_avg")):
        # Zeros, which are no mean code: one is made.
        tensors.pop("mapping.w_avg", None)
    epsilon = unsaid.instance_norm_epsilon
    if epsilon is None:
        epsilon, why = _EPSILONS[trained]
        notes.append(
            f"the file does not say the epsilon of the instance normalisation: {epsilon:g} was "
            f"assumed, as {why} (--instance-norm-epsilon)"
        )
    return stylegan1(tensors, epsilon=epsilon, notes=notes)


def _refuse_without_filters(names: Collection[str]) -> None:
    doubling = [name.removesuffix("weight") for name in names if name.endswith("conv0_up.weight")]
    if any(f"{layer}intermediate.kernel" not in names for layer in doubling):
        raise CheckpointError(
            "the generator has no filters (conv0_up.intermediate.kernel): it was made with "
            "blur_filter=None, which is not supported, or the file is incomplete"
        )


def _was_trained(names: Iterable[str], mean: TensorView | None) -> bool:
    """Whether huangzh13's port trained the network, and not NVIDIA's program.

    Its training keeps a mean code. The converters read what was trained, of which the mean code is
    no part: theirs is absent, or as it was made, zeros. lernapparat's port trains nothing.
    """
    return _is_kept(mean) and any(name.startswith("g_mapping.map.") for name in names)


def _is_kept(mean: TensorView | None) -> bool:
    return mean is not None and bool(mean.load().ne(0).any())


def _native_name(name: str, *, last: int) -> tuple[str, Change] | None:
    """The native name of a generator's tensor, and how its layout changes."""
    if dense := _DENSE.fullmatch(name):
        return f"mapping.fc{dense[1]}.{dense[2]}", unchanged
    if name == "truncation.avg_latent":
        return "mapping.w_avg", average
    if start := _START.fullmatch(name):
        return renamed("synthesis.b4", _FIRST_BLOCK, start[1])
    if (later := _LATER.fullmatch(name)) and (later[2] or len(later[1]) < 3):
        resolution = int(later[1]) if later[2] else 8 * 2 ** int(later[1])
        block = _FUSED_BLOCK if resolution >= FUSED_FROM else _BLOCK
        return renamed(f"synthesis.b{resolution}", block, later[3])
    if (colours := _COLOURS.fullmatch(name)) and int(colours[1] or last) == last:
        return f"synthesis.torgb.{colours[2]}", unchanged
    return None
