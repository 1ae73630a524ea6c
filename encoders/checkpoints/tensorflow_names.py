"""The variables of NVIDIA's TensorFlow generators under our names, and in our layout.

Weights are stored (height, width, in, out), matrices (in, out). Convolutions that double the size
are stored turned by half a turn, as a transposed convolution takes them.
"""

from __future__ import annotations

import re

from latentmap.encoders.checkpoints.places import (
    FUSED_FROM,
    Parts,
    renamed,
    stylegan1_epilogue,
    stylegan2_layer,
)
from latentmap.encoders.checkpoints.views import (
    Change,
    average,
    kernel_first,
    plus_one,
    single,
    square,
    then,
    transposed,
    turned,
    unchanged,
    without_batch,
)

_MAPPING: Parts = {
    "dlatent_avg": ("mapping.w_avg", average),
    "mapping/LabelEmbed/weight": ("mapping.embed.weight", transposed),
    "mapping/LabelEmbed/bias": ("mapping.embed.bias", unchanged),
    "mapping/LabelConcat/weight": ("mapping.label.weight", unchanged),
    "synthesis/4x4/Const/const": ("synthesis.b4.const", without_batch),
}
_DENSE: dict[str, Change] = {"weight": transposed, "bias": unchanged}

_STYLEGAN2_LAYER: Parts = {
    "weight": ("weight", kernel_first),
    "bias": ("bias", unchanged),
    "mod_weight": ("affine.weight", transposed),
    "mod_bias": ("affine.bias", plus_one),
    "noise_strength": ("noise_strength", single),
}
_STYLEGAN2_PLACES = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb"}

_STYLEGAN1_EPILOGUE: Parts = {
    "bias": ("bias", unchanged),
    "Noise/weight": ("noise_weight", unchanged),
    "StyleMod/weight": ("affine.weight", transposed),
    "StyleMod/bias": ("affine.bias", unchanged),
}
_STYLEGAN1_PLACES = {"Const": "0", "Conv": "1", "Conv0_up": "0", "Conv1": "1"}

_NOISE = re.compile(r"synthesis/noise(\d{1,2})")
_BLOCK = re.compile(r"synthesis/(\d{1,5})x\1/(\w+?)/(.+)")


def stylegan2_name(name: str, *, resolution: int) -> tuple[str, Change] | None:
    """The native name of a StyleGAN2 variable, and how its layout changes."""
    if noise := _NOISE.fullmatch(name):
        return f"{stylegan2_layer(int(noise[1]))}.noise_const", square
    if name.startswith("synthesis/ToRGB_lod0/"):
        name = name.replace("ToRGB_lod0", f"{resolution}x{resolution}/ToRGB")
    block = _BLOCK.fullmatch(name)
    if block and block[2] == "Skip" and block[3] == "weight":
        return f"synthesis.b{block[1]}.skip.weight", kernel_first
    if block and block[2] in _STYLEGAN2_PLACES and block[3] in _STYLEGAN2_LAYER:
        part, change = _STYLEGAN2_LAYER[block[3]]
        if block[2] == "Conv0_up" and part == "weight":
            change = then(change, turned)
        return f"synthesis.b{block[1]}.{_STYLEGAN2_PLACES[block[2]]}.{part}", change
    return _mapping_name(name)


def stylegan1_name(name: str, *, fused: bool | str = "auto") -> tuple[str, Change] | None:
    """The native name of a StyleGAN1 variable, and how its layout changes.

    ``fused``: whether a transposed convolution doubles the size, or "auto", from 128 pixels on.
    """
    if noise := _NOISE.fullmatch(name):
        return f"{stylegan1_epilogue(int(noise[1]))}.noise_const", square
    if name.startswith("synthesis/ToRGB_lod0/"):
        part = name.rpartition("/")[2]
        return f"synthesis.torgb.{part}", kernel_first if part == "weight" else unchanged
    block = _BLOCK.fullmatch(name)
    if block and block[2] in _STYLEGAN1_PLACES and block[3] != "const":
        place = _STYLEGAN1_PLACES[block[2]]
        if block[3] == "weight":
            is_fused = fused is True or (fused == "auto" and int(block[1]) >= FUSED_FROM)
            change = then(kernel_first, turned) if place == "0" and is_fused else kernel_first
            return f"synthesis.b{block[1]}.conv{place}.weight", change
        return renamed(f"synthesis.b{block[1]}.epi{place}", _STYLEGAN1_EPILOGUE, block[3])
    return _mapping_name(name)


def _mapping_name(name: str) -> tuple[str, Change] | None:
    if dense := re.fullmatch(r"mapping/Dense(\d{1,2})/(weight|bias)", name):
        return f"mapping.fc{dense[1]}.{dense[2]}", _DENSE[dense[2]]
    return _MAPPING.get(name)
