"""The few names in pickles that stand for data, and what data they stand for.

Everything else becomes an inert record. Nothing here is called by the name that a file gives: each
name has a function of ours, which looks at the arguments as data.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Any

import torch

from latentmap.encoders.checkpoints.budget import Budget
from latentmap.encoders.checkpoints.keys import checked_key, checked_keys
from latentmap.encoders.checkpoints.tensors import (
    MAX_DIMENSIONS,
    STORAGE_TYPES,
    ArrayType,
    Storage,
    unfilled,
)
from latentmap.encoders.checkpoints.values import LongText, Record, TensorView
from latentmap.errors import CheckpointError

_PIECE = 2**20
_EMPTY_ARRAY = unfilled("the file holds an array without its numbers")
_TENSOR_TYPES = {str(dtype): dtype for dtype in STORAGE_TYPES.values()}
# (bytes of a stream that torch.save wrote) -> the storage in it.
ReadStorage = Callable[[memoryview], Storage]


class Meanings:
    """What names stand for in one file.

    ``budget`` is for its objects; ``allowance`` is how many bytes its tensors may take, and
    ``decoding`` how many may be made of texts that stand for bytes. ``read_storage`` reads the
    torch streams that pickled tensors hide; without it they are refused.
    """

    def __init__(
        self,
        *,
        budget: Budget,
        allowance: Budget,
        decoding: Budget,
        read_storage: ReadStorage | None = None,
    ) -> None:
        self._budget = budget
        self._allowance = allowance
        self._decoding = decoding
        self._read_storage = read_storage
        self._known: dict[str, Callable[[tuple[Any, ...]], Any]] = {
            "_codecs.encode": self._encode,
            "__builtin__.bytes": _no_bytes,
            "__builtin__.set": self._set,
            "builtins.set": self._set,
            "__builtin__.frozenset": self._set,
            "builtins.frozenset": self._set,
            "collections.OrderedDict": self._ordered_dict,
            "numpy.dtype": _array_type,
            "numpy.core.multiarray._reconstruct": _empty_array,
            "numpy._core.multiarray._reconstruct": _empty_array,
            "numpy.core.multiarray.scalar": self._scalar,
            "numpy._core.multiarray.scalar": self._scalar,
            "numpy.core.numeric._frombuffer": self._from_buffer,
            "numpy._core.numeric._frombuffer": self._from_buffer,
            "torch.Size": _size,
            "torch._utils._rebuild_parameter": _parameter,
            "torch._utils._rebuild_parameter_with_state": _parameter,
            "torch._utils._rebuild_tensor": self._tensor,
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_tensor_v3": self._tensor_of_type,
            "torch.storage._load_from_bytes": self._storage,
        }

    def knows(self, name: str) -> bool:
        """Whether ``name`` stands for data, or for a type of them."""
        in_torch = name.startswith("torch.")
        kind = name.rpartition(".")[2]
        return (
            name in self._known
            or name == "numpy.ndarray"
            or (in_torch and (kind in STORAGE_TYPES or name in _TENSOR_TYPES))
        )

    def apply(self, name: str, args: tuple[Any, ...]) -> Any:
        """What a call of ``name`` stands for: data, or an inert record.

        Raises:
            CheckpointError: the name is known, and the arguments are not those that belong to it.
        """
        known = self._known.get(name)
        if known is None:
            return Record(name, args)
        try:
            return known(args)
        except CheckpointError:
            raise
        except (AttributeError, IndexError, TypeError, ValueError, OverflowError):
            raise CheckpointError(f"the arguments of {name} are not what belongs to it") from None

    def complete(self, target: Any, state: Any) -> bool:
        """Gives an array or its type what comes after it in the stream; False for anything else."""
        if isinstance(target, ArrayType):
            target.complete(state)
            return True
        if isinstance(target, TensorView) and target.load is _EMPTY_ARRAY:
            self._fill_array(target, state)
            return True
        return False

    def _fill_array(self, target: TensorView, state: Any) -> None:
        if type(state) is not tuple or len(state) != 5 or not isinstance(state[2], ArrayType):
            raise CheckpointError("an array of the file is not described as numpy does")
        _, shape, kind, fortran, data = state
        filled = self._array(data, kind, shape, fortran is True)
        target.shape, target.dtype, target.load = filled.shape, filled.dtype, filled.load

    def _array(self, data: Any, kind: ArrayType, shape: Any, fortran: bool) -> TensorView:
        if kind.dtype is None:
            # Objects, texts and the like: no network keeps its weights in them.
            return TensorView((), torch.uint8, unfilled("an array of the file holds no numbers"))
        return kind.view(self._bytes(data), shape, fortran=fortran, allowance=self._allowance)

    def _from_buffer(self, args: tuple[Any, ...]) -> Any:
        data, kind, shape, order = args
        return self._array(data, kind, shape, order == "F")

    def _storage(self, args: tuple[Any, ...]) -> Any:
        if self._read_storage is None:
            raise CheckpointError("a torch stream inside a torch stream, which no checkpoint needs")
        return self._read_storage(self._bytes(args[0]))

    def _tensor(self, args: tuple[Any, ...]) -> Any:
        storage, offset, shape, strides = args[:4]
        if not isinstance(storage, Storage):  # Of a type that no network uses.
            return Record("torch.Tensor", args)
        return storage.view(offset, shape, strides, allowance=self._allowance)

    def _tensor_of_type(self, args: tuple[Any, ...]) -> Any:
        storage, offset, shape, strides = args[:4]
        dtype = _TENSOR_TYPES.get(args[6].name)
        if not isinstance(storage, Storage) or dtype is None:
            return Record("torch.Tensor", args)
        return storage.view(offset, shape, strides, allowance=self._allowance, dtype=dtype)

    def _bytes(self, value: Any) -> memoryview:
        """Bytes, whatever the stream carried them as."""
        if isinstance(value, str):  # Python 2 had one type for both.
            self._decoding.spend(len(value))
            return memoryview(value.encode("latin-1"))
        return memoryview(value)

    def _encode(self, args: tuple[Any, ...]) -> Any:
        """Bytes that protocol 2 writes as a text of the same code points."""
        text, encoding = args
        if encoding not in ("latin1", "latin-1"):
            raise ValueError(encoding)
        if not isinstance(text, LongText):
            return self._bytes(str(text))
        self._decoding.spend(len(text.utf8))
        decoded = bytearray()
        # In pieces: the whole as text would be a third copy of a network. A piece may end in the
        # middle of a character, which the decoder keeps for the next.
        decoder = codecs.getincrementaldecoder("utf-8")()
        for start in range(0, len(text.utf8), _PIECE):
            piece = text.utf8[start : start + _PIECE]
            last = start + _PIECE >= len(text.utf8)
            decoded += decoder.decode(bytes(piece), last).encode("latin-1")
        return memoryview(decoded)

    def _set(self, args: tuple[Any, ...]) -> Any:
        members = args[0] if args else []
        if type(members) not in (list, tuple):
            raise TypeError(members)
        return set(checked_keys(members, self._budget))

    def _ordered_dict(self, args: tuple[Any, ...]) -> Any:
        pairs = args[0] if args else ()
        return {checked_key(key, self._budget): value for key, value in pairs}

    def _scalar(self, args: tuple[Any, ...]) -> Any:
        kind, data = args
        if kind.dtype is None:
            return Record("numpy.generic", args)
        return kind.scalar(self._bytes(data))


def _no_bytes(args: tuple[Any, ...]) -> Any:
    """Empty bytes, as the old protocols write them; they write others as text."""
    if args:
        raise ValueError(args)
    return memoryview(b"")


def _array_type(args: tuple[Any, ...]) -> Any:
    return ArrayType(args[0])


def _empty_array(args: tuple[Any, ...]) -> Any:
    return TensorView((), torch.uint8, _EMPTY_ARRAY)


def _size(args: tuple[Any, ...]) -> Any:
    if len(args[0]) > MAX_DIMENSIONS:
        raise ValueError(args)
    return tuple(args[0])


def _parameter(args: tuple[Any, ...]) -> Any:
    return args[0]
