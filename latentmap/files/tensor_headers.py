"""Opening safetensors files: the library takes whatever a header describes, however much it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from safetensors import safe_open

from latentmap.errors import LatentmapError
from latentmap.files.opening import named_in_utf8, open_regular
from latentmap.limits import Allowance

Framework = Literal["pt", "np"]
# Bytes of memory for one of the header: of short texts in the metadata, the densest of all.
_HEADER = 40


@contextmanager
def open_tensors(
    path: str | Path, error: type[LatentmapError], *, framework: Framework = "pt"
) -> Iterator[Any]:
    """A safetensors file; its tensors are read when they are asked for, on the CPU,
    as tensors of torch, or with ``framework="np"`` as NumPy's arrays, for which, and for the header
    alone, torch is not imported.

    Besides ``error`` it raises whatever safetensors does.

    Raises:
        OSError: it cannot be read, or is no regular file.
        LatentmapError: of the class ``error``: its header takes more memory than a file of its size
            may.
    """
    with open_regular(path) as plain:
        length = int.from_bytes(plain.read(8), "little")
        size = plain.seek(0, 2)
    # What is longer than the file is none, which safetensors tells.
    if length <= size:
        Allowance(str(path), size, error).spend(_HEADER * length, "its header")
    with named_in_utf8(path) as name, safe_open(name, framework=framework) as file:
        yield file
