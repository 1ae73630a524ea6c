"""Files of NVIDIA's TensorFlow repositories: StyleGAN, StyleGAN 2, and StyleGAN2-ADA's first form.

A tuple of networks, each with its variables and with components (mapping, synthesis) that are
networks again. What the names of the variables are in our networks stands in ``tensorflow_names``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from latentmap.encoders.checkpoints.arguments import check_fixed, check_taps, positive
from latentmap.encoders.checkpoints.assembly import (
    MULTIPLIER,
    no_generator,
    refuse_growing,
    refuse_others,
    stylegan1,
    stylegan2,
)
from latentmap.encoders.checkpoints.conversion import (
    STYLEGAN1,
    STYLEGAN2,
    UNKNOWN,
    Converted,
    Network,
    Recognised,
)
from latentmap.encoders.checkpoints.descriptions import (
    described,
    described_mapping,
    in_words,
    shown,
)
from latentmap.encoders.checkpoints.foreign import ForeignFile
from latentmap.encoders.checkpoints.kernels import STYLEGAN1_TAPS, STYLEGAN2_TAPS
from latentmap.encoders.checkpoints.tensorflow_names import stylegan1_name, stylegan2_name
from latentmap.encoders.checkpoints.values import (
    Record,
    TensorView,
    as_mapping,
    text_digest,
)
from latentmap.encoders.checkpoints.views import as_tensor, translate
from latentmap.errors import CheckpointError

FORMAT = "NVIDIA's stylegan, stylegan2 or stylegan2-ada for TensorFlow"


# Which networks a tuple of this length holds; idinvert's files begin with an encoder.
_NAMES = {1: ("Gs",), 3: ("G", "D", "Gs"), 4: ("E", "G", "D", "Gs")}

_COMPONENTS = ("mapping", "synthesis")

# What the networks have built in -> the constructor's arguments that would change it.
_FIXED = {
    "nonlinearity": "lrelu",
    "mapping_nonlinearity": "lrelu",
    "normalize_latents": True,
    "use_wscale": True,
    "use_styles": True,
    "use_instance_norm": True,
    "use_pixel_norm": False,
}


def recognise_tensorflow(file: ForeignFile) -> Recognised | None:
    """The networks of a file of NVIDIA's TensorFlow repositories; None for another file."""
    values = file.value if isinstance(file.value, tuple | list) else [file.value]
    if len(values) not in _NAMES or not all(map(_is_network, values)):
        return None
    records = dict(zip(_NAMES[len(values)], values, strict=True))
    networks = tuple(_network(name, value) for name, value in records.items())
    return Recognised(
        FORMAT,
        networks,
        partial(_convert, networks, records),
    )


def _is_network(value: Any) -> bool:
    return (
        isinstance(value, Record)
        and value.name.endswith(".Network")
        and {"variables", "static_kwargs"} <= as_mapping(value).keys()
    )


def _network(name: str, record: Any) -> Network:
    variables = _variables(record)
    if "synthesis/4x4/Const/StyleMod/weight" in variables:
        kind = STYLEGAN1
    elif "synthesis/4x4/Conv/mod_weight" in variables:
        kind = STYLEGAN2
    elif any("FromRGB" in variable for variable in variables):
        kind = "discriminator" if name == "D" else "encoder"
    else:
        kind = UNKNOWN
    attributes = as_mapping(record)
    return Network(
        name,
        kind,
        variables,
        shown(str(described(attributes.get("build_func_name", record.name)))),
        described_mapping(attributes.get("static_kwargs")),
        text_digest(attributes.get("build_module_src")),
    )


def _variables(record: Any) -> dict[str, TensorView]:
    """The variables of a network and of its components, these with their names before."""
    variables: dict[str, TensorView] = {}
    for prefix, network in [("", record), *_components(record).items()]:
        values = as_mapping(network).get("variables")
        for pair in values if isinstance(values, list | tuple) else ():
            if not isinstance(pair, list | tuple) or len(pair) != 2 or type(pair[0]) is not str:
                continue
            view = as_tensor(pair[1])
            if view is not None:
                variables[f"{prefix}{pair[0]}"] = view
    return variables


def _components(record: Any) -> dict[str, Any]:
    """The networks in a generator, by the prefixes of their variables."""
    components = as_mapping(as_mapping(record).get("components"))
    return {f"{name}/": components[name] for name in _COMPONENTS if name in components}


def _convert(networks: tuple[Network, ...], records: Mapping[str, Record]) -> Converted:
    generators = {
        network.name: network for network in networks if network.kind in (STYLEGAN1, STYLEGAN2)
    }
    generator = generators.get("Gs") or generators.get("G")
    if generator is None:
        raise no_generator(networks)
    arguments = _arguments(records[generator.name])
    check_fixed(arguments, _FIXED)
    notes = [] if generator.name == "Gs" else ["the file's Gs is no generator: G was taken"]
    if arguments.get("randomize_noise") is True:
        notes.append(
            "the network was made to draw its noise anew for every image: here an image has the "
            "maps of the file; --noise random draws others for every image"
        )
    if generator.kind == STYLEGAN1:
        return _convert_stylegan1(generator, arguments, notes)
    return _convert_stylegan2(generator, arguments, notes)


def _convert_stylegan1(
    generator: Network, arguments: Mapping[str, Any], notes: list[str]
) -> Converted:
    check_taps(arguments, "blur_filter", STYLEGAN1_TAPS)
    fused = arguments.get("fused_scale", "auto")
    if fused not in ("auto", True, False):
        raise CheckpointError(
            f"fused_scale is {in_words(fused)}, not auto, True or False: the file is damaged"
        )
    tensors, others = translate(generator.tensors, partial(stylegan1_name, fused=fused))
    notes += _checked_others(others)
    multiplier = positive(arguments, "mapping_lrmul", MULTIPLIER)
    return stylegan1(tensors, multiplier=multiplier, notes=notes)


def _convert_stylegan2(
    generator: Network, arguments: Mapping[str, Any], notes: list[str]
) -> Converted:
    check_taps(arguments, "resample_kernel", STYLEGAN2_TAPS)
    naming = partial(stylegan2_name, resolution=_resolution(generator))
    tensors, others = translate(generator.tensors, naming)
    notes += _checked_others(others)
    return stylegan2(
        tensors,
        multiplier=positive(arguments, "mapping_lrmul", MULTIPLIER),
        conv_clamp=positive(arguments, "conv_clamp", None),
        notes=notes,
    )


def _arguments(record: Record) -> dict[str, Any]:
    """What the network and its components were made with; the components know best."""
    arguments: dict[str, Any] = {}
    for network in [record, *_components(record).values()]:
        arguments |= as_mapping(as_mapping(network).get("static_kwargs"))
    return arguments


def _resolution(generator: Network) -> int:
    """The full size: that of the largest block with a second convolution."""
    resolution = 4
    while f"synthesis/{2 * resolution}x{2 * resolution}/Conv1/weight" in generator.tensors:
        resolution *= 2
    return resolution


def _checked_others(others: Mapping[str, TensorView]) -> list[str]:
    """Notes on the variables that our generator has no place for, which decide no image.

    The whole network has variables of its own, beside those of its components: ``dlatent_avg``, and
    in StyleGAN and StyleGAN 2 the ``lod`` that it hands to a synthesis that grows. Of anything else
    there, no component knows.

    Raises:
        CheckpointError: the network is still growing, or a component has a variable that no
            published one has.
    """
    own = {name: view for name, view in others.items() if "/" not in name}
    lod = own.pop("lod", None)
    growing = "synthesis/lod" in others
    if growing:
        refuse_growing(lod)
        refuse_growing(others["synthesis/lod"])
    # Only a growing network turns smaller images into colours.
    known = {"synthesis/lod", *own, "lod"}
    refuse_others(
        name for name in others.keys() - known if not name.startswith("synthesis/ToRGB_lod")
    )
    notes = []
    if not growing and lod is not None and lod.load().ne(0).any():
        notes.append("the file's lod is not 0, but its synthesis does not grow: it was passed over")
    if own:
        more = f" and {len(own) - 3} more" if len(own) > 3 else ""
        notes.append(
            "variables that neither the mapping nor the synthesis has were passed over: "
            f"{', '.join(map(shown, sorted(own)[:3]))}{more}"
        )
    return notes
