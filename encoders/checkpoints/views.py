"""Tensors of a file under their native names and in their native layout, still unread.

A change of layout gives a new view with the shape that it will have; numbers are read once, when
the network is put together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from latentmap.encoders.checkpoints.descriptions import shown
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.errors import CheckpointError

_LAYERS = 64

Change = Callable[[TensorView], TensorView]
# A foreign name to the native one and the change of layout; None where the network has no such
# tensor.
Naming = Callable[[str], tuple[str, Change] | None]


def translate(
    tensors: Mapping[str, TensorView], naming: Naming
) -> tuple[dict[str, TensorView], dict[str, TensorView]]:
    """The tensors that ``naming`` knows, under native names and in native layout, and the others
    as they were.

    Raises:
        CheckpointError: a tensor has another number of axes than its name promises.
    """
    native, others = {}, {}
    for name, view in tensors.items():
        found = naming(name)
        if found is None:
            others[name] = view
            continue
        target, change = found
        try:
            native[target] = change(view)
        except _LayoutError as error:
            raise CheckpointError(
                f"the tensor {shown(name)} should be {error}, but has the shape {view.shape}: the "
                "file is damaged or of a variant that is not supported"
            ) from None
    return native, others


def as_tensor(value: Any) -> TensorView | None:
    """A tensor of the file, or a number of it as one without axes; None for anything else."""
    if isinstance(value, TensorView):
        return value
    if type(value) is float or (type(value) is int and abs(value) < 2**63):
        return TensorView((), torch.float32, lambda: torch.tensor(value, dtype=torch.float32))
    return None


def unchanged(view: TensorView) -> TensorView:
    """The tensor as it is."""
    return view


def transposed(view: TensorView) -> TensorView:
    """The transpose of a matrix."""
    rows, columns = _axes(view, 2, "a matrix")
    return _changed(view, (columns, rows), lambda tensor: tensor.t())


def kernel_first(view: TensorView) -> TensorView:
    """A convolution's weight (out, in, height, width) from one that is (height, width, in, out)."""
    height, width, inputs, outputs = _axes(view, 4, "a convolution's weight")
    return _changed(view, (outputs, inputs, height, width), lambda t: t.permute(3, 2, 0, 1))


def turned(view: TensorView) -> TensorView:
    """A convolution's weight with both spatial axes reversed."""
    _axes(view, 4, "a convolution's weight")
    return _changed(view, view.shape, lambda tensor: tensor.flip(2, 3))


def then(first: Change, second: Change) -> Change:
    """Two changes in a row."""
    return lambda view: second(first(view))


def plus_one(view: TensorView) -> TensorView:
    """The tensor plus one: the style biases of files whose code adds it."""
    # In float64: a bias near -1, in half precision, would lose its digits.
    return replace(view, dtype=torch.float64, load=lambda: view.load().double() + 1)


def without_batch(view: TensorView) -> TensorView:
    """The tensor without a first axis of length one."""
    if not view.shape or view.shape[0] != 1:
        raise _LayoutError("one element long on its first axis")
    return _changed(view, view.shape[1:], lambda tensor: tensor[0])


def flat(view: TensorView) -> TensorView:
    """The vector of a tensor whose other axes all have length one."""
    length = math.prod(view.shape)
    if sum(side != 1 for side in view.shape) > 1:
        raise _LayoutError("a vector")
    return _changed(view, (length,), lambda tensor: tensor.reshape(length))


def single(view: TensorView) -> TensorView:
    """The one number of a tensor, without axes."""
    if any(side != 1 for side in view.shape):
        raise _LayoutError("one number")
    return _changed(view, (), lambda tensor: tensor.reshape(()))


def square(view: TensorView) -> TensorView:
    """The map (height, width) of a tensor whose axes before the last two all have length one."""
    if len(view.shape) < 2 or any(side != 1 for side in view.shape[:-2]):
        raise _LayoutError("a map of one channel")
    shape = view.shape[-2:]
    return _changed(view, shape, lambda tensor: tensor.reshape(shape))


def average(view: TensorView) -> TensorView:
    """The mean code (w,) of one that is stored as such, or once for every layer as (n, w)."""
    if len(view.shape) == 1:
        return view
    rows, length = _axes(view, 2, "a vector or a matrix with a row for every layer")
    if rows > _LAYERS:
        raise _LayoutError(f"a matrix with a row for each of at most {_LAYERS} layers")
    return _changed(view, (length,), lambda tensor: tensor.double().mean(0))


class _LayoutError(Exception):
    """The view has not the axes that its name promises; the text says what it should be."""


def _axes(view: TensorView, count: int, promised: str) -> tuple[int, ...]:
    if len(view.shape) != count:
        raise _LayoutError(promised)
    return view.shape


def _changed(
    view: TensorView, shape: tuple[int, ...], change: Callable[[Tensor], Tensor]
) -> TensorView:
    return replace(view, shape=shape, load=lambda: change(view.load()))
