"""Tensors and arrays of foreign files: views of bytes, checked before a number is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.encoders.checkpoints.budget import Budget
from latentmap.encoders.checkpoints.values import TensorView
from latentmap.errors import CheckpointError

# Where a storage's class stands says where its numbers were (torch, torch.cuda): of no importance.
STORAGE_TYPES: dict[str, torch.dtype] = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}
_ARRAY_TYPES: dict[str, torch.dtype] = {
    "f8": torch.float64,
    "f4": torch.float32,
    "f2": torch.float16,
    "i8": torch.int64,
    "i4": torch.int32,
    "i2": torch.int16,
    "i1": torch.int8,
    "u1": torch.uint8,
    "b1": torch.bool,
}
MAX_DIMENSIONS = 16
_LARGEST = 2**48


class Storage:
    """The numbers that tensors of a torch file are views of; ``data`` comes later in some files."""

    def __init__(self, dtype: torch.dtype, numel: int, data: memoryview | None = None) -> None:
        if type(numel) is not int or numel < 0:
            raise CheckpointError("a storage of the file has no valid size")
        self.dtype = dtype
        self.numel = numel
        self._data: memoryview | None = None
        if data is not None:
            self.fill(data)

    def fill(self, data: memoryview) -> None:
        """Gives the storage its bytes.

        Raises:
            CheckpointError: they are fewer than its numbers need.
        """
        needed = self.numel * self.dtype.itemsize
        if len(data) < needed:
            raise CheckpointError(
                f"the file is cut off: {needed} bytes of a tensor were expected, not {len(data)}"
            )
        self._data = data[:needed]

    def view(
        self, offset: Any, shape: Any, strides: Any, *, allowance: Budget, dtype: Any = None
    ) -> TensorView:
        """The tensor of ``shape`` that starts at ``offset`` and takes ``strides`` (in numbers).

        One that repeats numbers to more than its storage holds cannot be loaded.

        Raises:
            CheckpointError: it would reach outside the storage.
        """
        wanted = dtype or self.dtype
        # Storages without a type count bytes.
        numel = self.numel * self.dtype.itemsize // wanted.itemsize
        shape, strides = _shape(shape), _integers(strides, "strides")
        if len(shape) != len(strides):
            raise CheckpointError("a tensor of the file has a shape and strides of two lengths")
        (start,) = _integers((offset,), "offset")
        count = math.prod(shape)
        last = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        if count and start + last >= numel:
            raise CheckpointError(f"a tensor of shape {shape} reaches outside its storage")
        if count > numel:
            # An expanded one, which stands for more memory than the file has bytes.
            reason = f"a tensor of shape {shape} repeats the {numel} numbers of its storage"
            return TensorView(shape, wanted, unfilled(reason))

        def load() -> Tensor:
            if self._data is None:
                raise CheckpointError("the file does not hold the numbers of a tensor")
            if not count:
                return torch.empty(shape, dtype=wanted)
            flat = _copy(self._data, start, last + 1, wanted, allowance)
            return flat.as_strided(shape, strides).contiguous()

        return TensorView(shape, wanted, load)


class ArrayType:
    """A numpy dtype of the file: what its numbers are, and in which order their bytes come."""

    def __init__(self, code: str) -> None:
        self.swapped = code[:1] == ">"
        self.dtype = _ARRAY_TYPES.get(code.lstrip("<>|="))

    def complete(self, state: Any) -> None:
        """Takes the byte order from what numpy pickles as the state of a dtype."""
        if type(state) is tuple and len(state) > 1:
            self.swapped = state[1] == ">"

    def scalar(self, data: memoryview) -> Any:
        """The single number in ``data`` as Python's own."""
        assert self.dtype is not None
        if len(data) != self.dtype.itemsize:
            raise CheckpointError(
                f"a number of the file has {len(data)} bytes, not {self.dtype.itemsize}"
            )
        return self._numbers(data, 1, Budget()).item()

    def view(self, data: memoryview, shape: Any, *, fortran: bool, allowance: Budget) -> TensorView:
        """The array of ``shape`` in ``data``; ``fortran`` where the first axis is the fastest.

        Raises:
            CheckpointError: the data have another length.
        """
        assert self.dtype is not None
        dtype = self.dtype
        shape = _shape(shape)
        count = math.prod(shape)
        if count * dtype.itemsize != len(data):
            raise CheckpointError(f"an array of shape {shape} has {len(data)} bytes of data")

        def load() -> Tensor:
            if not count:
                return torch.empty(shape, dtype=dtype)
            flat = self._numbers(data, count, allowance)
            if fortran:
                return flat.reshape(shape[::-1]).permute(*reversed(range(len(shape)))).contiguous()
            return flat.reshape(shape)

        return TensorView(shape, dtype, load)

    def _numbers(self, data: memoryview, count: int, allowance: Budget) -> Tensor:
        assert self.dtype is not None
        if not self.swapped:
            return _copy(data, 0, count, self.dtype, allowance)
        raw = _copy(data, 0, len(data), torch.uint8, allowance)
        return raw.reshape(count, -1).flip(1).contiguous().view(-1).view(self.dtype)


def unfilled(reason: str) -> Callable[[], Tensor]:
    """The ``load`` of a view whose numbers are not there."""

    def load() -> Tensor:
        raise CheckpointError(reason)

    return load


def _copy(
    data: memoryview, start: int, count: int, dtype: torch.dtype, allowance: Budget
) -> Tensor:
    """``count`` numbers from number ``start`` on, copied: the file's bytes need not be aligned."""
    size = dtype.itemsize
    allowance.spend(count * size)
    piece = data[start * size : (start + count) * size]
    copied = torch.empty(count * size, dtype=torch.uint8)
    # Through numpy: torch warns of memory that may not be written to.
    copied.numpy()[:] = np.frombuffer(piece, np.uint8)
    return copied.view(dtype)


def _shape(values: Any) -> tuple[int, ...]:
    """A shape whose sides, those of no length aside, are no more than a tensor may have."""
    shape = _integers(values, "shape")
    if math.prod(max(side, 1) for side in shape) >= _LARGEST:
        raise CheckpointError(f"a tensor of the file has the impossible shape {shape}")
    return shape


def _integers(values: Any, what: str) -> tuple[int, ...]:
    good = type(values) in (tuple, list) and len(values) <= MAX_DIMENSIONS
    if not good or not all(type(value) is int and 0 <= value < _LARGEST for value in values):
        raise CheckpointError(f"a tensor of the file has no valid {what}")
    return tuple(values)
