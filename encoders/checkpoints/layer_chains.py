"""Files of networks that are plain chains of layers: those of well-known lessons, of which it is
known what the files leave open, and any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from latentmap.encoders.checkpoints.chain_models import join_chains, words_of
from latentmap.encoders.checkpoints.chains import Chain, Half, chains_in
from latentmap.encoders.checkpoints.conversion import Network, Recognised
from latentmap.encoders.checkpoints.foreign import ForeignFile
from latentmap.encoders.checkpoints.halves import Halves, Joined, refused
from latentmap.encoders.checkpoints.modules import candidates, class_name, network_tensors
from latentmap.encoders.checkpoints.unsaid import Unsaid, flag_of
from latentmap.encoders.layers import network_of
from latentmap.errors import CheckpointError

FORMAT = "a network of a well-known lesson"
CHAINS = "a chain of layers"
FAMILY = "layers"

# What is trained beside a generator.
_BESIDE = re.compile(r"(?:.*_)?(?:net)?(?:d|disc|discriminator|critic)(?:_.*)?", re.IGNORECASE)


@dataclass(frozen=True)
class Lesson:
    """A network that many have trained: what it is, and what its program says of it, by its chain;
    None where a chain is another's.
    """

    what: str
    said: Callable[[Chain], Unsaid | None]


def _tutorial(chain: Chain) -> Unsaid | None:
    weighted = [layer for layer in chain if layer.has_weight]
    kernels = {(layer.kind, layer.kernel) for layer in weighted}
    if kernels != {("transposed", 4)} or len(weighted) < 2 or chain[-1].outputs not in (1, 3):
        return None
    later = len(weighted) - 1
    side = 4 * 2**later
    return Unsaid(
        activation="relu",
        output="tanh",
        strides=(1, *[2] * later),
        paddings=(0, *[1] * later),
        size=(side, side),
    )


def _course(chain: Chain) -> Unsaid | None:
    weighted = [(layer.kind, layer.kernel) for layer in chain if layer.has_weight]
    if weighted != [("transposed", side) for side in (3, 4, 3, 4)] or chain[-1].outputs != 1:
        return None
    return Unsaid(
        activation="relu", output="tanh", strides=(2, 1, 2, 2), paddings=(0,), size=(28, 28)
    )


def _lenet(chain: Chain) -> Unsaid | None:
    found = [(layer.kind, layer.inputs, layer.outputs, layer.kernel) for layer in chain]
    convolutions = [("conv", 1, 6, 5), ("conv", 6, 16, 5), ("conv", 16, 120, 5)]
    if found[:-1] != [*convolutions, ("linear", 120, 84, 1)] or chain[-1].inputs != 84:
        return None
    return Unsaid(
        activation="relu",
        strides=(1,),
        paddings=(0,),
        pools=(2, 2, 1),
        size=(32, 32),
        range="0..1",
        until=chain[-2].name,
    )


LESSONS = (
    Lesson("DCGAN generator as in PyTorch's tutorial", _tutorial),
    Lesson("DCGAN generator of a course, for MNIST", _course),
    Lesson("LeNet-5, whose features before the last layer are the codes", _lenet),
)


def recognise_lesson(file: ForeignFile) -> Recognised | None:
    """A network of a well-known lesson; None for another file."""
    for network, chains in _chains_of(file):
        if len(chains) > 1:
            continue
        ((half, chain),) = chains.items()
        if half == "decoder":
            # In these all are transposed, also where a square shape does not tell.
            chain = [
                layer if layer.certain else replace(layer, kind="transposed", certain=True)
                for layer in chain
            ]
        for lesson in LESSONS:
            said = lesson.said(chain)
            if said is not None:
                network = replace(network, kind=lesson.what)
                return _recognised(FORMAT, network, {half: chain}, said)
    return None


def recognise_chain(file: ForeignFile) -> Recognised | None:
    """An encoder, a decoder or both that are chains of layers; None for another file."""
    found = _chains_of(file)
    if not found:
        return None
    if len(found) > 1:
        # A generator is wanted, and not what judged it.
        found = [one for one in found if not _BESIDE.fullmatch(one[0].name)] or found
    if len(found) > 1:
        names = ", ".join(network.name for network, _ in found)
        reason = f"it holds several networks that are chains of layers ({names}): save one of them"
        networks = tuple(network for network, _ in found)
        return refused(CHAINS, networks, CheckpointError(reason))
    ((network, chains),) = found
    return _recognised(CHAINS, network, chains, Unsaid())


def _chains_of(file: ForeignFile) -> list[tuple[Network, dict[Half, Chain]]]:
    """The networks of the file that are chains."""
    found = []
    for name, value in candidates(file.value, file.walk).items():
        tensors = network_tensors(value, file.walk)
        chains = chains_in(tensors) if tensors else None
        if chains:
            words = "; ".join(f"{half}: {words_of(chain)}" for half, chain in chains.items())
            network = Network(name, f"chain of layers ({words})", tensors, class_name(value))
            found.append((network, chains))
    return found


def _recognised(
    format: str, network: Network, chains: Mapping[Half, Chain], said: Unsaid
) -> Recognised:
    def join(encoder: Chain | None, decoder: Chain | None, unsaid: Unsaid) -> Joined:
        assumed = {
            field.name: getattr(said, field.name)
            for field in fields(Unsaid)
            if getattr(unsaid, field.name) is None and getattr(said, field.name) is not None
        }
        joined = join_chains(encoder, decoder, replace(unsaid, **assumed))
        return replace(joined, notes=(*joined.notes, *_note(network.kind, assumed)))

    halves = Halves(FAMILY, chains.get("encoder"), chains.get("decoder"), join, network_of)
    return halves.recognised(format, (network,))


def _note(what: str, assumed: Mapping[str, object]) -> Sequence[str]:
    if not assumed:
        return ()
    words = ", ".join(f"{flag_of(name)} {_word(name, value)}" for name, value in assumed.items())
    return (f"it is taken for a {what}: {words} was assumed",)


def _word(name: str, value: object) -> str:
    if not isinstance(value, tuple):
        return str(value)
    return ("x" if name == "size" else ",").join(map(str, value))
