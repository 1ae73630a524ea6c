"""What tensors that nothing here can import may be, by their shapes, types and names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from latentmap.encoders.checkpoints.descriptions import shown
from latentmap.encoders.checkpoints.values import TensorView

_COLOURS = (1, 3, 4)
_FEWEST = 2  # Rows of a table.
_SMALLEST = 4  # Pixels a side of a picture.
_SAID = 3
_ATTENTION = re.compile(r"attn|attention|qkv|q_proj|query", re.IGNORECASE)
_CODEBOOK = re.compile(r"codebook|quantiz", re.IGNORECASE)
_AXES = {5: "3-d convolution", 4: "convolution", 3: "1-d convolution", 2: "matrix"}


def guess_of_network(tensors: Mapping[str, TensorView]) -> str:
    """Of which tensors a network is made, and what its ends say of images; of a network in the file
    nothing else is known.
    """
    counts = dict.fromkeys(_AXES, 0)
    for view in tensors.values():
        if len(view.shape) in counts:
            counts[len(view.shape)] += 1
    words = [_counted(count, _AXES[axes]) for axes, count in counts.items() if count]
    grids = [view.shape for view in tensors.values() if len(view.shape) == 4]
    if grids and grids[0][1] in _COLOURS:
        words.append(f"the first convolution may take {_channels(grids[0][1])}")
    ends = {*grids[-1][:2]} if grids else set()
    if ends & {*_COLOURS} and len(grids) > 1:
        words.append(f"the last one may make {_channels(min(ends & {*_COLOURS}))}")
    names = "\n".join(tensors)
    if _ATTENTION.search(names):
        words.append("with attention")
    if _CODEBOOK.search(names):
        words.append("with a codebook")
    return ", ".join(words) or "numbers and vectors alone"


def guess_of_arrays(arrays: Mapping[str, TensorView], *, of_torch: bool = False) -> str:
    """What arrays may be that are no network: codes or images, and which command takes them; those
    in files ``of_torch`` would have to be saved otherwise first.
    """
    said = []
    for name, view in arrays.items():
        shape = view.shape
        if len(shape) < 2 or shape[0] < _FEWEST:
            continue
        if view.type_name == "uint8" and (pictures := _pictures(shape)):
            said.append(f"{shape[0]:,} images of {pictures} ({shown(name)}), for --data")
        elif view.type_name.startswith("float"):
            size = "x".join(map(str, shape[1:]))
            said.append(
                f"{shape[0]:,} codes of {size} ({shown(name)}), which commands take in place of a "
                f"model{_condition(arrays, of_torch=of_torch)}"
            )
    return "; ".join(said[:_SAID]) or "neither codes (floats, a row for each) nor images (bytes)"


def _condition(arrays: Mapping[str, TensorView], *, of_torch: bool) -> str:
    if of_torch:
        return " once they are saved with numpy.savez, as codes and ids"
    has_ids = any(name.rpartition("/")[2] == "ids" for name in arrays)
    return "" if has_ids else ", with --row-ids or --by-position, for it has no ids"


def _pictures(shape: tuple[int, ...]) -> str | None:
    """Height and width, where a shape may be that of images, grey or with channels."""
    if len(shape) == 3:
        size = shape[1:]
    elif len(shape) == 4 and shape[3] in _COLOURS:
        size = shape[1:3]
    elif len(shape) == 4 and shape[1] in _COLOURS:
        size = shape[2:]
    else:
        return None
    return f"{size[0]}x{size[1]}" if min(size) >= _SMALLEST else None


def _counted(count: int, word: str) -> str:
    plural = "matrices" if word == "matrix" else f"{word}s"
    return f"{count} {word if count == 1 else plural}"


def _channels(count: int) -> str:
    return {1: "grey images", 3: "colour images"}.get(count, f"images of {count} channels")
