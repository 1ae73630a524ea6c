"""The model that chains of layers make up, with what only whoever imports them knows."""

from __future__ import annotations

import math
from collections.abc import Mapping

from latentmap.encoders.checkpoints.chain_layers import Laid, Numbers, named_layers, picture
from latentmap.encoders.checkpoints.chains import Chain, Half, Layer
from latentmap.encoders.checkpoints.descriptions import shown
from latentmap.encoders.checkpoints.halves import Joined
from latentmap.encoders.checkpoints.unsaid import Unsaid, flag_of
from latentmap.errors import CheckpointError

# The values of images that layers know, by their name and by what an output ends in.
_RANGES = {"0..1": (0, 1), "-1..1": (-1, 1), "tanh": (-1, 1), "sigmoid": (0, 1), "none": (0, 1)}
_WORDS = {
    "linear": "linear layer",
    "conv": "convolution",
    "transposed": "transposed convolution",
    "batch-norm": "batch norm",
}


def join_chains(encoder: Chain | None, decoder: Chain | None, unsaid: Unsaid) -> Joined:
    """Configuration and tensors of the model of an encoder, a decoder, or both.

    Raises:
        CheckpointError: the file leaves open what is not given, or what is given does not fit.
    """
    chains: dict[Half, Chain] = {}
    if encoder is not None:
        chains["encoder"] = encoder
    if decoder is not None:
        chains["decoder"] = decoder
    _require_said(chains, unsaid)
    numbers = _numbers_of(chains, unsaid)
    size, laid = unsaid.size, {}
    image: tuple[int, ...] = ()
    if decoder is not None:
        start, made = _decoder(decoder, numbers, unsaid)
        laid["decoder"] = made
        image, size = made.shape, (made.shape[1], made.shape[2])
    if encoder is not None:
        seen, read = _encoder(encoder, numbers, unsaid, size)
        laid["encoder"] = read
        if decoder is None:
            image, start = seen, read.shape
        else:
            _require_fit(read, seen, start, image)
    return Joined(
        {
            "image_shape": [*image],
            "latent_dim": math.prod(start),
            **({"latent_shape": [*start]} if len(start) > 1 else {}),
            "range": [*_RANGES[unsaid.range or unsaid.output or "0..1"]],
            **{half: one.layers for half, one in laid.items()},
        },
        {name: view for one in laid.values() for name, view in one.tensors.items()},
        _notes(decoder, unsaid),
    )


def words_of(chain: Chain) -> str:
    """How many layers of each kind a chain has."""
    kinds = [layer.kind for layer in chain]
    counts = {kind: kinds.count(kind) for kind in _WORDS if kind in kinds}
    return ", ".join(
        f"{count} {_WORDS[kind]}{'' if count == 1 else 's'}" for kind, count in counts.items()
    )


def _require_said(chains: Mapping[Half, Chain], unsaid: Unsaid) -> None:
    """Passes where all is given that the file leaves open, and nothing else."""
    layers = [layer for chain in chains.values() for layer in chain]
    grids = any(layer.convolves for layer in layers)
    # The size of its images is that of a decoder that begins with a row.
    rows = "decoder" in chains and not chains["decoder"][0].convolves
    needed = {
        "activation": any(_hidden(chain) for chain in chains.values()),
        "output": "decoder" in chains,
        "strides": grids,
        "paddings": grids,
        "size": not rows and any(chain[0].convolves for chain in chains.values()),
    }
    may = {
        "size": True,
        "range": True,
        "pools": grids,
        "output_paddings": any(layer.kind == "transposed" for layer in layers),
        "until": "encoder" in chains,
    }
    known = [name for name in {**needed, **may} if needed.get(name) or may.get(name)]
    unsaid.refuse_beside(known, "this chain of layers")
    missing = [name for name, need in needed.items() if need and getattr(unsaid, name) is None]
    if missing:
        options = [f"--{name}" for name in missing]
        listed = " and ".join(filter(None, (", ".join(options[:-1]), options[-1])))
        chain = "; ".join(f"the {half} of {words_of(chain)}" for half, chain in chains.items())
        raise CheckpointError(f"it is a chain of layers ({chain}) that needs {listed}")


def _hidden(chain: Chain) -> bool:
    return sum(layer.has_weight for layer in chain) > 1


def _numbers_of(chains: Mapping[Half, Chain], unsaid: Unsaid) -> dict[Layer, Numbers]:
    """What is given of each convolution: one number for each, or one for all."""
    convolutions = [layer for chain in chains.values() for layer in chain if layer.convolves]
    columns = []
    for name, default in (("strides", 1), ("paddings", 0), ("output_paddings", 0), ("pools", 1)):
        given = getattr(unsaid, name) or (default,)
        if len(given) not in (1, len(convolutions)):
            raise CheckpointError(
                f"{flag_of(name)} has {len(given)} numbers for {len(convolutions)} "
                "convolutions: give one for each, or one for all"
            )
        columns.append(given * len(convolutions) if len(given) == 1 else given)
    rows = zip(*columns, strict=True)
    return {layer: Numbers(*row) for layer, row in zip(convolutions, rows, strict=False)}


def _encoder(
    chain: Chain,
    numbers: Mapping[Layer, Numbers],
    unsaid: Unsaid,
    size: tuple[int, int] | None,
) -> tuple[tuple[int, ...], Laid]:
    """The images that an encoder takes, and its layers."""
    ends = True
    if unsaid.until is not None:
        places = [place for place, layer in enumerate(chain) if layer.name == unsaid.until]
        if not places or not chain[places[0]].has_weight:
            raise CheckpointError(
                f"the encoder has no layer {shown(unsaid.until)} with weights: give --until one of "
                f"{named_layers(chain)}"
            )
        stop = places[0] + 1
        while stop < len(chain) and not chain[stop].has_weight:
            stop += 1
        ends = stop == len(chain)
        chain = chain[:stop]
    first = chain[0]
    assert size is not None or not first.convolves  # It was asked for.
    image = (first.inputs, *(size or ())) if first.convolves else picture(first.inputs, size)
    laid = Laid("encoder", image, unsaid.activation or "none", numbers)
    laid.lay(chain, ends=ends, size=None)
    if laid.shape[1:] == (1, 1):
        laid.add("flatten")
    return image, laid


def _decoder(
    chain: Chain, numbers: Mapping[Layer, Numbers], unsaid: Unsaid
) -> tuple[tuple[int, ...], Laid]:
    """The codes that a decoder takes, and its layers."""
    start: tuple[int, ...] = (chain[0].inputs,)
    laid = Laid("decoder", start, unsaid.activation or "none", numbers)
    if chain[0].convolves:
        assert unsaid.size is not None  # It was asked for.
        grid = laid.grid_for(chain, unsaid.size)
        if grid != (1, 1):
            start = laid.shape = (*start, *grid)
    laid.lay(chain, ends=True, size=unsaid.size)
    if len(laid.shape) == 1:
        laid.add("reshape", shape=[*picture(laid.shape[0], unsaid.size)])
    if unsaid.output not in (None, "none"):
        laid.add(str(unsaid.output))
    return start, laid


def _require_fit(
    encoder: Laid, seen: tuple[int, ...], codes: tuple[int, ...], made: tuple[int, ...]
) -> None:
    if encoder.shape != codes and (math.prod(encoder.shape),) == codes:
        encoder.add("flatten")
    for what, of_encoder, of_decoder in (("codes", encoder.shape, codes), ("images", seen, made)):
        if of_encoder != of_decoder:
            here, there = ("x".join(map(str, shape)) for shape in (of_encoder, of_decoder))
            raise CheckpointError(
                f"the decoder does not fit the encoder: its {what} are {there}, those of the "
                f"encoder {here}"
            )


def _notes(decoder: Chain | None, unsaid: Unsaid) -> tuple[str, ...]:
    if unsaid.range is not None or decoder is not None:
        return ()
    return ("it was assumed that its layers take images with values from 0 to 1 (--range)",)
